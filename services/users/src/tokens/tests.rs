use std::sync::Arc;

use malla_storage::testing::Place;

use super::*;
use crate::store::tests::{open, profile};

async fn tokens(place: &Place) -> Tokens {
    Tokens::open(open(place).await, &auth::Config::default(), &Config::default()).await.expect("opened")
}

async fn user(tokens: &Tokens) -> User {
    tokens.database.add_user(profile("Ana", "a@x.com"), String::new()).await.expect("stored")
}

fn sign(key: &SigningKey, change: impl FnOnce(&mut Header, &mut Claims)) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    (header.typ, header.kid) = (Some(TOKEN_TYPE.into()), Some(key.kid.clone()));
    let (iss, aud, sub, username) = ("malla".into(), "malla".into(), "1".into(), "ana".into());
    let mut claims = Claims { iss, aud, sub, username, jti: "1".into(), iat: 0, exp: now_ms() / 1_000 + 60 };
    change(&mut header, &mut claims);
    let secret = match header.alg {
        Algorithm::HS256 => EncodingKey::from_secret(key.x.as_bytes()),
        _ => EncodingKey::from_ed_der(&key.pkcs8),
    };
    jsonwebtoken::encode(&header, &claims, &secret).expect("signed")
}

async fn a_token_says_whose_it_is_and_survives_a_restart(place: Place) {
    let tokens_before = tokens(&place).await;
    let user = user(&tokens_before).await;
    let (token, expires) = tokens_before.issue(&user).await.expect("issued");
    let header = jsonwebtoken::decode_header(&token).expect("a header");
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("at+jwt")));

    let tokens_after = tokens(&place).await;
    let keys = tokens_after.keys().await.expect("read");
    assert_eq!(keys.len(), 1, "the key is made once");
    assert_eq!(header.kid.as_ref(), Some(&keys[0].kid));
    let claims = tokens_after.check(&token).await.expect("valid");
    assert_eq!((claims.sub, claims.username, claims.exp), (user.id, user.username, expires));
    assert_eq!((claims.iss.as_str(), claims.aud.as_str(), claims.exp - claims.iat), ("malla", "malla", 600));
}

async fn what_is_no_valid_token_is_unknown(place: Place) {
    let tokens = tokens(&place).await;
    let key = &tokens.keys().await.expect("read")[0];
    let forged = SigningKey { kid: key.kid.clone(), ..new_key().expect("made") };
    let good = sign(key, |_, _| {});
    assert!(tokens.check(&good).await.is_ok());
    let rows = [
        ("empty", String::new()),
        ("garbage", "a.b.c".into()),
        ("cut", good[..good.len() - 1].into()),
        ("too long", sign(key, |_, claims| claims.username = "x".repeat(TOKEN_BYTES_MAX))),
        ("another's key", sign(&forged, |_, _| {})),
        ("the public key as a secret", sign(key, |header, _| header.alg = Algorithm::HS256)),
        ("an ordinary JWT", sign(key, |header, _| header.typ = Some("JWT".into()))),
        ("no kid", sign(key, |header, _| header.kid = None)),
        ("unknown kid", sign(key, |header, _| header.kid = Some("x".into()))),
        ("expired", sign(key, |_, claims| claims.exp -= 122)),
        ("another issuer", sign(key, |_, claims| claims.iss = "x".into())),
        ("for others", sign(key, |_, claims| claims.aud = "x".into())),
    ];
    for (what, token) in rows {
        assert!(matches!(tokens.check(&token).await, Err(Error::UnknownToken)), "{what}");
        assert!(matches!(tokens.revoke(&token).await, Err(Error::UnknownToken)), "{what}");
    }
}

async fn of_parallel_logouts_exactly_one_revokes_the_token(place: Place) {
    let tokens = Arc::new(tokens(&place).await);
    let (token, _) = tokens.issue(&user(&tokens).await).await.expect("issued");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (tokens, token) = (tokens.clone(), token.clone());
            tokio::spawn(async move { tokens.revoke(&token).await })
        })
        .collect();
    let mut revoked = 0;
    for call in calls {
        match call.await.expect("no panic") {
            Ok(()) => revoked += 1,
            Err(error) => assert!(matches!(error, Error::UnknownToken), "{error}"),
        }
    }
    assert_eq!(revoked, 1);
    assert!(matches!(tokens.check(&token).await, Err(Error::UnknownToken)));
}

async fn a_revocation_is_in_force_for_as_long_as_any_clock_may_take_the_token_for_good(place: Place) {
    let tokens = tokens(&place).await;
    let key = &tokens.keys().await.expect("read")[0];
    let expired = sign(key, |_, claims| claims.exp -= 110);
    tokens.check(&expired).await.expect("within the leeway");
    tokens.revoke(&expired).await.expect("revoked");
    tokens.revoke(&sign(key, |_, claims| claims.jti = "2".into())).await.expect("revoked");
    let in_force: Vec<String> =
        tokens.revoked_since(0).await.expect("read").into_iter().map(|token| token.jti).collect();
    assert_eq!(in_force, ["1", "2"]);
}

async fn the_newest_key_signs_and_all_unexpired_ones_are_good(place: Place) {
    let tokens = tokens(&place).await;
    let user = user(&tokens).await;
    let first = tokens.keys().await.expect("read").remove(0);
    let (old_token, _) = tokens.issue(&user).await.expect("issued");
    let second = SigningKey { created_ms: first.created_ms + 1, ..new_key().expect("made") };
    let gone = SigningKey { created_ms: first.created_ms + 2, expires_ms: Some(1), ..new_key().expect("made") };
    for key in [&second, &gone] {
        tokens.database.add_key(key.clone()).await;
    }
    let (new_token, _) = tokens.issue(&user).await.expect("issued");
    assert_eq!(jsonwebtoken::decode_header(&new_token).expect("a header").kid, Some(second.kid.clone()));
    assert_eq!(tokens.keys().await.expect("read"), [second, first]);
    for token in [old_token, new_token] {
        tokens.check(&token).await.expect("valid");
    }
    assert!(tokens.check(&sign(&gone, |_, _| {})).await.is_err());
}

malla_storage::on_every_database![
    a_token_says_whose_it_is_and_survives_a_restart,
    what_is_no_valid_token_is_unknown,
    of_parallel_logouts_exactly_one_revokes_the_token,
    a_revocation_is_in_force_for_as_long_as_any_clock_may_take_the_token_for_good,
    the_newest_key_signs_and_all_unexpired_ones_are_good,
];
