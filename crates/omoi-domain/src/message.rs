//! Messages to running agents.

crate::closed_set! {
    /// What a message to a running agent is.
    MessageType {
        /// Words of a person; the agent reads them at its next turn.
        UserMessage = "user_message",
        /// A person wants the agent to stop.
        Interrupt = "interrupt",
        /// What somebody says in a thread; the agent reads it at its next turn, quoted.
        AgentCollaboration = "agent_collaboration",
    }
}

crate::closed_set! {
    /// What a person sends to the agent of a task.
    SteerType {
        /// Words, which the agent reads at its next turn.
        UserMessage = "user_message",
        /// An order to stop.
        Interrupt = "interrupt",
    }
}

impl SteerType {
    /// The message that it becomes.
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::UserMessage => MessageType::UserMessage,
            Self::Interrupt => MessageType::Interrupt,
        }
    }
}

crate::closed_set! {
    /// Who sends messages to running agents.
    MessageSender {
        /// A person, through the command line.
        User = "user",
        /// Somebody in a thread.
        Thread = "thread",
    }
}
