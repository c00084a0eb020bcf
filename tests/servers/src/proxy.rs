//! A TCP proxy that does to connections what networks do: delays, stalls, cuts, one byte at a time.
//!
//! It stands in for tools that need privileges or a kernel module (netem). Faults can be changed while connections are
//! open; what is random follows a seed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Read at once, and waiting to be written: what a network holds in flight.
const CHUNK_BYTES: usize = 16 * 1024;
const CHUNKS_MAX: usize = 64;

/// What happens to bytes, in both directions; the default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Added to the way of each chunk.
    pub latency: Duration,
    /// Up to this much more, at random.
    pub jitter: Duration,
    /// Bytes a second, for each direction of each connection; 0 is no limit.
    pub bandwidth: u64,
    /// Writes each byte by itself.
    pub chop: bool,
    /// Nothing passes, and nobody is told: what was sent arrives when it ends.
    pub blackhole: bool,
    /// New connections are reset at once.
    pub refuse: bool,
    /// Flips the bits of the byte at this place in what clients send on a connection.
    pub corrupt_at: Option<u64>,
    /// Resets a connection after this many bytes in one direction.
    pub cut_after: Option<u64>,
    /// Ends the server's side of connections in order, leaving the client's open.
    pub half_close: bool,
}

/// A proxy in front of one server; it ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    resets: watch::Sender<u64>,
    target: watch::Sender<String>,
    bytes: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own and passes connections on to `target`, `host:port`.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(target: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (faults, watched) = watch::channel(Faults::default());
        let (resets, reset) = watch::channel(0);
        let (target, aimed) = watch::channel(target.to_owned());
        let bytes = Arc::new(AtomicU64::new(0));
        let lane = Lane { faults: watched, reset, bytes: bytes.clone(), random: seed | 1 };
        let accepting = tokio::spawn(accept(listener, aimed, lane));
        Self { address, faults, resets, target, bytes, accepting }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes passed on so far, in both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// From now on these faults, on open connections too.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// New connections go to another server, as after a failover.
    pub fn retarget(&self, target: &str) {
        self.target.send_replace(target.to_owned());
    }

    /// Resets all open connections.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

#[derive(Clone)]
struct Lane {
    faults: watch::Receiver<Faults>,
    reset: watch::Receiver<u64>,
    bytes: Arc<AtomicU64>,
    random: u64,
}

impl Lane {
    /// Xorshift: enough for jitter.
    fn delay(&mut self) -> Duration {
        let Faults { latency, jitter, .. } = *self.faults.borrow();
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        latency + jitter.mul_f64((self.random % 1_000) as f64 / 1_000.0)
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<String>, mut lane: Lane) {
    while let Ok((client, _)) = listener.accept().await {
        lane.delay();
        if lane.faults.borrow().refuse {
            let _ = client.set_zero_linger();
            continue;
        }
        let (lane, target) = (lane.clone(), target.borrow().clone());
        tokio::spawn(async move {
            match TcpStream::connect(&target).await {
                Ok(server) => connect(client, server, lane).await,
                Err(_) => drop(client.set_zero_linger()),
            }
        });
    }
}

async fn connect(client: TcpStream, server: TcpStream, lane: Lane) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Reset rather than closed, unless a pump has closed it in order before.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut reset = lane.reset.clone();
    reset.mark_unchanged();
    let up = pump(from_client, to_server, lane.clone(), true);
    let down = pump(from_server, to_client, lane, false);
    tokio::select! {
        _ = async { tokio::try_join!(up, down) } => {}
        _ = reset.changed() => {}
    }
}

/// Passes one direction on until its end; an error is a connection to be reset.
async fn pump(mut from: OwnedReadHalf, to: OwnedWriteHalf, mut lane: Lane, is_up: bool) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let writing = write(to, receiver, lane.clone());
    let reading = async move {
        let mut place = 0;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = tokio::select! {
                read = from.read(&mut chunk) => read?,
                _ = lane.faults.wait_for(|faults| faults.half_close && !is_up) => 0,
            };
            if length == 0 {
                return Ok(());
            }
            chunk.truncate(length);
            let end = place + length as u64;
            let Faults { corrupt_at, cut_after, .. } = *lane.faults.borrow();
            if let Some(at) = corrupt_at.filter(|at| is_up && (place..end).contains(at)) {
                chunk[usize::try_from(at - place).unwrap_or(0)] ^= 0xff;
            }
            let cut = cut_after.filter(|cut| end > *cut);
            if let Some(cut) = cut {
                chunk.truncate(usize::try_from(cut.saturating_sub(place)).unwrap_or(0));
            }
            place = end;
            if sender.send((Instant::now() + lane.delay(), chunk)).await.is_err() || cut.is_some() {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
        }
    };
    tokio::try_join!(reading, writing).map(|_| ())
}

async fn write(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut lane: Lane,
) -> std::io::Result<()> {
    while let Some((due, chunk)) = chunks.recv().await {
        tokio::time::sleep_until(due).await;
        let _ = lane.faults.wait_for(|faults| !faults.blackhole).await;
        let Faults { bandwidth, chop, .. } = *lane.faults.borrow();
        let pieces = if chop { chunk.chunks(1) } else { chunk.chunks(CHUNK_BYTES) };
        for piece in pieces {
            to.write_all(piece).await?;
        }
        lane.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if bandwidth > 0 {
            tokio::time::sleep(Duration::from_secs_f64(chunk.len() as f64 / bandwidth as f64)).await;
        }
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests;
