//! The wait for a connection's first bytes, which hyper leaves open without limit.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at a preface that has only begun.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits until the connection has begun to speak: HTTP/1, or a whole HTTP/2 preface. Takes nothing off the socket.
///
/// # Errors
/// Nothing came in time, or the connection was closed.
pub async fn wait(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    let begun = async {
        let mut seen = [0; PREFACE.len()];
        loop {
            let length = stream.peek(&mut seen).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // While the preface is incomplete no timeout of hyper's runs either.
            if length == PREFACE.len() || !PREFACE.starts_with(&seen[..length]) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(limit, begun).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
