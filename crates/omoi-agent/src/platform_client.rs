//! HTTP client of the platform's worker routes, with retries.

use std::path::Path;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use omoi_domain::time::Timestamp;
use omoi_protocol::error::ErrorBody;
use omoi_protocol::worker::AttemptContext;
use omoi_runtime::clock::Clocked;
use omoi_runtime::rng::Rng;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A turn may carry a large snapshot that the platform checks before it answers.
const REQUEST_MAX: Duration = Duration::from_mins(3);
/// How long a connection is kept for the next call: shorter than the platform keeps one that is silent.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(20);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a call to the platform failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The attempt is over for the platform.
    #[error("this attempt was superseded")]
    Superseded,
    /// The request breaks a rule.
    #[error("{message}")]
    Refused {
        /// HTTP status of the answer.
        status: u16,
        /// Reason that the platform gave.
        message: String,
    },
    /// It did not answer in time, or answered that it cannot just now.
    #[error("the platform could not be reached before the time was up")]
    Unreachable(#[source] TransportError),
    /// Its answer makes no sense.
    #[error("the platform's answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Why one try failed, in a way that a retry may mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The connection could not be made or broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The platform answered with a status that may pass.
    #[error("it answered with status {0}")]
    Status(u16),
}

/// Calls the platform with the attempt's token; clones share the connections.
#[derive(Clone, Debug)]
pub(crate) struct PlatformClient {
    http: Client,
    base: String,
    token: SecretString,
    clock: Clocked,
    rng: Rng,
    deadline: Timestamp,
}

/// A client of what listens on `socket`. Nothing is encrypted there: the root certificates of the machine, which take
/// milliseconds to read, stay unread, and so do variables that name a proxy.
pub(crate) fn socket_client(socket: &Path) -> ClientBuilder {
    Client::builder()
        .unix_socket(socket)
        .no_proxy()
        .tls_certs_only([])
}

enum TryResult {
    Done(Vec<u8>),
    Final(CallError),
    Again(TransportError, Option<Duration>),
}

impl PlatformClient {
    /// A client for `context` that retries calls until `deadline`.
    pub(crate) fn new(
        context: &AttemptContext,
        clock: &Clocked,
        rng: &Rng,
        deadline: Timestamp,
    ) -> Result<Self, reqwest::Error> {
        let http = socket_client(Path::new(&context.socket))
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build()?;
        Ok(Self {
            http,
            // The host is never looked up.
            base: format!("http://platform/api/v1/sandboxes/{}", context.sandbox_id),
            token: context.token.clone().into(),
            clock: clock.clone(),
            rng: rng.clone(),
            deadline,
        })
    }

    /// The same client with another deadline.
    pub(crate) fn with_deadline(&self, deadline: Timestamp) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Posts `body` and reads the answer.
    pub(crate) async fn post_json<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, CallError> {
        let answer = self.post_only(path, body).await?;
        serde_json::from_slice(&answer).map_err(CallError::Unreadable)
    }

    /// Posts `body`; gives the answer's bytes unparsed.
    pub(crate) async fn post_only(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, CallError> {
        let bytes = serde_json::to_vec(body).map_err(CallError::Unreadable)?;
        self.call_with_retries(Method::POST, path, Some(bytes))
            .await
    }

    /// Gets what is at `path`.
    pub(crate) async fn get_json<A: DeserializeOwned>(&self, path: &str) -> Result<A, CallError> {
        let answer = self.call_with_retries(Method::GET, path, None).await?;
        serde_json::from_slice(&answer).map_err(CallError::Unreadable)
    }

    async fn call_with_retries(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, CallError> {
        let mut pause = PAUSE_MIN;
        loop {
            let (trouble, after) = match self.call_once(&method, path, body.clone()).await {
                TryResult::Done(answer) => return Ok(answer),
                TryResult::Final(error) => return Err(error),
                TryResult::Again(trouble, after) => (trouble, after),
            };
            // Workers that lost one platform together do not come back to it together.
            let wait =
                after.unwrap_or_else(|| pause.mul_f64(0.75 + self.rng.unit_fraction() / 2.0));
            if self.clock.now() + wait >= self.deadline {
                return Err(CallError::Unreachable(trouble));
            }
            tracing::debug!(path, error = %trouble, "Trying again");
            self.clock.sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn call_once(&self, method: &Method, path: &str, body: Option<Vec<u8>>) -> TryResult {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(self.token.expose_secret())
            .timeout(REQUEST_MAX);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return TryResult::Again(TransportError::Connection(error), None),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.parse().ok());
        let answer = match response.bytes().await {
            Ok(answer) => answer.to_vec(),
            Err(error) => return TryResult::Again(TransportError::Connection(error), None),
        };
        if status.is_success() {
            return TryResult::Done(answer);
        }
        // It may be crowded or slow for now; what it did not take comes again.
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
        if passes || status.is_server_error() {
            return TryResult::Again(
                TransportError::Status(status.as_u16()),
                after.map(Duration::from_secs),
            );
        }
        TryResult::Final(read_refusal(status, &answer))
    }
}

fn read_refusal(status: StatusCode, answer: &[u8]) -> CallError {
    let error_body = serde_json::from_slice::<ErrorBody>(answer).ok();
    let superseded = match status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::CONFLICT => error_body
            .as_ref()
            .is_none_or(|body| body.error == "superseded_attempt"),
        _ => false,
    };
    if superseded {
        return CallError::Superseded;
    }
    let message = error_body.map_or_else(
        || format!("the platform answered with status {status}"),
        |body| match body.hint {
            Some(hint) => format!("{} ({hint})", body.message),
            None => body.message,
        },
    );
    CallError::Refused {
        status: status.as_u16(),
        message,
    }
}
