//! The contract's promises, over a link and through the guard, as other services call.

use std::time::Duration;

use malla_contracts::malla::users::v1::users_service_client::UsersServiceClient;
use malla_runtime::auth::{Authenticator, Config};
use malla_runtime::config::{Secret, Settings};
use malla_runtime::guard;
use malla_runtime::link::Link;
use malla_runtime::module::{Context, Entry};
use malla_storage::testing::Place;
use tonic::Code;

use super::*;

type Client = UsersServiceClient<Link>;

const PASSWORD: &str = "Paraguas-7";

/// A started module, and a link to it that calls as a service.
async fn start(place: &Place) -> (Context, Link) {
    let auth = Config { mesh_token: Secret::new("mesh"), ..Config::default() };
    let authenticator = Arc::new(Authenticator::new(&auth));
    let context = Context { auth, authenticator, ..Context::alone(place.dir.path().to_owned()) };
    let url = ("users.database.url".to_owned(), place.config.url.expose().to_owned());
    let entry = Entry::of::<crate::Users>();
    let plan = entry.plan(&Settings::load("", None, &[url]).expect("settings")).expect("defaults are valid");
    let guard = plan.start(&entry, &context, &guard::Config::default()).await.expect("started").guard;
    let link = Link::local("users", guard).as_service(&auth::mesh_header(&context.auth).expect("valid"));
    tokio::spawn(context.authenticator.clone().follow(crate::authority(link.clone())));
    context.authenticator.ready(Duration::from_secs(5)).await;
    (context, link)
}

async fn register(client: &mut Client, username: &str, mail: &str) -> Result<proto::User, Status> {
    let (username, mail, password) = (username.into(), mail.into(), PASSWORD.into());
    let request = proto::RegisterRequest { username, mail, password, ..Default::default() };
    Ok(client.register(request).await?.into_inner().user.expect("a user"))
}

async fn login(client: &mut Client, username: &str, password: &str) -> Result<String, Status> {
    let request = proto::LoginRequest { username: username.into(), password: password.into() };
    Ok(client.login(request).await?.into_inner().token)
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    request
}

async fn the_life_of_an_account(place: Place) {
    let (_, link) = start(&place).await;
    let mut client = Client::new(link);
    let exists = |username: &str| proto::UserExistsRequest { username: username.into() };
    assert_eq!(client.user_exists(exists("ana")).await.expect_err("free").code(), Code::NotFound);

    let ana = register(&mut client, "Ana", "Ana@x.com").await.expect("registered");
    assert_eq!((ana.username.as_str(), ana.email.as_str()), ("Ana", "Ana@x.com"));
    assert!(ana.time_registered.is_some() && ana.time_registered == ana.time_modified);
    assert!(client.user_exists(exists("aNA")).await.expect("taken").into_inner().exists);
    for (name, mail, taken) in [("ANA", "b@x.com", "username"), ("eva", "ana@X.com", "mail")] {
        let refused = register(&mut client, name, mail).await.expect_err("taken");
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(refused.message().contains(taken), "{}", refused.message());
    }
    let weak = proto::RegisterRequest { username: "eva".into(), mail: "e@x.com".into(), ..Default::default() };
    assert_eq!(client.register(weak).await.expect_err("weak").code(), Code::InvalidArgument);

    let token = login(&mut client, "ANA", PASSWORD).await.expect("logged in");
    let me = client.get_me(with_token(proto::GetMeRequest {}, &token)).await.expect("me").into_inner();
    let read = client.get_user(proto::GetUserRequest { id: ana.id.clone() }).await.expect("read").into_inner();
    assert_eq!((me.user.as_ref(), read.user.as_ref()), (Some(&ana), Some(&ana)));
    let nobody = client.get_user(proto::GetUserRequest { id: "x".into() }).await.expect_err("none");
    assert_eq!(nobody.code(), Code::NotFound);
}

async fn wrong_password_and_unknown_user_get_the_same_answers(place: Place) {
    let (_, link) = start(&place).await;
    let mut client = Client::new(link);
    register(&mut client, "ana", "a@x.com").await.expect("registered");
    let wrong = login(&mut client, "ana", "Wrong-1").await.expect_err("wrong");
    let unknown = login(&mut client, "eva", "Wrong-1").await.expect_err("unknown");
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert_eq!(
        (wrong.code(), wrong.message(), wrong.details()),
        (unknown.code(), unknown.message(), unknown.details())
    );
    for name in ["ana", "eva"] {
        for _ in 2..=5 {
            assert_eq!(login(&mut client, name, "Wrong-1").await.expect_err("wrong").code(), Code::Unauthenticated);
        }
        let slowed = login(&mut client, name, PASSWORD).await.expect_err("too soon");
        assert_eq!(slowed.code(), Code::ResourceExhausted);
        assert!(!slowed.details().is_empty(), "says when to come again");
    }
}

async fn nobodys_failures_keep_another_address_out(place: Place) {
    let (_, link) = start(&place).await;
    let mut client = Client::new(link);
    register(&mut client, "ana", "a@x.com").await.expect("registered");
    let mut code_from = async |address: &str, password: &str| {
        let mut request = Request::new(proto::LoginRequest { username: "ana".into(), password: password.into() });
        request.metadata_mut().insert("x-forwarded-for", address.parse().expect("ASCII"));
        client.login(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    for _ in 1..=5 {
        assert_eq!(code_from("10.0.0.1", "Wrong-1").await, Code::Unauthenticated);
    }
    assert_eq!(code_from("10.0.0.1", PASSWORD).await, Code::ResourceExhausted);
    assert_eq!(code_from("10.0.0.2", PASSWORD).await, Code::Ok);
}

async fn a_token_in_field_or_header_is_dead_everywhere_after_logout(place: Place) {
    let (context, link) = start(&place).await;
    let mut client = Client::new(link);
    let ana = register(&mut client, "ana", "a@x.com").await.expect("registered");
    for in_header in [false, true] {
        let token = login(&mut client, "ana", PASSWORD).await.expect("logged in");
        assert_eq!(context.authenticator.user(&token).expect("valid").sub, ana.id);
        let (field, header) = if in_header { (String::new(), token.as_str()) } else { (token.clone(), "other") };
        let check = || with_token(proto::CheckTokenRequest { token: field.clone() }, header);
        let logout = || with_token(proto::LogoutRequest { token: field.clone() }, header);

        assert_eq!(client.check_token(check()).await.expect("valid").into_inner().user.as_ref(), Some(&ana));
        assert_eq!(client.logout(logout()).await.expect("valid").into_inner().status, "ok");
        assert_eq!(client.check_token(check()).await.expect_err("dead").code(), Code::NotFound);
        assert_eq!(client.logout(logout()).await.expect_err("dead").code(), Code::NotFound);
        let refused_elsewhere = async {
            while context.authenticator.user(&token).is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), refused_elsewhere).await.expect("refused within a second");
    }
}

async fn no_token_at_all_is_an_invalid_argument(place: Place) {
    let (_, link) = start(&place).await;
    let mut client = Client::new(link);
    let check = client.check_token(proto::CheckTokenRequest::default()).await.expect_err("no token");
    let logout = client.logout(proto::LogoutRequest::default()).await.expect_err("no token");
    assert_eq!((check.code(), logout.code()), (Code::InvalidArgument, Code::InvalidArgument));
    assert!(check.message().starts_with("token: "), "{}", check.message());
}

async fn the_published_key_is_the_one_that_signs(place: Place) {
    let (_, link) = start(&place).await;
    let mut client = Client::new(link);
    register(&mut client, "ana", "a@x.com").await.expect("registered");
    let token = login(&mut client, "ana", PASSWORD).await.expect("logged in");
    let keys = client.get_jwks(proto::GetJwksRequest {}).await.expect("keys").into_inner().keys;
    let [key] = keys.as_slice() else { panic!("one key") };
    assert_eq!([&key.kty, &key.crv, &key.alg, &key.r#use], ["OKP", "Ed25519", "EdDSA", "sig"]);
    assert_eq!(jsonwebtoken::decode_header(&token).expect("a header").kid.as_ref(), Some(&key.kid));
}

malla_storage::on_every_database![
    the_life_of_an_account,
    wrong_password_and_unknown_user_get_the_same_answers,
    nobodys_failures_keep_another_address_out,
    a_token_in_field_or_header_is_dead_everywhere_after_logout,
    no_token_at_all_is_an_invalid_argument,
    the_published_key_is_the_one_that_signs,
];
