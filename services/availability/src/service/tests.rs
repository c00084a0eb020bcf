use std::sync::Arc;

use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::config::Config;
use crate::migrations::Migrator;

async fn service(place: &Place) -> Service {
    let store = place.open::<Migrator>("availability").await;
    Service::new(Cities::new(store, &Config::default()).expect("cities"))
}

async fn list(service: &Service, include_inactive: bool, page_size: i32, token: &str) -> proto::ListCitiesResponse {
    let request = proto::ListCitiesRequest { include_inactive, page_size, page_token: token.into() };
    service.list_cities(Request::new(request)).await.expect("a page").into_inner()
}

/// Whether sales are open, the name as stored, and whether that was cached.
async fn get(service: &Service, country: &str, city: &str) -> Result<(bool, String, String), Code> {
    let request = Request::new(proto::GetCityRequest { country: country.into(), city: city.into() });
    let answer = service.get_city(request).await.map_err(|status| status.code())?.into_inner();
    Ok((answer.active, answer.city, answer.cache))
}

async fn upsert(service: &Service, country: &str, city: &str, active: Option<bool>) -> Result<proto::City, Code> {
    let request = Request::new(proto::UpsertCityRequest { country: country.into(), city: city.into(), active });
    let answer = service.upsert_city(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().city.expect("a city"))
}

async fn update(service: &Service, country: &str, city: &str, active: Option<bool>) -> Result<proto::City, Code> {
    let request = Request::new(proto::UpdateCityRequest { country: country.into(), city: city.into(), active });
    let answer = service.update_city(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().city.expect("a city"))
}

fn city(active: bool, country: &str, city: &str) -> proto::City {
    proto::City { active, country: country.into(), city: city.into() }
}

async fn a_fresh_store_sells_in_leon_only(place: Place) {
    let service = service(&place).await;
    assert_eq!(list(&service, false, 0, "").await.cities, [city(true, "ni", "Leon")]);
    assert_eq!(list(&service, true, 0, "").await.cities.len(), 11);
}

async fn pages_together_are_the_list_ordered_by_country_and_city(place: Place) {
    let service = service(&place).await;
    let all = list(&service, true, 0, "").await.cities;
    assert!(all.is_sorted_by_key(|city| (city.country.clone(), city.city.to_lowercase())), "{all:?}");
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = list(&service, true, 3, &token).await;
        seen.extend(page.cities);
        token = page.next_page_token;
    }
    assert_eq!((seen, token), (all, String::new()));
}

async fn a_token_of_another_list_is_refused(place: Place) {
    let request = proto::ListCitiesRequest { page_token: page::token("no slash"), ..Default::default() };
    let refused = service(&place).await.list_cities(Request::new(request)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

async fn a_city_is_cached_without_regard_to_case_until_it_is_written(place: Place) {
    let service = service(&place).await;
    let answer = |active: bool, cache: &str| Ok((active, "Leon".to_owned(), cache.to_owned()));
    assert_eq!(get(&service, "NI", "LEON").await, answer(true, "miss"));
    assert_eq!(get(&service, "ni", " leon ").await, answer(true, "hit"));
    assert_eq!(update(&service, "ni", "leon", Some(false)).await, Ok(city(false, "ni", "Leon")));
    assert_eq!(get(&service, "ni", "leon").await, answer(false, "miss"));
    assert_eq!(get(&service, "ni", "leon").await, answer(false, "hit"));
    assert_eq!(upsert(&service, "NI", "LEON", Some(true)).await, Ok(city(true, "ni", "Leon")), "it keeps its spelling");
    assert_eq!(get(&service, "ni", "leon").await, answer(true, "miss"));
    assert_eq!(get(&service, "es", "leon").await, answer(false, "miss"), "another country's is another city");
}

async fn what_is_unknown_missing_or_malformed_is_told_apart(place: Place) {
    let service = service(&place).await;
    assert_eq!(get(&service, "ni", "Masaya").await, Err(Code::NotFound));
    assert_eq!(update(&service, "ni", "Masaya", Some(true)).await, Err(Code::NotFound));
    assert_eq!(upsert(&service, "ni", "Masaya", None).await, Err(Code::InvalidArgument));
    assert_eq!(upsert(&service, "nic", "Masaya", Some(true)).await, Err(Code::InvalidArgument));
    assert_eq!(upsert(&service, "ni", "Masaya", Some(true)).await, Ok(city(true, "ni", "Masaya")));
    assert_eq!(get(&service, "ni", "masaya").await, Ok((true, "Masaya".into(), "miss".into())));
}

/// What a write has changed no reader may see as it was, however they meet.
async fn nothing_old_is_cached_by_readers_that_meet_a_writer(place: Place) {
    let service = Arc::new(service(&place).await);
    for round in 0..20 {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let service = service.clone();
                tokio::spawn(async move { get(&service, "ni", "leon").await })
            })
            .collect();
        let active = round % 2 == 0;
        update(&service, "ni", "leon", Some(active)).await.expect("known");
        assert_eq!(get(&service, "ni", "leon").await.expect("known").0, active);
        for reader in readers {
            reader.await.expect("no panic").expect("known");
        }
        assert_eq!(get(&service, "ni", "leon").await.expect("known").0, active);
    }
}

malla_storage::on_every_database![
    a_fresh_store_sells_in_leon_only,
    pages_together_are_the_list_ordered_by_country_and_city,
    a_token_of_another_list_is_refused,
    a_city_is_cached_without_regard_to_case_until_it_is_written,
    what_is_unknown_missing_or_malformed_is_told_apart,
    nothing_old_is_cached_by_readers_that_meet_a_writer,
];
