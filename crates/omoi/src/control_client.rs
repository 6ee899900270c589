//! Asks the process that owns the data folder, over its socket or over HTTP.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::event::StoredEvent;
use omoi_domain::id::EgressEntryId;
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{
    AllowEgress, AllowedEgress, CreateSpec, EgressLogView, ExecutionStatus, ExportedFile, HERE,
    ProcessStatus, RepositoryTrustView, ResumeSpec, SetUpRepository, SetupView, SpecDetail,
    SpecTrace, SpecView, SteerTask, TaskDetail, TaskLog, TaskView, TrustRepository,
};
use omoi_protocol::error::ErrorBody;
use omoi_protocol::summary::RunSummary;

const CONNECT: Duration = Duration::from_secs(10);

/// Where the owner answers.
#[derive(Clone, Debug)]
pub(crate) enum ClientEndpoint {
    /// A socket in the data folder.
    Socket(PathBuf),
    /// A port of this machine.
    Loopback(SocketAddr),
    /// An `api` process at this address.
    Url(String),
}

/// Why an answer did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The owner refused, and said why.
    #[error("{message}")]
    Refused {
        /// Stable code of the refusal, such as `not_found`.
        code: String,
        /// What happened and where, for people.
        message: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
        /// Id that the log of the process has the failure under, where it is one of its own.
        request_id: Option<String>,
    },
    /// No process answers at the endpoint.
    #[error("no answer from the process that owns the data")]
    Unreachable(#[source] reqwest::Error),
    /// The answer does not read as what was asked for.
    #[error("the answer could not be read; is the other process of the same version?")]
    Answer(#[source] serde_json::Error),
}

impl ClientError {
    /// What to do about it.
    pub(crate) fn refusal_hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Unreachable(_) => {
                Some("start it again with `omoi up`, or wait until it has stopped")
            }
            Self::Answer(_) => None,
        }
    }

    /// Id that the log of the process has the failure under.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => request_id.as_deref(),
            Self::Unreachable(_) | Self::Answer(_) => None,
        }
    }
}

/// `text` as one part of an address.
fn path_segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// How far the log of a task was read; zero in both is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// Sequence number of the last event of an agent.
    pub(crate) after: i64,
    /// Sequence number of the last event of the platform.
    pub(crate) after_event: i64,
}

/// A client of one owner.
#[derive(Clone, Debug)]
pub(crate) struct ControlClient {
    http: reqwest::Client,
    base: String,
    token: String,
    here: Option<HeaderValue>,
}

impl ControlClient {
    /// A client of the owner at `endpoint`.
    pub(crate) fn new(endpoint: &ClientEndpoint, token: String) -> Result<Self, ClientError> {
        let builder = || reqwest::Client::builder().connect_timeout(CONNECT);
        // Nothing is encrypted on this machine: its root certificates stay unread.
        let here = || builder().no_proxy().tls_certs_only([]);
        let (builder, base) = match endpoint {
            ClientEndpoint::Socket(path) => {
                let base = "http://omoi".to_owned();
                (here().unix_socket(path.clone()), base)
            }
            ClientEndpoint::Loopback(address) => (here(), format!("http://{address}")),
            ClientEndpoint::Url(url) => (builder(), url.trim_end_matches('/').to_owned()),
        };
        let http = builder.build().map_err(ClientError::Unreachable)?;
        let here = None;
        Ok(Self {
            http,
            base,
            token,
            here,
        })
    }

    /// The same client, asking from the repository at `here`.
    #[must_use]
    pub(crate) fn asking_from(mut self, here: Option<&Path>) -> Self {
        let value = here.map(|path| HeaderValue::from_bytes(path.as_os_str().as_bytes()));
        self.here = value.and_then(Result::ok);
        self
    }

    fn new_request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base))
            .bearer_auth(&self.token);
        match &self.here {
            Some(here) => request.header(HERE, here),
            None => request,
        }
    }

    async fn send_request(request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(ClientError::Unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.map_err(ClientError::Unreachable)?;
        Err(match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => ClientError::Refused {
                request_id: body
                    .has_code(ErrorCode::Internal)
                    .then_some(body.request_id),
                code: body.error,
                message: body.message,
                hint: body.hint,
            },
            Err(_) => ClientError::Refused {
                code: status.as_u16().to_string(),
                message: format!("{status}: {text}"),
                hint: None,
                request_id: None,
            },
        })
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Self::read_json(Self::send_request(self.new_request(Method::GET, path)).await?).await
    }

    async fn post_json<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        Self::read_json(Self::send_request(self.new_request(Method::POST, path).json(body)).await?)
            .await
    }

    async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
        let text = response.text().await.map_err(ClientError::Unreachable)?;
        serde_json::from_str(&text).map_err(ClientError::Answer)
    }

    pub(crate) async fn get_status(&self) -> Result<ProcessStatus, ClientError> {
        self.get_json("/status").await
    }

    pub(crate) async fn create_spec(&self, body: &CreateSpec) -> Result<SpecView, ClientError> {
        self.post_json("/specs", body).await
    }

    pub(crate) async fn get_trust(&self, repo: &str) -> Result<RepositoryTrustView, ClientError> {
        let repo = percent_encode(repo);
        self.get_json(&format!("/trust?repo={repo}")).await
    }

    pub(crate) async fn trust_repository(
        &self,
        body: &TrustRepository,
    ) -> Result<RepositoryTrustView, ClientError> {
        self.post_json("/trust", body).await
    }

    pub(crate) async fn set_up_repository(
        &self,
        body: &SetUpRepository,
    ) -> Result<SetupView, ClientError> {
        self.post_json("/setup", body).await
    }

    pub(crate) async fn list_specs(&self) -> Result<Vec<SpecView>, ClientError> {
        self.get_json("/specs").await
    }

    /// The spec that a command is about to change.
    pub(crate) async fn get_spec_to_act(&self, spec: &str) -> Result<SpecView, ClientError> {
        self.get_json(&format!("/specs/{}?act=true", path_segment(spec)))
            .await
    }

    pub(crate) async fn get_spec_detail(&self, spec: &str) -> Result<SpecDetail, ClientError> {
        self.get_json(&format!("/specs/{}/detail", path_segment(spec)))
            .await
    }

    pub(crate) async fn get_spec_summary(&self, spec: &str) -> Result<RunSummary, ClientError> {
        let path = format!("/specs/{}/summary", path_segment(spec));
        let status = self.get_json::<ExecutionStatus>(&path).await?;
        Ok(status.into())
    }

    pub(crate) async fn export_spec(&self, spec: &str) -> Result<Vec<ExportedFile>, ClientError> {
        self.get_json(&format!("/specs/{}/export", path_segment(spec)))
            .await
    }

    pub(crate) async fn trace_spec(&self, spec: &str) -> Result<SpecTrace, ClientError> {
        self.get_json(&format!("/specs/{}/trace", path_segment(spec)))
            .await
    }

    /// Has the process let `entries` through from now on.
    pub(crate) async fn allow_egress(
        &self,
        entries: &AllowEgress,
    ) -> Result<AllowedEgress, ClientError> {
        self.post_json("/egress", entries).await
    }

    pub(crate) async fn list_egress(
        &self,
        spec: &str,
        outcome: Option<EgressOutcome>,
        before: Option<EgressEntryId>,
    ) -> Result<EgressLogView, ClientError> {
        let outcome = outcome.map(|outcome| format!("outcome={outcome}"));
        let before = before.map(|before| format!("before={before}"));
        let query: Vec<_> = outcome.into_iter().chain(before).collect();
        let path = format!("/specs/{}/egress?{}", path_segment(spec), query.join("&"));
        self.get_json(&path).await
    }

    pub(crate) async fn approve_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        self.post_json(&format!("/specs/{}/approve", path_segment(spec)), &())
            .await
    }

    pub(crate) async fn resume_spec(
        &self,
        spec: &str,
        asked: ResumeSpec,
    ) -> Result<SpecView, ClientError> {
        self.post_json(&format!("/specs/{}/resume", path_segment(spec)), &asked)
            .await
    }

    pub(crate) async fn deliver_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        self.post_json(&format!("/specs/{}/deliver", path_segment(spec)), &())
            .await
    }

    pub(crate) async fn cancel_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        self.post_json(&format!("/specs/{}/cancel", path_segment(spec)), &())
            .await
    }

    pub(crate) async fn list_tasks(
        &self,
        spec: Option<&str>,
    ) -> Result<Vec<TaskView>, ClientError> {
        match spec {
            Some(spec) => {
                self.get_json(&format!("/tasks?spec={}", path_segment(spec)))
                    .await
            }
            None => self.get_json("/tasks").await,
        }
    }

    pub(crate) async fn get_task_detail(&self, task: &str) -> Result<TaskDetail, ClientError> {
        self.get_json(&format!("/tasks/{}/detail", path_segment(task)))
            .await
    }

    pub(crate) async fn retry_task(&self, task: &str) -> Result<TaskView, ClientError> {
        self.post_json(&format!("/tasks/{}/retry", path_segment(task)), &())
            .await
    }

    pub(crate) async fn cancel_task(&self, task: &str) -> Result<TaskView, ClientError> {
        self.post_json(&format!("/tasks/{}/cancel", path_segment(task)), &())
            .await
    }

    pub(crate) async fn steer_task(&self, task: &str, body: &SteerTask) -> Result<(), ClientError> {
        let request = self
            .new_request(
                Method::POST,
                &format!("/tasks/{}/messages", path_segment(task)),
            )
            .json(body);
        Self::send_request(request).await.map(drop)
    }

    /// What happened to a task since `seen`.
    pub(crate) async fn log_task(
        &self,
        task: &str,
        seen: LogPosition,
    ) -> Result<TaskLog, ClientError> {
        let LogPosition { after, after_event } = seen;
        let task = path_segment(task);
        self.get_json(&format!(
            "/tasks/{task}/log?after={after}&after_event={after_event}"
        ))
        .await
    }

    /// Display events after `after`, as they happen; with `once` only those there are.
    pub(crate) async fn stream_events(
        &self,
        after: i64,
        spec: Option<&str>,
        once: bool,
    ) -> Result<impl Stream<Item = Result<StoredEvent, ClientError>> + Send + use<>, ClientError>
    {
        let of_spec = spec.map(|spec| format!("&spec={spec}")).unwrap_or_default();
        let path = format!("/events?after={after}&once={once}{of_spec}");
        let response = Self::send_request(self.new_request(Method::GET, &path)).await?;
        let state = (response.bytes_stream().boxed(), BytesMut::new());
        Ok(stream::unfold(
            state,
            |(mut bytes, mut buffer)| async move {
                loop {
                    if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                        let line = buffer.split_to(end + 1);
                        let event = serde_json::from_slice(&line).map_err(ClientError::Answer);
                        return Some((event, (bytes, buffer)));
                    }
                    match bytes.next().await? {
                        Ok(chunk) => buffer.extend_from_slice(&chunk),
                        Err(error) => {
                            return Some((Err(ClientError::Unreachable(error)), (bytes, buffer)));
                        }
                    }
                }
            },
        ))
    }
}
