//! Merging: how a task's commits reach the integration branch.

crate::closed_set! {
    /// Where a task's commits stand. Dependents wait for [`IntegrationState::Merged`].
    ///
    /// It follows the task's merge and moves with it, so it has no table of its own; the one move
    /// without a merge takes landed work back when the head is red.
    IntegrationState {
        /// The task has no finished commits to merge.
        None = "none",
        /// Finished, waiting for its turn.
        Queued = "queued",
        /// Its merged tree is being made and checked.
        Merging = "merging",
        /// It conflicts; a resolve task has it.
        Conflict = "conflict",
        /// In the integration branch.
        Merged = "merged",
        /// A person must look.
        Manual = "manual",
    }
}

impl IntegrationState {
    /// Where the commits of a task stand whose merge is in `merge`.
    pub const fn of_merge(merge: MergeState) -> Self {
        match merge {
            MergeState::Pending => Self::Queued,
            MergeState::InProgress | MergeState::Verifying => Self::Merging,
            MergeState::Resolving => Self::Conflict,
            MergeState::Completed => Self::Merged,
            MergeState::Manual => Self::Manual,
            MergeState::Failed | MergeState::Cancelled => Self::None,
        }
    }

    /// Whether dependents may start.
    pub const fn satisfies_dependents(self) -> bool {
        matches!(self, Self::Merged)
    }
}

crate::closed_set! {
    /// The side of a conflict that a person takes, in the files that conflict.
    ConflictSide {
        /// What landed before.
        Ours = "ours",
        /// What the task brings.
        Theirs = "theirs",
    }
}

crate::machine! {
    /// Where one merge of one task branch stands.
    MergeState ("merge") {
        /// It waits in the merge queue.
        Pending = "pending",
        /// Its turn; shas are pinned.
        InProgress = "in_progress",
        /// It conflicts, and a task resolves it.
        Resolving = "resolving",
        /// Its merged tree is under check.
        Verifying = "verifying",
        /// Its commits are in the integration branch.
        Completed = "completed",
        /// Its checks are red on the merged tree; its task has another round, and then another merge.
        Failed = "failed",
        /// A person must look.
        Manual = "manual",
        /// A person had its task tried again instead.
        Cancelled = "cancelled",
    }
    Pending => InProgress: MergeStarted;
    InProgress => Verifying: MergeVerifying, Completed: MergeCompleted, Resolving: MergeConflict,
        Pending: MergeRestarted, Manual: MergeManual;
    Resolving => Completed: MergeCompleted, Pending: MergeRestarted, Manual: MergeManual;
    Verifying => Completed: MergeCompleted, Failed: MergeRefused, Pending: MergeRestarted,
        Manual: MergeManual;
    Manual => Pending: MergeRestarted, Cancelled: MergeCancelled;
}

impl MergeState {
    /// Whether it has its turn, which only one merge of a spec has at a time.
    pub const fn has_turn(self) -> bool {
        matches!(self, Self::InProgress | Self::Verifying)
    }

    /// Whether something works on it: its own attempt, or the task that resolves its conflict.
    pub const fn is_under_way(self) -> bool {
        self.has_turn() || matches!(self, Self::Resolving)
    }
}
