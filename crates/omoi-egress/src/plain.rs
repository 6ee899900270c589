//! Plain HTTP to listed hosts: reading only, each request judged by itself.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use omoi_runtime::clock::{Clock, with_deadline};
use tokio::net::TcpStream;

use crate::host::EgressTarget;
use crate::refusal::{Refusal, RefusalReason};
use crate::reply::ProxyBody;
use crate::session::EgressSession;

/// How long a host may take to begin its answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Headers that end at a proxy.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Lets a request for reading through.
///
/// # Errors
/// Returns the refusal of every other.
pub(crate) fn check_reading(
    method: &Method,
    has_body: bool,
    target: &EgressTarget,
) -> Result<(), Refusal> {
    let is_reading = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    if !is_reading {
        return Err(Refusal::new(RefusalReason::MethodNotAllowed, target).with_detail(method));
    }
    if has_body {
        return Err(Refusal::new(RefusalReason::BodyNotAllowed, target));
    }
    Ok(())
}

/// Sends a request whose host was judged over the connection that was made for it.
pub(crate) async fn forward_request(
    request: Request<Incoming>,
    target: &EgressTarget,
    upstream: TcpStream,
    session: &Arc<EgressSession>,
    clock: &dyn Clock,
) -> Result<Response<ProxyBody>, Refusal> {
    let subject = target.to_string();
    let broken = |error: hyper::Error| {
        Refusal::new(RefusalReason::HostUnreachable, target).with_detail(error)
    };
    let outgoing = own_request(request, target)?;
    session.count_upload(&subject, head_bytes(&outgoing))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(upstream))
        .await
        .map_err(broken)?;
    let mut connection = Some(Box::pin(connection));
    let answered = async {
        let mut answer = pin!(sender.send_request(outgoing));
        // The connection is what moves the bytes; it may end before the short answer that it brought is seen.
        poll_fn(|context| {
            if let Some(driven) = &mut connection
                && let Poll::Ready(ended) = driven.as_mut().poll(context)
            {
                connection = None;
                ended?;
            }
            answer.as_mut().poll(context)
        })
        .await
    };
    let answer = with_deadline(clock, ANSWER_MAX, answered).await;
    let answer = answer.map_err(|passed| {
        Refusal::new(RefusalReason::HostUnreachable, target).with_detail(passed)
    })?;
    let mut answer = answer.map_err(broken)?;
    strip_own_headers(answer.headers_mut());
    Ok(answer.map(|body| {
        let body = CountedBody {
            connection,
            body,
            session: session.clone(),
            subject,
        };
        body.boxed_unsync()
    }))
}

/// The request as the host gets it: its own path, its own name, without what concerns the proxy.
fn own_request(
    request: Request<Incoming>,
    target: &EgressTarget,
) -> Result<Request<Empty<Bytes>>, Refusal> {
    let bad_target = || Refusal::new(RefusalReason::BadTarget, target);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri = Uri::try_from(path).map_err(|_| bad_target())?;
    let host = match target.port {
        80 => target.host.to_string(),
        _ => target.to_string(),
    };
    let (head, _) = request.into_parts();
    let mut outgoing = Request::new(Empty::new());
    *outgoing.method_mut() = head.method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = head.headers;
    strip_own_headers(outgoing.headers_mut());
    let host = HeaderValue::from_str(&host).map_err(|_| bad_target())?;
    outgoing.headers_mut().insert(HOST, host);
    outgoing
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(outgoing)
}

fn strip_own_headers(headers: &mut HeaderMap) {
    // A client may name more headers that end here.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in OWN_HEADERS {
        headers.remove(name);
    }
}

/// About what the head of a request weighs on the wire.
fn head_bytes(request: &Request<Empty<Bytes>>) -> u64 {
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let path = request.uri().path_and_query();
    let path = path.map_or(0, |path| path.as_str().len());
    (request.method().as_str().len() + path + headers + 32) as u64
}

type UpstreamConnection = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// The body of an answer: drives its connection, and counts what comes.
struct CountedBody {
    connection: Option<Pin<Box<UpstreamConnection>>>,
    body: Incoming,
    session: Arc<EgressSession>,
    subject: String,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = connection.as_mut().poll(context)
        {
            self.connection = None;
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(io::Error::other(error))));
            }
        }
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(frame)) => frame.map_err(io::Error::other)?,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        if let Err(refusal) = self.session.count_download(&self.subject, bytes) {
            self.session.note_refusal(&refusal);
            return Poll::Ready(Some(Err(io::Error::other(refusal))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn what_follows_the_question_mark_is_sent_too() {
        let head = |target: &str| {
            let mut request = Request::new(Empty::new());
            *request.uri_mut() = Uri::try_from(target).unwrap();
            head_bytes(&request)
        };
        let query = "x".repeat(1_000);
        assert_eq!(head(&format!("/a?{query}")), head("/a") + 1_001);
    }
}
