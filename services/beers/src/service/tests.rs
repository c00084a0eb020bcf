use malla_runtime::database::Store;
use malla_runtime::module::Context;
use tempfile::TempDir;
use tonic::Code;

use malla_runtime::database;

use super::*;
use crate::migrations::Migrator;

async fn service(dir: &TempDir) -> Service {
    let context = Context::alone(dir.path().to_owned());
    let store = Store::open::<Migrator>("beers", &database::Config::default(), &context).await.expect("a store");
    Service::new(Catalogue::new(store))
}

async fn list(service: &Service, page_size: i32, page_token: String) -> proto::ListBeersResponse {
    let request = Request::new(proto::ListBeersRequest { page_size, page_token });
    service.list_beers(request).await.expect("a page").into_inner()
}

async fn get(service: &Service, sku: &str) -> Result<proto::Beer, Code> {
    let request = Request::new(proto::GetBeerRequest { sku: sku.into() });
    let answer = service.get_beer(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().beer.expect("a beer"))
}

async fn create(service: &Service, sku: &str, price: &str) -> Result<proto::Beer, Code> {
    let (name, image) = ("Name".into(), String::new());
    let request = Request::new(proto::CreateBeerRequest { sku: sku.into(), name, price: price.into(), image });
    let answer = service.create_beer(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().beer.expect("a beer"))
}

async fn update(service: &Service, request: proto::UpdateBeerRequest) -> Result<proto::Beer, Code> {
    let answer = service.update_beer(Request::new(request)).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().beer.expect("a beer"))
}

#[tokio::test]
async fn a_fresh_store_has_three_beers_ordered_by_sku() {
    let dir = tempfile::tempdir().expect("a folder");
    let beers = list(&service(&dir).await, 0, String::new()).await.beers;
    let seen: Vec<_> = beers.iter().map(|beer| (&*beer.sku, &*beer.name, &*beer.price)).collect();
    assert_eq!(seen, [("123456", "Бургаско", "1.19"), ("123457", "Загорка", "2.00"), ("123458", "Tuborg", "1.50")]);
    assert!(beers.iter().all(|beer| beer.time_created.is_some() && beer.time_created == beer.time_modified));
}

#[tokio::test]
async fn pages_together_are_the_list() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(&dir).await;
    let first = list(&service, 2, String::new()).await;
    let second = list(&service, 2, first.next_page_token).await;
    assert_eq!((first.beers.len(), second.beers.len(), &*second.next_page_token), (2, 1, ""));
    assert_eq!(second.beers[0].sku, "123458");
}

#[tokio::test]
async fn a_new_beer_can_be_read_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = create(&service(&dir).await, "ipa", "3.1").await.expect("created");
    assert_eq!(made.price, "3.10");
    assert_eq!(get(&service(&dir).await, "ipa").await, Ok(made));
}

#[tokio::test]
async fn a_bad_field_is_refused_and_a_taken_sku_exists_already() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(&dir).await;
    assert_eq!(create(&service, "a/b", "1").await, Err(Code::InvalidArgument));
    assert_eq!(create(&service, "ipa", "1.001").await, Err(Code::InvalidArgument));
    assert_eq!(create(&service, "123456", "1").await, Err(Code::AlreadyExists));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_creations_one_wins() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = std::sync::Arc::new(service(&dir).await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { create(&service, "ipa", "1").await.map(|_| ()) })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(Code::AlreadyExists))), "{outcomes:?}");
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(&dir).await;
    let before = get(&service, "123456").await.expect("known");
    let nothing = proto::UpdateBeerRequest { sku: "123456".into(), ..Default::default() };
    assert_eq!(update(&service, nothing.clone()).await, Ok(before.clone()));

    let price = proto::UpdateBeerRequest { price: Some("1.25".into()), ..nothing.clone() };
    let after = update(&service, price).await.expect("known");
    assert_eq!(after, proto::Beer { price: "1.25".into(), time_modified: after.time_modified, ..before });
    assert_eq!(get(&service, "123456").await, Ok(after));

    let nameless = proto::UpdateBeerRequest { name: Some(String::new()), ..nothing };
    assert_eq!(update(&service, nameless).await, Err(Code::InvalidArgument));
}

#[tokio::test]
async fn an_unknown_sku_is_not_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(&dir).await;
    let delete = |sku: &str| service.delete_beer(Request::new(proto::DeleteBeerRequest { sku: sku.into() }));
    delete("123456").await.expect("deleted");
    assert_eq!(delete("123456").await.expect_err("gone").code(), Code::NotFound);
    assert_eq!(get(&service, "123456").await, Err(Code::NotFound));
    let image = proto::UpdateBeerRequest { sku: "123456".into(), image: Some("x".into()), ..Default::default() };
    assert_eq!(update(&service, image).await, Err(Code::NotFound));

    let long = service.get_beer(Request::new(proto::GetBeerRequest { sku: "x".repeat(100_000) })).await;
    assert!(long.expect_err("unknown").message().len() < 200, "the answer does not repeat all of what was asked");
}
