//! Messages to running agents.

crate::closed_set! {
    /// What a message to a running agent is.
    MessageType {
        /// Words of a person; the agent reads them at its next turn.
        UserMessage = "user_message",
        /// A person wants the agent to stop.
        Interrupt = "interrupt",
    }
}

crate::closed_set! {
    /// Who sends messages to running agents.
    MessageSender {
        /// A person, through the command line.
        User = "user",
    }
}
