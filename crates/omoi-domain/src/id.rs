//! Row ids: one newtype over UUIDv7 per kind of row, and the human references people see.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a freshly made or stored UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The wrapped UUID, for columns and JSON.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            /// The last eight hexadecimal digits; random even among ids made at one instant.
            pub fn short(self) -> String {
                let text = self.0.simple().to_string();
                text[text.len() - 8..].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl $crate::wire_schema::PartialSchema for $name {
            fn schema() -> $crate::wire_schema::WireSchema {
                $crate::wire_schema::uuid_schema()
            }
        }

        impl $crate::wire_schema::ToSchema for $name {}

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )+};
}

ids! {
    /// An organisation, the unit of tenancy.
    OrgId,
    /// A person who uses the platform.
    UserId,
    /// A key for programs.
    ApiKeyId,
    /// A role: one of every organisation, or one that an organisation made.
    RoleId,
    /// That a user belongs to an organisation.
    MembershipId,
    /// That somebody may come to belong to an organisation.
    InvitationId,
    /// A stay of a member of staff in an organisation.
    StaffEntryId,
    /// A sign-in: a family of tokens that end together.
    SignInSessionId,
    /// Who acts: a user, a key or an attempt.
    ActorId,
    /// What a caller is known by: a sign-in or a key.
    CredentialId,
    /// An entry of the audit log.
    AuditEntryId,
    /// What an act was done to, whatever its kind.
    AuditTargetId,
    /// A repository under work.
    ProjectId,
    /// A feature specification; a run is its spec.
    SpecId,
    /// A requirement of a spec.
    RequirementId,
    /// An acceptance criterion of a requirement.
    CriterionId,
    /// A group of tasks.
    TicketId,
    /// That a ticket moved, or something of it was changed.
    StateTransitionId,
    /// What somebody says of a ticket.
    CommentId,
    /// A question to people.
    ApprovalId,
    /// Something that a phase of a ticket shows.
    PhaseArtifactId,
    /// What the gate of a phase said.
    GateResultId,
    /// That a person is told of something.
    NotificationId,
    /// A file that people gave with a ticket.
    StoredFileId,
    /// A thread in which agents and people speak about work.
    ThreadId,
    /// What somebody says in a thread.
    ThreadMessageId,
    /// The unit one agent works on.
    TaskId,
    /// What somebody says came of a task.
    TaskResultId,
    /// What somebody says came of a ticket.
    WorkflowResultId,
    /// One try at a task, a spec phase, a check or a merge.
    AttemptId,
    /// A place where an attempt runs.
    SandboxId,
    /// An acceptance check of a task.
    CheckId,
    /// The record of one run of a check.
    ReceiptId,
    /// An entry of a merge queue.
    MergeId,
    /// Work found by an agent.
    DiscoveryId,
    /// A message to a running agent.
    MessageId,
    /// Something that an attempt asked for from outside.
    EgressEntryId,
    /// A row of the outbox.
    EventId,
    /// A hand-over of an integration branch.
    HandOverId,
    /// A row of the cost ledger.
    CostId,
    /// The budget of an organisation or a project for a month.
    MonthBudgetId,
    /// Work that a request asks for and does not wait for.
    OperationId,
    /// What a spec was planned from at one time.
    SpecVersionId,
    /// A mail that is to go out.
    MailIntentId,
    /// A request that its sender named, so that it is done once.
    KeyedRequestId,
    /// One of the times that such a request came and was carried out, or was to be.
    RequestRunId,
}

impl OrgId {
    /// The organisation that every new database is seeded with.
    pub const LOCAL: Self = Self(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001));

    /// No organisation: what belongs to the platform itself.
    pub const PLATFORM: Self = Self(Uuid::nil());
}

impl UserId {
    /// The user that every new database is seeded with.
    pub const LOCAL: Self = Self(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0002));
}

/// What a human reference points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// A spec, written `SPEC-7`.
    Spec,
    /// A ticket, written `TKT-007`.
    Ticket,
    /// A task, written `TSK-007`.
    Task,
}

impl RefKind {
    pub(crate) const fn ref_prefix(self) -> &'static str {
        match self {
            Self::Spec => "SPEC",
            Self::Ticket => "TKT",
            Self::Task => "TSK",
        }
    }
}

/// A reference people read and type: a kind and a number counted per project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HumanRef {
    /// What it points at.
    pub kind: RefKind,
    /// Counted per project from 1, never reused.
    pub number: i64,
}

impl HumanRef {
    /// The spec numbered `number`.
    pub const fn spec(number: i64) -> Self {
        Self {
            kind: RefKind::Spec,
            number,
        }
    }

    /// The ticket numbered `number`.
    pub const fn ticket(number: i64) -> Self {
        Self {
            kind: RefKind::Ticket,
            number,
        }
    }

    /// The task numbered `number`.
    pub const fn task(number: i64) -> Self {
        Self {
            kind: RefKind::Task,
            number,
        }
    }
}

impl fmt::Display for HumanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RefKind::Spec => write!(f, "{}-{}", self.kind.ref_prefix(), self.number),
            RefKind::Ticket | RefKind::Task => {
                write!(f, "{}-{:03}", self.kind.ref_prefix(), self.number)
            }
        }
    }
}

/// `text` is not a human reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a reference such as SPEC-1, TKT-002 or TSK-003")]
pub struct BadRef {
    text: String,
}

impl FromStr for HumanRef {
    type Err = BadRef;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadRef {
            text: text.to_owned(),
        };
        let (prefix, digits) = text.split_once('-').ok_or_else(bad)?;
        let kind = [RefKind::Spec, RefKind::Ticket, RefKind::Task]
            .into_iter()
            .find(|k| k.ref_prefix().eq_ignore_ascii_case(prefix))
            .ok_or_else(bad)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let number = digits.parse().map_err(|_| bad())?;
        if number == 0 {
            Err(bad())
        } else {
            Ok(Self { kind, number })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for (text, want) in [
            ("SPEC-1", HumanRef::spec(1)),
            ("tsk-3", HumanRef::task(3)),
            ("TSK-1234", HumanRef::task(1234)),
            ("TKT-007", HumanRef::ticket(7)),
        ] {
            assert_eq!(text.parse(), Ok(want));
            assert_eq!(want.to_string().parse(), Ok(want));
        }
        for bad in [
            "", "TSK", "TSK-", "TSK-x", "TSK-0", "FOO-1", "TSK--1", "TSK-+1",
        ] {
            assert!(bad.parse::<HumanRef>().is_err(), "{bad}");
        }
    }
}
