use super::*;

#[test]
fn five_failures_in_a_row_open_it_for_thirty_seconds() {
    let (mut breaker, start) = (Breaker::default(), Instant::now());
    for _ in 0..4 {
        breaker.record(false, start);
    }
    breaker.record(true, start);
    for _ in 0..4 {
        breaker.record(false, start);
        assert!(breaker.allows(start), "a success in between begins the count anew");
    }
    breaker.record(false, start);
    assert!(!breaker.allows(start) && !breaker.allows(start + OPEN - Duration::from_millis(1)));
    let later = start + OPEN;
    assert!(breaker.allows(later));
    breaker.record(false, later);
    assert!(!breaker.allows(later), "one more failure opens it again");
    breaker.record(true, later);
    assert!(breaker.allows(later), "one success closes it");
}
