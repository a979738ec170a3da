//! tokio with all its features: tasks, channels, timers, a socket.
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

async fn sums(mut numbers: mpsc::Receiver<u64>, done: oneshot::Sender<u64>) {
    let mut sum = 0;
    while let Some(n) = numbers.recv().await {
        sum += n;
    }
    let _ = done.send(sum);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let (tx, rx) = mpsc::channel(4);
    let (done, sum) = oneshot::channel();
    tokio::spawn(sums(rx, done));
    for n in 1..=10 {
        tx.send(n).await.unwrap();
    }
    drop(tx);
    println!("sum {}", sum.await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), tokio::task::yield_now()).await.unwrap();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).await.unwrap();
        text
    });
    tokio::net::TcpStream::connect(address).await?.write_all(b"over a socket").await?;
    tokio::select! {
        text = echo => println!("{}", text.unwrap()),
        _ = tokio::time::sleep(Duration::from_secs(5)) => println!("nothing came"),
    }
    Ok(())
}
