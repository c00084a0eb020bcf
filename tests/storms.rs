//! Replicas that fail or are slow, one or all of them: the edge sends calls elsewhere, and does not make it worse.

use std::time::Duration;

use malla_servers::soak::{is_soak, report};
use tokio::time::Instant;

use crate::links::Replicas;
use crate::support::hop::Mood;
use crate::support::load;

/// Calls that may be repeated beyond one in ten: the budget's initial tokens, and three a second in quiet times.
const SPARE: u64 = 15;

async fn retries(replicas: &Replicas) -> u64 {
    replicas.metric("malla_edge_retries_total", &["backend=\"beers\""]).await.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_12_a_replica_that_fails_at_times_is_left_out() {
    let replicas = Replicas::start_with(true).await;
    replicas.reaches("usable", 3).await;
    let load = replicas.load(100);
    load.reach(Duration::from_secs(2)).await;
    let failing = load.elapsed();
    replicas.hops[0].set(Mood::Failing(30));
    replicas.reaches("ejected", 1).await;
    let ejected = load.elapsed();
    load.reach(ejected + Duration::from_secs(4)).await;
    let samples = load.end().await;
    let errors = samples.iter().filter(|sample| sample.is_error()).count();
    let after =
        samples.iter().filter(|sample| sample.at > ejected + Duration::from_secs(1) && sample.is_error()).count();
    let (retries, requests) = (retries(&replicas).await, samples.len() as u64);
    let noticed = ejected - failing;
    report(
        12,
        "one of three replicas fails 30 % of calls",
        format_args!("ejected after {noticed:.1?}; {retries} retries and {errors} errors in {requests}, {after} later"),
    );
    assert!(noticed < Duration::from_secs(15), "{noticed:?}");
    assert!(retries <= requests / 10 + SPARE, "{retries} in {requests}");
    assert_eq!(after, 0);
}

/// It answers, so it is not ejected; but the quicker ones are asked first.
#[tokio::test(flavor = "multi_thread")]
async fn row_12_a_replica_that_is_slow_is_asked_less() {
    const SLOW: Duration = Duration::from_millis(200);
    let replicas = Replicas::start_with(true).await;
    replicas.reaches("usable", 3).await;
    let load = replicas.load(100);
    load.reach(Duration::from_secs(2)).await;
    replicas.hops[0].set(Mood::Slow(SLOW));
    load.reach(Duration::from_secs(7)).await;
    let settled = Instant::now();
    load.reach(Duration::from_secs(15)).await;
    let samples = load.end().await;
    let calls = |hop: usize| replicas.hops[hop].seen().iter().filter(|seen| seen.began > settled).count();
    let (slow, all) = (calls(0), calls(0) + calls(1) + calls(2));
    let p99 = load::p99(samples.iter().filter(|sample| sample.at > Duration::from_secs(7)));
    let retries = retries(&replicas).await;
    let measured = format_args!("it gets {slow} of {all} calls after 5 s; p99 {p99:.1?}, {retries} retries");
    report(12, "one of three replicas is 200 ms slower", measured);
    assert!(slow * 5 < all, "{slow} of {all}");
    assert!(retries <= SPARE, "{retries}");
    assert_eq!(samples.iter().filter(|sample| sample.is_error()).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_when_all_replicas_fail_they_are_not_called_more_often() {
    let storm = Duration::from_secs(if is_soak() { 30 } else { 5 });
    let replicas = Replicas::start_with(true).await;
    replicas.reaches("usable", 3).await;
    let calls = || replicas.hops.iter().map(|hop| hop.seen().len()).sum::<usize>();
    let load = replicas.load(100);
    load.reach(Duration::from_secs(2)).await;
    let (began, before) = (load.elapsed(), calls());
    replicas.hops.iter().for_each(|hop| hop.set(Mood::Failing(100)));
    load.reach(began + storm).await;
    let (ended, during) = (load.elapsed(), calls() - before);
    replicas.hops.iter().for_each(|hop| hop.set(Mood::Well));
    load.reach(ended + Duration::from_secs(6)).await;
    let samples = load.end().await;
    let offered = samples.iter().filter(|sample| (began..ended).contains(&sample.at)).count();
    let mut after: Vec<_> = samples.iter().filter(|sample| sample.at >= ended).collect();
    after.sort_by_key(|sample| sample.at);
    let well =
        after.windows(50).find(|calls| !calls.iter().any(|call| call.is_error())).expect("half a second of answers");
    let recovery = well[0].at - ended;
    let times = during as f64 / offered as f64;
    let measured = format_args!("{offered} requests are {during} calls ({times:.2} x); well {recovery:.1?} later");
    report(15, &format!("all replicas fail for {} s", storm.as_secs()), measured);
    assert!(during as u64 * 10 <= offered as u64 * 12 + 10 * SPARE, "{during} calls for {offered} requests");
    assert!(recovery < Duration::from_secs(5), "{recovery:?}");
}
