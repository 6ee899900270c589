//! How values become columns and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::access::api_key::ApiKeyKind;
use omoi_domain::access::mail_intent::{MailKind, MailState};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::access::role::{MemberRole, RoleColumn, SystemRole};
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::{Actor, ActorKind};
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::attempt::{
    AgentRole, AttemptState, AttemptStopReason, AttemptSubject, SubjectKind, TurnKind,
};
use omoi_domain::audit::{AuditAction, AuditOutcome, AuditTarget, AuditTargetKind};
use omoi_domain::block::{SpecBlock, TaskBlock, TaskBlockKind};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::egress::EgressOutcome;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::hand_over::HandOverState;
use omoi_domain::id::{
    ActorId, ApiKeyId, ApprovalId, AttemptId, AuditEntryId, CheckId, CommentId, CostId,
    CredentialId, CriterionId, DiscoveryId, EgressEntryId, EventId, GateResultId, HandOverId,
    InvitationId, KeyedRequestId, MailIntentId, MembershipId, MergeId, MessageId, MonthBudgetId,
    NotificationId, OperationId, OrgId, PhaseArtifactId, ProjectId, ReceiptId, RequestRunId,
    RequirementId, RoleId, SandboxId, SignInSessionId, SpecId, SpecVersionId, StaffEntryId,
    StateTransitionId, StoredFileId, TaskId, TaskResultId, ThreadId, ThreadMessageId, TicketId,
    UserId, WorkflowResultId,
};
use omoi_domain::merge::{ConflictSide, IntegrationState, MergeState};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_kind::ModelKind;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::BudgetLevel;
use omoi_domain::notification::NotificationKind;
use omoi_domain::operation::{OperationKind, OperationStatus};
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::project::ProjectStatus;
use omoi_domain::request_key::RequestState;
use omoi_domain::requirement::RequirementType;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::{SandboxRung, SandboxState};
use omoi_domain::search_kind::SearchKind;
use omoi_domain::spec::{PhaseState, SpecKind, SpecStatus};
use omoi_domain::stored_file::MediaType;
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_domain::thread::{Participant, ThreadMessageType, ThreadStatus, ThreadType};
use omoi_domain::ticket::{
    ApprovalStatus, TicketBlockReason, TicketField, TicketStatus, WorkflowMode,
};
use omoi_domain::time::Timestamp;
use omoi_domain::work_result::{
    OnResultFound, ResultType, VerificationStatus, WorkflowResultStatus,
};
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId, PhaseMode};

use crate::dialect::{ColumnValue, DatabaseRow};
use crate::error::StoreError;

/// A value that stands in one column, or split over several.
pub trait Column: Sized {
    /// The columns of a field called `field`.
    fn names(field: &'static str) -> Vec<&'static str> {
        vec![field]
    }
    /// Adds it to a statement's arguments.
    fn bind(&self, args: &mut Args) -> Result<(), StoreError>;
    /// Reads it from a row.
    fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError>;
}

/// Arguments of one statement, in order. They become those of one database when the statement runs.
#[derive(Default)]
pub struct Args(pub(crate) Vec<ColumnValue>);

impl Args {
    /// Adds one value.
    pub fn push<C: Column>(&mut self, value: &C) -> Result<(), StoreError> {
        value.bind(self)
    }
}

/// Collects the arguments of a statement: `args![spec, "queued", 3]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "without arguments nothing is pushed")]
        let mut args = $crate::Args::default();
        $(args.push(&$value)?;)*
        args
    }};
}

/// A value stored as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json<T>(pub T);

/// Types with one kind of column: `kind read Raw "expected", Type => to raw, from raw;`. What does not
/// convert is given back, to be named.
macro_rules! columns {
    ($kind:ident $get:ident $raw:ty, $expected:literal, $($ty:ty => $to:expr, $from:expr;)+) => {$(
        impl Column for $ty {
            fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
                let to: fn(&$ty) -> $raw = $to;
                args.0.push(ColumnValue::$kind(Some(to(self))));
                Ok(())
            }
            fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
                Option::<$ty>::read(row, column)?.ok_or_else(|| absent(column))
            }
        }
        impl Column for Option<$ty> {
            fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
                let to: fn(&$ty) -> $raw = $to;
                args.0.push(ColumnValue::$kind(self.as_ref().map(to)));
                Ok(())
            }
            fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
                let from: fn($raw) -> Result<$ty, $raw> = $from;
                let value = row.$get(column)?.map(from).transpose();
                value.map_err(|raw| StoreError::Corrupt {
                    column, value: raw.to_string(), expected: $expected,
                })
            }
        }
    )+};
}

fn absent(column: &'static str) -> StoreError {
    StoreError::Database(sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(sqlx::error::UnexpectedNullError),
    })
}

columns!(Integer integer i64, "number",
    i64 => |n| *n, Ok;
    u32 => |n| i64::from(*n), |n| u32::try_from(n).map_err(|_| n);
    i32 => |n| i64::from(*n), |n| i32::try_from(n).map_err(|_| n);
    NanoUsd => |v| v.as_nanos(), |n| Ok(NanoUsd::from_nanos(n));
);
columns!(Id id Uuid, "id", Uuid => |id| *id, Ok;);
columns!(Float float f64, "number", f64 => |n| *n, Ok;);
columns!(Flag flag bool, "flag", bool => |is_set| *is_set, Ok;);
columns!(Instant instant Timestamp, "instant", Timestamp => |at| *at, Ok;);
columns!(Text text String, "text", String => |text| storable(text), Ok;);

impl Column for Vec<u8> {
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        args.0.push(ColumnValue::Bytes(Some(self.clone())));
        Ok(())
    }
    fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
        row.read_bytes(column)?.ok_or_else(|| absent(column))
    }
}

/// Text as both databases can hold it: PostgreSQL has no NUL in text, and programs print some.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Column for &str {
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        args.0.push(ColumnValue::Text(Some(storable(self))));
        Ok(())
    }
    fn read(_: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
        Err(StoreError::Corrupt {
            column,
            value: String::new(),
            expected: "owned text",
        })
    }
}

macro_rules! ids {
    ($($ty:ty),+ $(,)?) => {
        columns!(Id id Uuid, "id", $($ty => |id| id.as_uuid(), |id| Ok(<$ty>::from_uuid(id));)+);
    };
}
ids!(
    ActorId,
    ApiKeyId,
    ApprovalId,
    AttemptId,
    AuditEntryId,
    CheckId,
    CommentId,
    CostId,
    CredentialId,
    CriterionId,
    DiscoveryId,
    EgressEntryId,
    EventId,
    GateResultId,
    HandOverId,
    InvitationId,
    KeyedRequestId,
    MailIntentId,
    MembershipId,
    MergeId,
    MessageId,
    MonthBudgetId,
    NotificationId,
    OperationId,
    OrgId,
    PhaseArtifactId,
    ProjectId,
    ReceiptId,
    RequestRunId,
    RequirementId,
    RoleId,
    SandboxId,
    SignInSessionId,
    SpecId,
    SpecVersionId,
    StaffEntryId,
    StateTransitionId,
    StoredFileId,
    TaskId,
    TaskResultId,
    ThreadId,
    ThreadMessageId,
    TicketId,
    UserId,
    WorkflowResultId
);

macro_rules! closed_sets {
    ($($ty:ty),+ $(,)?) => {
        columns!(Text text String, "value of its closed set",
            $($ty => |v| v.as_str().to_owned(), |text| <$ty>::parse(&text).ok_or(text);)+);
    };
}
closed_sets!(
    AblationVerdict,
    ActorKind,
    AgentEventKind,
    AgentProgram,
    AgentRole,
    ApiKeyKind,
    ApprovalKind,
    ApprovalState,
    ApprovalStatus,
    ArtifactType,
    AttemptState,
    AuditAction,
    AuditOutcome,
    AuditTargetKind,
    BudgetLevel,
    CheckKind,
    CheckStage,
    ConflictSide,
    DiscoveryType,
    EgressOutcome,
    ErrorClass,
    ErrorCode,
    HandOverState,
    IntegrationState,
    LimitScope,
    MailKind,
    MailState,
    MergeState,
    IdentityProvider,
    MessageSender,
    MediaType,
    MessageType,
    NotificationKind,
    OnResultFound,
    OperationKind,
    OperationStatus,
    Phase,
    PhaseId,
    PhaseMode,
    ModelKind,
    Permission,
    PhaseState,
    ProjectStatus,
    Priority,
    PurposeKind,
    FallbackClass,
    GateStatus,
    RequestState,
    RequirementType,
    ResultType,
    RoleColumn,
    RouteName,
    SandboxRung,
    SandboxState,
    SearchKind,
    SessionEnd,
    SpecBlock,
    SpecKind,
    SpecStatus,
    AttemptStopReason,
    SubjectKind,
    TaskBlockKind,
    TaskStatus,
    TaskType,
    ThreadMessageType,
    ThreadStatus,
    ThreadType,
    TicketBlockReason,
    TicketField,
    TicketPhase,
    TicketStatus,
    VerificationStatus,
    WorkflowMode,
    WorkflowResultStatus,
    TokenPurpose,
    TurnKind
);

/// What a task waits for, split over its kind and the task it waits for.
impl Column for Option<TaskBlock> {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["blocked_by", "blocked_by_id"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        self.map(TaskBlock::kind).bind(args)?;
        self.and_then(TaskBlock::prerequisite_task).bind(args)
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        Ok(match Option::<TaskBlockKind>::read(row, "blocked_by")? {
            None => None,
            Some(TaskBlockKind::Prerequisite) => Some(TaskBlock::Prerequisite {
                task_id: TaskId::read(row, "blocked_by_id")?,
            }),
            Some(TaskBlockKind::Environment) => Some(TaskBlock::Environment),
            Some(TaskBlockKind::Provider) => Some(TaskBlock::Provider),
            Some(TaskBlockKind::Budget) => Some(TaskBlock::Budget),
            Some(TaskBlockKind::NoCheck) => Some(TaskBlock::NoCheck),
            Some(TaskBlockKind::Question) => Some(TaskBlock::Question),
        })
    }
}

/// Who a change was made for, split over what it is and which one.
impl Column for Actor {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["actor_kind", "actor_id"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        self.actor_kind().bind(args)?;
        args.0.push(ColumnValue::Id(self.actor_id()));
        Ok(())
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        let kind = ActorKind::read(row, "actor_kind")?;
        let id = row.id("actor_id")?;
        Self::from_parts(kind, id).ok_or_else(|| StoreError::Corrupt {
            column: "actor_id",
            value: id.map_or_else(String::new, |id| id.to_string()),
            expected: "id for its kind of actor",
        })
    }
}

/// Who takes part in a thread, split over what it can be.
impl Column for Participant {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["user_id", "api_key_id", "task_id"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        self.as_user().bind(args)?;
        self.as_key().bind(args)?;
        self.as_task().bind(args)
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        if let Some(user) = Option::<UserId>::read(row, "user_id")? {
            return Ok(Self::User(user));
        }
        if let Some(key) = Option::<ApiKeyId>::read(row, "api_key_id")? {
            return Ok(Self::Key(key));
        }
        Ok(Self::Agent(TaskId::read(row, "task_id")?))
    }
}

/// What an act was done to, split over its kind and which one.
impl Column for AuditTarget {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["target_kind", "target_id"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        self.target_kind.bind(args)?;
        args.0.push(ColumnValue::Id(self.target_id));
        Ok(())
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        Ok(Self {
            target_kind: AuditTargetKind::read(row, "target_kind")?,
            target_id: row.id("target_id")?,
        })
    }
}

/// A role, split over its name and the custom one it is.
impl Column for Option<MemberRole> {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["role", "custom_role_id"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        self.map(MemberRole::role_column).bind(args)?;
        self.and_then(MemberRole::custom_role).bind(args)
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        let Some(role) = Option::<RoleColumn>::read(row, "role")? else {
            return Ok(None);
        };
        Ok(Some(match SystemRole::parse(role.as_str()) {
            Some(system) => MemberRole::System(system),
            None => MemberRole::Custom(RoleId::read(row, "custom_role_id")?),
        }))
    }
}

impl Column for MemberRole {
    fn names(field: &'static str) -> Vec<&'static str> {
        Option::<Self>::names(field)
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        Some(*self).bind(args)
    }
    fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
        Option::<Self>::read(row, column)?.ok_or_else(|| absent("role"))
    }
}

/// The one place where a subject becomes columns and a row becomes a subject.
impl Column for AttemptSubject {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["subject", "task_id", "merge_id", "phase"]
    }
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        let merge_id = match self {
            Self::Merge { merge_id } => Some(*merge_id),
            _ => None,
        };
        self.kind().bind(args)?;
        self.task_id().bind(args)?;
        merge_id.bind(args)?;
        self.phase().bind(args)
    }
    fn read(row: &DatabaseRow, _: &'static str) -> Result<Self, StoreError> {
        Ok(match SubjectKind::read(row, "subject")? {
            SubjectKind::Task => Self::Task {
                task_id: TaskId::read(row, "task_id")?,
            },
            SubjectKind::SpecPhase => Self::SpecPhase {
                phase: Phase::read(row, "phase")?,
            },
            SubjectKind::TaskChecks => Self::TaskChecks {
                task_id: TaskId::read(row, "task_id")?,
            },
            SubjectKind::BaseSuite => Self::BaseSuite,
            SubjectKind::PlanProofs => Self::PlanProofs,
            SubjectKind::PlanOpinion => Self::PlanOpinion,
            SubjectKind::HeadChecks => Self::HeadChecks,
            SubjectKind::Merge => Self::Merge {
                merge_id: MergeId::read(row, "merge_id")?,
            },
        })
    }
}

impl<T: Serialize + DeserializeOwned> Json<T> {
    fn to_text(&self) -> Result<String, StoreError> {
        let text = serde_json::to_string(&self.0).map_err(StoreError::Encode)?;
        Ok(without_nul(text))
    }

    fn of_text(text: String, column: &'static str) -> Result<Self, StoreError> {
        let parsed = serde_json::from_str(&text).map(Self);
        parsed.map_err(|_| StoreError::Corrupt {
            column,
            value: text,
            expected: "JSON text",
        })
    }
}

/// The same JSON with the replacement character for every NUL in its strings: `jsonb` refuses the escape.
fn without_nul(json: String) -> String {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json;
    }
    let mut kept = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        // Of a longer escape the first two characters are enough: none that follows is a backslash.
        let length = if escape.starts_with(NUL) {
            NUL.len()
        } else {
            2
        };
        let (escape, after) = escape.split_at(length);
        kept.push_str(if escape == NUL { "\u{fffd}" } else { escape });
        rest = after;
    }
    kept + rest
}

impl<T: Serialize + DeserializeOwned> Column for Json<T> {
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        args.0.push(ColumnValue::Json(Some(self.to_text()?)));
        Ok(())
    }
    fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
        Option::<Self>::read(row, column)?.ok_or_else(|| absent(column))
    }
}

impl<T: Serialize + DeserializeOwned> Column for Option<Json<T>> {
    fn bind(&self, args: &mut Args) -> Result<(), StoreError> {
        let text = self.as_ref().map(Json::to_text).transpose()?;
        args.0.push(ColumnValue::Json(text));
        Ok(())
    }
    fn read(row: &DatabaseRow, column: &'static str) -> Result<Self, StoreError> {
        let text = row.json(column)?;
        text.map(|text| Json::of_text(text, column)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::without_nul;

    #[test]
    fn a_nul_in_json_is_replaced_and_nothing_that_looks_like_one() {
        for text in ["a\0b", "\0\0", "\\u0000", "\\\0", "\"\n\u{1}\\", "plain"] {
            let json = serde_json::json!({ text: [text] });
            let stored: serde_json::Value =
                serde_json::from_str(&without_nul(json.to_string())).unwrap();
            let text = text.replace('\0', "\u{fffd}");
            assert_eq!(stored, serde_json::json!({ &text: [text] }));
        }
    }
}
