//! Specs: a feature idea on its way to merged code. A run is its spec.

crate::closed_set! {
    /// Where the plan of a spec comes from.
    SpecKind {
        /// From phases, which agents go through.
        Planned = "planned",
        /// From the ticket that it was begun for: the ticket is the plan.
        Direct = "direct",
    }
}

crate::closed_set! {
    /// What shows that the work of a direct spec does what was asked for.
    WorkEvidence {
        /// Commands given with its ticket, which fail without the work.
        Proven = "proven",
        /// The suite of the project alone, which passes without the work as well.
        Checked = "checked_not_proven",
    }
}

impl WorkEvidence {
    /// The evidence of a direct spec with or without commands of its own.
    pub const fn of_direct(has_proofs: bool) -> Self {
        match has_proofs {
            true => Self::Proven,
            false => Self::Checked,
        }
    }
}

crate::machine! {
    /// Where a spec stands.
    SpecStatus ("spec") {
        /// Written down, not started.
        Draft = "draft",
        /// One of its planning phases runs.
        Executing = "executing",
        /// Planned: tickets and tasks exist, nobody has released them.
        Completed = "completed",
        /// Its tasks are released and run.
        Working = "working",
        /// Proven and handed over.
        Delivered = "delivered",
        /// It cannot go on without a change from outside.
        Blocked = "blocked",
        /// A phase or a needed task failed for good.
        Failed = "failed",
        /// A person called it off.
        Cancelled = "cancelled",
    }
    Draft => Executing: SpecExecutionStarted, Cancelled: SpecCancelled;
    Executing => Completed: SpecExecutionCompleted, Blocked: SpecBlocked,
        Failed: SpecExecutionFailed, Cancelled: SpecCancelled;
    Completed => Working: SpecWorkStarted, Executing: SpecResumed, Cancelled: SpecCancelled;
    Working => Delivered: SpecDelivered, Blocked: SpecBlocked, Failed: SpecWorkFailed,
        Cancelled: SpecCancelled;
    Blocked => Executing: SpecResumed, Working: SpecWorkStarted, Cancelled: SpecCancelled;
    Failed => Executing: SpecResumed, Working: SpecWorkStarted, Cancelled: SpecCancelled;
    Delivered => Working: SpecWorkStarted;
}

crate::machine! {
    /// Where one phase of a spec stands.
    PhaseState ("spec phase") {
        /// Not begun, or stale.
        Pending = "pending",
        /// An attempt at the phase runs.
        Running = "running",
        /// An attempt was refused; the next waits for its time.
        Backoff = "backoff",
        /// Its output is accepted.
        Passed = "passed",
        /// No attempt is left.
        Failed = "failed",
    }
    Pending => Running: SpecPhaseStarted, Failed: SpecPhaseFailed;
    Running => Passed: SpecPhaseCompleted, Backoff: SpecPhaseRetry, Failed: SpecPhaseFailed,
        Pending: SpecPhaseStale;
    Backoff => Running: SpecPhaseStarted, Failed: SpecPhaseFailed, Pending: SpecPhaseStale;
    Passed => Pending: SpecPhaseStale;
    Failed => Pending: SpecPhaseStale;
}
