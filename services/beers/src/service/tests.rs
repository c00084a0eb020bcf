use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::migrations::Migrator;

async fn service(place: &Place) -> Service {
    let store = place.open::<Migrator>("beers").await;
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

async fn a_fresh_store_has_three_beers_ordered_by_sku(place: Place) {
    let beers = list(&service(&place).await, 0, String::new()).await.beers;
    let seen: Vec<_> = beers.iter().map(|beer| (&*beer.sku, &*beer.name, &*beer.price)).collect();
    assert_eq!(seen, [("123456", "Бургаско", "1.19"), ("123457", "Загорка", "2.00"), ("123458", "Tuborg", "1.50")]);
    assert!(beers.iter().all(|beer| beer.time_created.is_some() && beer.time_created == beer.time_modified));
}

async fn pages_together_are_the_list(place: Place) {
    let service = service(&place).await;
    let first = list(&service, 2, String::new()).await;
    let second = list(&service, 2, first.next_page_token).await;
    assert_eq!((first.beers.len(), second.beers.len(), &*second.next_page_token), (2, 1, ""));
    assert_eq!(second.beers[0].sku, "123458");
}

async fn a_new_beer_can_be_read_after_a_restart(place: Place) {
    let made = create(&service(&place).await, "ipa", "3.1").await.expect("created");
    assert_eq!(made.price, "3.10");
    assert_eq!(get(&service(&place).await, "ipa").await, Ok(made));
}

async fn a_bad_field_is_refused_and_a_taken_sku_exists_already(place: Place) {
    let service = service(&place).await;
    assert_eq!(create(&service, "a/b", "1").await, Err(Code::InvalidArgument));
    assert_eq!(create(&service, "ipa", "1.001").await, Err(Code::InvalidArgument));
    assert_eq!(create(&service, "123456", "1").await, Err(Code::AlreadyExists));
}

async fn of_simultaneous_creations_one_wins(place: Place) {
    let service = std::sync::Arc::new(service(&place).await);
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

async fn an_update_changes_what_is_given_and_nothing_else(place: Place) {
    let service = service(&place).await;
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

async fn an_unknown_sku_is_not_found(place: Place) {
    let service = service(&place).await;
    let delete = |sku: &str| service.delete_beer(Request::new(proto::DeleteBeerRequest { sku: sku.into() }));
    delete("123456").await.expect("deleted");
    assert_eq!(delete("123456").await.expect_err("gone").code(), Code::NotFound);
    assert_eq!(get(&service, "123456").await, Err(Code::NotFound));
    let image = proto::UpdateBeerRequest { sku: "123456".into(), image: Some("x".into()), ..Default::default() };
    assert_eq!(update(&service, image).await, Err(Code::NotFound));

    let long = service.get_beer(Request::new(proto::GetBeerRequest { sku: "x".repeat(100_000) })).await;
    assert!(long.expect_err("unknown").message().len() < 200, "the answer does not repeat all of what was asked");
}

malla_storage::on_every_database![
    a_fresh_store_has_three_beers_ordered_by_sku,
    pages_together_are_the_list,
    a_new_beer_can_be_read_after_a_restart,
    a_bad_field_is_refused_and_a_taken_sku_exists_already,
    of_simultaneous_creations_one_wins,
    an_update_changes_what_is_given_and_nothing_else,
    an_unknown_sku_is_not_found,
];
