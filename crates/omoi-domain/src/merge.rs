//! Merging: how a task's commits reach the integration branch.

crate::machine! {
    /// Where a task's commits stand. Dependents wait for [`IntegrationState::Merged`].
    IntegrationState ("integration") {
        /// Nothing finished yet.
        None = "none",
        /// Finished, waiting for its turn.
        Queued = "queued",
        /// Its merged tree is being checked.
        Merging = "merging",
        /// It conflicts; a resolve task has it.
        Conflict = "conflict",
        /// In the integration branch.
        Merged = "merged",
        /// A person must look.
        Manual = "manual",
    }
    None => Queued: MergeQueued;
    Queued => Merging: MergeStarted, None: MergeRefused, Conflict: MergeConflict;
    Merging => Merged: MergeCompleted, Conflict: MergeConflict, None: MergeRefused,
        Queued: MergeRestarted, Manual: MergeManual;
    Conflict => Merged: MergeCompleted, Manual: MergeManual, Queued: MergeRestarted,
        None: MergeRefused;
    Manual => Queued: MergeQueued, None: MergeRefused;
    Merged => None: MergeRefused;
}

impl IntegrationState {
    /// Whether dependents may start.
    pub const fn satisfies_dependents(self) -> bool {
        matches!(self, Self::Merged)
    }
}

crate::machine! {
    /// Where one merge of one task branch stands.
    MergeState ("merge") {
        /// In the queue.
        Pending = "pending",
        /// Its turn; shas are pinned.
        InProgress = "in_progress",
        /// It conflicts.
        Conflict = "conflict",
        /// A task resolves it.
        Resolving = "resolving",
        /// Its merged tree is under check.
        Verifying = "verifying",
        /// Landed.
        Completed = "completed",
        /// Its checks are red on the merged tree, or its resolution failed.
        Failed = "failed",
        /// A person must look.
        Manual = "manual",
        /// Its task was cancelled or went back for a round.
        Cancelled = "cancelled",
    }
    Pending => InProgress: MergeStarted, Cancelled: MergeCancelled;
    InProgress => Verifying: MergeVerifying, Conflict: MergeConflict, Failed: MergeRefused,
        Pending: MergeRestarted, Manual: MergeManual, Cancelled: MergeCancelled;
    Conflict => Resolving: MergeResolving, Manual: MergeManual, Cancelled: MergeCancelled;
    Resolving => Completed: MergeCompleted, Manual: MergeManual, Failed: MergeRefused,
        Pending: MergeRestarted, Cancelled: MergeCancelled;
    Verifying => Completed: MergeCompleted, Failed: MergeRefused, Pending: MergeRestarted,
        Manual: MergeManual, Cancelled: MergeCancelled;
    Manual => Pending: MergeRestarted, Cancelled: MergeCancelled;
}
