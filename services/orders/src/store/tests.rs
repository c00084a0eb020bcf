use malla_runtime::decimal::MINOR_MAX;
use malla_storage::testing::Place;

use super::*;
use crate::migrations::Migrator;

async fn a_line_holds_a_million_and_an_order_a_thousand_lines(place: Place) {
    let store = place.open::<Migrator>("orders").await;
    let book = Book::new(store);
    let beer = |sku: &str| Beer { id: String::new(), sku: sku.to_owned(), price_minor: MINOR_MAX };

    let first = book.add("ann", &beer("0"), QUANTITY_MAX - 1).await.expect("added").lines.remove(0);
    let more = (1..LINES_MAX).map(|number| {
        let line = Line { sku: number.to_string(), quantity: QUANTITY_MAX, ..first.clone() };
        line.into_active_model().reset_all()
    });
    lines::Entity::insert_many(more).exec_without_returning(&book.store.connection).await.expect("inserted");
    book.add("ann", &beer("0"), 1).await.expect("the last that fits");
    assert!(matches!(book.add("ann", &beer("0"), 1).await, Err(Error::LineFull(QUANTITY_MAX))));
    assert!(matches!(book.add("ann", &beer("x"), 1).await, Err(Error::OrderFull)));

    let open = book.find_open("ann").await.expect("read").expect("open");
    let prices = open.lines.iter().map(|line| (line.sku.clone(), MINOR_MAX)).collect();
    let closed = book.close(open, &prices).await.expect("written").expect("unchanged");
    assert_eq!(closed.order.total_minor, Some(99_999_999_000_000_000));
    let stored = book.get("ann", &closed.order.id).await.expect("stored");
    assert_eq!(stored.lines.len(), LINES_MAX);
    assert!(stored.lines.iter().all(|line| line.unit_price_minor == Some(MINOR_MAX)));
}

async fn an_order_that_was_changed_since_it_was_read_is_not_closed(place: Place) {
    let store = place.open::<Migrator>("orders").await;
    let book = Book::new(store);
    let beer = Beer { id: String::new(), sku: "a".into(), price_minor: 1 };
    let prices = HashMap::from([("a".to_owned(), 1)]);

    let read = book.add("ann", &beer, 1).await.expect("added");
    let changed = book.add("ann", &beer, 1).await.expect("added");
    assert_eq!(book.close(read, &prices).await.expect("no error"), None);
    let closed = book.close(changed.clone(), &prices).await.expect("written").expect("unchanged");
    assert_eq!(closed.order.total_minor, Some(2));
    assert_eq!(book.close(changed, &prices).await.expect("no error"), None, "an order is closed once");
}

malla_storage::on_every_database![
    a_line_holds_a_million_and_an_order_a_thousand_lines,
    an_order_that_was_changed_since_it_was_read_is_not_closed,
];
