use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn throttle() -> (Throttle, Instant) {
    (Throttle::new(20, 1_000), Instant::now())
}

#[expect(clippy::unnecessary_wraps, reason = "as the throttle takes it")]
fn address(at: u32) -> Option<IpAddr> {
    Some(std::net::Ipv4Addr::from_bits(at).into())
}

fn fail(throttle: &Throttle, name: &str, times: u32, now: Instant) {
    (0..times).for_each(|_| throttle.failed(None, name, now));
}

#[test]
fn the_sixth_attempt_waits_a_second_and_waits_double_up_to_a_quarter_of_an_hour() {
    let rows = [(1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (14, 512), (15, 900), (40, 900), (99, 900)];
    for (failures, seconds) in rows {
        let (throttle, now) = throttle();
        fail(&throttle, "ana", failures, now);
        let expected = if seconds == 0 { Ok(()) } else { Err(SECOND * seconds) };
        assert_eq!(throttle.admit(None, "ana", now), expected, "after {failures} failures");
        assert_eq!(throttle.admit(None, "ana", now + SECOND * seconds), Ok(()), "after the wait");
    }
}

#[test]
fn only_one_attempt_passes_at_the_end_of_a_wait() {
    let (throttle, now) = throttle();
    fail(&throttle, "ana", 7, now);
    let later = now + 4 * SECOND;
    assert_eq!(throttle.admit(None, "ana", later), Ok(()));
    assert_eq!(throttle.admit(None, "ana", later), Err(4 * SECOND));
}

#[test]
fn success_forgets_and_neither_names_nor_addresses_share() {
    let (throttle, now) = throttle();
    (0..9).for_each(|_| throttle.failed(address(1), "ana", now));
    assert!(throttle.admit(address(1), "ana", now).is_err());
    for (address, name) in [(address(1), "eva"), (address(2), "ana"), (None, "ana")] {
        assert_eq!(throttle.admit(address, name, now), Ok(()), "{address:?} {name}");
    }
    throttle.succeeded(address(1), "ana", now);
    assert_eq!(throttle.admit(address(1), "ana", now), Ok(()));
}

#[test]
fn an_address_fails_twenty_times_a_minute_at_whatever_names() {
    let (throttle, now) = throttle();
    for at in 0..20 {
        let name = at.to_string();
        assert_eq!(throttle.admit(address(1), &name, now), Ok(()), "{at}");
        throttle.failed(address(1), &name, now);
    }
    // An account of its own does not help.
    throttle.succeeded(address(1), "mallory", now);
    assert_eq!(throttle.admit(address(1), "ana", now), Err(3 * SECOND));
    assert_eq!(throttle.admit(address(2), "ana", now), Ok(()));
    assert_eq!(throttle.admit(address(1), "ana", now + 3 * SECOND), Ok(()));
    throttle.failed(address(1), "ana", now + 3 * SECOND);
    assert_eq!(throttle.admit(address(1), "ana", now + 3 * SECOND), Err(3 * SECOND));
}

#[test]
fn a_name_guessed_from_everywhere_waits_but_not_where_it_is_at_home() {
    let (throttle, now) = throttle();
    throttle.succeeded(address(0), "ana", now);
    for at in 1..=100 {
        assert_eq!(throttle.admit(address(at), "ana", now), Ok(()), "{at}");
        throttle.failed(address(at), "ana", now);
    }
    assert_eq!(throttle.admit(address(101), "ana", now), Err(9 * SECOND));
    assert_eq!(throttle.admit(address(101), "ana", now + 9 * SECOND), Ok(()));
    assert_eq!(throttle.admit(address(0), "ana", now), Ok(()));
    // Its own failures count there as well.
    (0..5).for_each(|_| throttle.failed(address(0), "ana", now));
    assert_eq!(throttle.admit(address(0), "ana", now), Err(SECOND));
}

#[test]
fn memory_is_bounded_and_a_flood_ends_no_wait() {
    let (throttle, now) = (Throttle::new(20, 100), Instant::now());
    (0..20).for_each(|_| throttle.failed(address(0), "ana", now));
    for at in 1..1_000 {
        throttle.failed(address(at), &at.to_string(), now + SECOND);
        throttle.succeeded(address(at), &at.to_string(), now + SECOND);
    }
    let failed = throttle.failed.lock().expect("not poisoned");
    assert_eq!((failed.pairs.len(), failed.names.len(), failed.addresses.len()), (100, 100, 100));
    drop(failed);
    assert_eq!(throttle.admit(address(0), "eva", now + SECOND), Err(2 * SECOND), "the address waits");
    assert_eq!(throttle.admit(address(0), "ana", now + 4 * SECOND), Err(896 * SECOND), "and so does the pair");
}
