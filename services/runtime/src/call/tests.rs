use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(TIMEOUT, HeaderValue::from_str(text).expect("a header value"));
    timeout(&headers)
}

/// Expectations: gRPC over HTTP2, "Timeout".
#[test]
fn timeouts_are_eight_digits_and_a_unit() {
    assert_eq!(read("1H"), Some(Duration::from_secs(3_600)));
    assert_eq!(read("2M"), Some(Duration::from_secs(120)));
    assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
    for bad in ["", "1", "S", "123456789S", "-1S", "1s", "1.5S", " 1S"] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_hop_gets_less_time_than_this_one() {
    let call = Call::new(Some(Instant::now() + Duration::from_secs(2)), &HeaderMap::new());
    let sent = call
        .scope(async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut headers = HeaderMap::new();
            Call::pass_on(&mut headers);
            timeout(&headers)
        })
        .await;
    assert_eq!(sent, Some(Duration::from_millis(1_490)));
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_two_timeouts_is_passed_on() {
    for (asked, sent) in [("3S", 1_990), ("50m", 50)] {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, HeaderValue::from_static(asked));
        let call = Call::new(Some(Instant::now() + Duration::from_secs(2)), &HeaderMap::new());
        call.step(|| Call::pass_on(&mut headers));
        assert_eq!(timeout(&headers), Some(Duration::from_millis(sent)), "{asked}");
    }
}

proptest! {
    #[test]
    fn a_written_timeout_is_never_longer(millis in 0_u64..200_000_000_000) {
        let duration = Duration::from_millis(millis);
        let value = timeout_value(duration);
        let back = read(value.to_str().expect("ASCII")).expect("readable");
        prop_assert!(back <= duration);
        prop_assert!(duration < Duration::from_secs(60) || back >= duration - Duration::from_secs(1) || back.as_secs() == 99_999_999);
    }
}
