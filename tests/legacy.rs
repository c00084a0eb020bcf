//! The old systems' calls: same path and method, same status, same fields. One test per system, over both
//! topologies; each row of the old systems' documents is a line here.

use serde_json::{Value, json};

use crate::support::{Mesh, OPERATOR, Topology};
use crate::weather;

/// How a request carries its fields: the old systems took all of these.
#[derive(Clone, Copy, Debug)]
enum Fields {
    Json,
    Form,
    Query,
}

const EVERY_WAY: [Fields; 3] = [Fields::Json, Fields::Form, Fields::Query];

/// A client of the old systems.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

impl Client {
    fn new(mesh: &Mesh) -> Self {
        Self { http: reqwest::Client::new(), base: mesh.edge().to_owned(), authorization: None }
    }

    fn with(&self, authorization: &str) -> Self {
        Self { authorization: Some(authorization.to_owned()), ..self.clone() }
    }

    fn request(&self, call: &str) -> reqwest::RequestBuilder {
        let (method, path) = call.split_once(' ').unwrap();
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    }

    /// `"GET /active"` -> status and body; an empty body is null.
    async fn call(&self, call: &str) -> (u16, Value) {
        answer(self.request(call)).await
    }

    async fn json(&self, call: &str, body: Value) -> (u16, Value) {
        answer(self.request(call).json(&body)).await
    }

    async fn send(&self, call: &str, fields: &[(&str, &str)], way: Fields) -> (u16, Value) {
        let request = self.request(call);
        answer(match way {
            Fields::Json => request.json(&fields.iter().copied().collect::<std::collections::BTreeMap<_, _>>()),
            Fields::Query => request.query(fields),
            Fields::Form => {
                let encoded = form(fields);
                request.header("content-type", "application/x-www-form-urlencoded").body(encoded)
            }
        })
        .await
    }

    /// Registers and logs in; the client with the bare token as its authorization.
    async fn user(&self, name: &str) -> (Self, String) {
        let mail = format!("{name}@example.com");
        let fields =
            [("username", name), ("mail", &mail), ("password", "Secret1"), ("first_name", "A"), ("last_name", "B")];
        assert_eq!(self.send("POST /api/users/register", &fields, Fields::Form).await.0, 200);
        let login = [("username", name), ("password", "Secret1")];
        let (status, body) = self.send("POST /api/users/login", &login, Fields::Form).await;
        assert_eq!(status, 200, "{body}");
        let token = body["token"].as_str().unwrap().to_owned();
        (self.with(&token), token)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
    if status >= 400 {
        assert!(body["message"].is_string(), "an error has a message: {body}");
    }
    (status, body)
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://form").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

async fn on_both<F: AsyncFn(&Mesh, Client)>(test: F) {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        eprintln!("{topology:?}");
        let mesh = Mesh::start(topology).await;
        test(&mesh, Client::new(&mesh)).await;
    }
}

/// Asserts that `whole` has at least the fields of `part`.
#[track_caller]
fn assert_has(whole: &Value, part: Value) {
    for (name, value) in part.as_object().unwrap() {
        assert_eq!(&whole[name], value, "{name} in {whole}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_answers_as_it_did() {
    on_both(async |_, client| {
        let (status, about) = client.call("GET /").await;
        assert_eq!(status, 200);
        assert!(["name", "version", "status"].iter().all(|field| about[field].is_string()), "{about}");
        let fresh = json!([{"active": true, "country": "ni", "city": "Leon"}]);
        assert_eq!(client.call("GET /active").await, (200, fresh.clone()));
        assert_eq!(client.call("GET /active/").await, (200, fresh));
        let leon = |cache| json!({"active": true, "country": "ni", "city": "Leon", "cache": cache});
        assert_eq!(client.call("GET /active?city=leon&country=ni").await, (200, leon("miss")));
        assert_eq!(client.call("GET /active?country=NI&city=LEON").await, (200, leon("hit")));
        assert_eq!(client.call("GET /active?city=nowhere&country=ni").await.0, 404);

        let operator = client.with(&format!("Bearer {OPERATOR}"));
        for (way, active) in EVERY_WAY.into_iter().zip(["True", "true", "False"]) {
            let fields = [("city", "Granada"), ("country", "ni"), ("active", active)];
            let (status, city) = operator.send("POST /active", &fields, way).await;
            assert_eq!(status, 200, "{way:?}: {city}");
            assert_has(
                &city,
                json!({"city": "Granada", "country": "ni", "active": active.eq_ignore_ascii_case("true")}),
            );
        }
        let opened = json!({"city": "granada", "country": "ni", "active": true});
        assert_eq!(client.json("PUT /active", opened.clone()).await.0, 401);
        assert_eq!(client.with("Bearer wrong").json("PUT /active", opened.clone()).await.0, 401);
        assert_eq!(client.json("POST /active", opened.clone()).await.0, 401);
        assert_eq!(operator.json("PUT /active", opened).await.0, 200);
        let unknown = json!({"city": "Atlantis", "country": "gr", "active": true});
        assert_eq!(operator.json("PUT /active", unknown).await.0, 404);
        let (_, cities) = client.call("GET /active").await;
        assert_eq!(cities.as_array().unwrap().len(), 2, "{cities}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_and_quotes_answer_as_they_did() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let provider = weather::Provider::start().await;
        let settings = [("PRICING__WEATHER__BASE_URL", provider.base()), ("PRICING__WEATHER__KEY", "k3y")];
        let mesh = Mesh::start_with(topology, &settings).await;
        let client = Client::new(&mesh);
        let (status, product) = client.call("GET /price/AZ00001").await;
        assert_eq!(status, 200);
        let described = json!({"sku": "AZ00001", "description": "Paraguas de señora estampado", "price": "10.00"});
        assert_has(&product, described);
        assert_eq!(client.call("GET /price/AZ99999").await.0, 404);

        provider.condition(503);
        let ask = |sku: &str| json!({"sku": sku, "country": "ni", "city": "Leon"});
        let (status, quote) = client.json("POST /quote", ask("AZ00001")).await;
        assert_eq!(status, 200, "{quote}");
        let rain = json!({"sku": "AZ00001", "description": "Paraguas de señora estampado", "country": "ni", "city": "Leon",
            "base_price": "10.00", "variation": 1.5, "cache": "miss", "price": "15.00", "weather": "available"});
        assert_has(&quote, rain);
        assert_has(&client.json("POST /quote", ask("AZ00001")).await.1, json!({"variation": 1.5, "cache": "hit"}));
        assert_eq!(provider.requests(), ["/data/2.5/weather?q=Leon%2Cni&appid=k3y"]);
        assert_has(&client.json("POST /quote", ask("AZ00002")).await.1, json!({"variation": 0.5, "price": "5.00"}));

        let closed = json!({"sku": "AZ00001", "country": "es", "city": "Madrid"});
        assert_eq!(client.json("POST /quote", closed).await.0, 400);
        let nowhere = json!({"sku": "AZ00001", "country": "es", "city": "Nowhere"});
        assert_eq!(client.json("POST /quote", nowhere).await.0, 404);
        assert_eq!(client.json("POST /quote", ask("AZ99999")).await.0, 404);
    }
    on_both(async |_, client| {
        let ask = json!({"sku": "AZ00001", "country": "ni", "city": "Leon"});
        for _ in 0..2 {
            let (status, quote) = client.json("POST /quote", ask.clone()).await;
            assert_eq!(status, 200);
            assert_has(&quote, json!({"variation": 1, "weather": "unavailable", "cache": "miss"}));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_answer_as_they_did() {
    on_both(async |_, client| {
        let rows = [
            (json!(1), "alice@example.com", "first post!"),
            (json!("1"), "alice@example.com", "ok, now I am gonna say something more useful"),
            (json!(1), "bob@example.com", "I agree"),
            (json!(2), "bob@example.com", "I guess this is a good thing"),
        ];
        for (content, email, comment) in rows {
            let body = json!({"email": email, "comment": comment, "content_id": content});
            let (status, answer) = client.json("POST /api/comment/new", body).await;
            assert_eq!(status, 200, "{answer}");
            let id = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            let message = format!("comment created and associated with content_id {id}");
            assert_has(&answer, json!({"status": "SUCCESS", "message": message}));
        }
        let (status, list) = client.call("GET /api/comment/list/1").await;
        assert_eq!(status, 200);
        let said: Vec<_> =
            list.as_array().unwrap().iter().map(|row| (row["email"].clone(), row["comment"].clone())).collect();
        assert_eq!(said[0], (json!("alice@example.com"), json!("first post!")));
        assert_eq!((said.len(), said[2].1.as_str()), (3, Some("I agree")));
        let (status, none) = client.call("GET /api/comment/list/99").await;
        assert_eq!((status, none["message"].as_str()), (404, Some("content_id 99 not found")));
        let long = "x".repeat(4_001);
        for (email, comment) in [("nobody", "hi"), ("a@example.com", ""), ("a@example.com", &long)] {
            let body = json!({"email": email, "comment": comment, "content_id": 1});
            assert_eq!(client.json("POST /api/comment/new", body).await.0, 400);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_answers_as_it_did() {
    on_both(async |_, client| {
        assert_eq!(client.call("GET /api/queue/health").await.0, 200);
        for call in ["POST /api/queue/push", "POST /api/queue/pop", "GET /api/queue/count", "POST /apis/queue/push"] {
            assert_eq!(client.call(call).await.0, 401, "{call}");
        }
        let (bare, token) = client.user("queuer").await;
        let user = client.with(&format!("Bearer {token}"));
        let messages =
            [json!({"a": [1, 2, {"b": null}]}), json!("text"), json!(7), json!([]), json!(false), json!(null)];
        for (at, message) in messages.iter().enumerate() {
            let spelling = if at % 2 == 0 { "api" } else { "apis" };
            let (status, answer) = user.json(&format!("POST /{spelling}/queue/push"), message.clone()).await;
            assert_eq!(status, 200, "{answer}");
            assert_has(&answer, json!({"status": "ok"}));
        }
        assert_has(&bare.call("GET /apis/queue/count").await.1, json!({"count": 6}));
        for message in messages {
            let (status, answer) = user.call("POST /api/queue/pop").await;
            assert_eq!(status, 200, "{answer}");
            assert_has(&answer, json!({"status": "ok", "body": message}));
        }
        let (status, empty) = user.call("POST /apis/queue/pop").await;
        assert_eq!((status, &empty["status"], empty.get("body")), (200, &json!("ok"), Some(&Value::Null)));
        assert_has(&user.call("GET /api/queue/count").await.1, json!({"count": 0}));
        // curl -d without a content type calls JSON a form.
        let curl = user.request("POST /api/queue/push").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(answer(curl.body(r#"{"from": "curl"}"#)).await.0, 200);
        assert_has(&user.call("POST /api/queue/pop").await.1, json!({"body": {"from": "curl"}}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_answer_as_they_did() {
    on_both(async |mesh, client| {
        let folder = mesh.data_dir().join("files");
        std::fs::write(folder.join("reporte-2023.txt"), "ventas").unwrap();
        let (status, names) = client.call("GET /listar_archivos").await;
        assert_eq!(status, 200);
        assert!(names.as_array().unwrap().contains(&json!("reporte-2023.txt")), "{names}");
        let found = client.call("GET /buscar_archivos?nombre_archivo=reporte-2023.txt").await;
        assert_eq!(found, (200, json!(["reporte-2023.txt"])));
        let found = client.call("GET /buscar_archivos?nombre_archivo=reporte*").await;
        assert_eq!(found, (200, json!(["reporte-2023.txt"])));
        assert_eq!(client.call("GET /buscar_archivos?nombre_archivo=no-such-file").await, (200, json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_answer_as_they_did() {
    on_both(async |_, client| {
        for (name, way) in ["json", "form", "query"].into_iter().zip(EVERY_WAY) {
            let mail = format!("{name}@example.com");
            let fields = [
                ("username", name),
                ("mail", &mail),
                ("first_name", "Ana"),
                ("last_name", "Ruiz"),
                ("password", "Secret1"),
            ];
            let (status, user) = client.send("POST /api/users/register", &fields, way).await;
            assert_eq!(status, 200, "{way:?}: {user}");
            assert_has(&user, json!({"username": name, "email": mail, "first_name": "Ana", "last_name": "Ruiz"}));
            for field in ["id", "time_registered", "time_modified"] {
                assert!(user[field].is_string(), "{field} in {user}");
            }
            assert!(!user.to_string().contains("Secret1") && user.get("password").is_none());
            assert_eq!(client.send("POST /api/users/register", &fields, way).await.0, 409);
            let (status, login) =
                client.send("POST /api/users/login", &[("username", name), ("password", "Secret1")], way).await;
            assert_eq!(status, 200, "{login}");
            let token = login["token"].as_str().unwrap();
            let (status, whose) = client.send("POST /api/users/check_token", &[("token", token)], way).await;
            assert_eq!((status, &whose["username"]), (200, &json!(name)));
            assert_eq!(client.send("POST /api/users/logout", &[("token", token)], way).await.0, 200);
            assert_eq!(client.send("POST /api/users/check_token", &[("token", token)], way).await.0, 404);
            assert_eq!(client.send("POST /api/users/logout", &[("token", token)], way).await.0, 404);
        }
        let taken_mail = [("username", "other"), ("mail", "form@example.com"), ("password", "Secret1")];
        assert_eq!(client.send("POST /api/users/register", &taken_mail, Fields::Form).await.0, 409);
        for weak in ["Sec1", "secret1", "SECRET1", "Secrets", ""] {
            let fields = [("username", "weak"), ("mail", "weak@example.com"), ("password", weak)];
            assert_eq!(client.send("POST /api/users/register", &fields, Fields::Form).await.0, 400, "{weak:?}");
        }
        let wrong = [("username", "form"), ("password", "Wrong1x")];
        let nobody = [("username", "nobody"), ("password", "Wrong1x")];
        let refused = client.send("POST /api/users/login", &wrong, Fields::Form).await;
        assert_eq!(refused.0, 401);
        assert_eq!(client.send("POST /api/users/login", &nobody, Fields::Form).await, refused);
        assert_eq!(client.call("GET /api/users/exists?username=form").await, (200, json!(true)));
        assert_eq!(client.call("GET /api/users/exists?username=free").await.0, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beers_answer_as_they_did() {
    on_both(async |_, client| {
        let (status, beers) = client.call("GET /api/beers/").await;
        assert_eq!(status, 200);
        let listed: Vec<_> =
            beers.as_array().unwrap().iter().map(|beer| (beer["sku"].clone(), beer["price"].clone())).collect();
        let fresh = [("123456", "1.19"), ("123457", "2.00"), ("123458", "1.50")];
        assert_eq!(listed, fresh.map(|(sku, price)| (json!(sku), json!(price))));
        let (status, beer) = client.call("GET /api/beers/123456").await;
        assert_eq!(status, 200);
        assert_has(&beer, json!({"name": "Бургаско", "sku": "123456", "price": "1.19"}));
        for field in ["id", "image", "time_created", "time_modified"] {
            assert!(beer[field].is_string(), "{field} in {beer}");
        }
        assert_eq!(client.call("GET /api/beers/999").await.0, 404);

        let (user, token) = client.user("brewer").await;
        let fields = [("sku", "77"), ("name", "Stout"), ("price", "3.5")];
        assert_eq!(client.send("POST /api/beers/", &fields, Fields::Form).await.0, 401);
        assert_eq!(client.with("wrong").send("POST /api/beers/", &fields, Fields::Form).await.0, 401);
        let (status, beer) = user.send("POST /api/beers/", &fields, Fields::Form).await;
        assert_eq!(status, 201, "{beer}");
        assert_has(&beer, json!({"sku": "77", "name": "Stout", "price": "3.50"}));
        assert_eq!(user.send("POST /api/beers", &fields, Fields::Json).await.0, 409);
        for price in ["-1", "1.999", "x"] {
            let fields = [("sku", "78"), ("name", "Bad"), ("price", price)];
            assert_eq!(user.send("POST /api/beers/", &fields, Fields::Form).await.0, 400, "{price}");
        }
        let bearer = client.with(&format!("Bearer {token}"));
        let (status, beer) = bearer.json("PUT /api/beers/77", json!({"name": "Porter", "price": 4.25})).await;
        assert_eq!(status, 200, "{beer}");
        assert_has(&beer, json!({"sku": "77", "name": "Porter", "price": "4.25"}));
        assert_eq!(bearer.json("PUT /api/beers/999", json!({"name": "x", "price": "1"})).await.0, 404);
        assert_eq!(client.call("DELETE /api/beers/77").await.0, 401);
        assert_eq!(user.call("DELETE /api/beers/77").await, (204, Value::Null));
        assert_eq!(user.call("DELETE /api/beers/77").await.0, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_answer_as_they_did() {
    on_both(async |_, client| {
        for call in
            ["GET /api/orders/", "GET /api/orders/current", "PUT /api/orders/current", "GET /api/orders/checkout"]
        {
            assert_eq!(client.call(call).await.0, 401, "{call}");
            assert_eq!(client.with("wrong").call(call).await.0, 401, "{call}");
        }
        let (user, _) = client.user("drinker").await;
        assert_eq!(user.call("GET /api/orders/").await, (200, json!([])));
        let (status, order) = user.call("GET /api/orders/current").await;
        assert_eq!((status, &order["is_open"], &order["beers"]), (200, &json!(true), &json!([])));
        let id = order["id"].as_str().unwrap().to_owned();
        let (status, still) = user.call("GET /api/orders/checkout").await;
        assert_eq!((status, &still["is_open"]), (200, &json!(true)), "an empty order stays open");

        for (way, quantity) in EVERY_WAY.into_iter().zip(["1", "2", "3"]) {
            let fields = [("sku", "123456"), ("quantity", quantity)];
            let (status, order) = user.send("PUT /api/orders/current", &fields, way).await;
            assert_eq!(status, 201, "{way:?}: {order}");
        }
        assert_eq!(user.json("PUT /api/orders/current", json!({"sku": "123458", "quantity": 2})).await.0, 201);
        let unknown = [("sku", "999"), ("quantity", "1")];
        assert_eq!(user.send("PUT /api/orders/current", &unknown, Fields::Form).await.0, 404);
        for quantity in ["0", "-1", "x"] {
            let fields = [("sku", "123456"), ("quantity", quantity)];
            assert_eq!(user.send("PUT /api/orders/current", &fields, Fields::Form).await.0, 400, "{quantity}");
        }
        assert_eq!(user.send("PUT /api/orders/current", &[("sku", "123456")], Fields::Form).await.0, 400);
        let (_, order) = user.call("GET /api/orders/current").await;
        let lines = order["beers"].as_array().unwrap();
        assert_eq!(lines.len(), 2, "{order}");
        assert_has(&lines[0], json!({"sku": "123456", "quantity": 6}));
        assert!(lines[0]["id"].is_string());

        assert_eq!(user.call("DELETE /api/orders/current").await.0, 400);
        assert_eq!(
            user.send("DELETE /api/orders/current", &[("sku", "123458")], Fields::Form).await,
            (204, Value::Null)
        );
        let (status, closed) = user.call("GET /api/orders/checkout").await;
        assert_eq!((status, &closed["is_open"], &closed["id"]), (200, &json!(false), &json!(id)));
        let (_, list) = user.call("GET /api/orders/").await;
        assert_has(&list[0], json!({"id": id, "is_open": false}));
        assert!(list[0]["time_created"].is_string() && list[0]["time_modified"].is_string());
        assert_eq!(user.call(&format!("GET /api/orders/{id}")).await.1["beers"][0]["quantity"], json!(6));
        let (other, _) = client.user("other").await;
        assert_eq!(other.call(&format!("GET /api/orders/{id}")).await.0, 404);
        assert_eq!(user.call("GET /api/orders/none").await.0, 404);
    })
    .await;
}
