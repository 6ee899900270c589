//! What waits for a person's yes.

crate::closed_set! {
    /// What a person is asked about.
    ApprovalKind {
        /// Whether a ticket that a program wrote may be worked on.
        Ticket = "ticket",
        /// Whether the requirements of a spec are what was asked for.
        SpecRequirements = "spec_requirements",
        /// Whether the design of a spec is to be built.
        SpecDesign = "spec_design",
        /// Whether a ticket may leave a phase that does not show what it has to.
        PhaseGate = "phase_gate",
        /// What an agent needs to know to go on.
        Question = "question",
        /// Whether the file of a repository may have what it asks for.
        RepositoryTrust = "repository_trust",
        /// What becomes of a merge whose conflict no agent resolved.
        MergeConflict = "merge_conflict",
    }
}

crate::closed_set! {
    /// What a person decides.
    ApprovalDecision {
        /// It goes on.
        Approve = "approve",
        /// It does not.
        Reject = "reject",
        /// It goes on with what is said.
        Answer = "answer",
    }
}

crate::machine! {
    /// Where a question to people stands.
    ApprovalState ("approval") {
        /// Nobody has decided yet.
        Pending = "pending",
        /// A person said yes.
        Approved = "approved",
        /// A person said no.
        Rejected = "rejected",
        /// A person said what was asked for.
        Answered = "answered",
        /// Nobody decided in time.
        TimedOut = "timed_out",
        /// What it is about changed before anybody decided.
        Withdrawn = "withdrawn",
    }
    Pending => Approved: ApprovalDecided, Rejected: ApprovalDecided, Answered: ApprovalDecided,
        TimedOut: ApprovalExpired, Withdrawn: ApprovalWithdrawn;
}
