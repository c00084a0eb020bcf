use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;

use super::*;

type News = UnboundedSender<Result<Change, Status>>;

/// An authority that says what a test tells it to. The first `deaf` watches are never answered.
#[derive(Default)]
struct Fake {
    deaf: u64,
    watches: AtomicU64,
    news: Mutex<Option<News>>,
}

impl Authority for Fake {
    fn watch(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<Change, Status>>, Status>> {
        if self.watches.fetch_add(1, Ordering::SeqCst) < self.deaf {
            return std::future::pending().boxed();
        }
        let (sender, receiver) = unbounded_channel();
        let all = Change { keys: Some(JwkSet { keys: vec![key().0] }), revoked: Vec::new() };
        sender.send(Ok(all)).expect("open");
        *self.news.lock().expect("whole") = Some(sender);
        std::future::ready(Ok(UnboundedReceiverStream::new(receiver).boxed())).boxed()
    }
}

impl Fake {
    fn say(&self, revoked: Vec<(String, i64)>) {
        let news = self.news.lock().expect("whole");
        news.as_ref().expect("watched").send(Ok(Change { keys: None, revoked })).expect("followed");
    }
}

/// RFC 8410's example seed as the 48 bytes of a PKCS #8 key: one key for all tests.
fn key() -> (Jwk, EncodingKey) {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([7; 32]);
    let key = EncodingKey::from_ed_der(&der);
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("an Ed25519 key");
    jwk.common.key_id = Some("k".into());
    (jwk, key)
}

fn token(jti: &str) -> String {
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).expect("before the end of time");
    let claims = Claims {
        iss: "malla".into(),
        aud: "malla".into(),
        sub: "1".into(),
        jti: jti.into(),
        exp: now + 600,
        ..Claims::default()
    };
    let header = Header { typ: Some(TOKEN_TYPE.into()), kid: Some("k".into()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, &key().1).expect("signed")
}

fn follow(authority: Fake) -> (Arc<Authenticator>, Arc<Fake>) {
    let (authenticator, authority) = (Arc::new(Authenticator::new(&Config::default())), Arc::new(authority));
    tokio::spawn(authenticator.clone().follow(authority.clone()));
    (authenticator, authority)
}

fn code(authenticator: &Authenticator, jti: &str) -> Code {
    authenticator.user(&token(jti)).map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_are_refused_before_the_authority_was_heard_and_when_it_falls_silent() {
    let (authenticator, authority) = follow(Fake::default());
    assert_eq!(code(&authenticator, "a"), Code::Unavailable);
    authenticator.ready(Duration::from_secs(1)).await;
    assert_eq!(code(&authenticator, "a"), Code::Ok);
    for _ in 0..4 {
        pass(900).await;
        authority.say(Vec::new());
    }
    pass(900).await;
    assert_eq!(code(&authenticator, "a"), Code::Ok, "a sign of life is enough");
    // Silent from now on; whoever is asked anew says everything again.
    let silent = authenticator.clone();
    silent.known.write().expect("whole").heard = Some(Instant::now() - FRESH - Duration::from_millis(1));
    assert_eq!(code(&authenticator, "a"), Code::Unavailable);
    pass(2_000).await;
    assert!(authority.watches.load(Ordering::SeqCst) >= 2, "it is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_refused_even_one_that_never_expires() {
    let (authenticator, authority) = follow(Fake::default());
    authenticator.ready(Duration::from_secs(1)).await;
    authority.say(vec![("gone".into(), i64::MAX)]);
    pass(10).await;
    authority.say(vec![("other".into(), i64::MAX)]);
    pass(10).await;
    assert_eq!(code(&authenticator, "gone"), Code::Unauthenticated);
    assert_eq!(code(&authenticator, "kept"), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_does_not_answer_is_asked_again() {
    let (authenticator, authority) = follow(Fake { deaf: 2, ..Fake::default() });
    authenticator.ready(FIRST_TIMEOUT * 3).await;
    assert_eq!(code(&authenticator, "a"), Code::Ok);
    assert_eq!(authority.watches.load(Ordering::SeqCst), 3);
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
}

#[tokio::test(start_paused = true)]
async fn where_anyone_may_call_a_key_is_its_callers_and_nobody_is_refused() {
    let (authenticator, authority) = follow(Fake::default());
    authenticator.ready(Duration::from_secs(1)).await;
    authority.say(vec![("gone".into(), i64::MAX)]);
    pass(10).await;
    let [valid, revoked] = ["a", "gone"].map(|jti| ("authorization", format!("Bearer {}", token(jti))));
    let (key, other) = (("idempotency-key", "k".to_owned()), ("authorization", "Bearer x".to_owned()));
    let forged = ("malla-on-behalf-of", "1;ana".to_owned());
    let rows = [
        (vec![&valid], None),
        (vec![&key, &valid], Some("1")),
        (vec![&key], None),
        (vec![&key, &revoked], None),
        (vec![&key, &other], None),
        (vec![&key, &forged], None),
    ];
    for (pairs, expected) in rows {
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (*name, value.as_str())).collect();
        let caller = authenticator.authenticate(&headers(&pairs), Access::Anyone).expect("let through");
        let user = if let Caller::User(claims) = caller { Some(claims.sub) } else { None };
        assert_eq!(user.as_deref(), expected, "{pairs:?}");
    }
    let user = headers(&[(key.0, &key.1), (valid.0, &valid.1)]);
    let nobody_to_ask = Authenticator::new(&Config::default()).authenticate(&user, Access::Anyone);
    assert_eq!(nobody_to_ask.expect("let through"), Caller::Anonymous);
    authenticator.known.write().expect("whole").heard = None;
    let refused = authenticator.authenticate(&user, Access::Anyone).expect_err("the key would be nobody's");
    assert_eq!(refused.code(), Code::Unavailable);
}

#[test]
fn only_a_service_may_call_on_behalf_of_a_user() {
    let config = Config { mesh_token: Secret::new("mesh"), ..Config::default() };
    let authenticator = Authenticator::new(&config);
    let forged = [("malla-on-behalf-of", "1;ana")];
    let believed = [("malla-mesh-token", "mesh"), ("malla-on-behalf-of", "1;ana")];
    let nobody = [("malla-mesh-token", "mesh"), ("malla-on-behalf-of", ";")];
    let keyed = [&believed[..], &[("idempotency-key", "k")]].concat();
    let deferred = authenticator.authenticate(&headers(&keyed), Access::Anyone);
    assert!(matches!(deferred, Ok(Caller::User(claims)) if claims.sub == "1"), "a deferred call's key is its user's");
    for access in [Access::User, Access::OptionalUser] {
        let code = |pairs| authenticator.authenticate(&headers(pairs), access).expect_err("refused").code();
        assert_eq!((code(&forged), code(&nobody)), (Code::PermissionDenied, Code::Unauthenticated));
        let Ok(Caller::User(claims)) = authenticator.authenticate(&headers(&believed), access) else {
            panic!("refused")
        };
        assert_eq!((claims.sub.as_str(), claims.username.as_str()), ("1", "ana"));
    }
    let anyone = authenticator.authenticate(&headers(&[]), Access::OptionalUser);
    assert_eq!(anyone.expect("let through"), Caller::Anonymous);
    let bad = authenticator.authenticate(&headers(&[("authorization", "Bearer x")]), Access::OptionalUser);
    assert_eq!(bad.expect_err("refused").code(), Code::Unauthenticated);
    assert!(authenticator.authenticate(&headers(&believed), Access::Operator).is_err());
}
