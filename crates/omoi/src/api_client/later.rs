//! Requests that a server asks to send again later: too many came, or it cannot answer for now.

use std::time::Duration;

use omoi_runtime::clock::Clocked;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Request, RequestBuilder, Response, StatusCode};

use super::IDEMPOTENCY_KEY;

/// Times that one request is sent again.
const RESENDS_MAX: usize = 3;
/// The longest wait for one answer. A server that asks for more has its refusal told at once.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Sends `request`, and again where it may be and the server says when to come back; people are told of the wait.
///
/// A change without a key of its own is sent once, whatever the server says of it.
pub(super) async fn send_until_let_in(
    clock: &Clocked,
    request: RequestBuilder,
) -> Result<Response, reqwest::Error> {
    let (http, request) = request.build_split();
    let mut request = request?;
    let may_repeat = may_repeat(&request);
    for _ in 0..RESENDS_MAX {
        // None of a body that can be read only once.
        let again = may_repeat.then(|| request.try_clone()).flatten();
        let response = http.execute(request).await?;
        let (Some(again), Some(wait)) = (again, asked_wait(&response)) else {
            return Ok(response);
        };
        let why = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => "lets no more requests in",
            _ => "cannot answer",
        };
        eprintln!(
            "The server {why} for now; asking again in {} s",
            wait.as_secs()
        );
        clock.sleep(wait).await;
        request = again;
    }
    http.execute(request).await
}

/// Whether a request does the same however often it comes.
fn may_repeat(request: &Request) -> bool {
    let is_repeatable = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
    is_repeatable.contains(request.method()) || request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// How long the server asks to wait, where it lets nobody in now and the wait is one that people wait for.
fn asked_wait(response: &Response) -> Option<Duration> {
    let is_later = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let told = response.headers().get(RETRY_AFTER).filter(|_| is_later)?;
    let seconds = told.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait <= WAIT_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderMap;
    use axum::response::IntoResponse as _;
    use axum::{Json, Router, routing};
    use omoi_runtime::clock::{Clock as _, ManualClock};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::api_client::{ApiClient, ClientEndpoint, ClientError};

    /// A server that refuses so many requests before it answers with how many there were.
    struct BusyServer {
        client: ApiClient,
        clock: ManualClock,
        n_asked: Arc<AtomicUsize>,
        _serving: JoinSet<std::io::Result<()>>,
    }

    impl BusyServer {
        async fn refusing(
            n_refusals: usize,
            status: u16,
            retry_after: Option<&'static str>,
        ) -> Self {
            let n_asked = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&n_asked);
            let answer = move || async move {
                let n = counted.fetch_add(1, Ordering::SeqCst);
                if n >= n_refusals {
                    return Json(n + 1).into_response();
                }
                let mut headers = HeaderMap::new();
                if let Some(told) = retry_after {
                    headers.insert(RETRY_AFTER, told.parse().unwrap());
                }
                (StatusCode::from_u16(status).unwrap(), headers).into_response()
            };
            let router = Router::new().fallback(routing::any(answer));
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let endpoint = ClientEndpoint::Loopback(listener.local_addr().unwrap());
            let mut serving = JoinSet::new();
            serving.spawn(async move { axum::serve(listener, router).await });
            let clock = ManualClock::default();
            let client = ApiClient::new(&endpoint, None).unwrap();
            Self {
                client: client.with_clock(Arc::new(clock.clone())),
                clock,
                n_asked,
                _serving: serving,
            }
        }

        /// What `asked` comes to, and how many seconds it waited.
        async fn waited<T>(
            &self,
            asked: impl Future<Output = Result<T, ClientError>>,
        ) -> (Option<T>, u64) {
            let began = self.clock.now();
            let advance = async {
                loop {
                    self.clock.wait_for_sleepers(1).await;
                    let until = self.clock.next_deadline().unwrap();
                    self.clock.advance(until.since(self.clock.now()));
                    tokio::task::yield_now().await;
                }
            };
            let answered = tokio::select! {
                answered = asked => answered,
                () = advance => unreachable!("it never ends"),
            };
            (answered.ok(), self.clock.now().since(began).as_secs())
        }

        fn n_asked(&self) -> usize {
            self.n_asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn what_may_be_repeated_waits_as_long_as_the_server_asks() {
        for status in [429, 503] {
            let server = BusyServer::refusing(2, status, Some("7")).await;
            let read = server
                .waited(server.client.get_json::<usize>("/specs"))
                .await;
            assert_eq!(read, (Some(3), 14), "{status}");
            let server = BusyServer::refusing(1, status, Some("60")).await;
            let once = server
                .client
                .post_once::<_, usize>("/specs/launch", &"body");
            assert_eq!(server.waited(once).await, (Some(2), 60), "{status}");
        }
    }

    #[tokio::test]
    async fn other_refusals_are_told_at_once() {
        for (status, retry_after) in [
            (429, None),
            (503, None),
            (429, Some("61")),
            (429, Some("soon")),
            (409, Some("1")),
        ] {
            let server = BusyServer::refusing(1, status, retry_after).await;
            let read = server
                .waited(server.client.get_json::<usize>("/specs"))
                .await;
            assert_eq!(
                (read, server.n_asked()),
                ((None, 0), 1),
                "{status} {retry_after:?}"
            );
        }
        // Whether a change was made nobody could tell.
        let server = BusyServer::refusing(1, 429, Some("1")).await;
        let post = server.client.post_json::<_, usize>("/auth/login", &"body");
        assert_eq!(
            (server.waited(post).await, server.n_asked()),
            ((None, 0), 1)
        );
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let server = BusyServer::refusing(usize::MAX, 429, Some("2")).await;
        let read = server
            .waited(server.client.get_json::<usize>("/specs"))
            .await;
        assert_eq!((read, server.n_asked()), ((None, 6), 4));
    }
}
