//! The one shape of every refusal, and which status each failure has.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use omoi_delivery::trace::TraceError;
use omoi_execution::commands::TaskCommandError;
use omoi_execution::copied_files::CopyError;
use omoi_execution::intake::IntakeError;
use omoi_execution::integration::IntegrationError;
use omoi_execution::spec_files::SpecFilesError;
use omoi_llm::body_room::BodyRoomTaken;
use omoi_planning::commands::{CreateError, SpecCommandError};
use omoi_protocol::error::ErrorBody;
use omoi_runtime::lifecycle::BlockingPanicked;
use omoi_runtime::telemetry::error_chain;
use omoi_store::StoreError;

use crate::connection_seats::{CROWDED_WAIT, CrowdedAttempt};
use crate::sandbox_limits::TooMuchTraffic;

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    cause: Option<InternalCause>,
    /// Seconds to wait before the next request.
    retry_after_s: Option<NonZeroU32>,
}

/// What went wrong inside with all its causes, for the log: it names paths of the host. The access log makes
/// the answer of it, as it alone knows the request's id; one of status 503 it only logs.
#[derive(Clone, Debug)]
pub(crate) struct InternalCause(Box<str>);

impl InternalCause {
    pub(crate) fn of_error(source: &(dyn std::error::Error + 'static)) -> Self {
        Self(error_chain(source).into())
    }

    pub(crate) const fn as_str(&self) -> &str {
        &self.0
    }
}

/// A body that reads as `T`; anything else is refused in the shape of every refusal.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(given)) => Ok(Self(given)),
            Err(refused) => Err(ApiError::unreadable(refused.status(), refused.body_text())),
        }
    }
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            error: code.to_owned(),
            message: message.into(),
            hint: None,
            correlation_id: None,
        };
        Self {
            status,
            body,
            cause: None,
            retry_after_s: None,
        }
    }

    /// A body that cannot be taken in.
    pub(crate) fn unreadable(status: StatusCode, says: String) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            _ => "bad_request",
        };
        Self::new(status, code, says)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// Tells the caller when to come back.
    fn retry_after(self, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        Self {
            retry_after_s: u32::try_from(seconds).ok().and_then(NonZeroU32::new),
            ..self
        }
    }

    /// Others fill the room for a body: the caller is to come back after `pause`.
    pub(crate) fn no_room(taken: BodyRoomTaken, pause: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", taken.to_string()).retry_after(pause)
    }

    fn with_next_step(self, next: Option<String>) -> Self {
        match next {
            Some(next) => self.hint(next),
            None => self,
        }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the token is missing or not valid",
        )
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// What we did wrong, told in full to the log and by the request's id to the caller.
    fn internal(source: &(dyn std::error::Error + 'static)) -> Self {
        let says = "something failed on our side";
        Self {
            cause: Some(InternalCause::of_error(source)),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", says)
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<TooMuchTraffic> for ApiError {
    fn from(source: TooMuchTraffic) -> Self {
        let refused = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            source.to_string(),
        );
        refused.retry_after(source.retry_after)
    }
}

impl From<CrowdedAttempt> for ApiError {
    fn from(source: CrowdedAttempt) -> Self {
        let says = source.to_string();
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", says)
            .retry_after(CROWDED_WAIT)
    }
}

impl From<BlockingPanicked> for ApiError {
    fn from(source: BlockingPanicked) -> Self {
        Self::internal(&source)
    }
}

impl From<StoreError> for ApiError {
    fn from(source: StoreError) -> Self {
        match &source {
            StoreError::NotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not_found", source.to_string())
            }
            StoreError::Transition(refused) => Self::new(
                StatusCode::CONFLICT,
                "invalid_transition",
                refused.to_string(),
            ),
            StoreError::Conflict { .. } | StoreError::Exists { .. } => {
                Self::new(StatusCode::CONFLICT, "conflict", source.to_string())
            }
            StoreError::Busy(_) => Self {
                cause: Some(InternalCause::of_error(&source)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", source.to_string())
            },
            _ => Self::internal(&source),
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(source: IntakeError) -> Self {
        match source {
            IntakeError::Unauthorized => Self::unauthorized(),
            IntakeError::Superseded => Self::new(
                StatusCode::CONFLICT,
                "superseded_attempt",
                source.to_string(),
            ),
            IntakeError::Refused(why) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", why)
            }
            IntakeError::Import(omoi_git::import::ImportError::Refused(refusal)) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bundle_refused",
                refusal.to_string(),
            ),
            IntakeError::Store(store) => store.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(source: CreateError) -> Self {
        match source {
            CreateError::EmptyIdea | CreateError::LongIdea { .. } => {
                Self::bad_request(source.to_string())
            }
            CreateError::Repository(refused) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_repository", error_chain(&refused))
            }
            CreateError::RepositoryFile(refused) => Self::new(
                StatusCode::BAD_REQUEST,
                "bad_repository_file",
                error_chain(&refused),
            )
            .hint("correct the repository's `.omoi.yaml` and commit it; docs/configuration.md says what it may set"),
            CreateError::NotTrusted { ref repo, .. } => {
                let next = format!(
                    "look at it and answer on a terminal: omoi trust --repo '{}'",
                    repo.replace('\'', r"'\''")
                );
                Self::new(
                    StatusCode::CONFLICT,
                    "repository_not_trusted",
                    source.to_string(),
                )
                .hint(next)
            }
            CreateError::TrustOutdated => {
                Self::new(StatusCode::CONFLICT, "trust_outdated", source.to_string())
                    .hint("look again: omoi trust")
            }
            CreateError::Copies(CopyError::Store(store)) => store.into(),
            CreateError::Copies(CopyError::Git(git)) => Self::internal(&git),
            CreateError::Copies(CopyError::Panicked(panicked)) => Self::internal(&panicked),
            CreateError::Copies(refused) => {
                Self::new(StatusCode::CONFLICT, "copy_refused", error_chain(&refused))
                    .hint("put the file there, or correct `sandbox.copy` of your configuration")
            }
            CreateError::Agent(unusable) => {
                Self::new(StatusCode::CONFLICT, "agent_unusable", unusable.to_string())
            }
            CreateError::Store(store) => store.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<SpecCommandError> for ApiError {
    fn from(source: SpecCommandError) -> Self {
        let code = match source {
            SpecCommandError::NotPlanned { .. } => "not_planned",
            SpecCommandError::OtherModel { .. } => "other_model",
            SpecCommandError::AtWork { .. } => "at_work",
            SpecCommandError::Waits { .. } => "waits",
            SpecCommandError::TaskCancelled { .. } => "called_off",
            SpecCommandError::NothingLanded { .. } => "nothing_landed",
            SpecCommandError::StillOpen { .. } => "still_open",
            SpecCommandError::InvalidEdit(says) => {
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", says);
            }
            SpecCommandError::Task(refused) => return refused.into(),
            SpecCommandError::Store(store) => return store.into(),
            SpecCommandError::Judge(other) => return Self::internal(other.as_ref()),
        };
        let refused = Self::new(StatusCode::CONFLICT, code, source.to_string());
        refused.with_next_step(source.next_step())
    }
}

impl From<TaskCommandError> for ApiError {
    fn from(source: TaskCommandError) -> Self {
        let code = match source {
            TaskCommandError::InvalidMove { .. } => "invalid_transition",
            TaskCommandError::IsOver { .. } => "task_is_over",
            TaskCommandError::InvalidMessage => return Self::bad_request(source.to_string()),
            TaskCommandError::Store(store) => return store.into(),
        };
        let refused = Self::new(StatusCode::CONFLICT, code, source.to_string());
        refused.with_next_step(source.next_step())
    }
}

impl From<TraceError> for ApiError {
    fn from(source: TraceError) -> Self {
        match source {
            TraceError::Store(store) => store.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<SpecFilesError> for ApiError {
    fn from(source: SpecFilesError) -> Self {
        match source {
            SpecFilesError::Store(store) => store.into(),
            other @ SpecFilesError::Render(_) => Self::internal(&other),
        }
    }
}

impl From<IntegrationError> for ApiError {
    fn from(source: IntegrationError) -> Self {
        match source {
            IntegrationError::Store(store) => store.into(),
            other => Self::internal(&other),
        }
    }
}
