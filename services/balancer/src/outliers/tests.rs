use super::*;

const WELL: Tally = Tally { calls: 100, failures: 1 };

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn five_failures_in_a_row_stand_out_and_a_success_between_them_does_not() {
    let start = Instant::now();
    let mut outliers = Outliers::new(start);
    for _ in 0..4 {
        outliers.record(true, start);
    }
    assert_eq!(outliers.stands_out(WELL, start), None);
    outliers.record(false, start);
    outliers.record(true, start);
    assert_eq!(outliers.stands_out(WELL, start), None);
    for _ in 0..4 {
        outliers.record(true, start);
    }
    assert_eq!(outliers.stands_out(WELL, start), Some(Reason::Consecutive));
}

#[test]
fn a_share_of_failures_stands_out_only_where_others_do_well() {
    let start = Instant::now();
    let mut outliers = Outliers::new(start);
    for call in 0..30 {
        outliers.record(call % 10 < 3, after(start, call / 10));
    }
    let now = after(start, 3);
    assert_eq!(outliers.window(now), Tally { calls: 30, failures: 9 });
    assert_eq!(outliers.stands_out(WELL, now), Some(Reason::Share));
    assert_eq!(outliers.stands_out(Tally { calls: 60, failures: 18 }, now), None, "all alike");
    assert_eq!(outliers.stands_out(Tally::default(), now), None, "nobody to compare with");
    assert_eq!(outliers.window(after(start, 12)), Tally::default(), "it forgets");
}

#[test]
fn an_ejection_is_longer_each_time_and_forgiven_with_time() {
    let start = Instant::now();
    let mut outliers = Outliers::new(start);
    let mut now = start;
    for seconds in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
        outliers.eject(now);
        assert!(outliers.is_ejected(after(now, seconds - 1)), "{seconds}");
        assert!(!outliers.is_ejected(after(now, seconds)), "{seconds}");
        now = after(now, seconds);
    }
    now = after(now, 3_600);
    outliers.eject(now);
    assert!(!outliers.is_ejected(after(now, 30)), "an hour without: as if it were the first");
}
