//! A small web service on axum, which asks itself.
use axum::{extract::Path, routing::get, Json, Router};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Serialize, Deserialize, Debug)]
struct Sum {
    a: i64,
    b: i64,
    sum: i64,
}

#[tracing::instrument]
async fn add(Path((a, b)): Path<(i64, i64)>) -> Json<Sum> {
    Json(Sum { a, b, sum: a + b })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/add/{a}/{b}", get(add))).await });
    let mut peer = tokio::net::TcpStream::connect(address).await?;
    peer.write_all(b"GET /add/40/2 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    peer.read_to_string(&mut text).await?;
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    println!("{:?}", serde_json::from_str::<Sum>(body).unwrap());
    Ok(())
}
