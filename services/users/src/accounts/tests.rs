use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use malla_storage::testing::Place;

use super::*;
use crate::store::tests::{open, profile};

async fn accounts(place: &Place) -> Accounts {
    Accounts::new(open(place).await, &Config::default()).expect("made")
}

async fn known_and_unknown_users_are_refused_and_slowed_down_alike(place: Place) {
    let accounts = accounts(&place).await;
    accounts.register(profile("ana", "a@x.com"), "Right-1".into()).await.expect("registered");
    for name in ["ana", "nobody"] {
        for attempt in 1..=5 {
            let refused = accounts.login(None, name, "Wrong-1".into()).await;
            assert!(matches!(refused, Err(Error::WrongLogin)), "{name}, attempt {attempt}");
        }
        // The case of a name does not make it another one, and the right password does not help.
        for password in ["Wrong-1", "Right-1"] {
            let refused = accounts.login(None, &name.to_uppercase(), password.into()).await;
            assert!(matches!(refused, Err(Error::Throttled(_))), "{name}");
        }
    }
}

async fn success_forgets_failures(place: Place) {
    let accounts = accounts(&place).await;
    accounts.register(profile("ana", "a@x.com"), "Right-1".into()).await.expect("registered");
    for _ in 0..2 {
        for _ in 0..4 {
            assert!(accounts.login(None, "ana", "Wrong-1".into()).await.is_err());
        }
        accounts.login(None, "ANA", "Right-1".into()).await.expect("logged in");
    }
}

async fn a_login_renews_a_hash_of_old_parameters(place: Place) {
    let accounts = accounts(&place).await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).expect("valid"));
    let old = weak.hash_password(b"Right-1").expect("hashed").to_string();
    let user = accounts.database.add_user(profile("ana", "a@x.com"), old.clone()).await.expect("stored");
    for _ in 0..2 {
        accounts.login(None, "ana", "Right-1".into()).await.expect("logged in");
        assert_ne!(accounts.get(&user.id).await.expect("there").password_hash, old);
    }
}

malla_storage::on_every_database![
    known_and_unknown_users_are_refused_and_slowed_down_alike,
    success_forgets_failures,
    a_login_renews_a_hash_of_old_parameters,
];
