//! A provider of models as a person writes it down.

use std::str::FromStr;

pub use self::server_manner::{ProviderHeader, ServerKinship, ServerManner, ServerQuirk};
use crate::agent_program::AgentProgram;
use crate::dialect::Dialect;

mod server_manner;

crate::closed_set! {
    /// Providers whose address, dialect and key need not be written.
    ProviderPreset {
        /// Anthropic's own API.
        Anthropic = "anthropic",
        /// Anthropic's own API with the token of a subscription, for calls of Claude Code alone.
        ClaudeSubscription = "claude-subscription",
        /// OpenAI's own API.
        Openai = "openai",
        /// OpenRouter, which leads to models of many makers.
        Openrouter = "openrouter",
        /// Fireworks.
        Fireworks = "fireworks",
        /// Ollama on this machine.
        Ollama = "ollama",
        /// vLLM on this machine.
        Vllm = "vllm",
        /// The server of llama.cpp on this machine.
        LlamaCpp = "llama.cpp",
    }
}

impl ProviderPreset {
    /// The wire format it speaks.
    pub const fn default_dialect(self) -> Dialect {
        match self {
            Self::Anthropic | Self::ClaudeSubscription => Dialect::Messages,
            Self::Openai
            | Self::Openrouter
            | Self::Fireworks
            | Self::Ollama
            | Self::Vllm
            | Self::LlamaCpp => Dialect::ChatCompletions,
        }
    }

    /// Its address, without the last path segments.
    pub const fn default_address(self) -> &'static str {
        match self {
            Self::Anthropic | Self::ClaudeSubscription => "https://api.anthropic.com",
            Self::Openai => "https://api.openai.com/v1",
            Self::Openrouter => "https://openrouter.ai/api/v1",
            Self::Fireworks => "https://api.fireworks.ai/inference/v1",
            Self::Ollama => "http://127.0.0.1:11434/v1",
            Self::Vllm => "http://127.0.0.1:8000/v1",
            Self::LlamaCpp => "http://127.0.0.1:8080/v1",
        }
    }

    /// The program whose calls alone its key is for.
    pub const fn only_program(self) -> Option<AgentProgram> {
        match self {
            Self::ClaudeSubscription => Some(AgentProgram::ClaudeCode),
            Self::Anthropic
            | Self::Openai
            | Self::Openrouter
            | Self::Fireworks
            | Self::Ollama
            | Self::Vllm
            | Self::LlamaCpp => None,
        }
    }

    /// Whether it is a server that a person runs, which may have to load a model first.
    pub const fn is_own_server(self) -> bool {
        match self {
            Self::Ollama | Self::Vllm | Self::LlamaCpp => true,
            Self::Anthropic
            | Self::ClaudeSubscription
            | Self::Openai
            | Self::Openrouter
            | Self::Fireworks => false,
        }
    }

    /// The variable or secret file that holds its key; none where it wants none.
    pub const fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::ClaudeSubscription => Some("CLAUDE_CODE_OAUTH_TOKEN"),
            Self::Openai => Some("OPENAI_API_KEY"),
            Self::Openrouter => Some("OPENROUTER_API_KEY"),
            Self::Fireworks => Some("FIREWORKS_API_KEY"),
            Self::Ollama | Self::Vllm | Self::LlamaCpp => None,
        }
    }
}

/// Whether calls of `program` are calls of `only`, the program whose calls alone a key is for.
pub fn are_calls_of(program: AgentProgram, only: AgentProgram) -> bool {
    // The bridge runs Claude Code.
    let bridge = (AgentProgram::AcpClaude, AgentProgram::ClaudeCode);
    program == only || (program, only) == bridge
}

/// One provider of models: `openrouter`, or `name=rack; preset=vllm; address=http://rack:8000/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// What choices of models call it.
    pub name: String,
    /// The wire format it speaks.
    pub dialect: Dialect,
    /// Its address, without the last path segments.
    pub address: String,
    /// The variable or secret file that holds its key; none where it wants none.
    pub key_variable: Option<String>,
    /// Those of further keys, used in turn as the limits of the ones before are used up.
    pub more_keys: Vec<String>,
    /// The program whose calls alone its keys are for.
    pub only_program: Option<AgentProgram>,
    /// Whether a person runs it, wherever it is: one of the presets of such servers.
    pub is_own_server: bool,
    /// The most tokens of one answer there; none leaves it to the kind of server.
    pub max_tokens: Option<u32>,
    /// The most tokens its models read; none leaves it to the list of models.
    pub window: Option<u64>,
    /// What else is said of its servers.
    pub manner: ServerManner,
}

impl ProviderRow {
    /// How a row is written.
    pub const SHAPE: &str = "a preset, or name with preset, dialect, address, key and headers (names of variables), max_tokens, window, like and quirks";

    /// The variables or secret files that hold its keys and headers.
    pub fn secret_names(&self) -> impl Iterator<Item = &String> {
        let keys = self.key_variable.iter().chain(&self.more_keys);
        keys.chain(self.manner.headers.iter().map(|header| &header.variable))
    }
}

/// The text is no provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProviderRow {
    /// A word that no row has.
    #[error("a provider has no `{0}`; it has {shape}", shape = ProviderRow::SHAPE)]
    UnknownField(String),
    /// A value that does not fit.
    #[error("the {field} of a provider must be {must}")]
    Value {
        /// Which value.
        field: &'static str,
        /// What it must be.
        must: String,
    },
    /// Something is missing that no preset says.
    #[error("a provider without a preset needs a name, a dialect and an address")]
    Incomplete,
}

/// The fields of a row as they were written.
#[derive(Default)]
struct WrittenRow {
    name: Option<String>,
    preset: Option<ProviderPreset>,
    dialect: Option<Dialect>,
    address: Option<String>,
    keys: Vec<String>,
    max_tokens: Option<u32>,
    window: Option<u64>,
    manner: ServerManner,
}

impl FromStr for ProviderRow {
    type Err = BadProviderRow;

    fn from_str(text: &str) -> Result<Self, BadProviderRow> {
        let mut row = WrittenRow::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                Some((name, value)) => row.set_field(name.trim(), value.trim())?,
                None => row.set_field("preset", part)?,
            }
        }
        row.into_row()
    }
}

impl WrittenRow {
    fn set_field(&mut self, name: &str, value: &str) -> Result<(), BadProviderRow> {
        let wrong = |field, must: String| Err(BadProviderRow::Value { field, must });
        match name {
            "name" => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                if value.is_empty() || !value.chars().all(plain) {
                    return wrong("name", "letters, digits, `.`, `_` and `-`".to_owned());
                }
                self.name = Some(value.to_owned());
            }
            "preset" => {
                self.preset = ProviderPreset::parse(value);
                if self.preset.is_none() {
                    let known = ProviderPreset::ALL.iter().map(|p| p.as_str());
                    return wrong("preset", one_of(known));
                }
            }
            "dialect" => {
                self.dialect = Dialect::ALL.into_iter().find(|d| d.as_str() == value);
                if self.dialect.is_none() {
                    return wrong(
                        "dialect",
                        one_of(Dialect::ALL.into_iter().map(Dialect::as_str)),
                    );
                }
            }
            "address" => {
                let is_web = ["http://", "https://"].iter().any(|s| value.starts_with(s));
                // A password in it would be shown wherever the address is.
                if !is_web || value.contains('@') {
                    let must = "an http or https address without a password";
                    return wrong("address", must.to_owned());
                }
                self.address = Some(value.trim_end_matches('/').to_owned());
            }
            "key" => {
                let names = value.split_whitespace();
                if value.is_empty() || !names.clone().all(is_variable) {
                    let must = "the name of a variable or secret file, such as RACK_API_KEY, or several with spaces between; the key itself stands there";
                    return wrong("key", must.to_owned());
                }
                self.keys = names.map(ToOwned::to_owned).collect();
            }
            "max_tokens" => match value.parse() {
                Ok(tokens @ 1..=1_000_000) => self.max_tokens = Some(tokens),
                _ => return wrong("max_tokens", "1 to 1000000".to_owned()),
            },
            "window" => match value.parse() {
                Ok(tokens @ 4_000..=100_000_000) => self.window = Some(tokens),
                _ => return wrong("window", "4000 to 100000000".to_owned()),
            },
            other => return self.manner.set_field(other, value),
        }
        Ok(())
    }

    fn into_row(self) -> Result<ProviderRow, BadProviderRow> {
        let preset = self.preset;
        let name = self.name.or_else(|| preset.map(|p| p.as_str().to_owned()));
        let dialect = self
            .dialect
            .or_else(|| preset.map(ProviderPreset::default_dialect));
        // A key goes to the address that it was written for, and to no other.
        let usual_key = preset
            .filter(|_| self.address.is_none())
            .and_then(ProviderPreset::key_variable);
        let address = self
            .address
            .or_else(|| preset.map(|p| p.default_address().to_owned()));
        if let Some(dialect) = dialect {
            self.manner.expect_dialect(dialect)?;
        }
        let mut keys = self.keys.into_iter();
        let first_key = keys.next();
        match (name, dialect, address) {
            (Some(name), Some(dialect), Some(address)) => Ok(ProviderRow {
                name,
                dialect,
                address,
                key_variable: first_key.or_else(|| usual_key.map(ToOwned::to_owned)),
                more_keys: keys.collect(),
                only_program: preset.and_then(ProviderPreset::only_program),
                is_own_server: preset.is_some_and(ProviderPreset::is_own_server),
                max_tokens: self.max_tokens,
                window: self.window,
                manner: self.manner,
            }),
            _ => Err(BadProviderRow::Incomplete),
        }
    }
}

/// Whether `name` is that of a variable or secret file.
fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(plain)
}

fn one_of(words: impl Iterator<Item = &'static str>) -> String {
    format!("one of {}", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
