use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tonic::service::Routes;

use super::*;
use crate::auth::{self, Authenticator};
use crate::policy::Policies;

#[tokio::test]
async fn connections_that_ask_nothing_do_not_hold_up_a_drain() {
    let config = Config::default();
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let guard = Guard::new(Routes::default(), Policies::default(), authenticator, &config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = Shutdown::new(Duration::from_secs(3_600));
    let served = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { serve(listener, guard, &config, shutdown).await }
    });
    let _silent = TcpStream::connect(address).await.expect("a connection");
    let mut begun = TcpStream::connect(address).await.expect("a connection");
    begun.write_all(b"PRI * HTTP/2.0\r\n").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    shutdown.begin(Duration::ZERO).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), served).await;
    ended.expect("drained in time").expect("no panic").expect("no error");
}
