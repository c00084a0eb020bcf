mod availability;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::config::Config;
use crate::migrations::Migrator;
use crate::store::Products;
use crate::weather::tests::{SHORT_MS, provider};
use crate::weather::{self, Weather};

const UMBRELLA: &str = "AZ00001";
const ICE_CREAM: &str = "AZ00002";

async fn service(place: &Place, weather: &weather::Config) -> Arc<Service> {
    configured(place, Config { weather: weather.clone(), ..Config::default() }).await
}

async fn configured(place: &Place, config: Config) -> Arc<Service> {
    let store = place.open::<Migrator>("pricing").await;
    let weather = Weather::new(&config.weather).expect("a client");
    Arc::new(Service::new(Quotes::new(Products::new(store), availability::link(), weather, &config).expect("quotes")))
}

async fn quote(service: &Service, sku: &str, country: &str, city: &str) -> Result<proto::Quote, Status> {
    let request = proto::CreateQuoteRequest { sku: sku.into(), country: country.into(), city: city.into() };
    Ok(service.create_quote(Request::new(request)).await?.into_inner().quote.expect("a quote"))
}

async fn create_rule(service: &Service, sku: &str, rule: Option<proto::Rule>) -> Result<proto::Rule, Code> {
    let request = Request::new(proto::CreateRuleRequest { sku: sku.into(), rule });
    let answer = service.create_rule(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().rule.expect("a rule"))
}

async fn list_rules(service: &Service, sku: &str) -> Result<Vec<proto::Rule>, Code> {
    let request = Request::new(proto::ListRulesRequest { sku: sku.into() });
    Ok(service.list_rules(request).await.map_err(|status| status.code())?.into_inner().rules)
}

fn snow(variation: f64) -> proto::Rule {
    proto::Rule {
        id: String::new(),
        country: "NI".into(),
        city: "managua".into(),
        variation,
        min_condition: 600,
        max_condition: 622,
    }
}

async fn a_fresh_store_has_two_products_with_two_rules_a_city(place: Place) {
    let service = service(&place, &weather::Config::default()).await;
    let list =
        |page_token| service.list_products(Request::new(proto::ListProductsRequest { page_size: 1, page_token }));
    let first = list(String::new()).await.expect("a page").into_inner();
    let second = list(first.next_page_token).await.expect("a page").into_inner();
    let product = |sku: &str, description: &str| proto::Product {
        sku: sku.into(),
        description: description.into(),
        price: "10.00".into(),
    };
    assert_eq!(first.products, [product(UMBRELLA, "Paraguas de señora estampado")]);
    assert_eq!(second.products, [product(ICE_CREAM, "Helado de sabor fresa")]);
    assert_eq!(second.next_page_token, "");

    let rules = list_rules(&service, ICE_CREAM).await.expect("rules");
    assert_eq!(rules.len(), 22);
    let sorted = rules.is_sorted_by_key(|rule| (rule.country.clone(), rule.city.to_lowercase(), rule.min_condition));
    assert!(sorted, "{rules:?}");
    let first: Vec<_> = rules[..2].iter().map(|rule| (&*rule.city, rule.variation, rule.max_condition)).collect();
    assert_eq!(first, [("Alcala de Henares", 0.5, 599), ("Alcala de Henares", 1.5, 804)]);
}

async fn a_quote_follows_the_weather(place: Place) {
    let (weather, _) = provider().await;
    let service = service(&place, &weather).await;
    for (sku, city, variation, price) in [
        (UMBRELLA, "Leon", 1.5, "15.00"),
        (ICE_CREAM, "Leon", 0.5, "5.00"),
        (UMBRELLA, "Rivas", 0.5, "5.00"),
        (ICE_CREAM, "Rivas", 1.5, "15.00"),
        (UMBRELLA, "Managua", 1.0, "10.00"),
    ] {
        let quote = quote(&service, sku, "ni", city).await.expect("a quote");
        assert_eq!((quote.variation, &*quote.price, &*quote.base_price), (variation, price, "10.00"), "{sku} {city}");
        assert_eq!((&*quote.weather, &*quote.cache), ("available", "miss"), "{sku} {city}");
    }
}

async fn a_quote_is_cached_without_regard_to_case_until_a_write(place: Place) {
    let (weather, hits) = provider().await;
    let service = service(&place, &weather).await;
    quote(&service, UMBRELLA, "ni", "Managua").await.expect("a quote");
    let again = quote(&service, UMBRELLA, "NI", "MANAGUA").await.expect("a quote");
    assert_eq!((&*again.cache, &*again.country, &*again.city), ("hit", "NI", "MANAGUA"), "places are as asked");
    assert_eq!(hits.load(Ordering::SeqCst), 1);

    create_rule(&service, UMBRELLA, Some(snow(1.25))).await.expect("a rule");
    create_rule(&service, UMBRELLA, Some(snow(1.125))).await.expect("a rule");
    let after = quote(&service, UMBRELLA, "ni", "Managua").await.expect("a quote");
    assert_eq!((after.variation, &*after.cache), (1.25, "miss"));

    let (sku, description) = (UMBRELLA.to_owned(), "Paraguas".to_owned());
    let product = proto::UpsertProductRequest { sku, description, price: "0.9".into() };
    service.upsert_product(Request::new(product)).await.expect("stored");
    let after = quote(&service, UMBRELLA, "ni", "Managua").await.expect("a quote");
    assert_eq!((&*after.base_price, &*after.price, &*after.description), ("0.90", "1.13", "Paraguas"));
    assert_eq!(after.cache, "miss");
}

async fn a_cached_quote_expires(place: Place) {
    let (weather, hits) = provider().await;
    assert_eq!(Config::default().cache_ttl_ms, 5 * 60 * 1_000);
    let service = configured(&place, Config { cache_ttl_ms: 1, weather, ..Config::default() }).await;
    // The cache has a clock of its own, so quotes are made until one of them is late enough.
    for _ in 0..10_000 {
        let made = quote(&service, UMBRELLA, "ni", "Leon").await.expect("a quote");
        if hits.load(Ordering::SeqCst) == 2 {
            assert_eq!(made.cache, "miss");
            return;
        }
    }
    panic!("the quote never expired");
}

async fn without_the_weather_the_price_stays_and_nothing_is_cached(place: Place) {
    let (config, hits) = provider().await;
    let impatient = weather::Config { timeout_ms: SHORT_MS, ..config.clone() };
    for city in ["Slow", "Garbage", "Huge", "Moved", "Broken", "Unknown"] {
        let service = service(&place, if city == "Slow" { &impatient } else { &config }).await;
        hits.store(0, Ordering::SeqCst);
        for _ in 0..2 {
            let quote = quote(&service, UMBRELLA, "ni", city).await.expect("a quote");
            assert_eq!((quote.variation, &*quote.price), (1.0, "10.00"), "{city}");
            assert_eq!((&*quote.weather, &*quote.cache), ("unavailable", "miss"), "{city}");
        }
        assert_eq!(hits.load(Ordering::SeqCst), 2, "{city}");
    }
    let unset = service(&place, &weather::Config::default()).await;
    assert_eq!(quote(&unset, UMBRELLA, "ni", "Leon").await.expect("a quote").weather, "unavailable");
}

async fn simultaneous_quotes_ask_the_provider_once(place: Place) {
    let (weather, hits) = provider().await;
    let service = service(&place, &weather).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { quote(&service, UMBRELLA, "ni", "Leon").await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic").expect("a quote").variation.to_bits(), 1.5_f64.to_bits());
    }
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

async fn a_quote_needs_a_product_and_an_open_city(place: Place) {
    let (weather, hits) = provider().await;
    let service = service(&place, &weather).await;
    for (sku, country, city, code) in [
        ("none", "ni", "Leon", Code::NotFound),
        (UMBRELLA, "ni", "Nowhere", Code::NotFound),
        (UMBRELLA, "ni", "Closed", Code::FailedPrecondition),
        (UMBRELLA, "ni", "Down", Code::Unavailable),
        (UMBRELLA, "ni", "Odd", Code::Internal),
        (UMBRELLA, "nic", "Leon", Code::InvalidArgument),
        (UMBRELLA, "ni", "", Code::InvalidArgument),
    ] {
        let status = quote(&service, sku, country, city).await.expect_err("refused");
        assert_eq!(status.code(), code, "{sku} {country} {city}: {status}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0, "the weather is asked for last");
}

async fn rules_come_and_go_with_known_products(place: Place) {
    let service = service(&place, &weather::Config::default()).await;
    assert_eq!(create_rule(&service, "none", Some(snow(1.0))).await, Err(Code::NotFound));
    assert_eq!(create_rule(&service, UMBRELLA, Some(snow(1.0001))).await, Err(Code::InvalidArgument));
    assert_eq!(create_rule(&service, UMBRELLA, None).await, Err(Code::InvalidArgument));
    assert_eq!(list_rules(&service, "none").await, Err(Code::NotFound));

    let made = create_rule(&service, UMBRELLA, Some(snow(1.001))).await.expect("a rule");
    assert_eq!(made, proto::Rule { id: made.id.clone(), country: "ni".into(), ..snow(1.001) });
    assert!(list_rules(&service, UMBRELLA).await.expect("rules").contains(&made));
    let delete = |sku: &str| {
        service.delete_rule(Request::new(proto::DeleteRuleRequest { sku: sku.into(), id: made.id.clone() }))
    };
    assert_eq!(delete(ICE_CREAM).await.expect_err("another's").code(), Code::NotFound);
    delete(UMBRELLA).await.expect("deleted");
    assert_eq!(delete(UMBRELLA).await.expect_err("gone").code(), Code::NotFound);
}

async fn a_product_has_a_thousand_rules_at_most(place: Place) {
    let service = service(&place, &weather::Config::default()).await;
    let more = rules::RULES_MAX - 22 - 3;
    for _ in 0..more {
        create_rule(&service, UMBRELLA, Some(snow(1.0))).await.expect("a rule");
    }
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { create_rule(&service, UMBRELLA, Some(snow(1.0))).await.map(|_| ()) })
        })
        .collect();
    let mut refused = Vec::new();
    for task in tasks {
        refused.extend(task.await.expect("no panic").err());
    }
    assert_eq!(refused, [Code::FailedPrecondition; 3]);
    assert_eq!(list_rules(&service, UMBRELLA).await.expect("rules").len(), 1_000);
}

malla_storage::on_every_database![
    a_fresh_store_has_two_products_with_two_rules_a_city,
    a_quote_follows_the_weather,
    a_quote_is_cached_without_regard_to_case_until_a_write,
    a_cached_quote_expires,
    without_the_weather_the_price_stays_and_nothing_is_cached,
    simultaneous_quotes_ask_the_provider_once,
    a_quote_needs_a_product_and_an_open_city,
    rules_come_and_go_with_known_products,
    a_product_has_a_thousand_rules_at_most,
];
