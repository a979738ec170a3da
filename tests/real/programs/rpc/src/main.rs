//! Code that a build script generates from a schema, and prost's derives in it.
use prost::Message;

mod yard {
    include!(concat!(env!("OUT_DIR"), "/yard.rs"));
}

fn main() {
    let leaf = yard::Unit { name: "itoa".into(), bytes: 7, needs: vec![], place: Some(yard::unit::Place::Here(true)) };
    let root = yard::Unit {
        name: "rpc".into(),
        bytes: 4096,
        needs: vec![leaf],
        place: Some(yard::unit::Place::Worker("w1".into())),
    };
    let bytes = root.encode_to_vec();
    println!("{} bytes", bytes.len());
    println!("{:?}", yard::Unit::decode(&bytes[..]).unwrap());
}
