//! What a worker may put into the log of its attempt.

crate::closed_set! {
    /// A kind of event of a worker. The names are its own: none is a name of the platform's
    /// registry, so that no agent can write what only the platform may say.
    AgentEventKind {
        /// Words of the model.
        AssistantMessage = "agent.assistant_message",
        /// A tool is about to run.
        ToolUse = "agent.tool_use",
        /// What a tool answered.
        ToolResult = "agent.tool_result",
        /// A file was written.
        FileEdited = "agent.file_edited",
        /// A part of a phase's output was refused.
        ItemRefused = "agent.item_refused",
        /// Something the agent must not do was refused.
        PolicyViolation = "agent.policy_violation",
        /// A message of a person reached the model.
        MessageInjected = "agent.message_injected",
        /// Earlier turns were replaced by a summary of them.
        ContextCompacted = "agent.context_compacted",
        /// The process of the agent program was gone and was started anew.
        ProgramRestarted = "agent.program_restarted",
        /// A budget is spent.
        BudgetSpent = "agent.budget_spent",
        /// The attempt cannot go on.
        AgentFailed = "agent.error",
        /// The agent started a command.
        CommandStarted = "command.started",
        /// A command of the agent ended.
        CommandCompleted = "command.completed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn no_name_of_the_platform_is_an_agents() {
        for kind in EventKind::ALL {
            assert_eq!(AgentEventKind::parse(kind.as_str()), None, "{kind:?}");
        }
        for kind in AgentEventKind::ALL {
            assert_eq!(AgentEventKind::parse(kind.as_str()), Some(*kind));
        }
    }
}
