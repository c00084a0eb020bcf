use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fail(throttle: &Throttle, name: &str, times: u32, now: Instant) {
    (0..times).for_each(|_| throttle.failed(name, now));
}

#[test]
fn the_sixth_attempt_waits_a_second_and_waits_double_up_to_a_quarter_of_an_hour() {
    let rows = [(1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (14, 512), (15, 900), (40, 900), (100, 900)];
    for (failures, seconds) in rows {
        let (throttle, now) = (Throttle::new(10), Instant::now());
        fail(&throttle, "ana", failures, now);
        let expected = if seconds == 0 { Ok(()) } else { Err(SECOND * seconds) };
        assert_eq!(throttle.admit("ana", now), expected, "after {failures} failures");
        assert_eq!(throttle.admit("ana", now + SECOND * seconds), Ok(()), "after the wait");
    }
}

#[test]
fn only_one_attempt_passes_at_the_end_of_a_wait() {
    let (throttle, now) = (Throttle::new(10), Instant::now());
    fail(&throttle, "ana", 7, now);
    let later = now + 4 * SECOND;
    assert_eq!(throttle.admit("ana", later), Ok(()));
    assert_eq!(throttle.admit("ana", later), Err(4 * SECOND));
}

#[test]
fn success_forgets_and_names_do_not_share() {
    let (throttle, now) = (Throttle::new(10), Instant::now());
    fail(&throttle, "ana", 9, now);
    assert_eq!(throttle.admit("eva", now), Ok(()));
    throttle.succeeded("ana");
    assert_eq!(throttle.admit("ana", now), Ok(()));
}

#[test]
fn memory_is_bounded_and_a_flood_of_names_ends_no_wait() {
    let (throttle, now) = (Throttle::new(100), Instant::now());
    fail(&throttle, "ana", 20, now);
    for name in 0..1_000 {
        throttle.failed(&name.to_string(), now + SECOND);
    }
    assert_eq!(throttle.names.lock().expect("not poisoned").len(), 100);
    assert!(throttle.admit("ana", now + SECOND).is_err());
}
