//! Where transcoders disagree: each row a request, and what both answer: the status, and a text the answer holds, or,
//! after a `!`, does not hold.

/// One request.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    pub(super) headers: &'static [&'static str],
    pub(super) body: &'static str,
    pub(super) envoy: (u16, &'static str),
    pub(super) malla: (u16, &'static str),
}

/// Envoy passes on what it does not transcode, and the backend has no such method.
const UNSEEN: (u16, &str) = (200, "grpc-status: 12");
const JSON: &[&str] = &["content-type: application/json"];

const fn get(name: &'static str, target: &'static str, envoy: (u16, &'static str), malla: (u16, &'static str)) -> Row {
    Row { name, method: "GET", target, headers: &[], body: "", envoy, malla }
}

const fn post(
    name: &'static str,
    target: &'static str,
    body: &'static str,
    envoy: (u16, &'static str),
    malla: (u16, &'static str),
) -> Row {
    Row { name, method: "POST", target, headers: JSON, body, envoy, malla }
}

pub(super) const ROWS: &[Row] = &[
    get("an escaped slash in a variable", "/v1/items/a%2Fb", (200, r#""id":"a/b""#), (200, r#""id":"a/b""#)),
    get("escaped twice, decoded once", "/v1/items/a%252Fb", (200, r#""id":"a%2Fb""#), (200, r#""id":"a%2Fb""#)),
    get("a broken escape", "/v1/items/a%zz", (200, r#""id":"a%zz""#), (400, "has a '%'")),
    get("escapes in `**`", "/v1/deep/c%20d%3A", (200, r#""id":"c d%3A""#), (200, r#""id":"c d:""#)),
    get("an empty last segment", "/v1/items/", UNSEEN, (404, r#""code":5"#)),
    get("a trailing slash", "/v1/items/a/", (200, r#""id":"a""#), (404, r#""code":5"#)),
    get("`**` of no segment", "/v1/deep", (200, r#""rpc":"Deep""#), (200, r#""rpc":"Deep""#)),
    get("an empty segment in the middle", "/v1/between//x", (200, r#""rpc":"Between""#), (404, r#""code":5"#)),
    get("an escaped letter of a literal", "/v1/lit%2Deral", UNSEEN, (200, r#""rpc":"Literal""#)),
    get("a colon that is no verb there", "/v1/items/a:b", (200, r#""id":"a:b""#), (200, r#""id":"a:b""#)),
    get("a verb that another method has", "/v1/items/a:go", UNSEEN, (200, r#""id":"a:go""#)),
    get("any method, and a verb", "/v1/star/q:go", UNSEEN, (200, r#""rpc":"Star""#)),
    get("any method, and another's verb", "/v1/any/q:go", (200, r#""id":"q""#), (200, r#""id":"q:go""#)),
    get("a literal beside a variable", "/v1/items/special", (200, r#""rpc":"Special""#), (200, r#""rpc":"Special""#)),
    get("a literal of another method", "/v1/meth/x", (200, r#""rpc":"GetOne""#), (200, r#""rpc":"GetOne""#)),
    Row {
        name: "a method the path has not",
        method: "PUT",
        target: "/v1/items/a",
        headers: &[],
        body: "",
        envoy: UNSEEN,
        malla: (405, "allow: GET, HEAD, OPTIONS"),
    },
    get("the path's field again in the query", "/v1/items/a?id=z", (200, r#""id":"z""#), (400, "differs")),
    get("the same value again in the query", "/v1/items/a?id=a", (200, r#""id":"a""#), (200, r#""id":"a""#)),
    post("the path's field again in the body", "/v1/all/p", r#"{"id":"b"}"#, (200, r#""id":"b""#), (400, "differs")),
    get("a field given twice", "/v1/items/a?big=1&big=2", (200, r#""big":"2""#), (400, "twice")),
    get("an unknown parameter", "/v1/items/a?zzz=1", UNSEEN, (400, "zzz")),
    get("a bool without a value", "/v1/items/a?flag", (200, r#""rpc":"Get""#), (400, "flag")),
    post("a query beside a whole body", "/v1/all/p?name=q", "{}", (200, r#""name":"q""#), (400, "name")),
    Row {
        name: "a body where none is declared",
        method: "GET",
        target: "/v1/items/a",
        headers: JSON,
        body: r#"{"name":"x"}"#,
        envoy: (200, r#""name":"x""#),
        malla: (400, "no body"),
    },
    post("an unknown field", "/v1/all/p", r#"{"nmae":"x"}"#, (200, r#""rpc":"All""#), (400, "did you mean name")),
    post("JSON that is none", "/v1/all/p", r#"{name:"x",}"#, (200, r#""name":"x""#), (400, "")),
    post("a name twice", "/v1/all/p", r#"{"name":"x","name":"y"}"#, (200, r#""name":"y""#), (400, "twice")),
    get("an open enum's unknown number", "/v1/items/a?color=7", (400, ""), (200, r#""color":7"#)),
    get("a plus in a query", "/v1/items/a?name=a+b", (200, r#""name":"a+b""#), (200, r#""name":"a b""#)),
    get("a duration of Go's", "/v1/items/a?wait=1m", (400, ""), (400, "wait")),
    get("an entry of a map", "/v1/items/a?labels[k]=v", UNSEEN, (200, r#""labels":{"k":"v"}"#)),
    get("a repeated message", "/v1/items/a?subs.x=1", (200, r#""subs":[{"x":1}]"#), (400, "subs")),
    get("an escaped dot in a name", "/v1/items/a?sub%2Ex=1", UNSEEN, (200, r#""sub":{"x":1}"#)),
    get("two of a oneof", "/v1/items/a?left=1&right=2", (400, ""), (400, "choice")),
    Row {
        name: "JSON as text/plain",
        method: "POST",
        target: "/v1/all/p",
        headers: &["content-type: text/plain"],
        body: r#"{"name":"x"}"#,
        envoy: (200, r#""name":"x""#),
        malla: (415, ""),
    },
    get("a stream", "/v1/many/x", (200, r#"[{"id":"1"},{"id":"2"}]"#), (200, r#"{"id":"1"}"#)),
    get("a stream that breaks", "/v1/many/broken", (200, r#"[{"id":"1"},{"id":"2"}]"#), (200, r#""code":15"#)),
    post("a client stream", "/v1/collect", r#"[{"id":"1"},{"id":"2"}]"#, (200, r#""big":"2""#), (200, r#""big":"2""#)),
    Row {
        name: "a client stream, line by line",
        method: "POST",
        target: "/v1/collect",
        headers: &["content-type: application/x-ndjson"],
        body: "{\"id\":\"1\"}\n{\"id\":\"2\"}\n",
        envoy: (400, ""),
        malla: (200, r#""big":"2""#),
    },
    get("a detail of an unknown type", "/v1/fail", (404, "grpc-status-details-bin"), (404, r#""value":"CAE=""#)),
    Row {
        name: "CORS preflight",
        method: "OPTIONS",
        target: "/v1/items/a",
        headers: &["origin: http://a.example", "access-control-request-method: GET"],
        body: "",
        envoy: UNSEEN,
        malla: (204, "allow: GET"),
    },
    Row {
        name: "CORS preflight, of an origin that nobody allowed",
        method: "OPTIONS",
        target: "/v1/items/a",
        headers: &["origin: http://a.example", "access-control-request-method: GET"],
        body: "",
        envoy: UNSEEN,
        malla: (204, "!access-control-"),
    },
    get("fields with their defaults", "/v1/items/a", (200, r#"!"flag""#), (200, r#"!"flag""#)),
    get("what follows a message", "/v1/items/a", (200, "!lab-after"), (200, "lab-after: 1")),
    Row {
        name: "what follows a message, for a client that takes trailers",
        method: "GET",
        target: "/v1/items/a",
        headers: &["te: trailers"],
        body: "",
        envoy: (200, "!lab-after"),
        malla: (200, "trailer: lab-after"),
    },
    Row {
        name: "HEAD on a GET rule",
        method: "HEAD",
        target: "/v1/items/a",
        headers: &[],
        body: "",
        envoy: UNSEEN,
        malla: (200, "content-length: 22"),
    },
];
