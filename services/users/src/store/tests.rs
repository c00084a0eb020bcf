use malla_runtime::database::Config;
use malla_runtime::module::Context;
use tempfile::TempDir;

use super::*;
use crate::migrations::Migrator;

/// The database in a folder; opened twice, it is what two processes share.
pub(crate) async fn open(folder: &TempDir) -> Database {
    let context = Context::alone(folder.path().to_owned());
    Database::new(Store::open::<Migrator>("users", &Config::default(), &context).await.expect("opened"))
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

#[tokio::test]
async fn an_account_survives_a_restart_and_is_found_in_any_case() {
    let folder = tempfile::tempdir().expect("a folder");
    let stored = open(&folder).await.add_user(profile("Ana", "Ana@Example.com"), "hash".into()).await.expect("stored");
    let database = open(&folder).await;
    assert_eq!(database.user(&stored.id).await.expect("read"), Some(stored.clone()));
    assert_eq!(database.user_by_name("aNA").await.expect("read"), Some(stored));
    assert_eq!(database.user_by_name("anna").await.expect("read"), None);
}

#[tokio::test]
async fn of_parallel_registrations_exactly_one_wins_whatever_the_case() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(&folder).await;
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

#[tokio::test]
async fn a_hash_is_replaced_only_while_it_is_the_one_that_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(&folder).await;
    let read = database.add_user(profile("ana", "a@x.com"), "old".into()).await.expect("stored");
    for hash in ["new", "late"] {
        database.replace_hash(&read, hash.into()).await.expect("written");
    }
    assert_eq!(database.user(&read.id).await.expect("read").expect("there").password_hash, "new");
}

#[tokio::test]
async fn revocations_are_numbered_swept_and_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(&folder).await;
    assert!(database.revoke("old", 100, 0).await.expect("revoked"));
    let old = database.revoked_since(0, 0).await.expect("read")[0].seq;
    assert!(database.revoke("new", 300, 200).await.expect("revoked"), "the sweep took the newest row");
    assert!(!database.revoke("new", 300, 200).await.expect("known"));
    assert!(!database.is_revoked("old").await.expect("read"), "expired rows are swept");
    let later = database.revoked_since(old, 0).await.expect("read");
    assert_eq!(later.iter().map(|row| row.jti.as_str()).collect::<Vec<_>>(), ["new"], "numbers are not used again");
    assert!(database.revoked_since(old, 300).await.expect("read").is_empty());
}
