use std::io::ErrorKind;

use super::*;

/// A server that sends back what it gets, with a proxy in front.
async fn echo() -> (Proxy, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let proxy = Proxy::start(&target, 7).await;
    let stream = TcpStream::connect(proxy.address()).await.expect("connected");
    (proxy, stream)
}

async fn round(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn without_faults_bytes_pass_as_they_are_one_by_one_too() {
    let (proxy, mut stream) = echo().await;
    for chop in [false, true] {
        proxy.set(Faults { chop, ..Faults::default() });
        assert_eq!(round(&mut stream, b"hello").await.expect("an echo"), b"hello");
    }
}

#[tokio::test]
async fn latency_is_added_in_both_directions() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Faults { latency: Duration::from_millis(50), ..Faults::default() });
    let begun = Instant::now();
    round(&mut stream, b"hello").await.expect("an echo");
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_black_hole_keeps_what_was_sent_until_it_ends() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Faults { blackhole: true, ..Faults::default() });
    let stalled = tokio::time::timeout(Duration::from_millis(100), round(&mut stream, b"hello")).await;
    assert!(stalled.is_err(), "nothing passes");
    proxy.set(Faults::default());
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.expect("what was sent");
    assert_eq!(&back, b"hello");
}

#[tokio::test]
async fn a_byte_is_corrupted_at_its_place_and_a_connection_cut_at_its() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Faults { corrupt_at: Some(1), cut_after: Some(8), ..Faults::default() });
    assert_eq!(round(&mut stream, b"hello").await.expect("an echo"), [b'h', !b'e', b'l', b'l', b'o']);
    let error = round(&mut stream, b"hello").await.expect_err("cut");
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe),
        "{error}"
    );
}

#[tokio::test]
async fn connections_are_reset_and_refused_on_demand() {
    let (proxy, mut stream) = echo().await;
    round(&mut stream, b"hello").await.expect("an echo");
    proxy.set(Faults { refuse: true, ..Faults::default() });
    proxy.reset();
    assert!(round(&mut stream, b"hello").await.is_err(), "the open one is reset");
    let refused = async { round(&mut TcpStream::connect(proxy.address()).await?, b"hello").await };
    assert!(refused.await.is_err(), "a new one too");
}
