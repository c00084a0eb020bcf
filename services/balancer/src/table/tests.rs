use proptest::prelude::*;

use super::*;

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(number).unwrap() + 1))
}

fn table(count: usize, now: Instant) -> Table<usize> {
    let mut table = Table::default();
    table.replace(now, (0..count).map(|number| (address(number), number)));
    table
}

/// Spreads: the low half counts through the first choices, the high half through the second.
fn random(step: u64) -> u64 {
    step.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Who gets how many of 3,000 calls, each of which ends before the next.
fn shares(table: &mut Table<usize>, now: Instant) -> Vec<usize> {
    let mut shares = vec![0; table.0.len()];
    for step in 0..3_000 {
        let (address, endpoint) = table.pick(now, random(step), &[]).unwrap();
        table.left(address);
        shares[endpoint] += 1;
    }
    shares
}

#[test]
fn equals_share_equally_and_a_slow_one_is_avoided_until_it_is_forgotten() {
    let start = Instant::now();
    let mut table = table(3, start);
    for number in 0..3 {
        table.answered(address(number), Duration::from_millis(10), start);
    }
    assert!(shares(&mut table, start).iter().all(|share| (600..1_500).contains(share)));
    let now = start + Duration::from_secs(20);
    for number in 0..3 {
        table.answered(address(number), Duration::from_millis(if number == 0 { 100 } else { 10 }), now);
    }
    assert_eq!(shares(&mut table, now)[0], 0, "it loses against either");
    let now = now + Duration::from_secs(8);
    table.answered(address(1), Duration::from_millis(10), now);
    table.answered(address(2), Duration::from_millis(10), now);
    assert!(shares(&mut table, now)[0] > 500, "it is tried again");
}

#[test]
fn who_has_not_answered_yet_gets_one_call_at_a_time() {
    let now = Instant::now();
    let mut table = table(2, now);
    table.answered(address(0), Duration::from_millis(10), now);
    let chosen: Vec<usize> = (0..10).map(|step| table.pick(now, random(step), &[]).unwrap().1).collect();
    assert_eq!(chosen.iter().filter(|endpoint| **endpoint == 1).count(), 1, "{chosen:?}");
}

#[test]
fn the_unwell_are_used_only_when_nobody_else_is_there_and_the_silent_never() {
    let now = Instant::now();
    let mut table = table(4, now);
    let seen = |table: &mut Table<usize>| {
        let mut seen: Vec<usize> = (0..200).filter_map(|step| Some(table.pick(now, random(step), &[])?.1)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    table.set_health(address(0), Health::Silent);
    table.set_health(address(1), Health::Unreachable);
    table.set_health(address(2), Health::NotServing);
    assert_eq!(seen(&mut table), [3]);
    table.set_health(address(3), Health::Silent);
    assert_eq!(seen(&mut table), [2]);
    table.set_health(address(2), Health::Silent);
    assert_eq!(seen(&mut table), [1]);
    assert_eq!(table.pick(now, 0, &[address(1)]), None, "tried");
    table.set_health(address(1), Health::Silent);
    assert_eq!(seen(&mut table), [] as [usize; 0]);
    table.answered(address(1), Duration::from_millis(1), now);
    assert_eq!(seen(&mut table), [1], "whoever answers is there");
}

#[test]
fn one_in_three_is_ejected_and_comes_back() {
    let now = Instant::now();
    let mut table = table(3, now);
    let mut fail = |number| (0..5).find_map(|_| table.ended(address(number), true, now));
    assert_eq!(fail(0), Some(Reason::Consecutive));
    assert_eq!(fail(1), None, "there is no room for a second");
    assert_eq!(shares(&mut table, now)[0], 0);
    assert!(shares(&mut table, now + Duration::from_secs(30))[0] > 0);
}

#[test]
fn the_only_endpoint_is_never_ejected_nor_asked_while_it_is_well() {
    let now = Instant::now();
    let mut table = table(1, now);
    for _ in 0..100 {
        assert_eq!(table.ended(address(0), true, now), None);
    }
    assert!(table.pick(now, 0, &[]).is_some() && table.to_check().is_empty());
    table.set_health(address(0), Health::Silent);
    assert_eq!(table.to_check().len(), 1);
}

#[test]
fn when_most_are_ejected_all_are_used() {
    let now = Instant::now();
    let mut table = table(3, now);
    table.set_health(address(2), Health::Silent);
    (0..5).for_each(|_| assert!(table.ended(address(0), true, now).is_none_or(|reason| reason == Reason::Consecutive)));
    assert!(shares(&mut table, now)[0] == 0, "one of two is half");
    table.set_health(address(1), Health::Unreachable);
    assert!(shares(&mut table, now)[0] > 0, "the only one left");
}

#[test]
fn new_endpoints_join_old_ones_keep_their_state_and_there_is_a_limit() {
    let now = Instant::now();
    let mut table = table(2, now);
    table.set_health(address(1), Health::Silent);
    table.replace(now, [1, 5, 5].map(|number| (address(number), number)));
    assert_eq!(
        table.by_state(now),
        [("usable", 1), ("ejected", 0), ("not_serving", 0), ("unreachable", 0), ("silent", 1)]
    );
    table.left(address(0));
    table.replace(now, (0..100).map(|number| (address(number), number)));
    assert_eq!(table.0.len(), ENDPOINTS_MAX);
}

proptest! {
    #[test]
    fn a_choice_is_always_one_of_the_best(
        healths in proptest::collection::vec(0..4, 1..=64), randoms in proptest::collection::vec(any::<u64>(), 1..50)
    ) {
        let now = Instant::now();
        let mut table = table(healths.len(), now);
        let states = [Health::Usable, Health::NotServing, Health::Unreachable, Health::Silent];
        for (number, health) in healths.iter().enumerate() {
            table.set_health(address(number), states[*health as usize]);
        }
        let best = *healths.iter().min().unwrap();
        for random in randoms {
            let chosen = table.pick(now, random, &[]).map(|(_, endpoint)| healths[endpoint]);
            prop_assert_eq!(chosen, (best != 3).then_some(best));
        }
    }
}
