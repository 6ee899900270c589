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
    }
}

crate::closed_set! {
    /// What a person decides.
    ApprovalDecision {
        /// It goes on.
        Approve = "approve",
        /// It does not.
        Reject = "reject",
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
        /// Nobody decided in time.
        TimedOut = "timed_out",
        /// What it is about changed before anybody decided.
        Withdrawn = "withdrawn",
    }
    Pending => Approved: ApprovalDecided, Rejected: ApprovalDecided, TimedOut: ApprovalExpired,
        Withdrawn: ApprovalWithdrawn;
}
