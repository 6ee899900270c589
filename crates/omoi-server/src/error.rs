//! The one shape of every refusal, and which status each failure has.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use omoi_delivery::delivered_bundle::DeliveredBundleError;
use omoi_delivery::trace::TraceError;
use omoi_domain::access::permission::Permission;
use omoi_domain::error_code::ErrorCode;
use omoi_execution::commands::TaskCommandError;
use omoi_execution::copied_files::CopyError;
use omoi_execution::intake::IntakeError;
use omoi_execution::integration::IntegrationError;
use omoi_execution::spec_files::SpecFilesError;
use omoi_git::import::ImportError;
use omoi_git::mirror::MirrorError;
use omoi_git::process::GitError;
use omoi_llm::body_room::BodyRoomTaken;
use omoi_planning::commands::{
    CreateBranchError, CreateError, ProjectCommandError, SpecCommandError,
};
use omoi_protocol::error::{ErrorBody, FieldProblem};
use omoi_runtime::lifecycle::BlockingPanicked;
use omoi_runtime::telemetry::error_chain;
use omoi_store::StoreError;
use omoi_store::operations::OperationEnding;
use tracing::error;

use crate::connection_seats::{CROWDED_WAIT, CrowdedAttempt};
use crate::sandbox_limits::TooMuchTraffic;

/// When to ask again what could not be answered for now.
const NOT_READY_WAIT: Duration = Duration::from_secs(1);

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    body: Box<ErrorBody>,
    cause: Option<InternalCause>,
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

/// The body of a refusal beside its answer: the access log writes it again with the request's id.
#[derive(Clone, Debug)]
pub(crate) struct RefusalBody(pub(crate) Box<ErrorBody>);

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
    /// What it is about.
    pub(crate) const fn error_code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            body: Box::new(ErrorBody::new(code, message)),
            cause: None,
        }
    }

    /// The permission that is missing, where the refusal names one.
    pub(crate) const fn lacking_permission(&self) -> Option<Permission> {
        self.body.permission
    }

    /// A body that cannot be taken in.
    pub(crate) fn unreadable(status: StatusCode, says: String) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => ErrorCode::ValidationFailed,
            _ => ErrorCode::MalformedJson,
        };
        Self::new(code, says)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// Tells programs what the message tells people.
    pub(crate) fn with_context(mut self, key: &str, value: Value) -> Self {
        self.body.context.insert(key.to_owned(), value);
        self
    }

    /// A caller who is known and may not do this.
    pub(crate) fn forbidden_act(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// Names the permission that is missing.
    pub(crate) fn with_permission(mut self, permission: Permission) -> Self {
        self.body.permission = Some(permission);
        self
    }

    /// Says which value of the request is wrong.
    pub(crate) fn with_field(mut self, path: impl Into<String>) -> Self {
        self.body.fields.push(FieldProblem {
            path: path.into(),
            code: self.code,
            message: self.body.message.clone(),
        });
        self
    }

    /// Adds what is wrong with one value.
    pub(crate) fn with_problem(mut self, problem: FieldProblem) -> Self {
        self.body.fields.push(problem);
        self
    }

    /// Tells the caller when to come back.
    pub(crate) fn retry_after(mut self, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).ok();
        self.body.retry_after = seconds.filter(|seconds| *seconds > 0);
        self
    }

    /// Others fill the room for a body: the caller is to come back after `pause`.
    pub(crate) fn no_room(taken: BodyRoomTaken, pause: Duration) -> Self {
        Self::new(ErrorCode::NotReady, taken.to_string()).retry_after(pause)
    }

    fn with_next_step(self, next: Option<String>) -> Self {
        match next {
            Some(next) => self.hint(next),
            None => self,
        }
    }

    pub(crate) fn no_credential() -> Self {
        let says = "the token is missing or not valid";
        Self::new(ErrorCode::Unauthenticated, says)
    }

    /// A value that is read, and breaks a rule.
    pub(crate) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationFailed, message)
    }

    /// The database answers nothing for now, told in full to the log and as `says` to the caller.
    pub(crate) fn not_ready(source: &StoreError, says: impl Into<String>) -> Self {
        Self {
            cause: Some(InternalCause::of_error(source)),
            ..Self::new(ErrorCode::NotReady, says).retry_after(NOT_READY_WAIT)
        }
    }

    /// The same as the end of an operation; whoever may not read the log is told no insides.
    pub(crate) fn into_ending(self) -> OperationEnding {
        if let Some(cause) = &self.cause {
            error!(error = cause.as_str(), "An operation failed");
        }
        OperationEnding::Failed {
            code: self.code,
            message: self.body.message,
            hint: self.body.hint,
        }
    }

    /// A failure of ours, told in full to the log and by the request's id to the caller.
    pub(crate) fn internal_failure(source: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            cause: Some(InternalCause::of_error(source)),
            ..Self::new(ErrorCode::Internal, "something failed on our side")
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = http_status(self.code);
        let mut response = (status, Json(self.body.as_ref())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.body.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let extensions = response.extensions_mut();
        if let Some(cause) = self.cause {
            extensions.insert(cause);
        }
        extensions.insert(RefusalBody(self.body));
        response
    }
}

/// The status of a code; the registry holds none but valid ones.
fn http_status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl From<TooMuchTraffic> for ApiError {
    fn from(source: TooMuchTraffic) -> Self {
        let refused = Self::new(ErrorCode::RateLimited, source.to_string());
        refused.retry_after(source.retry_after)
    }
}

impl From<CrowdedAttempt> for ApiError {
    fn from(source: CrowdedAttempt) -> Self {
        let says = source.to_string();
        Self::new(ErrorCode::TooManyConnections, says).retry_after(CROWDED_WAIT)
    }
}

impl From<BlockingPanicked> for ApiError {
    fn from(source: BlockingPanicked) -> Self {
        Self::internal_failure(&source)
    }
}

impl From<StoreError> for ApiError {
    fn from(source: StoreError) -> Self {
        match &source {
            StoreError::NotFound { .. } => Self::new(ErrorCode::NotFound, source.to_string()),
            StoreError::Transition(refused) => {
                Self::new(ErrorCode::InvalidTransition, refused.to_string())
            }
            StoreError::Conflict { .. } | StoreError::Exists { .. } => {
                Self::new(ErrorCode::Conflict, source.to_string())
            }
            StoreError::RequestDone => Self::new(ErrorCode::AlreadyDone, source.to_string()).hint(
                "look at the rows that it is about, or send it again with the same key in a minute",
            ),
            StoreError::Busy(_)
            | StoreError::NoSpace(_)
            | StoreError::SlotsTaken
            | StoreError::TakenOver => Self::not_ready(&source, source.to_string()),
            _ => Self::internal_failure(&source),
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(source: IntakeError) -> Self {
        match source {
            IntakeError::Unauthorized => Self::no_credential(),
            IntakeError::Superseded => Self::new(ErrorCode::SupersededAttempt, source.to_string()),
            IntakeError::Refused(why) => Self::new(ErrorCode::Refused, why),
            IntakeError::Import(ImportError::Refused(refusal)) => {
                Self::new(ErrorCode::BundleRefused, refusal.to_string())
            }
            IntakeError::Store(store) => store.into(),
            other => Self::internal_failure(&other),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(source: CreateError) -> Self {
        match source {
            CreateError::EmptyIdea | CreateError::LongIdea { .. } | CreateError::CommitName(_) => {
                Self::invalid_value(source.to_string())
            }
            CreateError::NotUploaded { .. } => {
                Self::new(ErrorCode::BadRepository, source.to_string())
                    .hint("send it first: POST /projects/{project_id}/repository/bundle")
            }
            CreateError::OnServer { .. } => Self::new(ErrorCode::BadRepository, source.to_string())
                .hint("work on it there, or in a project of another name"),
            CreateError::PutAway { .. } => Self::new(ErrorCode::Conflict, source.to_string())
                .hint("take it back first: PATCH /projects/{project_id}"),
            CreateError::AsksForMachine { .. } => {
                Self::new(ErrorCode::RepositoryNotTrusted, source.to_string())
                    .hint("take it out of the file and commit that")
            }
            CreateError::Upload(ImportError::Refused(refusal)) => {
                Self::new(ErrorCode::BundleRefused, refusal.to_string())
            }
            CreateError::Repository(refused) => {
                Self::new(ErrorCode::BadRepository, error_chain(&refused))
            }
            CreateError::RepositoryFile(refused) => Self::new(
                ErrorCode::BadRepositoryFile,
                error_chain(&refused),
            )
            .hint("correct the repository's `.omoi.yaml` and commit it; docs/configuration.md says what it may set"),
            CreateError::NotTrusted { ref repo, .. } => {
                let next = format!(
                    "look at it and answer on a terminal: omoi trust --repo '{}'",
                    repo.replace('\'', r"'\''")
                );
                Self::new(
                    ErrorCode::RepositoryNotTrusted,
                    source.to_string(),
                )
                .hint(next)
            }
            CreateError::TrustOutdated => {
                Self::new(ErrorCode::TrustOutdated, source.to_string())
                    .hint("look again: omoi trust")
            }
            CreateError::Copies(CopyError::Store(store)) => store.into(),
            CreateError::Copies(CopyError::Git(git)) => Self::internal_failure(&git),
            CreateError::Copies(CopyError::Panicked(panicked)) => Self::internal_failure(&panicked),
            CreateError::Copies(refused) => {
                Self::new(ErrorCode::CopyRefused, error_chain(&refused))
                    .hint("put the file there, or correct `sandbox.copy` of your configuration")
            }
            CreateError::Agent(unusable) => {
                Self::new(ErrorCode::AgentUnusable, unusable.to_string())
            }
            CreateError::NoSandbox => {
                let hint = "ask a process that works on specs: `omoi up`, or `omoi serve --roles orchestrator`";
                Self::new(ErrorCode::NoSandbox, source.to_string()).hint(hint)
            }
            CreateError::Store(store) => store.into(),
            other => Self::internal_failure(&other),
        }
    }
}

impl From<SpecCommandError> for ApiError {
    fn from(source: SpecCommandError) -> Self {
        let code = match source {
            SpecCommandError::NotPlanned { .. } => ErrorCode::NotPlanned,
            SpecCommandError::OtherModel { .. } => ErrorCode::OtherModel,
            SpecCommandError::AtWork { .. } | SpecCommandError::GoesOn { .. } => ErrorCode::AtWork,
            SpecCommandError::Waits { .. } => ErrorCode::Waits,
            SpecCommandError::TaskCancelled { .. } => ErrorCode::TaskCancelled,
            SpecCommandError::NothingLanded { .. } => ErrorCode::NothingLanded,
            SpecCommandError::StillOpen { .. } => ErrorCode::StillOpen,
            SpecCommandError::StaleVersion(_) => ErrorCode::StaleVersion,
            SpecCommandError::InvalidEdit(says) => {
                return Self::new(ErrorCode::Refused, says);
            }
            SpecCommandError::Task(refused) => return refused.into(),
            SpecCommandError::Store(store) => return store.into(),
            SpecCommandError::Judge(other) => return Self::internal_failure(other.as_ref()),
        };
        let refused = Self::new(code, source.to_string());
        refused.with_next_step(source.next_step())
    }
}

impl From<ProjectCommandError> for ApiError {
    fn from(source: ProjectCommandError) -> Self {
        let says = source.to_string();
        match source {
            ProjectCommandError::Name(_) => Self::invalid_value(says).with_field("/name"),
            ProjectCommandError::DeployCheck(_) => {
                Self::invalid_value(says).with_field("/deploy_check")
            }
            ProjectCommandError::NameTaken { .. } => {
                Self::new(ErrorCode::Conflict, says).with_field("/name")
            }
            ProjectCommandError::Archived => Self::forbidden_act(says),
            ProjectCommandError::StaleVersion(_) => Self::new(ErrorCode::StaleVersion, says),
            ProjectCommandError::Store(store) => store.into(),
        }
    }
}

impl From<TaskCommandError> for ApiError {
    fn from(source: TaskCommandError) -> Self {
        let code = match source {
            TaskCommandError::InvalidMove { .. } => ErrorCode::InvalidTransition,
            TaskCommandError::IsOver { .. } => ErrorCode::TaskIsOver,
            TaskCommandError::AtWork { .. } => ErrorCode::AtWork,
            TaskCommandError::StaleVersion(_) => ErrorCode::StaleVersion,
            TaskCommandError::OtherSpec { .. } => ErrorCode::Refused,
            TaskCommandError::CircularDependency { ref path } => {
                let path: Vec<String> = path.iter().map(ToString::to_string).collect();
                return Self::new(ErrorCode::CircularDependency, source.to_string())
                    .with_context("cycle", path.into());
            }
            TaskCommandError::InvalidMessage => return Self::invalid_value(source.to_string()),
            TaskCommandError::Store(store) => return store.into(),
        };
        let refused = Self::new(code, source.to_string());
        refused.with_next_step(source.next_step())
    }
}

impl From<TraceError> for ApiError {
    fn from(source: TraceError) -> Self {
        match source {
            TraceError::Store(store) => store.into(),
            other => Self::internal_failure(&other),
        }
    }
}

impl From<DeliveredBundleError> for ApiError {
    fn from(source: DeliveredBundleError) -> Self {
        match source {
            DeliveredBundleError::NotDelivered { .. } => {
                Self::new(ErrorCode::NothingLanded, source.to_string())
            }
            DeliveredBundleError::Store(store) => store.into(),
            other => Self::internal_failure(&other),
        }
    }
}

impl From<SpecFilesError> for ApiError {
    fn from(source: SpecFilesError) -> Self {
        match source {
            SpecFilesError::Store(store) => store.into(),
            other @ SpecFilesError::Render(_) => Self::internal_failure(&other),
        }
    }
}

impl From<CreateBranchError> for ApiError {
    fn from(source: CreateBranchError) -> Self {
        match source {
            CreateBranchError::Spec(refused) => refused.into(),
            CreateBranchError::Branch(refused) => refused.into(),
            CreateBranchError::Mirror(_) => Self::internal_failure(&source),
        }
    }
}

impl From<GitError> for ApiError {
    fn from(source: GitError) -> Self {
        Self::internal_failure(&source)
    }
}

impl From<MirrorError> for ApiError {
    fn from(source: MirrorError) -> Self {
        Self::internal_failure(&source)
    }
}

impl From<IntegrationError> for ApiError {
    fn from(source: IntegrationError) -> Self {
        match source {
            IntegrationError::Store(store) => store.into(),
            other => Self::internal_failure(&other),
        }
    }
}

#[cfg(test)]
impl ApiError {
    /// The place of the first wrong value.
    pub(crate) fn first_field(&self) -> Option<String> {
        self.body.fields.first().map(|field| field.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_says_when_to_ask_again() {
        for (source, status, wait) in [
            (StoreError::SlotsTaken, 503, Some("1")),
            (StoreError::TakenOver, 503, Some("1")),
            (StoreError::Exists { what: "role" }, 409, None),
            (StoreError::Payload { kind: "x" }, 500, None),
        ] {
            let about = source.to_string();
            let answer = ApiError::from(source).into_response();
            assert_eq!(answer.status().as_u16(), status, "{about}");
            let told = answer.headers().get(RETRY_AFTER);
            assert_eq!(told.and_then(|told| told.to_str().ok()), wait, "{about}");
        }
    }
}
