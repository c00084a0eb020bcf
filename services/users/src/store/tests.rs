use malla_storage::testing::Place;

use super::*;
use crate::migrations::Migrator;

/// The database in a place; opened twice, it is what two processes share.
pub(crate) async fn open(place: &Place) -> Database {
    Database::new(place.open::<Migrator>("users").await)
}

impl Database {
    /// Stores a key whether or not there is one.
    pub(crate) async fn add_key(&self, key: SigningKey) {
        signing_key::Entity::insert(key.into_active_model()).exec(&self.0.connection).await.expect("stored");
    }
}

pub(crate) fn profile(username: &str, email: &str) -> Profile {
    let own = str::to_owned;
    Profile { username: own(username), email: own(email), first_name: own("Ana"), last_name: String::new() }
}

async fn an_account_survives_a_restart_and_is_found_in_any_case(place: Place) {
    let stored = open(&place).await.add_user(profile("Ana", "Ana@Example.com"), "hash".into()).await.expect("stored");
    let database = open(&place).await;
    assert_eq!(database.user(&stored.id).await.expect("read"), Some(stored.clone()));
    assert_eq!(database.user_by_name("aNA").await.expect("read"), Some(stored));
    assert_eq!(database.user_by_name("anna").await.expect("read"), None);
}

async fn of_parallel_registrations_exactly_one_wins_whatever_the_case(place: Place) {
    let database = open(&place).await;
    let rows = [
        (
            ["ana", "ANA", "Ana", "aNa", "anA", "AnA"],
            ["1@x.com", "2@x.com", "3@x.com", "4@x.com", "5@x.com", "6@x.com"],
        ),
        (["b1", "b2", "b3", "b4", "b5", "b6"], ["b@x.com", "B@x.com", "b@X.com", "b@x.Com", "B@X.com", "B@X.COM"]),
    ];
    for (which, (names, mails)) in rows.into_iter().enumerate() {
        let calls = names.into_iter().zip(mails).map(|(name, mail)| {
            let database = database.clone();
            tokio::spawn(async move { database.add_user(profile(name, mail), "hash".into()).await })
        });
        let mut won = 0;
        for call in calls.collect::<Vec<_>>() {
            match (which, call.await.expect("no panic")) {
                (_, Ok(_)) => won += 1,
                (0, Err(Error::UsernameTaken(_))) | (1, Err(Error::EmailTaken(_))) => {}
                (_, Err(error)) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

async fn a_hash_is_replaced_only_while_it_is_the_one_that_was_read(place: Place) {
    let database = open(&place).await;
    let read = database.add_user(profile("ana", "a@x.com"), "old".into()).await.expect("stored");
    for hash in ["new", "late"] {
        database.replace_hash(&read, hash.into()).await.expect("written");
    }
    assert_eq!(database.user(&read.id).await.expect("read").expect("there").password_hash, "new");
}

async fn revocations_are_numbered_swept_and_made_once(place: Place) {
    let database = open(&place).await;
    assert!(database.revoke("old", 100, 0).await.expect("revoked"));
    let old = database.revoked_since(0, 0).await.expect("read")[0].seq;
    assert!(database.revoke("new", 300, 200).await.expect("revoked"), "the sweep took the newest row");
    assert!(!database.revoke("new", 300, 200).await.expect("known"));
    assert!(!database.is_revoked("old").await.expect("read"), "expired rows are swept");
    let later = database.revoked_since(old, 0).await.expect("read");
    assert_eq!(later.iter().map(|row| row.jti.as_str()).collect::<Vec<_>>(), ["new"], "numbers are not used again");
    assert!(database.revoked_since(old, 300).await.expect("read").is_empty());
}

async fn processes_that_start_at_once_make_one_key(place: Place) {
    let databases = [open(&place).await, open(&place).await];
    let starts: Vec<_> = (0..8)
        .map(|number| {
            let (database, text) = (databases[number % 2].clone(), number.to_string());
            let key =
                SigningKey { kid: text.clone(), x: text, pkcs8: Vec::new(), created_ms: now_ms(), expires_ms: None };
            tokio::spawn(async move { database.add_first_key(key).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("stored");
    }
    assert_eq!(databases[0].keys().await.expect("read").len(), 1);
}

malla_storage::on_every_database![
    an_account_survives_a_restart_and_is_found_in_any_case,
    of_parallel_registrations_exactly_one_wins_whatever_the_case,
    a_hash_is_replaced_only_while_it_is_the_one_that_was_read,
    revocations_are_numbered_swept_and_made_once,
    processes_that_start_at_once_make_one_key,
];
