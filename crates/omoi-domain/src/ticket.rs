//! Tickets: groups of tasks.

crate::closed_set! {
    /// Whether people let a ticket's tasks run.
    ApprovalStatus {
        /// They do; so does a ticket nobody was asked about.
        Approved = "approved",
        /// Somebody must decide.
        PendingReview = "pending_review",
        /// Somebody said no.
        Rejected = "rejected",
        /// Nobody decided in time.
        TimedOut = "timed_out",
    }
}

crate::machine! {
    /// Where a ticket stands.
    TicketStatus ("ticket") {
        /// Planned, not released.
        Backlog = "backlog",
        /// Being looked into.
        Analyzing = "analyzing",
        /// Its tasks may run.
        Building = "building",
        /// Its tasks ended.
        BuildingDone = "building-done",
        /// Under test.
        Testing = "testing",
        /// Being deployed.
        Deploying = "deploying",
        /// All its work is merged.
        Done = "done",
    }
    Backlog => Analyzing: TicketStatusChanged, Building: TicketStatusChanged;
    Analyzing => Building: TicketStatusChanged;
    Building => BuildingDone: TicketStatusChanged;
    BuildingDone => Testing: TicketStatusChanged, Done: TicketStatusChanged,
        Building: TicketStatusChanged;
    Testing => Deploying: TicketStatusChanged, Done: TicketStatusChanged,
        Building: TicketStatusChanged;
    Deploying => Done: TicketStatusChanged, Building: TicketStatusChanged;
    Done => Building: TicketStatusChanged;
}
