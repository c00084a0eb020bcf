use std::time::Instant;

use super::*;

fn passwords() -> Passwords {
    Passwords::new(&Config::default()).expect("parameters are valid")
}

#[tokio::test]
async fn a_hash_fits_its_password_only_and_has_the_parameters_of_the_contract() {
    let passwords = passwords();
    let hash = passwords.hash("Aa1xyz".into()).await.expect("hashed");
    assert!(hash.starts_with(CURRENT), "{hash}");
    assert_eq!(passwords.verify("Aa1xyz".into(), Some(hash.clone())).await.expect("verified"), Verdict::Right);
    assert_eq!(passwords.verify("Aa1xyZ".into(), Some(hash)).await.expect("verified"), Verdict::Wrong);
    assert_eq!(passwords.verify("Aa1xyz".into(), None).await.expect("verified"), Verdict::Wrong);
}

#[tokio::test]
async fn a_hash_of_other_parameters_still_fits_and_is_made_anew() {
    let passwords = passwords();
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).expect("valid"));
    let old = weak.hash_password(b"Aa1xyz").expect("hashed").to_string();
    let Verdict::Outdated(new) = passwords.verify("Aa1xyz".into(), Some(old)).await.expect("verified") else {
        panic!("the old hash passed for a current one");
    };
    assert_eq!(passwords.verify("Aa1xyz".into(), Some(new)).await.expect("verified"), Verdict::Right);
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let passwords = passwords();
    let hash = passwords.hash("Aa1xyz".into()).await.expect("hashed");
    // The fastest of several: what else runs on the machine only ever adds time.
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..8 {
        for (slot, stored) in fastest.iter_mut().zip([Some(hash.clone()), None]) {
            let started = Instant::now();
            passwords.verify("Other1".into(), stored).await.expect("verified");
            *slot = started.elapsed().min(*slot);
        }
    }
    let [known, unknown] = fastest;
    assert!(unknown > known / 2 && unknown < known * 2, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_refused() {
    let config = Config { registrations_waiting_max: 1, hash_wait_ms: 50, ..Config::default() };
    let passwords = Passwords::new(&config).expect("valid");
    let all = u32::try_from(passwords.cores.available_permits()).expect("few cores");
    let busy = passwords.cores.clone().acquire_many_owned(all).await.expect("open");
    let hash = async || {
        let started = Instant::now();
        let refused = matches!(passwords.hash("Aa1xyz".into()).await, Err(Error::Busy));
        (refused, started.elapsed() >= passwords.wait)
    };
    let (first, second) = tokio::join!(hash(), hash());
    assert_eq!((first, second), ((true, true), (true, false)), "the first waits in vain, the second finds no place");
    drop(busy);
    assert!(!hash().await.0, "cores are free again");
}

#[tokio::test]
async fn registrations_that_wait_leave_logins_their_places() {
    let config = Config { registrations_waiting_max: 0, hash_wait_ms: 10_000, ..Config::default() };
    let passwords = Passwords::new(&config).expect("valid");
    let all = u32::try_from(passwords.cores.available_permits()).expect("few cores");
    let busy = passwords.cores.clone().acquire_many_owned(all).await.expect("open");
    assert!(matches!(passwords.hash("Aa1xyz".into()).await, Err(Error::Busy)), "no place for a registration");
    let (verdict, ()) = tokio::join!(passwords.verify("Aa1xyz".into(), None), async { drop(busy) });
    assert_eq!(verdict.expect("a login waits for a core and gets it"), Verdict::Wrong);
}
