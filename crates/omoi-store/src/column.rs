//! How values become columns and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Arguments as _, Row as _};

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{
    AgentRole, AttemptState, AttemptStopReason, AttemptSubject, SubjectKind,
};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::hand_over::HandOverState;
use omoi_domain::id::{
    AttemptId, CheckId, CostId, CriterionId, DiscoveryId, EventId, HandOverId, MergeId, MessageId,
    OrgId, ProjectId, ReceiptId, RequirementId, SandboxId, SpecId, TaskId, TicketId, UserId,
};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::requirement::RequirementType;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::{SandboxRung, SandboxState};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_domain::ticket::{ApprovalStatus, TicketStatus};
use omoi_domain::time::Timestamp;

use crate::error::StoreError;

/// A value that stands in one column, or split over several.
pub trait Column: Sized {
    /// The columns of a field called `field`.
    fn names(field: &'static str) -> Vec<&'static str> {
        vec![field]
    }
    /// Adds it to a statement's arguments.
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError>;
    /// Reads it from a row.
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError>;
}

/// Arguments of one statement, in order.
#[derive(Default)]
pub struct Args(pub(crate) AnyArguments);

impl Args {
    /// Adds one value.
    pub fn push<C: Column>(&mut self, value: &C) -> Result<(), StoreError> {
        value.bind(&mut self.0)
    }
}

/// Collects the arguments of a statement: `args![spec, "queued", 3]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut args = $crate::Args::default();
        $(args.push(&$value)?;)*
        args
    }};
}

/// A value stored as JSON text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json<T>(pub T);

fn add<'q, T>(args: &mut AnyArguments, value: T) -> Result<(), StoreError>
where
    T: sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    args.add(value)
        .map_err(|source| StoreError::Database(sqlx::Error::Encode(source)))
}

macro_rules! native {
    ($($ty:ty),+) => {$(
        impl Column for $ty {
            fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
                add(args, self.clone())
            }
            fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
                Ok(row.try_get(column)?)
            }
        }
        impl Column for Option<$ty> {
            fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
                add(args, self.clone())
            }
            fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
                Ok(row.try_get(column)?)
            }
        }
    )+};
}
native!(i64);

impl Column for f64 {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        add(args, *self)
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        Ok(row.try_get(column)?)
    }
}

impl Column for Option<f64> {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        match self {
            Some(value) => add(args, *value),
            // The driver takes the null of either width for one of the other, and PostgreSQL keeps
            // the width of a statement's first call for all that follow.
            None => add(args, None::<f32>),
        }
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        Ok(row.try_get(column)?)
    }
}

/// Text as both backends can hold it: PostgreSQL has no NUL in text, and programs print some.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Column for String {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        add(args, storable(self))
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        Ok(row.try_get(column)?)
    }
}

impl Column for Option<String> {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        add(args, self.as_deref().map(storable))
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        Ok(row.try_get(column)?)
    }
}

/// Columns stored through another stored type.
macro_rules! through {
    ($via:ty, $expected:literal, $($ty:ty => $to:expr, $from:expr;)+) => {$(
        impl Column for $ty {
            fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
                let to: fn(&$ty) -> $via = $to;
                to(self).bind(args)
            }
            fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
                let from: fn(&$via) -> Option<$ty> = $from;
                let raw = <$via>::read(row, column)?;
                from(&raw).ok_or_else(|| StoreError::Corrupt {
                    column, value: raw.to_string(), expected: $expected,
                })
            }
        }
        impl Column for Option<$ty> {
            fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
                let to: fn(&$ty) -> $via = $to;
                self.as_ref().map(to).bind(args)
            }
            fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
                let from: fn(&$via) -> Option<$ty> = $from;
                match Option::<$via>::read(row, column)? {
                    None => Ok(None),
                    Some(raw) => from(&raw).map(Some).ok_or_else(|| StoreError::Corrupt {
                        column, value: raw.to_string(), expected: $expected,
                    }),
                }
            }
        }
    )+};
}

through!(i64, "amount", NanoUsd => |v| v.as_nanos(), |n| Some(NanoUsd::from_nanos(*n)););

macro_rules! ids {
    ($($ty:ty),+) => { through!(String, "id", $($ty => |v| v.to_string(), |s| s.parse().ok();)+); };
}
ids!(
    AttemptId,
    CheckId,
    CostId,
    CriterionId,
    DiscoveryId,
    EventId,
    HandOverId,
    MergeId,
    MessageId,
    OrgId,
    ProjectId,
    ReceiptId,
    RequirementId,
    SandboxId,
    SpecId,
    TaskId,
    TicketId,
    UserId
);

macro_rules! closed_sets {
    ($($ty:ty),+) => {
        through!(String, "value of its closed set", $($ty => |v| v.as_str().to_owned(), |s| <$ty>::parse(s);)+);
    };
}
closed_sets!(
    AblationVerdict,
    AgentEventKind,
    AgentRole,
    ApprovalStatus,
    AttemptState,
    CheckKind,
    CheckStage,
    DiscoveryType,
    ErrorClass,
    HandOverState,
    IntegrationState,
    MergeState,
    MessageSender,
    MessageType,
    Phase,
    PhaseState,
    Priority,
    PurposeKind,
    RequirementType,
    SandboxRung,
    SandboxState,
    SpecStatus,
    AttemptStopReason,
    SubjectKind,
    TaskStatus,
    TaskType,
    TicketPhase,
    TicketStatus
);

/// The one place where a subject becomes columns and a row becomes a subject.
impl Column for AttemptSubject {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec!["subject", "task_id", "merge_id", "phase"]
    }
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        let merge_id = match self {
            Self::Merge { merge_id } => Some(*merge_id),
            _ => None,
        };
        self.kind().bind(args)?;
        self.task_id().bind(args)?;
        merge_id.bind(args)?;
        self.phase().bind(args)
    }
    fn read(row: &AnyRow, _: &'static str) -> Result<Self, StoreError> {
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

through!(i64, "number",
    u32 => |v| i64::from(*v), |n| u32::try_from(*n).ok();
    i32 => |v| i64::from(*v), |n| i32::try_from(*n).ok();
    bool => |v| i64::from(*v), |n| match n { 0 => Some(false), 1 => Some(true), _ => None };
    Timestamp => |v| v.as_micros(), |n| Some(Timestamp::from_micros(*n));
);

impl Column for &str {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        add(args, storable(self))
    }
    fn read(_: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        Err(StoreError::Corrupt {
            column,
            value: String::new(),
            expected: "owned text",
        })
    }
}

impl<T: Serialize + DeserializeOwned> Column for Json<T> {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        add(
            args,
            serde_json::to_string(&self.0).map_err(StoreError::Encode)?,
        )
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        let raw = String::read(row, column)?;
        serde_json::from_str(&raw)
            .map(Self)
            .map_err(|_| StoreError::Corrupt {
                column,
                value: raw,
                expected: "JSON text",
            })
    }
}

impl<T: Serialize + DeserializeOwned> Column for Option<Json<T>> {
    fn bind(&self, args: &mut AnyArguments) -> Result<(), StoreError> {
        let text = self
            .as_ref()
            .map(|json| serde_json::to_string(&json.0))
            .transpose()
            .map_err(StoreError::Encode)?;
        add(args, text)
    }
    fn read(row: &AnyRow, column: &'static str) -> Result<Self, StoreError> {
        let Some(raw) = Option::<String>::read(row, column)? else {
            return Ok(None);
        };
        serde_json::from_str(&raw)
            .map(|value| Some(Json(value)))
            .map_err(|_| StoreError::Corrupt {
                column,
                value: raw,
                expected: "JSON text",
            })
    }
}
