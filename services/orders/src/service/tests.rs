use malla_runtime::auth::Claims;
use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::orders::tests::mesh::shelf;
use crate::orders::tests::orders;

/// A call of the user `ann`, as the guard lets it through.
fn call<T>(message: T) -> Request<T> {
    let claims = Claims { sub: "ann".into(), ..Claims::default() };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::User(claims));
    request
}

fn add(sku: &str, quantity: i32) -> proto::AddBeerRequest {
    proto::AddBeerRequest { sku: sku.into(), quantity }
}

async fn money_is_written_down_at_checkout(place: Place) {
    let service = Service { orders: orders(&place, &shelf(&[("a", "1.19")])).await };
    let open = service.add_beer(call(add("a", 2))).await.expect("added").into_inner().order.expect("an order");
    assert_eq!((open.is_open, &*open.total, &*open.beers[0].unit_price), (true, "", ""));
    let current = service.get_current_order(call(proto::GetCurrentOrderRequest {})).await.expect("open");
    assert_eq!(current.into_inner().order, Some(open.clone()));

    let closed = service.checkout(call(proto::CheckoutRequest {})).await.expect("closed").into_inner().order;
    let closed = closed.expect("an order");
    assert_eq!((closed.is_open, &*closed.total), (false, "2.38"));
    let line = proto::OrderLine { id: "id-a".into(), sku: "a".into(), quantity: 2, unit_price: "1.19".into() };
    assert_eq!(
        (closed.id.clone(), closed.beers.clone(), closed.time_created),
        (open.id, vec![line], open.time_created)
    );
    let got = service.get_order(call(proto::GetOrderRequest { id: closed.id.clone() })).await.expect("own");
    assert_eq!(got.into_inner().order, Some(closed));
}

async fn a_missing_field_or_caller_is_refused(place: Place) {
    let service = Service { orders: orders(&place, &shelf(&[("a", "1")])).await };
    for request in [add("", 1), add("a", 0), add("a", -1), add("a", 1_000_001)] {
        let status = service.add_beer(call(request.clone())).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
    }
    let no_sku = service.remove_beer(call(proto::RemoveBeerRequest::default())).await;
    assert_eq!(no_sku.expect_err("refused").code(), Code::InvalidArgument);
    let nobody = service.checkout(Request::new(proto::CheckoutRequest {})).await;
    assert_eq!(nobody.expect_err("refused").code(), Code::Unauthenticated);
}

async fn pages_together_are_the_list(place: Place) {
    let service = Service { orders: orders(&place, &shelf(&[("a", "1")])).await };
    for _ in 0..3 {
        service.add_beer(call(add("a", 1))).await.expect("added");
        service.checkout(call(proto::CheckoutRequest {})).await.expect("closed");
    }
    let page = async |page_size, page_token| {
        let request = proto::ListOrdersRequest { page_size, page_token };
        service.list_orders(call(request)).await.expect("a page").into_inner()
    };
    let all = page(0, String::new()).await;
    let first = page(2, String::new()).await;
    let second = page(2, first.next_page_token).await;
    assert_eq!([first.orders, second.orders].concat(), all.orders);
    assert_eq!((all.orders.len(), &*second.next_page_token), (3, ""));
}

malla_storage::on_every_database![
    money_is_written_down_at_checkout,
    a_missing_field_or_caller_is_refused,
    pages_together_are_the_list,
];
