//! Tickets: groups of tasks.

crate::closed_set! {
    /// Whether people let a ticket's tasks run.
    ApprovalStatus {
        /// They do; so does a ticket nobody was asked about.
        Approved = "approved",
        /// A person has to decide before they may run.
        PendingReview = "pending_review",
        /// A person said that they may not run.
        Rejected = "rejected",
        /// Nobody decided in time.
        TimedOut = "timed_out",
    }
}

crate::closed_set! {
    /// What is begun for a ticket by itself, once it may be worked on.
    WorkflowMode {
        /// One task, whose plan is the ticket.
        Quick = "quick",
        /// A spec, which is planned; the ticket follows it to the end.
        SpecDriven = "spec_driven",
        /// Neither of both: it is looked into, then designed, each by a read-only run that hands in one document, and then
        /// built by one task.
        Phased = "none",
    }
}

crate::closed_set! {
    /// What holds a ticket up.
    TicketBlockReason {
        /// Something else must be done first.
        Dependency = "dependency",
        /// Somebody has to answer.
        WaitingOnClarification = "waiting_on_clarification",
        /// Its checks fail, or its phase does not show what it has to.
        FailingChecks = "failing_checks",
        /// The machine lacks something.
        Environment = "environment",
    }
}

crate::closed_set! {
    /// What of a ticket its history tells.
    TicketField {
        /// Where it stands.
        Status = "status",
        /// The phase that it is in.
        Phase = "phase",
        /// Whether it may be worked on.
        Approval = "approval",
        /// What holds it up.
        Blocked = "blocked",
        /// Who takes care of it.
        Assignee = "assignee",
        /// How much it matters.
        Priority = "priority",
    }
}

crate::machine! {
    /// Where a ticket stands.
    TicketStatus ("ticket") {
        /// It is planned and its tasks are not released.
        Backlog = "backlog",
        /// It is being looked into.
        Analyzing = "analyzing",
        /// Its tasks may run.
        Building = "building",
        /// All of its tasks ended.
        BuildingDone = "building-done",
        /// Its result is under test.
        Testing = "testing",
        /// Its result is being deployed.
        Deploying = "deploying",
        /// All its work is merged.
        Done = "done",
    }
    Backlog => Analyzing: TicketStatusChanged, Building: TicketStatusChanged;
    Analyzing => Building: TicketStatusChanged;
    Building => BuildingDone: TicketStatusChanged;
    BuildingDone => Testing: TicketStatusChanged, Building: TicketStatusChanged;
    Testing => Deploying: TicketStatusChanged, Done: TicketStatusChanged,
        Building: TicketStatusChanged;
    Deploying => Done: TicketStatusChanged, Building: TicketStatusChanged;
    Done => Building: TicketStatusChanged;
}
