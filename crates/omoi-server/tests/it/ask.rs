//! One request to a router, and what came of it.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode};
use omoi_protocol::error::ErrorBody;
use tower::ServiceExt as _;

/// A route by its method and its path as the router has it, and a request to it.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As in the source, below the place the routes are nested at.
    pub(crate) at: &'static str,
    /// Whether it reads a body.
    pub(crate) takes_body: bool,
}

pub(crate) const fn get(at: &'static str) -> Route {
    Route {
        method: Method::GET,
        at,
        takes_body: false,
    }
}

pub(crate) const fn post(at: &'static str) -> Route {
    Route {
        method: Method::POST,
        at,
        takes_body: false,
    }
}

impl Route {
    pub(crate) const fn with_body(mut self) -> Self {
        self.takes_body = true;
        self
    }
}

/// Status and text of the answer.
pub(crate) async fn ask(
    router: &Router,
    (method, path): (&Method, &str),
    token: Option<&str>,
    body: Body,
) -> (StatusCode, String) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "127.0.0.1:8000")
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(body).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let text = to_bytes(response.into_body(), 1 << 23).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

/// Status and code of a refusal, which has the one shape of all refusals.
pub(crate) fn refusal((status, text): (StatusCode, String)) -> (u16, String) {
    let body: ErrorBody =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text}"));
    assert!(!body.message.is_empty());
    (status.as_u16(), body.error)
}

/// Every path that a source file registers must be in the table of its test.
pub(crate) fn assert_lists_every_route<'a>(
    source: &'a str,
    listed: impl IntoIterator<Item = &'a str>,
) {
    let registered: BTreeSet<&str> = source
        .split(".route(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(registered, listed.into_iter().collect());
}
