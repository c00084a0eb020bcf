//! How a stream of JSON values is laid out: an array, lines, or server-sent events. In each of them an error after
//! the first element is an element of its own, so no client can take a broken stream for a complete one.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

use crate::elements;

#[cfg(test)]
mod tests;

/// A layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON array, for whoever asks for nothing else.
    Array,
    /// `application/x-ndjson`: a value a line.
    Lines,
    /// `text/event-stream`.
    Events,
}

impl Format {
    /// The layout that `Accept` likes best.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let known = |essence: &str| match essence {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Lines),
            "text/event-stream" => Some(Self::Events),
            "application/json" | "application/*" | "*/*" => Some(Self::Array),
            _ => None,
        };
        elements::accepted(headers, known).unwrap_or(Self::Array)
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }

    /// What comes before all elements. Not empty where headers alone would leave a client waiting.
    pub(super) fn open(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Array => b"[",
            Self::Lines => b"",
            Self::Events => b":\n\n",
        })
    }

    /// One element; `first` when none was written before it. Its id, unless empty, is what a client of server-sent events
    /// names when it comes again; one that no line can hold is none.
    pub(super) fn element(self, json: &[u8], id: &str, first: bool) -> Bytes {
        let mut bytes = BytesMut::with_capacity(json.len() + id.len() + 16);
        match self {
            Self::Array if first => {}
            Self::Array => bytes.put_u8(b','),
            Self::Lines => {}
            Self::Events => {
                if !id.is_empty() && !id.contains(['\r', '\n', '\0']) {
                    bytes.put_slice(&[b"id: ", id.as_bytes(), b"\n"].concat());
                }
                bytes.put_slice(b"data: ");
            }
        }
        bytes.put_slice(json);
        bytes.put_slice(match self {
            Self::Array => b"",
            Self::Lines => b"\n",
            Self::Events => b"\n\n",
        });
        bytes.freeze()
    }

    /// The last element of a stream that failed.
    pub(super) fn error(self, json: &[u8], first: bool) -> Bytes {
        match self {
            Self::Events => [b"event: error\n", self.element(json, "", first).as_ref()].concat().into(),
            _ => self.element(json, "", first),
        }
    }

    /// What comes after all elements.
    pub(super) fn close(self) -> Bytes {
        Bytes::from_static(if self == Self::Array { b"]" } else { b"" })
    }

    /// What keeps a quiet stream alive, where the layout has such a thing.
    pub(super) fn heartbeat(self) -> Option<Bytes> {
        (self == Self::Events).then(|| Bytes::from_static(b":\n\n"))
    }
}
