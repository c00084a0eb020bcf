//! What usernames, addresses, names and passwords may be. Pure.

use email_address::{EmailAddress, Options};
use malla_runtime::status::Invalid;

/// Longest username, in characters.
pub(crate) const USERNAME_CHARS_MAX: usize = 64;
/// Longest password, in characters.
pub(crate) const PASSWORD_CHARS_MAX: usize = 128;
const PASSWORD_CHARS_MIN: usize = 6;
/// Longest address that can be sent to (RFC 5321, 4.5.3.1.3, without the angle brackets), in characters.
const EMAIL_CHARS_MAX: usize = 254;
const NAME_CHARS_MAX: usize = 100;

/// What a user says of themself when registering.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

impl Profile {
    /// Checks every field; the first that cannot be used is told.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let refuse = |field, description: &'static str| Err(Invalid { field, description: description.into() });
        let letters = |char: char| char.is_alphanumeric() || "-_.@".contains(char);
        if !(1..=USERNAME_CHARS_MAX).contains(&self.username.chars().count()) || !self.username.chars().all(letters) {
            return refuse("username", "must be 1 to 64 letters, digits, '-', '_', '.' or '@'");
        }
        let options = Options::default().without_display_text();
        if self.email.chars().count() > EMAIL_CHARS_MAX
            || EmailAddress::parse_with_options(&self.email, options).is_err()
        {
            return refuse("mail", "must be an e-mail address of at most 254 characters");
        }
        for (field, name) in [("first_name", &self.first_name), ("last_name", &self.last_name)] {
            if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
                return refuse(field, "must be at most 100 characters, without control characters");
            }
        }
        Ok(())
    }
}

/// Checks a password somebody wants to have.
pub(crate) fn password(password: &str) -> Result<(), Invalid> {
    let refuse = |description: &'static str| Err(Invalid { field: "password", description: description.into() });
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return refuse("must be 6 to 128 characters");
    }
    if !has(char::is_numeric) || !has(char::is_uppercase) || !has(char::is_lowercase) {
        return refuse("must have a digit, an upper-case and a lower-case letter");
    }
    Ok(())
}

/// The form in which usernames and addresses are compared: without regard to case.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests;
