//! A weather provider that says what a test tells it to, on a socket of its own.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// OpenWeather's current-weather call, as far as the mesh uses it.
pub(crate) struct Provider {
    base: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    condition: u32,
    hangs: bool,
    requests: Vec<String>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    request.push(byte);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let target = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
                let body = {
                    let mut state = shared.lock().unwrap();
                    state.requests.push(target);
                    if state.hangs {
                        kept.push(stream);
                        continue;
                    }
                    serde_json::json!({"weather": [{"id": state.condition}]}).to_string()
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { base, state }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The condition id of all cities from now on.
    pub(crate) fn condition(&self, id: u32) {
        self.state.lock().unwrap().condition = id;
    }

    /// Takes requests and answers none from now on.
    pub(crate) fn hang(&self) {
        self.state.lock().unwrap().hangs = true;
    }

    /// The targets asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}
