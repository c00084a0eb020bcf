//! The weather of a city, from a provider that speaks OpenWeather's current-weather call. Knows no products.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use malla_runtime::config::{self, Secret};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::breaker::Breaker;

/// Longest answer read. A real one has about 500 bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Most conditions taken from an answer; a real one has one to three.
const CONDITIONS_MAX: usize = 16;

/// Subsection `weather`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the provider is: `https://api.openweathermap.org`. Empty, the default: nobody is asked.
    pub base_url: String,
    /// The provider's API key.
    pub key: Secret,
    /// How long a call may take in all, in milliseconds: 1 to 10000. Default 800.
    pub timeout_ms: u64,
    /// Calls under way at the same time; more wait within their timeout: 1 to 1000. Default 16.
    pub calls_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { base_url: String::new(), key: Secret::default(), timeout_ms: 800, calls_max: 16 }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [("timeout_ms", self.timeout_ms, 1..=10_000), ("calls_max", self.calls_max as u64, 1..=1_000)];
        config::check_ranges("pricing.weather", ranges)?;
        self.endpoint().map(|_| ())
    }

    /// The address of the call; `None` when no provider is set.
    fn endpoint(&self) -> Result<Option<Url>, config::Error> {
        if self.base_url.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(&format!("{}/data/2.5/weather", self.base_url.trim_end_matches('/'))).ok();
        let usable =
            |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
        url.filter(usable).map(Some).ok_or_else(|| {
            let expected = "it may be http(s)://host[:port][/path], or empty to ask nobody";
            config::Error::invalid("pricing.weather.base_url", &self.base_url, expected)
        })
    }
}

/// Why the weather is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no provider is set")]
    Unset,
    #[error("the provider failed too often and is left alone for a while")]
    Open,
    #[error("no answer in time")]
    Slow,
    #[error("the call failed: {0}")]
    Transport(#[from] reqwest::Error),
    #[error("the answer's status was {0}")]
    Refused(StatusCode),
    #[error("the answer was longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    #[error("the answer could not be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the answer names no condition")]
    Empty,
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer {
    weather: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    id: i32,
}

/// The provider, asked under limits.
#[derive(Debug)]
pub(crate) struct Weather {
    /// `None` when no provider is set: a client reads the machine's certificates, and there may be none.
    provider: Option<(Client, Url)>,
    key: Secret,
    timeout: Duration,
    calls: Semaphore,
    breaker: Mutex<Breaker>,
}

impl Weather {
    /// A provider nobody has asked yet.
    pub(crate) fn new(config: &Config) -> Result<Self, malla_runtime::module::StartError> {
        let client = || Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self {
            provider: config.endpoint()?.map(|url| Ok::<_, reqwest::Error>((client()?, url))).transpose()?,
            key: config.key.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
            calls: Semaphore::new(config.calls_max),
            breaker: Mutex::default(),
        })
    }

    /// The ids of the present weather conditions of a city. Cancel safe.
    pub(crate) async fn conditions(&self, country: &str, city: &str) -> Result<Vec<i32>, Error> {
        let (client, url) = self.provider.as_ref().ok_or(Error::Unset)?;
        let breaker = || self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if !breaker().allows(Instant::now()) {
            return Err(Error::Open);
        }
        let asking = async {
            let _permit = self.calls.acquire().await;
            let place = format!("{city},{country}");
            let request = client.get(url.clone()).query(&[("q", &*place), ("appid", self.key.expose())]);
            conditions(request).await
        };
        let outcome = tokio::time::timeout(self.timeout, asking).await.unwrap_or(Err(Error::Slow));
        // A provider that does not know a city is well.
        let well = matches!(outcome, Ok(_) | Err(Error::Refused(StatusCode::NOT_FOUND)));
        breaker().record(well, Instant::now());
        outcome
    }
}

async fn conditions(request: RequestBuilder) -> Result<Vec<i32>, Error> {
    // The address holds the key: it must not come into an error.
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    if response.status() != StatusCode::OK {
        return Err(Error::Refused(response.status()));
    }
    let answer: Answer = serde_json::from_slice(&body(response).await?)?;
    if answer.weather.is_empty() {
        return Err(Error::Empty);
    }
    Ok(answer.weather.into_iter().take(CONDITIONS_MAX).map(|condition| condition.id).collect())
}

async fn body(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
pub(crate) mod tests;
