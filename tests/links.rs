//! Three replicas of one service behind an edge: what a client notices when one of them hangs or is replaced.

use std::path::Path;
use std::time::Duration;

use malla_servers::soak::{report, rounds};

use crate::support::hop::Hop;
use crate::support::load::{self, Load, Sample};
use crate::support::{Process, services};

/// Services are asked nothing here but beers; the others are at an address where nobody is.
const NOBODY: &str = "http://127.0.0.1:1";

pub(crate) struct Replicas {
    replicas: Vec<Process>,
    /// In front of each, if they were asked for.
    pub(crate) hops: Vec<Hop>,
    edge: Process,
    data: tempfile::TempDir,
}

impl Replicas {
    pub(crate) async fn start() -> Self {
        Self::start_with(false).await
    }

    pub(crate) async fn start_with(hopped: bool) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (mut replicas, mut hops) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let replica = replica(data.path(), "127.0.0.1:0").await;
            if hopped {
                hops.push(Hop::start(&replica.addresses["beers"]).await);
            }
            replicas.push(replica);
        }
        let mut settings: Vec<(String, String)> = services().map(|name| discovery(name, NOBODY)).collect();
        let direct = replicas.iter().map(|replica| replica.addresses["beers"].as_str());
        let addresses: Vec<&str> = if hopped { hops.iter().map(Hop::address).collect() } else { direct.collect() };
        settings.push(discovery("beers", &addresses.join(",")));
        settings
            .extend([("LISTEN__EDGE".into(), "127.0.0.1:0".into()), ("LISTEN__ADMIN".into(), "127.0.0.1:0".into())]);
        let edge = Process::start(&["run".into(), "edge".into()], data.path(), &settings).await.unwrap();
        Self { replicas, hops, edge, data }
    }

    pub(crate) fn load(&self, per_second: u32) -> Load {
        Load::start(format!("{}/v1/beers/123456", self.edge.addresses["edge"]), per_second)
    }

    /// Waits until the edge counts as many endpoints of beers in a state.
    pub(crate) async fn reaches(&self, state: &str, wanted: u64) {
        let labels = ["service=\"beers\"", &format!("state=\"{state}\"")];
        let looking = async {
            while self.metric("malla_link_endpoints{", &labels).await != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("{wanted} {state}"));
    }

    /// A metric of the edge's, summed up over all lines with these labels; `None` without one.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Option<u64> {
        let metrics = reqwest::get(format!("{}/metrics", self.edge.addresses["admin"])).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).reduce(|sum, value| sum + value)
    }
}

fn discovery(name: &str, address: &str) -> (String, String) {
    (format!("DISCOVERY__{}", name.to_uppercase()), address.to_owned())
}

async fn replica(data: &Path, listen: &str) -> Process {
    let settings = [
        discovery("users", NOBODY),
        ("LISTEN__BEERS".into(), listen.to_owned()),
        ("LISTEN__ADMIN".into(), "off".into()),
        ("SHUTDOWN__NOTICE_MS".into(), "50".into()),
    ];
    Process::start(&["run".into(), "beers".into()], data, &settings).await.unwrap()
}

/// A stopped process keeps its connections and takes new ones; at most the calls at it when it stopped may suffer.
#[tokio::test(flavor = "multi_thread")]
async fn row_11_a_replica_that_hangs_is_left_out_within_six_seconds() {
    const OUT: Duration = Duration::from_secs(6);
    let replicas = Replicas::start().await;
    replicas.reaches("usable", 3).await;
    let load = replicas.load(50);
    load.reach(Duration::from_secs(3)).await;
    let stopped = load.elapsed();
    replicas.replicas[0].signal("STOP");
    replicas.reaches("silent", 1).await;
    let noticed = load.elapsed() - stopped;
    load.reach(stopped + OUT + Duration::from_secs(4)).await;
    let samples = load.end().await;
    let errors = samples.iter().filter(|sample| sample.is_error()).count();
    let after = || samples.iter().filter(|sample| sample.at > stopped + OUT);
    let errors_after = after().filter(|sample| sample.is_error()).count();
    let (before, after) = (load::p99(samples.iter().filter(|sample| sample.at < stopped)), load::p99(after()));
    report(
        11,
        "one of three replicas stopped",
        format_args!(
            "left out after {noticed:.1?}; {errors} errors in {}, {errors_after} once it was; p99 {before:.1?} before, \
             {after:.1?} after",
            samples.len()
        ),
    );
    assert!(noticed < OUT, "{noticed:?}");
    assert!(errors * 200 <= samples.len(), "{errors} errors in {}", samples.len());
    assert_eq!(errors_after, 0);
    assert!(after <= 3 * before.max(Duration::from_millis(100)), "{before:?} before, {after:?} after");
    replicas.replicas[0].signal("CONT");
    replicas.reaches("usable", 3).await;
}

/// One replica after the other, each drained and started again, with hardly any notice: no client sees anything.
#[tokio::test(flavor = "multi_thread")]
async fn row_13_a_rolling_restart_is_not_noticed() {
    let mut rounds = rounds(2);
    let mut replicas = Replicas::start().await;
    replicas.reaches("usable", 3).await;
    let load = replicas.load(100);
    for _ in rounds.by_ref() {
        for _ in 0..3 {
            let leaving = replicas.replicas.remove(0);
            let listen = leaving.addresses["beers"].trim_start_matches("http://").to_owned();
            leaving.signal("TERM");
            assert_eq!(leaving.wait().await.code(), Some(0));
            replicas.replicas.push(replica(replicas.data.path(), &listen).await);
            replicas.reaches("usable", 3).await;
        }
    }
    let samples = load.end().await;
    let bad: Vec<&Sample> = samples.iter().filter(|sample| sample.status != Some(200)).collect();
    let measured = format_args!("{} of {} requests failed; {}", bad.len(), samples.len(), rounds.bound());
    report(13, "three replicas restarted one by one", measured);
    assert!(bad.is_empty(), "{} of {}: {:?}", bad.len(), samples.len(), &bad[..bad.len().min(5)]);
}
