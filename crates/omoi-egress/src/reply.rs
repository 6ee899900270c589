//! Answers of the proxy to its clients.

use std::io;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio_util::io::ReaderStream;

use crate::refusal::{REASON_HEADER, Refusal, RefusalReason};
use crate::service::{RegistryReply, ReplyContent};

/// Bytes that are read from a file of the cache at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Seconds after which a client that asked too fast may ask again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The body of an answer.
pub type ProxyBody = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is there as a whole.
pub(crate) fn whole_body(bytes: Bytes) -> ProxyBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A refusal as an answer: why in a header, the whole story as text.
pub fn refusal_response(refusal: &Refusal) -> Response<ProxyBody> {
    let mut response = Response::new(whole_body(refusal.full_text().into()));
    *response.status_mut() = refusal.status_code();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        REASON_HEADER,
        HeaderValue::from_static(refusal.reason.as_str()),
    );
    if refusal.reason == RefusalReason::RequestRate {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// What a registry answers, as an answer of the proxy.
pub(crate) fn registry_response(reply: RegistryReply) -> Response<ProxyBody> {
    let (body, length) = match reply.content {
        ReplyContent::Missing => {
            let mut response = Response::new(whole_body(Bytes::from_static(b"not found\n")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        ReplyContent::Document(bytes) => {
            let length = bytes.len() as u64;
            (whole_body(bytes), Some(length))
        }
        ReplyContent::Spooled {
            file,
            bytes,
            permit,
        } => {
            let stream = ReaderStream::with_capacity(file, CHUNK_BYTES);
            let stream = stream.map_ok(move |chunk| {
                // It counts until the last of the file is read.
                let _held = &permit;
                Frame::data(chunk)
            });
            (StreamBody::new(stream).boxed_unsync(), Some(bytes))
        }
        ReplyContent::Cached { file, bytes } => {
            let stream = ReaderStream::with_capacity(file, CHUNK_BYTES).map_ok(Frame::data);
            (StreamBody::new(stream).boxed_unsync(), Some(bytes))
        }
        ReplyContent::Arriving(reader) => {
            let length = reader.declared_bytes();
            let stream = reader.into_stream().map(|chunk| chunk.map(Frame::data));
            (StreamBody::new(stream).boxed_unsync(), length)
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
