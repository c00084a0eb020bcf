//! Between HTTP's spellings of a message and its protobuf bytes: what `malla_transcode` does, on the edge's terms, where
//! bytes are shared and a raw body has a media type.

mod details;

use std::sync::Arc;

use bytes::Bytes;
use malla_transcode::bind::{self, RequestOptions, ResponseOptions};
use malla_transcode::check::Route;
use malla_transcode::explain::Bound;
use malla_transcode::json::{Defaults, EncodeError};
use malla_transcode::schema::{MessageId, Schema};
use tonic_types::pb;

use crate::config::{Enums, Json, Names};

pub(crate) use details::Details;
pub(crate) use malla_transcode::Violation;

/// The two fields of `google.api.HttpBody` that HTTP can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpBody {
    /// Media type; empty when not given.
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

/// What a request carries besides its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'i> {
    /// Values of the template's variables, decoded, in the template's order.
    pub(crate) variables: &'i [String],
    /// The query as it came.
    pub(crate) query: &'i str,
}

/// A request's body, by what it is.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Empty,
    Json(Bytes),
    Form(Bytes),
    /// For a body, or a field of it, of type `google.api.HttpBody`.
    Raw(HttpBody),
    /// See [`bind::Payload::Parts`].
    Parts {
        files: Vec<u8>,
        json: String,
        form: String,
    },
}

impl Payload {
    fn as_bind(&self) -> (bind::Payload<'_>, usize) {
        match self {
            Self::Empty => (bind::Payload::Empty, 0),
            Self::Json(text) => (bind::Payload::Json(text), text.len()),
            Self::Form(text) => (bind::Payload::Form(text), text.len()),
            Self::Raw(HttpBody { content_type, data }) => (bind::Payload::Raw { content_type, data }, data.len()),
            Self::Parts { files, json, form } => {
                let size = files.len() + json.len() + form.len();
                (bind::Payload::Parts { files, json: json.as_bytes(), form: form.as_bytes() }, size)
            }
        }
    }
}

/// A file as part of a message.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) wire: Vec<u8>,
    /// Whether there may be several in its field.
    pub(crate) repeats: bool,
}

/// How the requests of one binding become messages; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RequestPlan(Arc<bind::RequestPlan>);

impl RequestPlan {
    /// See [`bind::RequestPlan::compile`].
    pub(crate) fn compile(
        schema: Arc<Schema>,
        route: &Route<'_>,
        options: RequestOptions,
    ) -> Result<Self, Vec<String>> {
        bind::RequestPlan::compile(schema, route, options).map(|plan| Self(Arc::new(plan)))
    }

    /// Whether the rule declares a body.
    pub(crate) fn has_body(&self) -> bool {
        self.0.has_body()
    }

    /// The same message, all of it in the body.
    pub(crate) fn with_whole_body(&self) -> Self {
        Self(Arc::new(self.0.with_whole_body()))
    }

    /// Whether the body is raw bytes of any type.
    pub(crate) fn is_raw(&self) -> bool {
        self.0.is_raw()
    }

    /// Whether the binding takes what loosely typed clients send.
    pub(crate) fn is_lenient(&self) -> bool {
        self.0.is_lenient()
    }

    /// Makes the request message.
    ///
    /// # Errors
    /// All that is wrong with the request, by field.
    pub(crate) fn decode(&self, input: Input<'_>, payload: Payload) -> Result<Bytes, Vec<Violation>> {
        let (payload, size) = payload.as_bind();
        // What is written is rarely longer than what was read.
        let mut out = Vec::with_capacity(size);
        self.0.decode(input.variables, input.query, payload, &mut out)?;
        Ok(out.into())
    }

    /// See [`bind::RequestPlan::explain`].
    pub(crate) fn explain<S: AsRef<str>>(&self, variables: &[S], query: &str) -> Result<Vec<Bound>, Vec<Violation>> {
        self.0.explain(variables, query)
    }

    /// Makes a further message of a stream, which path and query are not in.
    ///
    /// # Errors
    /// All that is wrong with it, by field; also what contradicts the path.
    pub(crate) fn further(&self, variables: &[String], payload: Payload) -> Result<Bytes, Vec<Violation>> {
        let (payload, size) = payload.as_bind();
        let mut out = Vec::with_capacity(size);
        self.0.further(variables, payload, &mut out)?;
        Ok(out.into())
    }

    /// Makes a further message of a raw upload: the next piece and nothing else.
    pub(crate) fn piece(&self, data: Bytes) -> Bytes {
        let mut out = Vec::with_capacity(data.len());
        self.0.piece(&data, &mut out);
        out.into()
    }

    /// Makes what a message has more when a file is put into a field: of the body, which is `bytes` or
    /// `google.api.HttpBody`.
    ///
    /// # Errors
    /// The field is not there, or is of another type.
    pub(crate) fn file(&self, name: &str, file: HttpBody) -> Result<File, Violation> {
        let mut wire = Vec::with_capacity(file.data.len());
        let repeats = self.0.file(name, &file.content_type, &file.data, &mut wire)?;
        Ok(File { wire, repeats })
    }
}

/// How the responses of one binding are written; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ResponsePlan(bind::ResponsePlan);

/// One answer, or one element of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Json {
        text: Bytes,
        /// Of the next page, where the JSON cannot say it; else empty.
        next_page_token: String,
        /// Of an element of a stream, where its method says that it has one; else empty.
        event_id: String,
    },
    Raw(HttpBody),
}

impl ResponsePlan {
    pub(crate) fn new(schema: Arc<Schema>, route: &Route<'_>, json: &Json, types: &Types) -> Self {
        Self(bind::ResponsePlan::new(schema, route, types.options(json)))
    }

    /// See [`bind::ResponsePlan::with_event_id`].
    pub(crate) fn with_event_id(self, path: &str) -> Result<Self, String> {
        self.0.with_event_id(path).map(Self)
    }

    /// Writes a message as a whole, whichever method it comes from.
    pub(crate) fn whole(schema: Arc<Schema>, message: MessageId, json: &Json, types: &Types) -> Self {
        Self(bind::ResponsePlan::whole(schema, message, types.options(json)))
    }

    /// Whether answers are raw bytes.
    pub(crate) fn is_raw(&self) -> bool {
        self.0.is_raw()
    }

    /// Writes one message.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub(crate) fn encode(&self, wire: Bytes) -> Result<Output, EncodeError> {
        if self.is_raw() {
            let (content_type, data) = self.0.raw(&wire)?;
            return Ok(Output::Raw(HttpBody { content_type: content_type.to_owned(), data: wire.slice_ref(data) }));
        }
        // Names are written out, so there is more of it.
        let mut text = Vec::with_capacity(wire.len() * 2);
        self.0.json(&wire, &mut text)?;
        let next_page_token = self.0.next_page_token(&wire).to_owned();
        Ok(Output::Json { text: text.into(), next_page_token, event_id: self.0.event_id(&wire).to_owned() })
    }
}

/// Message types by name, whichever backend declares them: what an Any holds may come from any of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Types(Arc<[Arc<Schema>]>);

impl Types {
    /// Looks types up in Google's error details, then in these schemas.
    pub(crate) fn new(schemas: impl IntoIterator<Item = Arc<Schema>>) -> Self {
        let google = Schema::new(&[pb::FILE_DESCRIPTOR_SET]).map(Arc::new).ok();
        Self(google.into_iter().chain(schemas).collect())
    }

    /// A type by its full name.
    pub(crate) fn get(&self, name: &str) -> Option<(Arc<Schema>, MessageId)> {
        self.0.iter().find_map(|schema| Some((schema.clone(), schema.find_message(name)?)))
    }

    fn options(&self, json: &Json) -> ResponseOptions {
        ResponseOptions {
            proto_names: json.names == Names::Proto,
            enum_numbers: json.enums == Enums::Number,
            defaults: if json.emit_defaults { Defaults::Implicit } else { Defaults::Omit },
            types: self.0.clone(),
        }
    }
}
