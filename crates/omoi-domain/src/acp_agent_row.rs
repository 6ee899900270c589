//! An agent of the Agent Client Protocol as a person declares it.

use std::path::PathBuf;
use std::str::FromStr;

use crate::agent_program::{AcpName, AgentProgram};
use crate::dialect::Dialect;

/// One agent of `agents.acp`: `name=goose; folder=/opt/goose; command=bin/goose acp; version=1.9.0; dialect=messages`.
///
/// Arguments and variables may hold `{folder}`, where the agent sees its folder, `{address}` and `{token}`, by which
/// it reaches the gateway, and `{model}`, what it asks for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpAgentRow {
    /// What it is chosen by.
    pub name: AcpName,
    /// Folder that it lies in, which its sandboxes are shown read-only.
    pub folder: PathBuf,
    /// What is started: a file below the folder, or [`AcpAgentRow::NODE`].
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The version that it says it has.
    pub version: String,
    /// The wire format of its model calls.
    pub dialect: Dialect,
    /// Variables, those that tell of the gateway first.
    pub variables: Vec<(String, String)>,
}

/// The text declares no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAcpAgent {
    /// A word that no row has.
    #[error("an agent has no `{0}`; it has {shape}", shape = AcpAgentRow::SHAPE)]
    UnknownField(String),
    /// A value that does not fit.
    #[error("the {field} of an agent must be {must}")]
    Value {
        /// Which value.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// Something is missing.
    #[error("an agent needs its {0}")]
    Missing(&'static str),
}

impl AcpAgentRow {
    /// How a row is written.
    pub const SHAPE: &str = "name, folder, command (a file below it, or `node`, and arguments), version, dialect and env (NAME=VALUE …)";
    /// The first word of a command that Node starts.
    pub const NODE: &str = "node";

    /// What it is chosen by.
    pub const fn agent_program(&self) -> AgentProgram {
        AgentProgram::AcpDeclared(self.name)
    }
}

impl FromStr for AcpAgentRow {
    type Err = BadAcpAgent;

    fn from_str(text: &str) -> Result<Self, BadAcpAgent> {
        let mut row = WrittenAgent::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| BadAcpAgent::UnknownField(part.to_owned()))?;
            row.set_field(name.trim(), value.trim())?;
        }
        row.into_row()
    }
}

/// The fields of a row as they were written.
#[derive(Default)]
struct WrittenAgent {
    name: Option<AcpName>,
    folder: Option<PathBuf>,
    command: Vec<String>,
    version: Option<String>,
    dialect: Option<Dialect>,
    variables: Vec<(String, String)>,
}

impl WrittenAgent {
    fn set_field(&mut self, name: &str, value: &str) -> Result<(), BadAcpAgent> {
        let wrong = |field, must| Err(BadAcpAgent::Value { field, must });
        match name {
            "name" => match AgentProgram::parse(&format!("acp:{value}")) {
                Some(AgentProgram::AcpDeclared(name)) => self.name = Some(name),
                Some(_) => return wrong("name", "another one: that agent is built in"),
                None => {
                    let must = "at most 28 lower-case letters, digits and `-`, a letter first";
                    return wrong("name", must);
                }
            },
            "folder" => {
                let folder = PathBuf::from(value);
                if !folder.is_absolute() || folder.parent().is_none() {
                    return wrong("folder", "an absolute path, and not the whole machine");
                }
                self.folder = Some(folder);
            }
            "command" => {
                self.command = value.split_whitespace().map(str::to_owned).collect();
                let leads_out = |word: &String| {
                    let mut parts = word.split('/');
                    word.starts_with('/') || parts.any(|part| part == "..")
                };
                if self.command.first().is_none_or(leads_out) {
                    return wrong(
                        "command",
                        "a file below its folder, or `node`, and arguments",
                    );
                }
            }
            "version" if value.is_empty() || value.contains(char::is_whitespace) => {
                return wrong("version", "what it says itself, without blanks");
            }
            "version" => self.version = Some(value.to_owned()),
            "dialect" => {
                self.dialect = Dialect::ALL.into_iter().find(|d| d.as_str() == value);
                if self.dialect.is_none() {
                    return wrong("dialect", "messages, chat_completions or responses");
                }
            }
            "env" => {
                for word in value.split_whitespace() {
                    match word.split_once('=') {
                        Some((name, value)) if !name.is_empty() => {
                            self.variables.push((name.to_owned(), value.to_owned()));
                        }
                        _ => return wrong("env", "NAME=VALUE, with blanks between several"),
                    }
                }
            }
            other => return Err(BadAcpAgent::UnknownField(other.to_owned())),
        }
        Ok(())
    }

    fn into_row(self) -> Result<AcpAgentRow, BadAcpAgent> {
        let missing = BadAcpAgent::Missing;
        let dialect = self.dialect.ok_or(missing("dialect"))?;
        let mut words = self.command.into_iter();
        let usual = gateway_variables(dialect);
        let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(AcpAgentRow {
            name: self.name.ok_or(missing("name"))?,
            folder: self.folder.ok_or(missing("folder"))?,
            program: words.next().ok_or(missing("command"))?,
            arguments: words.collect(),
            version: self.version.ok_or(missing("version"))?,
            dialect,
            variables: usual.into_iter().chain(self.variables).collect(),
        })
    }
}

/// The variables by which programs of a dialect are mostly told of their server; others are added by the person.
const fn gateway_variables(dialect: Dialect) -> [(&'static str, &'static str); 3] {
    match dialect {
        Dialect::Messages => [
            ("ANTHROPIC_BASE_URL", "{address}"),
            ("ANTHROPIC_API_KEY", "{token}"),
            ("ANTHROPIC_MODEL", "{model}"),
        ],
        Dialect::ChatCompletions | Dialect::Responses => [
            ("OPENAI_BASE_URL", "{address}"),
            ("OPENAI_API_KEY", "{token}"),
            ("OPENAI_MODEL", "{model}"),
        ],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const GOOSE: &str = "name=goose; folder=/opt/goose; command=bin/goose acp --model {model}; version=1.9.0; \
                         dialect=messages; env=GOOSE_MODE=approve A=b=c";

    #[test]
    fn a_row_is_read_with_what_is_usual_for_its_dialect() {
        let row: AcpAgentRow = GOOSE.parse().unwrap();
        assert_eq!(row.agent_program().to_string(), "acp:goose");
        assert_eq!(
            (row.program.as_str(), row.version.as_str()),
            ("bin/goose", "1.9.0")
        );
        assert_eq!(row.arguments, ["acp", "--model", "{model}"]);
        let names: Vec<_> = row
            .variables
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let usual = ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL"];
        assert_eq!(names, [&usual[..], &["GOOSE_MODE", "A"]].concat());
        assert_eq!(row.variables[4].1, "b=c");
        let chat = GOOSE.replace("messages", "chat_completions");
        let chat: AcpAgentRow = chat.parse().unwrap();
        assert_eq!(chat.variables[0].0, "OPENAI_BASE_URL");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, want) in [
            ("name=goose", "name=qwen", "built in"),
            ("name=goose", "name=Goose", "lower-case"),
            ("name=goose; ", "", "needs its name"),
            ("/opt/goose", "opt/goose", "absolute"),
            ("/opt/goose", "/", "whole machine"),
            ("bin/goose", "/bin/goose", "below its folder"),
            ("bin/goose", "../goose", "below its folder"),
            ("1.9.0", "", "version"),
            ("messages", "gemini", "chat_completions"),
            ("dialect=messages; ", "", "needs its dialect"),
            ("A=b=c", "=b", "NAME=VALUE"),
            ("version", "release", "has no `release`"),
        ] {
            let refused = GOOSE.replace(from, to).parse::<AcpAgentRow>();
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(want), "{refused}");
        }
    }
}
