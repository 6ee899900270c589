//! The event registry: every event there is, who writes it, who acts on it.
//!
//! An event is written in the transaction of the change it tells of (outbox). Consumers are
//! reconcilers: an event wakes them at least once, their truth stays the rows.
//! [`EventKind::display`] events are also streamed to people.

mod payload;

use serde::{Deserialize, Serialize};

pub use payload::*;

use crate::id::{EventId, OrgId, ProjectId, SpecId};
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

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal, $payload:ty, [$($consumer:ident),*], $display:literal;)+) => {
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

            /// Whether it is streamed to people.
            pub const fn display(self) -> bool {
                match self { $(Self::$name => $display,)+ }
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
    SpecCreated = "spec.created", SpecChange, [], true;
    /// A spec began to plan.
    SpecExecutionStarted = "spec.execution_started", SpecChange, [Planner], true;
    /// A phase began an attempt.
    SpecPhaseStarted = "spec.phase_started", PhaseChange, [], true;
    /// An item of a phase was accepted.
    SpecItemAccepted = "spec.progress", ItemAccepted, [], true;
    /// An evaluator judged an output.
    SpecEvalResult = "spec.eval_result", PhaseChange, [], true;
    /// A phase was refused and will be tried again.
    SpecPhaseRetry = "spec.phase_retry", PhaseChange, [Planner], true;
    /// A model that did not write the plan said what it thinks of its checks, or could not.
    SpecPlanJudged = "spec.plan_judged", PlanJudged, [], true;
    /// A phase's output is accepted.
    SpecPhaseCompleted = "spec.phase_completed", PhaseChange, [Planner], true;
    /// A phase has no attempt left.
    SpecPhaseFailed = "spec.phase_failed", PhaseChange, [Planner], true;
    /// A phase's inputs changed; it must run again.
    SpecPhaseStale = "spec.phase_stale", PhaseChange, [Planner], true;
    /// Sync wrote the tickets and tasks.
    SpecSyncCompleted = "spec.sync_completed", SyncDone, [], true;
    /// Planning ended with a complete plan.
    SpecExecutionCompleted = "spec.execution_completed", SpecChange, [], true;
    /// A phase failed for good and the plan with it.
    SpecExecutionFailed = "spec.execution_failed", SpecChange, [], true;
    /// A planning run ended; exactly one per run.
    AgentCompleted = "agent.completed", PlanningEnded, [], true;
    /// A planned spec's tasks were released.
    SpecWorkStarted = "spec.work_started", SpecChange, [Dispatcher, Merger, Finisher], true;
    /// A spec was proven and handed over.
    SpecDelivered = "spec.delivered", SpecChange, [], true;
    /// A spec cannot go on without a change from outside.
    SpecBlocked = "spec.blocked", SpecChange, [], true;
    /// A spec's work failed.
    SpecWorkFailed = "spec.work_failed", SpecChange, [], true;
    /// A spec was called off.
    SpecCancelled = "spec.cancelled", SpecChange, [Reaper], true;
    /// A failed or blocked spec goes on, or what waits in one that is under way.
    SpecResumed = "spec.resumed", SpecChange, [Planner, Dispatcher], true;

    /// A ticket was written.
    TicketCreated = "ticket.created", TicketChange, [], true;
    /// A ticket moved to another status.
    TicketStatusChanged = "ticket.status_changed", TicketChange, [Dispatcher], true;

    /// A task was written.
    TaskCreated = "task.created", TaskChange, [Dispatcher], true;
    /// A dispatcher claimed a task.
    TaskClaimed = "task.claimed", TaskChange, [], true;
    /// A sandbox is bound to a task.
    TaskAssigned = "task.assigned", TaskChange, [], true;
    /// An agent began to work on a task.
    TaskStarted = "task.started", TaskChange, [], true;
    /// An agent says done.
    TaskValidationRequested = "task.validation_requested", TaskChange, [Validator], true;
    /// The platform began to look.
    TaskValidationStarted = "validation_started", TaskChange, [], true;
    /// The platform's checks failed.
    TaskValidationFailed = "task.validation_failed", TaskChange, [Dispatcher], true;
    /// The platform's checks passed.
    TaskCompleted = "task.completed", TaskChange, [Dispatcher, Merger, Finisher], true;
    /// A task moved for the named reason.
    TaskStatusChanged = "task.status_changed", TaskChange, [Dispatcher, Validator, Merger], true;
    /// A task moved to `failed`; a retry may follow.
    TaskFailed = "task.failed", TaskChange, [Dispatcher, Finisher], true;
    /// A failed task waits for its next try.
    TaskRetryScheduled = "task.retry_scheduled", TaskChange, [Dispatcher], true;
    /// A task will not be tried again.
    TaskPermanentlyFailed = "task.permanently_failed", TaskChange, [Finisher, Merger], true;
    /// A task waits for something outside.
    TaskBlocked = "task.blocked", TaskChange, [Finisher], true;
    /// A task's block is gone.
    TaskUnblocked = "task.unblocked", TaskChange, [Dispatcher], true;
    /// A task was called off.
    TaskCancelled = "task.cancelled", TaskChange, [Finisher, Reaper, Merger], true;

    /// A sandbox is being made for an attempt.
    AttemptStarting = "attempt.starting", AttemptChange, [], true;
    /// A worker reported for the first time.
    AgentStarted = "agent.started", AttemptChange, [], true;
    /// An attempt reached one of its final states.
    AttemptEnded = "attempt.ended", AttemptChange, [Planner, Dispatcher, Validator, Merger], true;
    /// An agent did something worth showing.
    AgentActivity = "agent.activity", AgentActivity, [], true;
    /// A sandbox moved to another state.
    SandboxStateChanged = "sandbox.state_changed", SandboxChange, [Reaper], false;
    /// A sandbox is gone.
    SandboxTerminated = "sandbox.terminated", SandboxChange, [Dispatcher], true;
    /// Something that a sandbox asked for from outside was refused.
    SandboxEgressDenied = "sandbox.egress_denied", EgressDenied, [], true;
    /// A task's commits ask for other packages than their base.
    TaskDependenciesChanged = "task.dependencies_changed", DependencyChange, [], true;
    /// A message waits for an agent.
    MessageQueued = "message.queued", MessageChange, [], true;

    /// A check was run and its receipt stored.
    ReceiptStored = "receipt.stored", ReceiptDone, [Finisher], true;
    /// A requirement's proofs were run without the work that serves it.
    RequirementAblated = "requirement.ablated", AblationDone, [], true;
    /// A task's commits wait for their turn.
    MergeQueued = "merge.queued", MergeChange, [Merger], true;
    /// A merge has its turn.
    MergeStarted = "merge.started", MergeChange, [], true;
    /// A merge's tree is under check.
    MergeVerifying = "merge.verifying", MergeChange, [], true;
    /// A merge conflicts, and a task resolves it.
    MergeConflict = "merge.conflict", MergeChange, [Dispatcher], true;
    /// A merge moved the integration branch.
    MergeCompleted = "merge.completed", MergeChange, [Dispatcher, Merger, Finisher], true;
    /// A merge was refused; its task goes back.
    MergeRefused = "merge.refused", MergeChange, [Dispatcher, Merger], true;
    /// A merge starts over because its target moved.
    MergeRestarted = "merge.restarted", MergeChange, [Merger], true;
    /// A merge waits for a person.
    MergeManual = "merge.manual", MergeChange, [Finisher], true;
    /// A merge was called off.
    MergeCancelled = "merge.cancelled", MergeChange, [Merger], true;

    /// An agent found work; a task carries it.
    DiscoveryRecorded = "discovery.recorded", DiscoveryDone, [], true;
    /// An integration branch arrived in the user's repository.
    HandOverCompleted = "hand_over.completed", HandOverDone, [], true;
    /// A try of a model call failed.
    ModelCallFailed = "model.call_failed", CallFailed, [], true;
    /// A question went on to the next model of its list.
    ModelFellBack = "model.fell_back", ModelFallback, [], true;
    /// An attempt that its provider turned away was saved, and goes on later.
    AttemptSaved = "attempt.saved", SavedAttempt, [], true;
    /// A model call was paid for.
    CostRecorded = "cost.recorded", CostDone, [], true;
}

crate::closed_set! {
    /// Who a change is made for. A change has one actor; so have its events.
    Actor {
        /// OmoiOS itself: its loops, and the reports of its workers.
        System = "system",
        /// The person at the command line of the machine it runs on.
        Local = "local",
    }
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
    /// Who made the change.
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
    /// Who made the change.
    pub actor: Actor,
    /// Time of the transaction that wrote it.
    pub occurred_at: Timestamp,
    /// The event with its typed payload.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_orphaned() {
        for kind in EventKind::ALL {
            assert!(
                kind.display() || !kind.consumers().is_empty(),
                "`{}` has neither a consumer nor a display",
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
