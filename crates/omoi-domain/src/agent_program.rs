//! The agent programs that a worker drives.

crate::closed_set! {
    /// What takes the turns of an attempt: our own loop, or a program that a worker drives.
    AgentProgram {
        /// The loop inside the worker.
        Native = "native",
        /// Claude Code, over its streaming JSON lines.
        ClaudeCode = "claude-code",
        /// Codex, over its app server.
        Codex = "codex",
        /// opencode, over the Agent Client Protocol.
        AcpOpenCode = "acp:opencode",
        /// The bridge to Claude Code, over the Agent Client Protocol.
        AcpClaude = "acp:claude",
        /// Qwen Code, over the Agent Client Protocol.
        AcpQwen = "acp:qwen",
    }
}

impl AgentProgram {
    /// Whether a worker can drive the agent of that name: a list of programs may name others.
    pub fn is_driven(name: &str) -> bool {
        Self::ALL.iter().any(|agent| agent.as_str() == name)
    }

    /// Whether it comes with the worker; every other one has a folder of its own.
    pub const fn is_native(self) -> bool {
        matches!(self, Self::Native)
    }
}
