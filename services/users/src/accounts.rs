//! Opening an account, logging in, reading an account back. Knows nothing of tokens.

use std::net::IpAddr;
use std::time::Instant;

use crate::config::Config;
use crate::error::Error;
use crate::passwords::{Passwords, Verdict};
use crate::rules::{self, PASSWORD_CHARS_MAX, Profile, USERNAME_CHARS_MAX, folded};
use crate::store::Database;
use crate::store::User;
use crate::throttle::Throttle;

/// All accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    database: Database,
    passwords: Passwords,
    throttle: Throttle,
}

impl Accounts {
    pub(crate) fn new(database: Database, config: &Config) -> Result<Self, Error> {
        let throttle = Throttle::new(config.failed_logins_per_ip_max, config.throttled_names_max as usize);
        Ok(Self { database, passwords: Passwords::new(config)?, throttle })
    }

    /// Opens an account.
    pub(crate) async fn register(&self, profile: Profile, password: String) -> Result<User, Error> {
        profile.check()?;
        rules::password(&password)?;
        let hash = self.passwords.hash(password).await?;
        self.database.add_user(profile, hash).await
    }

    /// Tells whose username and password these are. Answers and takes its time in the same way whether or not the
    /// user exists.
    pub(crate) async fn login(&self, address: Option<IpAddr>, username: &str, password: String) -> Result<User, Error> {
        // Nobody's, and not worth remembering or hashing.
        if username.chars().count() > USERNAME_CHARS_MAX || password.chars().count() > PASSWORD_CHARS_MAX {
            return Err(Error::WrongLogin);
        }
        let name = folded(username);
        self.throttle.admit(address, &name, Instant::now()).map_err(Error::Throttled)?;
        let user = self.database.user_by_name(username).await?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let verdict = self.passwords.verify(password, stored).await?;
        let Some(user) = user.filter(|_| verdict != Verdict::Wrong) else {
            self.throttle.failed(address, &name, Instant::now());
            return Err(Error::WrongLogin);
        };
        self.throttle.succeeded(address, &name, Instant::now());
        if let Verdict::Outdated(hash) = verdict {
            self.database.replace_hash(&user, hash).await?;
        }
        Ok(user)
    }

    pub(crate) async fn get(&self, id: &str) -> Result<User, Error> {
        self.database.user(id).await?.ok_or(Error::UnknownUser)
    }

    pub(crate) async fn get_by_name(&self, username: &str) -> Result<User, Error> {
        self.database.user_by_name(username).await?.ok_or(Error::UnknownUser)
    }
}

#[cfg(test)]
mod tests;
