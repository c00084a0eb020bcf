//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): read from REST calls, made for methods that want one
//! with every call. What the key does is the backend's affair; gRPC calls bring it as metadata that is passed through.

use http::{HeaderMap, HeaderValue, Method as HttpMethod};
use malla_runtime::policy::Keys;

use crate::encode::Answer;
use crate::load::Method;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

pub(crate) use malla_runtime::auth::IDEMPOTENCY_KEY as KEY;

const CHARS_MAX: usize = 255;

/// The key of a call, as the backend gets it, and whether the edge made it.
#[derive(Debug)]
pub(crate) struct Key {
    bare: HeaderValue,
    made: bool,
}

/// Finds a call's key. Only POST and PATCH bring one, and calls of methods that want one, however they are bound.
///
/// # Errors
/// 400 for one that cannot be a key, and for several.
pub(crate) fn find(http_method: &HttpMethod, headers: &HeaderMap, method: &Method) -> Result<Option<Key>, Rejection> {
    let mut values = headers.get_all(KEY).iter();
    let brings = matches!(*http_method, HttpMethod::POST | HttpMethod::PATCH) || method.keys == Keys::Made;
    let given = values.next().filter(|_| brings);
    let Some(value) = given else { return Ok(make(method)) };
    let bare = value.to_str().ok().and_then(bare).and_then(|bare| HeaderValue::try_from(bare).ok());
    match bare {
        Some(bare) if values.next().is_none() => Ok(Some(Key { bare, made: false })),
        _ => {
            let expected = "must be one key of 1 to 255 visible ASCII characters, which may stand in double quotes";
            Err(Rejection::field("Idempotency-Key", expected))
        }
    }
}

fn make(method: &Method) -> Option<Key> {
    let made = (method.keys == Keys::Made).then(|| HeaderValue::try_from(uuid::Uuid::new_v4().to_string()).ok());
    Some(Key { bare: made.flatten()?, made: true })
}

impl Key {
    /// Gives the backend the key of a call, and no other.
    pub(crate) fn pass(key: Option<&Self>, metadata: &mut HeaderMap) {
        metadata.remove(KEY);
        metadata.extend(key.map(|key| (KEY, key.bare.clone())));
    }

    /// Tells the client a key that it has not chosen itself, so that it can repeat the call, above all a failed one.
    pub(crate) fn tell(key: Option<Self>, mut outcome: Result<Answer, Rejection>) -> Result<Answer, Rejection> {
        if let Some(Self { bare, made: true }) = key {
            match &mut outcome {
                Ok(answer) => drop(answer.headers.insert(KEY, bare)),
                Err(rejection) => rejection.set(KEY, bare),
            }
        }
        outcome
    }
}

/// The key itself: a string of RFC 9651 (3.3.3) without its quotes, or what clients write that know no such strings.
fn bare(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    let mut key = String::with_capacity(text.len());
    match text.strip_prefix('"') {
        None => key.push_str(text),
        Some(quoted) => {
            let mut characters = quoted.strip_suffix('"')?.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
                    '"' => return None,
                    character => key.push(character),
                }
            }
        }
    }
    let fits = (1..=CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(key)
}
