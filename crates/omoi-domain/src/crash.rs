//! Named places where the process may die in tests.
//!
//! Every durable write (a commit, a moved ref, a written file) names its [`CrashPoint`]; the kill
//! matrix walks [`CrashPoint::ALL`] and aborts before and after each. Nothing happens unless a
//! hook was installed, and only builds with the runtime's `crash-points` feature install one.

use std::sync::OnceLock;

/// Whether the process dies just before or just after the write became durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashSide {
    /// The write has not happened.
    Before,
    /// The write is durable, nothing after it ran.
    After,
}

/// Called at every crash point; may end the process.
pub type CrashHook = fn(CrashPoint, CrashSide);

static HOOK: OnceLock<CrashHook> = OnceLock::new();

/// Installs `hook`; the first one wins.
pub fn install_hook(hook: CrashHook) {
    let _ = HOOK.set(hook);
}

/// Passes crash point `point` on `side`.
pub fn pass_point(point: CrashPoint, side: CrashSide) {
    if let Some(hook) = HOOK.get() {
        hook(point, side);
    }
}

macro_rules! crash_points {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A named durable write.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CrashPoint { $($(#[doc = $doc])+ $name,)+ }

        impl CrashPoint {
            /// Every registered point, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name used on the command line and in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The point called `name`.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|p| p.as_str() == name)
            }
        }
    };
}

crash_points! {
    /// Pending schema migrations were applied.
    Migrate = "migrate",
    /// A budget of a month was made, changed or removed.
    BudgetChanged = "budget_changed",
    /// A project row, what a person changed of it, or their yes to its file.
    ProjectCreated = "project_created",
    /// A spec row with its first event.
    SpecCreated = "spec_created",
    /// A task claimed: fence, attempt, status.
    TaskClaimed = "task_claimed",
    /// Scores of waiting tasks written.
    ScoresKept = "scores_kept",
    /// A sandbox bound to an attempt, before it starts.
    AttemptStarting = "attempt_starting",
    /// A worker's first report.
    AttemptStarted = "attempt_started",
    /// An attempt of the platform or of a phase begun.
    AttemptCreated = "attempt_created",
    /// A turn of an agent was committed.
    TurnCommitted = "turn_committed",
    /// Events of a worker stored.
    EventsStored = "events_stored",
    /// A sign of life stored.
    HeartbeatStored = "heartbeat_stored",
    /// Messages acknowledged or queued.
    MessagesMoved = "messages_moved",
    /// A thread opened or closed, or something said or read in it.
    ThreadMoved = "thread_moved",
    /// A result submitted or judged, or the criteria for one set.
    ResultMoved = "result_moved",
    /// An attempt's end applied to its subject.
    AttemptEnded = "attempt_ended",
    /// A sandbox's end noted.
    SandboxEnded = "sandbox_ended",
    /// A model call counted against its budgets, before it is made.
    CallOpened = "call_opened",
    /// A model call metered.
    CostRecorded = "cost_recorded",
    /// Work found by an agent turned into a task.
    DiscoveryRecorded = "discovery_recorded",
    /// A task cancelled, retried or blocked.
    TaskMoved = "task_moved",
    /// An item of a phase accepted.
    ItemAccepted = "item_accepted",
    /// A phase begun, refused, passed or failed.
    PhaseMoved = "phase_moved",
    /// Sync wrote the plan's rows.
    PlanSynced = "plan_synced",
    /// A person approved, resumed or cancelled a spec.
    SpecMoved = "spec_moved",
    /// A task's checks begun.
    ValidationStarted = "validation_started",
    /// The receipt of one check was stored.
    ReceiptStored = "receipt_stored",
    /// A task completed or sent back by its checks.
    ValidationEnded = "validation_ended",
    /// A merge had its turn.
    MergeMoved = "merge_moved",
    /// A merge landed or was refused.
    MergeEnded = "merge_ended",
    /// What ablation found out about criteria stored.
    AblationStored = "ablation_stored",
    /// The row of a hand-over was written, before the push.
    HandOverPlanned = "hand_over_planned",
    /// A hand-over confirmed and its spec delivered.
    HandOverConfirmed = "hand_over_confirmed",
    /// A data folder named, or a new orchestrator's time begun.
    DeploymentTaken = "deployment_taken",
    /// Leases of attempts renewed.
    LeaseMoved = "lease_moved",
    /// A person wrote, changed or moved a ticket, or what belongs to it.
    TicketChanged = "ticket_changed",
    /// An account, a sign-in or what is counted of tries changed.
    AccountChanged = "account_changed",
    /// A request that its sender named was taken up, or its answer kept.
    RequestKeyed = "request_keyed",
    /// An operation begun, or its end noted.
    OperationMoved = "operation_moved",
    /// A mirror fetched a user's repository.
    MirrorFetched = "mirror_fetched",
    /// A ref of a mirror moved.
    RefMoved = "ref_moved",
    /// A bundle's objects were imported.
    BundleImported = "bundle_imported",
    /// A branch arrived in the user's repository.
    BranchPushed = "branch_pushed",
    /// A file under the data folder was replaced.
    FileReplaced = "file_replaced",
}
