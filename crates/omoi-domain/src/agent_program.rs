//! The agent programs that a worker drives.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What comes before the name of an agent that a person declares.
const ACP_PREFIX: &str = "acp:";
/// Bytes of a declared agent's name, with what comes before it.
const ACP_BYTES_MAX: usize = 32;

/// What takes the turns of an attempt: our own loop, or a program that a worker drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentProgram {
    /// The loop inside the worker.
    Native,
    /// Claude Code, over its streaming JSON lines.
    ClaudeCode,
    /// Codex, over its app server.
    Codex,
    /// opencode, over the Agent Client Protocol.
    AcpOpenCode,
    /// The bridge to Claude Code, over the Agent Client Protocol.
    AcpClaude,
    /// Qwen Code, over the Agent Client Protocol.
    AcpQwen,
    /// One that a person declares in `agents.acp`, over the Agent Client Protocol.
    AcpDeclared(AcpName),
}

/// What a declared agent is chosen by, `acp:NAME`. It is copied as freely as the agents that are built in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcpName {
    bytes: [u8; ACP_BYTES_MAX],
    length: u8,
}

impl AgentProgram {
    /// Every agent that needs no declaration.
    pub const BUILT_IN: &'static [Self] = &[
        Self::Native,
        Self::ClaudeCode,
        Self::Codex,
        Self::AcpOpenCode,
        Self::AcpClaude,
        Self::AcpQwen,
    ];

    /// The text that people choose it by, and that columns, events and JSON hold for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Native => "native",
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::AcpOpenCode => "acp:opencode",
            Self::AcpClaude => "acp:claude",
            Self::AcpQwen => "acp:qwen",
            Self::AcpDeclared(name) => name.as_str(),
        }
    }

    /// The agent of that name. Whether one that is not built in is declared anywhere is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let mut built_in = Self::BUILT_IN.iter().copied();
        built_in
            .find(|agent| agent.as_str() == text)
            .or_else(|| AcpName::parse(text).map(Self::AcpDeclared))
    }

    /// Whether a worker can drive the agent of that name without a declaration: a list of programs may name others.
    pub fn is_driven(name: &str) -> bool {
        Self::BUILT_IN.iter().any(|agent| agent.as_str() == name)
    }

    /// Whether it comes with the worker; every other one has a folder of its own.
    pub const fn is_native(self) -> bool {
        matches!(self, Self::Native)
    }
}

impl AcpName {
    /// The name in `acp:NAME`: up to 28 lower-case letters, digits and `-`, a letter first.
    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix(ACP_PREFIX)?;
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let begins_well = name.bytes().next().is_some_and(|c| c.is_ascii_lowercase());
        if !begins_well || !name.bytes().all(is_plain) {
            return None;
        }
        let mut bytes = [0; ACP_BYTES_MAX];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).ok()?;
        Some(Self { bytes, length })
    }

    /// The whole of it, `acp:NAME`.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        // Letters, digits and two marks.
        bytes.map_or("", |bytes| str::from_utf8(bytes).unwrap_or_default())
    }

    /// The name alone.
    pub fn own_name(&self) -> &str {
        let text = self.as_str();
        text.strip_prefix(ACP_PREFIX).unwrap_or(text)
    }
}

impl fmt::Debug for AcpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AgentProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AgentProgram {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AgentProgram {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no agent")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn an_agent_is_read_as_it_is_written() {
        let longest = format!("acp:{}", "x".repeat(28));
        for text in ["native", "acp:qwen", "acp:goose", "acp:a-1", &longest] {
            let agent = AgentProgram::parse(text).unwrap();
            assert_eq!(agent.to_string(), text);
            let json = serde_json::to_string(&agent).unwrap();
            assert_eq!(serde_json::from_str::<AgentProgram>(&json).unwrap(), agent);
            let is_declared = matches!(agent, AgentProgram::AcpDeclared(_));
            assert_eq!(AgentProgram::is_driven(text), !is_declared);
        }
        let too_long = format!("{longest}x");
        for text in [
            "goose",
            "acp:",
            "acp:Goose",
            "acp:1a",
            "acp:a/b",
            "acp:ä",
            &too_long,
        ] {
            assert_eq!(AgentProgram::parse(text), None, "{text}");
        }
    }
}
