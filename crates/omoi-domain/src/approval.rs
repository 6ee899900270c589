//! What waits for a person's yes.

crate::closed_set! {
    /// What a person is asked about.
    ApprovalKind {
        /// Whether a ticket that a program wrote may be worked on.
        Ticket = "ticket",
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
    }
    Pending => Approved: ApprovalDecided, Rejected: ApprovalDecided, TimedOut: ApprovalExpired;
}
