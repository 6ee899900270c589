//! The event registry: every event there is, what row it is about, who may read it, who acts on it.
//!
//! An event is written in the transaction of the change it tells of (outbox). Consumers are
//! reconcilers: an event wakes them at least once, their truth stays the rows.
//! [`EventKind::audience_kind`] says which people are told of it, `docs/events.md` lists them all.

mod payload;
mod subject;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use payload::*;
pub use subject::{EventSubject, RelatedIds};

use crate::access::permission::Permission;
use crate::actor::Actor;
use crate::id::{EventId, OrgId, ProjectId, SpecId, TicketId};
use crate::time::Timestamp;

crate::closed_set! {
    /// A reconciler that acts on events.
    Consumer {
        /// Drives the phases of specs.
        Planner = "planner",
        /// Claims tasks that can start and prepares their attempts.
        Dispatcher = "dispatcher",
        /// Runs the checks of finished tasks.
        Validator = "validator",
        /// Lands finished task branches.
        Merger = "merger",
        /// Proves a spec at its head and hands it over.
        Finisher = "finisher",
        /// Ends what is stale, lost or out of time.
        Reaper = "reaper",
    }
}

crate::closed_set! {
    /// The kind of row that an event is about.
    EntityType {
        /// A project.
        Project = "project",
        /// A spec.
        Spec = "spec",
        /// A ticket.
        Ticket = "ticket",
        /// A task.
        Task = "task",
        /// One try at a task, a phase, a check or a merge.
        Attempt = "attempt",
        /// A sandbox.
        Sandbox = "sandbox",
        /// The record of one run of a check.
        Receipt = "receipt",
        /// What somebody says came of a task.
        TaskResult = "task_result",
        /// What somebody says came of a ticket.
        WorkflowResult = "workflow_result",
        /// Work that an agent found.
        Discovery = "discovery",
        /// A message to an agent.
        Message = "message",
        /// A thread of agents and people.
        Thread = "thread",
        /// What somebody says in a thread.
        ThreadMessage = "thread_message",
        /// What somebody says of a ticket.
        Comment = "comment",
        /// A question to people.
        Approval = "approval",
        /// That a person is told of something.
        Notification = "notification",
        /// A hand-over of an integration branch.
        HandOver = "hand_over",
        /// The budget of an organisation or a project for a month.
        MonthBudget = "month_budget",
        /// Work that a request asked for and did not wait for.
        Operation = "operation",
    }
}

crate::closed_set! {
    /// Who is told of an event, beside the loops that it wakes.
    EventAudience {
        /// Nobody.
        Loops = "loops",
        /// Everybody with its permission.
        People = "people",
        /// The one person whom it names, with its permission.
        User = "user",
        /// The same; the command line shows it where it follows a run.
        Run = "run",
    }
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal, $payload:ty, $entity:ident, $permission:ident, $audience:ident, [$($consumer:ident),*];)+) => {
        /// What happened, with its typed payload.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "event_type", content = "payload")]
        pub enum Event { $($(#[doc = $doc])+ #[serde(rename = $wire)] $name($payload),)+ }

        /// The kind of an [`Event`], as the tables of the state machines name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind { $($(#[doc = $doc])+ $name,)+ }

        impl Event {
            /// The kind of this event, without its payload.
            pub const fn kind(&self) -> EventKind {
                match self { $(Self::$name(_) => EventKind::$name,)+ }
            }

            /// Its payload, as that which knows the rows it is about.
            pub const fn event_subject(&self) -> &dyn EventSubject {
                match self { $(Self::$name(payload) => payload,)+ }
            }
        }

        impl Event {
            /// The event of `kind` carrying `payload`; none when that kind carries another type.
            pub fn wrap<P: std::any::Any + Clone>(kind: EventKind, payload: &P) -> Option<Self> {
                let payload: &dyn std::any::Any = payload;
                match kind {
                    $(EventKind::$name => payload.downcast_ref::<$payload>().cloned().map(Self::$name),)+
                }
            }
        }

        impl EventKind {
            /// Every kind, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name that outbox rows and JSON hold.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)+ }
            }

            /// The reconcilers woken by it.
            pub const fn consumers(self) -> &'static [Consumer] {
                match self { $(Self::$name => &[$(Consumer::$consumer),*],)+ }
            }

            /// The kind of row it is about.
            pub const fn entity_type(self) -> EntityType {
                match self { $(Self::$name => EntityType::$entity,)+ }
            }

            /// What one needs to read it.
            pub const fn read_permission(self) -> Permission {
                match self { $(Self::$name => Permission::$permission,)+ }
            }

            /// Whether people are told of it.
            pub fn is_told(self) -> bool {
                self.audience_kind() != EventAudience::Loops
            }

            /// Who is told of it.
            pub const fn audience_kind(self) -> EventAudience {
                match self { $(Self::$name => EventAudience::$audience,)+ }
            }

            /// The kind with the wire name `text`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|k| k.as_str() == text)
            }
        }
    };
}

events! {
    /// A spec was written down.
    SpecCreated = "spec.created", SpecChange, Spec, SpecRead, Run, [];
    /// A spec began to plan.
    SpecExecutionStarted = "spec.execution_started", SpecChange, Spec, SpecRead, Run, [Planner];
    /// A phase began an attempt.
    SpecPhaseStarted = "spec.phase_started", PhaseChange, Spec, SpecRead, Run, [];
    /// An item of a phase was accepted.
    SpecItemAccepted = "spec.progress", ItemAccepted, Spec, SpecRead, Run, [];
    /// An evaluator judged an output.
    SpecEvalResult = "spec.eval_result", PhaseChange, Spec, SpecRead, Run, [];
    /// A phase was refused and will be tried again.
    SpecPhaseRetry = "spec.phase_retry", PhaseChange, Spec, SpecRead, Run, [Planner];
    /// A model that did not write the plan said what it thinks of its checks, or could not.
    SpecPlanJudged = "spec.plan_judged", PlanJudged, Spec, SpecRead, Run, [];
    /// A phase's output is accepted.
    SpecPhaseCompleted = "spec.phase_completed", PhaseChange, Spec, SpecRead, Run, [Planner];
    /// A phase has no attempt left.
    SpecPhaseFailed = "spec.phase_failed", PhaseChange, Spec, SpecRead, Run, [Planner];
    /// A phase's inputs changed; it must run again.
    SpecPhaseStale = "spec.phase_stale", PhaseChange, Spec, SpecRead, Run, [Planner];
    /// Sync wrote the tickets and tasks.
    SpecSyncCompleted = "spec.sync_completed", SyncDone, Spec, SpecRead, Run, [];
    /// Planning ended with a complete plan.
    SpecExecutionCompleted = "spec.execution_completed", SpecChange, Spec, SpecRead, Run, [];
    /// A phase failed for good and the plan with it.
    SpecExecutionFailed = "spec.execution_failed", SpecChange, Spec, SpecRead, Run, [];
    /// A planning run ended; exactly one per run.
    AgentCompleted = "agent.completed", PlanningEnded, Spec, SpecRead, Run, [];
    /// A planned spec's tasks were released.
    SpecWorkStarted = "spec.work_started", SpecChange, Spec, SpecRead, Run, [Dispatcher, Merger, Finisher];
    /// A spec was proven and handed over.
    SpecDelivered = "spec.delivered", SpecChange, Spec, SpecRead, Run, [Finisher];
    /// A spec cannot go on without a change from outside.
    SpecBlocked = "spec.blocked", SpecChange, Spec, SpecRead, Run, [];
    /// A spec's work failed.
    SpecWorkFailed = "spec.work_failed", SpecChange, Spec, SpecRead, Run, [];
    /// A spec was cancelled.
    SpecCancelled = "spec.cancelled", SpecChange, Spec, SpecRead, Run, [Reaper];
    /// A person put a spec away.
    SpecArchived = "spec.archived", SpecChange, Spec, SpecRead, People, [];
    /// A spec that was put away is back.
    SpecUnarchived = "spec.unarchived", SpecChange, Spec, SpecRead, People, [];
    /// A failed or blocked spec goes on, or what waits in one that is under way.
    SpecResumed = "spec.resumed", SpecChange, Spec, SpecRead, Run, [Planner, Dispatcher];
    /// The toolchain that was recorded with a spec is gone, and the host was looked at again.
    SpecToolchainFound = "spec.toolchain_found", SpecChange, Spec, SpecRead, Run, [];

    /// A ticket was written.
    TicketCreated = "ticket.created", TicketChange, Ticket, TicketRead, Run, [Planner];
    /// A ticket moved to another status.
    TicketStatusChanged = "ticket.status_changed", TicketChange, Ticket, TicketRead, Run, [Planner, Dispatcher, Finisher];
    /// A ticket came to another phase of the same status.
    TicketPhaseChanged = "ticket.phase_changed", TicketChange, Ticket, TicketRead, People, [];
    /// What a ticket says, its priority, its labels or who takes care of it changed.
    TicketUpdated = "ticket.updated", TicketChange, Ticket, TicketRead, People, [Planner];
    /// Something holds a ticket up.
    TicketBlocked = "ticket.blocked", TicketBlockChange, Ticket, TicketRead, People, [];
    /// Nothing holds a ticket up any more.
    TicketUnblocked = "ticket.unblocked", TicketBlockChange, Ticket, TicketRead, People, [Planner, Dispatcher, Finisher];
    /// A ticket waits for another one, or does so no more.
    TicketDependencyChanged = "ticket.dependency_changed", TicketEdgeChange, Ticket, TicketRead, People, [Planner, Dispatcher];
    /// A person put a ticket to another place of the board.
    BoardTicketMoved = "board.ticket_moved", BoardMove, Ticket, TicketRead, People, [];
    /// A person is asked whether something may go on.
    ApprovalRequested = "approval.requested", ApprovalChange, Approval, TicketRead, Run, [Reaper];
    /// A person decided whether something may go on.
    ApprovalDecided = "approval.decided", ApprovalChange, Approval, TicketRead, People, [Planner];
    /// Nobody decided in time.
    ApprovalExpired = "approval.expired", ApprovalChange, Approval, TicketRead, People, [];
    /// What people are asked about changed before anybody decided.
    ApprovalWithdrawn = "approval.withdrawn", ApprovalChange, Approval, TicketRead, People, [];
    /// Somebody commented on a ticket.
    CommentCreated = "comment.created", CommentChange, Comment, TicketRead, People, [];
    /// Somebody changed a comment of theirs.
    CommentEdited = "comment.edited", CommentChange, Comment, TicketRead, People, [];
    /// A comment was taken away.
    CommentDeleted = "comment.deleted", CommentChange, Comment, TicketRead, People, [];
    /// A person is told of something.
    NotificationCreated = "notification.created", NotificationChange, Notification, TicketRead, User, [];

    /// A person changed what a project is called, or whether work goes on in it.
    ProjectUpdated = "project.updated", ProjectUpdate, Project, ProjectRead, People, [Planner, Dispatcher, Finisher];

    /// A task was written.
    TaskCreated = "task.created", TaskChange, Task, TaskRead, Run, [Dispatcher];
    /// A person changed what a task says or waits for.
    TaskEdited = "task.edited", TaskEdit, Task, TaskRead, People, [Dispatcher];
    /// A dispatcher claimed a task.
    TaskClaimed = "task.claimed", TaskChange, Task, TaskRead, Run, [];
    /// A sandbox is bound to a task.
    TaskAssigned = "task.assigned", TaskChange, Task, TaskRead, Run, [];
    /// An agent began to work on a task.
    TaskStarted = "task.started", TaskChange, Task, TaskRead, Run, [];
    /// An agent says done.
    TaskValidationRequested = "task.validation_requested", TaskChange, Task, TaskRead, Run, [Validator];
    /// The platform began to look.
    TaskValidationStarted = "validation_started", TaskChange, Task, TaskRead, Run, [];
    /// The platform's checks failed.
    TaskValidationFailed = "task.validation_failed", TaskChange, Task, TaskRead, Run, [Dispatcher];
    /// The platform's checks passed.
    TaskCompleted = "task.completed", TaskChange, Task, TaskRead, Run, [Dispatcher, Merger, Finisher];
    /// A task moved for the named reason.
    TaskStatusChanged = "task.status_changed", TaskChange, Task, TaskRead, Run, [Dispatcher, Validator, Merger];
    /// A task moved to `failed`; a retry may follow.
    TaskFailed = "task.failed", TaskChange, Task, TaskRead, Run, [Dispatcher, Finisher];
    /// A failed task waits for its next try.
    TaskRetryScheduled = "task.retry_scheduled", TaskChange, Task, TaskRead, Run, [Dispatcher];
    /// A task will not be tried again.
    TaskPermanentlyFailed = "task.permanently_failed", TaskChange, Task, TaskRead, Run, [Finisher, Merger, Reaper];
    /// A task waits for something outside.
    TaskBlocked = "task.blocked", TaskChange, Task, TaskRead, Run, [Finisher];
    /// A task's block is gone.
    TaskUnblocked = "task.unblocked", TaskChange, Task, TaskRead, Run, [Dispatcher];
    /// A task was cancelled.
    TaskCancelled = "task.cancelled", TaskChange, Task, TaskRead, Run, [Finisher, Reaper, Merger];

    /// A sandbox is being made for an attempt.
    AttemptStarting = "attempt.starting", AttemptChange, Attempt, AgentRead, Run, [];
    /// A worker reported for the first time.
    AgentStarted = "agent.started", AttemptChange, Attempt, AgentRead, Run, [];
    /// An attempt reached one of its final states.
    AttemptEnded = "attempt.ended", AttemptChange, Attempt, AgentRead, Run, [Planner, Dispatcher, Validator, Merger];
    /// An agent did something worth showing.
    AgentActivity = "agent.activity", AgentActivity, Attempt, AgentRead, Run, [];
    /// A sandbox moved to another state.
    SandboxStateChanged = "sandbox.state_changed", SandboxChange, Sandbox, SandboxRead, Loops, [Reaper];
    /// A sandbox is gone.
    SandboxTerminated = "sandbox.terminated", SandboxChange, Sandbox, SandboxRead, Run, [Dispatcher];
    /// Something that a sandbox asked for from outside was refused.
    SandboxEgressDenied = "sandbox.egress_denied", EgressDenied, Project, SandboxRead, Run, [];
    /// A task's commits ask for other packages than their base.
    TaskDependenciesChanged = "task.dependencies_changed", DependencyChange, Task, TaskRead, Run, [];
    /// A message waits for an agent.
    MessageQueued = "message.queued", MessageChange, Message, AgentRead, Run, [];
    /// Somebody opened a thread.
    ThreadOpened = "thread.opened", ThreadChange, Thread, AgentRead, People, [];
    /// Somebody came to take part in a thread.
    ThreadJoined = "thread.joined", ThreadChange, Thread, AgentRead, People, [];
    /// Somebody closed a thread.
    ThreadClosed = "thread.closed", ThreadChange, Thread, AgentRead, People, [];
    /// Nobody said anything in a thread for long.
    ThreadExpired = "thread.expired", ThreadChange, Thread, AgentRead, People, [];
    /// Somebody said something in a thread.
    MessageSent = "message.sent", ThreadMessageChange, ThreadMessage, AgentRead, People, [];
    /// A person read what was said to them in a thread.
    MessageRead = "message.read", ThreadMessageChange, ThreadMessage, AgentRead, People, [];
    /// No agent read in time what was said to it in a thread.
    MessageExpired = "message.expired", ThreadMessageChange, ThreadMessage, AgentRead, People, [];

    /// Somebody said what came of a task.
    TaskResultSubmitted = "task_result.submitted", TaskResultChange, TaskResult, TaskRead, People, [];
    /// What a result says of its task holds.
    TaskResultVerified = "task_result.verified", TaskResultChange, TaskResult, TaskRead, People, [];
    /// What a result says of its task does not hold.
    TaskResultDisputed = "task_result.disputed", TaskResultChange, TaskResult, TaskRead, People, [];
    /// Somebody said what came of a ticket.
    WorkflowResultSubmitted = "workflow_result.submitted", WorkflowResultChange, WorkflowResult, TicketRead, People, [];
    /// A result of a ticket meets its criteria.
    WorkflowResultValidated = "workflow_result.validated", WorkflowResultChange, WorkflowResult, TicketRead, People, [];
    /// A result of a ticket does not meet its criteria.
    WorkflowResultRejected = "workflow_result.rejected", WorkflowResultChange, WorkflowResult, TicketRead, People, [];
    /// The criteria for the result of a ticket were set.
    ResultCriteriaChanged = "ticket.result_criteria_changed", ResultCriteriaChange, Ticket, TicketRead, People, [];

    /// A check was run and its receipt stored.
    ReceiptStored = "receipt.stored", ReceiptDone, Receipt, TaskRead, Run, [Finisher];
    /// A requirement's proofs were run without the work that serves it.
    RequirementAblated = "requirement.ablated", AblationDone, Spec, SpecRead, Run, [];
    /// A task's commits wait for their turn.
    MergeQueued = "merge.queued", MergeChange, Task, TaskRead, Run, [Merger];
    /// A merge has its turn.
    MergeStarted = "merge.started", MergeChange, Task, TaskRead, Run, [];
    /// A merge's tree is under check.
    MergeVerifying = "merge.verifying", MergeChange, Task, TaskRead, Run, [];
    /// A merge conflicts, and a task resolves it.
    MergeConflict = "merge.conflict", MergeChange, Task, TaskRead, Run, [Dispatcher];
    /// A merge moved the integration branch.
    MergeCompleted = "merge.completed", MergeChange, Task, TaskRead, Run, [Dispatcher, Merger, Finisher];
    /// A merge was refused; its task goes back.
    MergeRefused = "merge.refused", MergeChange, Task, TaskRead, Run, [Dispatcher, Merger];
    /// A merge starts over because its target moved.
    MergeRestarted = "merge.restarted", MergeChange, Task, TaskRead, Run, [Merger];
    /// A merge waits for a person.
    MergeManual = "merge.manual", MergeChange, Task, TaskRead, Run, [Finisher];
    /// A merge was cancelled.
    MergeCancelled = "merge.cancelled", MergeChange, Task, TaskRead, Run, [Merger];

    /// An agent found work; a task carries it.
    DiscoveryRecorded = "discovery.recorded", DiscoveryDone, Discovery, TaskRead, Run, [];
    /// An integration branch arrived in the user's repository.
    HandOverCompleted = "hand_over.completed", HandOverDone, HandOver, SpecRead, Run, [];
    /// A try of a model call failed.
    ModelCallFailed = "model.call_failed", CallFailed, Attempt, AgentRead, Run, [];
    /// A question went on to the next model of its list.
    ModelFellBack = "model.fell_back", ModelFallback, Attempt, AgentRead, Run, [];
    /// An attempt that its provider turned away was saved, and goes on later.
    AttemptSaved = "attempt.saved", SavedAttempt, Attempt, AgentRead, Run, [];
    /// A model call was paid for.
    CostRecorded = "cost.recorded", CostDone, Spec, CostRead, Run, [];
    /// A month's budget was made, changed or removed.
    BudgetChanged = "cost.budget_changed", BudgetChange, MonthBudget, CostRead, People, [];
    /// Work began that a request asked for and does not wait for.
    OperationStarted = "operation.started", OperationChange, Operation, ProjectRead, People, [Reaper];
    /// Such work is over.
    OperationFinished = "operation.finished", OperationChange, Operation, ProjectRead, People, [];
    /// A month's budget is spent by four fifths or more.
    BudgetWarning = "cost.budget_warning", BudgetLevelReached, MonthBudget, CostRead, People, [];
    /// A month's budget is spent but for a twentieth or less.
    BudgetCritical = "cost.budget_critical", BudgetLevelReached, MonthBudget, CostRead, People, [];
    /// A month's budget is spent.
    BudgetExceeded = "cost.budget_exceeded", BudgetLevelReached, MonthBudget, CostRead, People, [];
}

/// An event as it goes into the outbox; the store gives it its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Globally unique id of the event.
    pub id: EventId,
    /// Organisation that the event belongs to.
    pub org: OrgId,
    /// The project, where there is one.
    pub project: Option<ProjectId>,
    /// The spec, where there is one.
    pub spec: Option<SpecId>,
    /// Who the change was made for.
    pub actor: Actor,
    /// Time of the transaction that wrote it.
    pub at: Timestamp,
    /// The event with its typed payload.
    pub event: Event,
}

/// An event as read from the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Position in the organisation's log, gap-free from 1.
    pub seq: i64,
    /// Globally unique id of the event.
    pub event_id: EventId,
    /// The spec, where there is one.
    pub spec_id: Option<SpecId>,
    /// Who the change was made for.
    pub actor: Actor,
    /// Time of the transaction that wrote it.
    pub occurred_at: Timestamp,
    /// The event with its typed payload.
    #[serde(flatten)]
    pub event: Event,
}

/// An event as read from the outbox, with the rows that it is found by.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Organisation that the event belongs to.
    pub org_id: OrgId,
    /// The project, where there is one.
    pub project_id: Option<ProjectId>,
    /// The ticket, where there is one.
    pub ticket_id: Option<TicketId>,
    /// The event.
    pub stored: StoredEvent,
}

impl LoggedEvent {
    /// The row it is about.
    pub fn entity_id(&self) -> Uuid {
        let named = self.stored.event.event_subject().entity_id();
        named.unwrap_or_else(|| {
            let spec = self.stored.spec_id.map(SpecId::as_uuid);
            let project = self.project_id.map(ProjectId::as_uuid);
            let scope = match self.stored.event.kind().entity_type() {
                EntityType::Spec => spec.or(project),
                _ => project,
            };
            scope.unwrap_or(self.org_id.as_uuid())
        })
    }

    /// The rows that it is found by beside.
    pub fn related_ids(&self) -> RelatedIds {
        let named = self.stored.event.event_subject().related_ids();
        RelatedIds {
            spec_id: named.spec_id.or(self.stored.spec_id),
            ticket_id: named.ticket_id.or(self.ticket_id),
            ..named
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_orphaned() {
        for kind in EventKind::ALL {
            assert!(
                kind.audience_kind() != EventAudience::Loops || !kind.consumers().is_empty(),
                "`{}` wakes nobody and is told to nobody",
                kind.as_str()
            );
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn every_consumer_consumes() {
        for consumer in Consumer::ALL {
            assert!(
                EventKind::ALL
                    .iter()
                    .any(|k| k.consumers().contains(consumer)),
                "{} is woken by nothing",
                consumer.as_str()
            );
        }
    }
}
