//! The right caller's request with an `Idempotency-Key`, and the same one again.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request};
use serde_json::Value;
use tower::ServiceExt as _;

use super::asked::Asked;

/// The name of a request. Each operation is asked on rows as they were before, so that all have the same one.
const KEY: &str = "once";
/// Operations that end the credential that they are asked with, so that the same request is a stranger's.
const ENDING: [&str; 4] = [
    "accept_ownership",
    "change_password",
    "sign_out",
    "sign_out_everywhere",
];

/// A request that was answered.
pub(super) struct NamedRequest {
    token: String,
    status: u16,
    told: Value,
}

/// What a request is answered.
struct NamedAnswer {
    status: u16,
    is_replayed: bool,
    told: Value,
}

impl Asked<'_> {
    /// Asks with a key.
    pub(super) async fn ask_named(&self, token: &str) -> (u16, Value, NamedRequest) {
        let answer = self.send_named(self.request(Some(token), false)).await;
        let named = NamedRequest {
            token: token.to_owned(),
            status: answer.status,
            told: answer.told.clone(),
        };
        (answer.status, answer.told, named)
    }

    async fn send_named(&self, mut request: Request<Body>) -> NamedAnswer {
        let key = HeaderValue::from_static(KEY);
        request.headers_mut().insert("idempotency-key", key);
        let router = self
            .stage
            .world
            .router_of(&self.operation.path, self.scene.door);
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let is_replayed = response.headers().contains_key("idempotent-replayed");
        let text = to_bytes(response.into_body(), 1 << 23).await.unwrap();
        NamedAnswer {
            status,
            is_replayed,
            told: serde_json::from_slice(&text).unwrap_or(Value::Null),
        }
    }

    /// Asks the same again, and then with another body; gives what is wrong.
    pub(super) async fn repeat_named(&self, named: &NamedRequest) -> Vec<String> {
        let mut wrong = Vec::new();
        let name = self.operation.name();
        let again = self.request(Some(&named.token), false);
        let NamedAnswer {
            status,
            is_replayed,
            told,
        } = self.send_named(again).await;
        let is_same = is_replayed && status == named.status && told == named.told;
        let is_told_once = status == 409 && told["error"] == "already_shown";
        let is_ended = status == 401 && ENDING.contains(&self.operation.id());
        if !(is_same || is_told_once || is_ended) {
            wrong.push(format!(
                "{name}: again got {status} {told}, not {} {}",
                named.status, named.told
            ));
        }
        let (parts, body) = self.request(Some(&named.token), false).into_parts();
        let mut bytes = to_bytes(body, 1 << 23).await.unwrap().to_vec();
        bytes.push(b' ');
        let other = Request::from_parts(parts, Body::from(bytes));
        let NamedAnswer { status, told, .. } = self.send_named(other).await;
        let is_refused = status == 409 && told["error"] == "idempotency_key_reused";
        if !(is_refused || is_ended) {
            wrong.push(format!("{name}: with another body got {status} {told}"));
        }
        wrong
    }
}
