use super::*;

#[test]
fn a_verdict_tells_losses_from_surprises() {
    let mut checker = Checker::default();
    for (name, outcome) in [
        ("kept", Outcome::Ok),
        ("lost", Outcome::Ok),
        ("twice", Outcome::Ok),
        ("refused", Outcome::Failed),
        ("refused and yet there", Outcome::Failed),
        ("nobody knew", Outcome::Unknown),
        ("nobody knows", Outcome::Unknown),
        ("refused, then taken", Outcome::Failed),
        ("refused, then taken", Outcome::Ok),
    ] {
        checker.attempted(name, outcome);
    }
    for name in
        ["kept", "twice", "twice", "refused and yet there", "nobody knew", "from nowhere", "refused, then taken"]
    {
        checker.seen(name);
    }
    let expected = Verdict { attempted: 8, acked: 4, lost: 1, duplicated: 1, unexpected: 2, recovered: 1 };
    assert_eq!(checker.verdict(), expected);
}
