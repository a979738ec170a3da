//! ring, with its C and assembly, and a user of it.
use ring::{digest, hmac};

fn main() {
    let sum = digest::digest(&digest::SHA256, b"dray");
    println!("{:02x?}", &sum.as_ref()[..8]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
    println!("{}", hmac::verify(&key, b"text", hmac::sign(&key, b"text").as_ref()).is_ok());
    let provider = rustls::crypto::ring::default_provider();
    println!("{} cipher suites", provider.cipher_suites.len());
}
