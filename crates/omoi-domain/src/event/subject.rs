//! Which rows an event is about.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::payload::{
    AblationDone, AgentActivity, ApprovalChange, AttemptChange, BoardMove, BudgetChange,
    BudgetLevelReached, CallFailed, CommentChange, CostDone, DependencyChange, DiscoveryDone,
    EgressDenied, HandOverDone, ItemAccepted, MergeChange, MessageChange, ModelFallback,
    NotificationChange, OperationChange, PhaseChange, PlanJudged, PlanningEnded, ProjectUpdate,
    ReceiptDone, ResultCriteriaChange, SandboxChange, SavedAttempt, SpecChange, SyncDone,
    TaskChange, TaskEdit, TaskResultChange, ThreadChange, ThreadMessageChange, TicketBlockChange,
    TicketChange, TicketEdgeChange, WorkflowResultChange,
};
use crate::attempt::AttemptSubject;
use crate::id::{AttemptId, MergeId, SandboxId, SpecId, TaskId, TicketId, UserId};

/// The rows beside its entity that an event is found by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RelatedIds {
    /// The spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_id: Option<SpecId>,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<TicketId>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The merge that lands the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_id: Option<MergeId>,
    /// The sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<SandboxId>,
    /// The attempt, which is the agent at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AttemptId>,
}

impl RelatedIds {
    /// Whether one of the ids is `id`.
    pub fn contains_id(&self, id: Uuid) -> bool {
        let ids = [
            self.spec_id.map(SpecId::as_uuid),
            self.ticket_id.map(TicketId::as_uuid),
            self.task_id.map(TaskId::as_uuid),
            self.merge_id.map(MergeId::as_uuid),
            self.sandbox_id.map(SandboxId::as_uuid),
            self.agent_id.map(AttemptId::as_uuid),
        ];
        ids.contains(&Some(id))
    }

    fn of_spec(spec: SpecId) -> Self {
        Self {
            spec_id: Some(spec),
            ..Self::default()
        }
    }

    fn of_ticket(ticket: TicketId) -> Self {
        Self {
            ticket_id: Some(ticket),
            ..Self::default()
        }
    }

    fn of_task(task: TaskId) -> Self {
        Self {
            task_id: Some(task),
            ..Self::default()
        }
    }

    fn of_attempt(attempt: AttemptId, subject: AttemptSubject) -> Self {
        let merge_id = match subject {
            AttemptSubject::Merge { merge_id } => Some(merge_id),
            AttemptSubject::Task { .. }
            | AttemptSubject::SpecPhase { .. }
            | AttemptSubject::TaskChecks { .. }
            | AttemptSubject::BaseSuite
            | AttemptSubject::PlanProofs
            | AttemptSubject::PlanOpinion
            | AttemptSubject::HeadChecks => None,
        };
        Self {
            task_id: subject.task_id(),
            merge_id,
            agent_id: Some(attempt),
            ..Self::default()
        }
    }
}

/// What a payload knows of the rows that its event is about.
pub trait EventSubject {
    /// The row of the event's entity type; none where that is the spec or project the event was written for.
    fn entity_id(&self) -> Option<Uuid>;

    /// The rows that the payload names.
    fn related_ids(&self) -> RelatedIds;

    /// The one person who is told; none where everybody is who may read it.
    fn recipient_id(&self) -> Option<UserId> {
        None
    }
}

/// Payloads of a spec, which name nothing else.
macro_rules! subjects_of_spec {
    ($($payload:ty),+ $(,)?) => {$(
        impl EventSubject for $payload {
            fn entity_id(&self) -> Option<Uuid> {
                Some(self.spec_id.as_uuid())
            }

            fn related_ids(&self) -> RelatedIds {
                RelatedIds::of_spec(self.spec_id)
            }
        }
    )+};
}

/// Payloads of an attempt, with the kind of work it performs.
macro_rules! subjects_of_attempt {
    ($($payload:ty),+ $(,)?) => {$(
        impl EventSubject for $payload {
            fn entity_id(&self) -> Option<Uuid> {
                Some(self.attempt_id.as_uuid())
            }

            fn related_ids(&self) -> RelatedIds {
                RelatedIds::of_attempt(self.attempt_id, self.subject)
            }
        }
    )+};
}

subjects_of_spec!(
    SpecChange,
    PhaseChange,
    PlanJudged,
    ItemAccepted,
    SyncDone,
    PlanningEnded,
    AblationDone,
);
subjects_of_attempt!(
    AttemptChange,
    AgentActivity,
    CallFailed,
    ModelFallback,
    SavedAttempt
);

/// Payloads about a ticket.
macro_rules! subjects_of_ticket {
    ($($payload:ty),+ $(,)?) => {$(
        impl EventSubject for $payload {
            fn entity_id(&self) -> Option<Uuid> {
                Some(self.ticket_id.as_uuid())
            }

            fn related_ids(&self) -> RelatedIds {
                RelatedIds::of_ticket(self.ticket_id)
            }
        }
    )+};
}

subjects_of_ticket!(
    TicketChange,
    TicketBlockChange,
    TicketEdgeChange,
    BoardMove,
    ResultCriteriaChange
);

impl EventSubject for TaskResultChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.task_result_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_task(self.task_id)
    }
}

impl EventSubject for WorkflowResultChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.workflow_result_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_ticket(self.ticket_id)
    }
}

impl EventSubject for ApprovalChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.approval_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            task_id: self.task_id,
            ticket_id: self.ticket_id,
            spec_id: self.spec_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for NotificationChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.notification_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            spec_id: self.spec_id,
            ticket_id: self.ticket_id,
            ..RelatedIds::default()
        }
    }

    fn recipient_id(&self) -> Option<UserId> {
        Some(self.user_id)
    }
}

impl EventSubject for CommentChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.comment_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_ticket(self.ticket_id)
    }
}

impl EventSubject for TaskEdit {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.task_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            ticket_id: Some(self.ticket_id),
            ..RelatedIds::of_task(self.task_id)
        }
    }
}

impl EventSubject for TaskChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.task_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            ticket_id: Some(self.ticket_id),
            agent_id: self.attempt_id,
            ..RelatedIds::of_task(self.task_id)
        }
    }
}

impl EventSubject for SandboxChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.sandbox_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            sandbox_id: Some(self.sandbox_id),
            agent_id: Some(self.attempt_id),
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for EgressDenied {
    fn entity_id(&self) -> Option<Uuid> {
        None
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            task_id: self.task_id,
            agent_id: self.attempt_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for DependencyChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.task_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_task(self.task_id)
    }
}

impl EventSubject for MessageChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.message_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_task(self.task_id)
    }
}

impl EventSubject for ThreadChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.thread_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            ticket_id: self.ticket_id,
            task_id: self.task_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for ThreadMessageChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.thread_message_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            ticket_id: self.ticket_id,
            task_id: self.task_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for ReceiptDone {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.receipt_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            task_id: self.task_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for MergeChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.task_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            merge_id: self.merge_id,
            ..RelatedIds::of_task(self.task_id)
        }
    }
}

impl EventSubject for DiscoveryDone {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.discovery_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_task(self.source_task_id)
    }
}

impl EventSubject for HandOverDone {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.hand_over_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::of_spec(self.spec_id)
    }
}

impl EventSubject for CostDone {
    fn entity_id(&self) -> Option<Uuid> {
        None
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds {
            agent_id: self.attempt_id,
            ..RelatedIds::default()
        }
    }
}

impl EventSubject for BudgetChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.month_budget_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::default()
    }
}

impl EventSubject for ProjectUpdate {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.project_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::default()
    }
}

impl EventSubject for OperationChange {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.operation_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::default()
    }
}

impl EventSubject for BudgetLevelReached {
    fn entity_id(&self) -> Option<Uuid> {
        Some(self.month_budget_id.as_uuid())
    }

    fn related_ids(&self) -> RelatedIds {
        RelatedIds::default()
    }
}
