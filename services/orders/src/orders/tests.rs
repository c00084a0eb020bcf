pub(crate) mod mesh;

use std::sync::Arc;

use malla_servers::soak;
use malla_storage::testing::Place;
use tonic::{Code, Status};

use self::mesh::{Shelf, neighbours, shelf};
use super::*;
use crate::migrations::Migrator;

const ANN: &str = "ann";
const BOB: &str = "bob";

pub(crate) async fn orders(place: &Place, shelf: &Shelf) -> Orders {
    let store = place.open::<Migrator>("orders").await;
    Orders::new(Book::new(store), neighbours(shelf))
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Code {
    Status::from(outcome.expect_err("refused")).code()
}

fn quantities(basket: &Basket) -> Vec<(&str, i32)> {
    basket.lines.iter().map(|line| (&*line.sku, line.quantity)).collect()
}

async fn lines_add_up_and_keep_the_order_they_were_added_in(place: Place) {
    let orders = orders(&place, &shelf(&[("b", "1"), ("a", "1")])).await;
    for (sku, quantity) in [("b", 1), ("a", 2), ("b", 3)] {
        orders.add(ANN, sku, quantity).await.expect("added");
    }
    let basket = orders.current(ANN).await.expect("open");
    assert_eq!(quantities(&basket), [("b", 4), ("a", 2)]);
    assert_eq!(basket.lines[0].beer_id, "id-b");
    orders.remove(ANN, "b").await.expect("removed");
    let basket = orders.add(ANN, "b", 1).await.expect("added");
    assert_eq!(quantities(&basket), [("a", 2), ("b", 1)]);
}

async fn checkout_copies_the_prices_of_now_and_begins_anew(place: Place) {
    let shelf = shelf(&[("a", "1.19"), ("b", "2.00")]);
    let orders = orders(&place, &shelf).await;
    orders.add(ANN, "a", 3).await.expect("added");
    orders.add(ANN, "b", 1).await.expect("added");
    shelf.lock().expect("no panic").as_mut().expect("a shelf").insert("b".into(), "2.50".into());

    let closed = orders.checkout(ANN).await.expect("closed");
    assert_eq!((closed.order.open_owner.as_deref(), closed.order.total_minor), (None, Some(607)));
    let prices: Vec<_> = closed.lines.iter().map(|line| line.unit_price_minor).collect();
    assert_eq!(prices, [Some(119), Some(250)]);
    assert_eq!(orders.get(ANN, &closed.order.id).await.expect("stored"), closed);

    let next = orders.current(ANN).await.expect("open");
    assert!(next.lines.is_empty() && next.order.id != closed.order.id);
}

async fn an_empty_order_or_none_stays_open_at_checkout(place: Place) {
    let orders = orders(&place, &shelf(&[])).await;
    let first = orders.checkout(ANN).await.expect("opened");
    assert_eq!(first.order.open_owner.as_deref(), Some(ANN));
    assert_eq!(orders.checkout(ANN).await.expect("unchanged"), first);
}

async fn checkout_names_a_beer_that_is_not_sold_any_more(place: Place) {
    let shelf = shelf(&[("a", "1"), ("b", "1")]);
    let orders = orders(&place, &shelf).await;
    orders.add(ANN, "a", 1).await.expect("added");
    orders.add(ANN, "b", 1).await.expect("added");
    shelf.lock().expect("no panic").as_mut().expect("a shelf").remove("b");
    let status = Status::from(orders.checkout(ANN).await.expect_err("refused"));
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("\"b\""), "{status}");
    orders.remove(ANN, "b").await.expect("removed");
    assert_eq!(orders.checkout(ANN).await.expect("closed").order.total_minor, Some(100));
}

async fn what_the_neighbours_say_decides(place: Place) {
    let shelf = shelf(&[("a", "1"), ("odd", "cheap")]);
    let orders = orders(&place, &shelf).await;
    assert_eq!(code(orders.add(ANN, "x", 1).await), Code::NotFound);
    assert_eq!(code(orders.add(ANN, "odd", 1).await), Code::Internal);
    assert_eq!(code(orders.add("ghost", "a", 1).await), Code::Unauthenticated);
    assert_eq!(code(orders.current("ghost").await), Code::Unauthenticated);
    assert!(orders.list("ghost", None, 10).await.expect("a list").is_empty(), "a refused call opens nothing");

    orders.add(ANN, "a", 1).await.expect("added");
    *shelf.lock().expect("no panic") = None;
    assert_eq!(code(orders.add(ANN, "a", 1).await), Code::Unavailable);
    assert_eq!(code(orders.checkout(ANN).await), Code::Unavailable);
    assert_eq!(quantities(&orders.current(ANN).await.expect("open")), [("a", 1)]);
}

async fn what_is_not_there_cannot_be_removed(place: Place) {
    let orders = orders(&place, &shelf(&[("a", "1")])).await;
    assert_eq!(code(orders.remove(ANN, "a").await), Code::NotFound);
    let before = orders.current(ANN).await.expect("open");
    assert_eq!(code(orders.remove(ANN, "a").await), Code::NotFound);
    assert_eq!(orders.current(ANN).await.expect("open"), before, "a refused call changes nothing");
}

async fn orders_are_their_owners_only(place: Place) {
    let orders = orders(&place, &shelf(&[("a", "1")])).await;
    let (ann, bob) = (orders.current(ANN).await.expect("open"), orders.current(BOB).await.expect("open"));
    assert_ne!(ann.order.id, bob.order.id);
    assert_eq!(orders.get(ANN, &ann.order.id).await.expect("own"), ann);
    assert_eq!(code(orders.get(ANN, &bob.order.id).await), Code::NotFound);
    assert_eq!(code(orders.get(ANN, "none").await), Code::NotFound);
    assert_eq!(orders.list(ANN, None, 10).await.expect("a list"), [ann.order]);
}

async fn orders_are_listed_newest_first_by_pages(place: Place) {
    let orders = orders(&place, &shelf(&[("a", "1")])).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        orders.add(ANN, "a", 1).await.expect("added");
        made.insert(0, orders.checkout(ANN).await.expect("closed").order);
    }
    let first = orders.list(ANN, None, 3).await.expect("a page");
    let second = orders.list(ANN, Some(&first[2].id), 3).await.expect("a page");
    assert_eq!([first, second].concat(), made);
}

async fn simultaneous_openings_give_one_order(place: Place) {
    let orders = Arc::new(orders(&place, &shelf(&[("a", "1")])).await);
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let orders = orders.clone();
            tokio::spawn(async move {
                if number % 2 == 0 { orders.current(ANN).await } else { orders.add(ANN, "a", 1).await }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("open");
    }
    assert_eq!(orders.list(ANN, None, 100).await.expect("a list").len(), 1);
    assert_eq!(quantities(&orders.current(ANN).await.expect("open")), [("a", 8)]);
}

/// Beers put in are beers taken out: none is lost to a checkout that runs at the same time, none is counted twice,
/// and every closed order's total is the sum of its lines.
async fn nothing_is_lost_between_adds_and_checkouts(place: Place) {
    const ADDERS: i32 = 12;
    const ADDS: i32 = 10;
    let orders = Arc::new(orders(&place, &shelf(&[("0", "1.19"), ("1", "2.00"), ("2", "0.01")])).await);
    let mut tasks = Vec::new();
    for number in 0..ADDERS {
        let orders = orders.clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..ADDS {
                orders.add(ANN, &((number + round) % 3).to_string(), 1).await.expect("added");
            }
        }));
    }
    for _ in 0..4 {
        let orders = orders.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                match orders.checkout(ANN).await {
                    Ok(_) | Err(Error::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    orders.checkout(ANN).await.expect("closed");

    let (mut beers, mut closed) = (0, 0);
    for order in orders.list(ANN, None, 1_000).await.expect("a list") {
        let basket = orders.get(ANN, &order.id).await.expect("own");
        beers += basket.lines.iter().map(|line| line.quantity).sum::<i32>();
        if order.open_owner.is_none() {
            closed += 1;
            let sum =
                basket.lines.iter().map(|line| i64::from(line.quantity) * line.unit_price_minor.expect("a price"));
            assert_eq!(order.total_minor, Some(sum.sum()));
        }
    }
    assert_eq!(beers, ADDERS * ADDS);
    assert!(closed >= 1, "at least the last checkout closed an order");
}

/// Each call may be made again three times, as clients do when it was in another's way.
async fn row_22_of_many_checkouts_at_once_one_closes_the_order(place: Place) {
    const CALLERS: i32 = 32;
    const RACES: usize = 10;
    let mut rounds = soak::rounds(2);
    let orders = Arc::new(orders(&place, &shelf(&[("a", "1")])).await);
    for race in rounds.by_ref().flat_map(|round| (0..RACES).map(move |race| round * RACES + race)) {
        let owner = race.to_string();
        let adds = (0..CALLERS).map(|_| again(&orders, async |orders| orders.add(&owner, "a", 1).await));
        futures_util::future::join_all(adds).await;
        assert_eq!(quantities(&orders.current(&owner).await.expect("open")), [("a", CALLERS)]);

        let checkouts = (0..CALLERS).map(|_| again(&orders, async |orders| orders.checkout(&owner).await));
        let baskets = futures_util::future::join_all(checkouts).await;
        let closed: Vec<_> = baskets.iter().filter(|basket| basket.order.open_owner.is_none()).collect();
        assert_eq!(closed.len(), 1);
        assert_eq!(quantities(closed[0]), [("a", CALLERS)]);
        assert_eq!(orders.list(&owner, None, 10).await.expect("a list").len(), 2, "the closed one and the next");
    }
    let store = if place.config.url.expose().is_empty() { "SQLite" } else { "PostgreSQL" };
    let races = rounds.made() * RACES;
    soak::report(22, &format!("32 checkouts at once, on {store}"), format_args!("{races} races, 0 closed twice"));
}

async fn again(orders: &Orders, call: impl AsyncFn(&Orders) -> Result<Basket, Error>) -> Basket {
    for _ in 0..3 {
        match call(orders).await {
            Ok(basket) => return basket,
            Err(error) => assert!([Code::Aborted, Code::Unavailable].contains(&Status::from(error).code())),
        }
    }
    call(orders).await.expect("the fourth succeeds")
}

malla_storage::on_every_database![
    lines_add_up_and_keep_the_order_they_were_added_in,
    checkout_copies_the_prices_of_now_and_begins_anew,
    an_empty_order_or_none_stays_open_at_checkout,
    checkout_names_a_beer_that_is_not_sold_any_more,
    what_the_neighbours_say_decides,
    what_is_not_there_cannot_be_removed,
    orders_are_their_owners_only,
    orders_are_listed_newest_first_by_pages,
    simultaneous_openings_give_one_order,
    nothing_is_lost_between_adds_and_checkouts,
    row_22_of_many_checkouts_at_once_one_closes_the_order,
];
