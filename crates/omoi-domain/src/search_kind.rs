//! What a search finds.

use crate::access::permission::Permission;

crate::closed_set! {
    /// What a search finds.
    SearchKind {
        /// A spec, by its title and the request.
        Spec = "spec",
        /// A ticket, by its title and description.
        Ticket = "ticket",
        /// A task, by its title and description.
        Task = "task",
        /// A comment on a ticket, by its text.
        Comment = "comment",
    }
}

impl SearchKind {
    /// What it takes to read one.
    pub const fn read_permission(self) -> Permission {
        match self {
            Self::Spec => Permission::SpecRead,
            Self::Ticket | Self::Comment => Permission::TicketRead,
            Self::Task => Permission::TaskRead,
        }
    }
}
