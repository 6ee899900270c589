//! The wire formats that models and their callers speak.

use serde::{Deserialize, Serialize};

use crate::config::{ConfigValue, SettingShape, SettingValue};

/// A wire format: of a caller at the gateway, and of the server that a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// OpenAI chat completions, `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI responses, `POST /v1/responses`.
    Responses,
}

impl Dialect {
    /// Every dialect there is.
    pub const ALL: [Self; 3] = [Self::Messages, Self::ChatCompletions, Self::Responses];

    /// The word in files, JSON and answers for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
        }
    }

    /// Its name for people to read.
    pub const fn plain_name(self) -> &'static str {
        match self {
            Self::Messages => "Anthropic Messages",
            Self::ChatCompletions => "OpenAI chat completions",
            Self::Responses => "OpenAI responses",
        }
    }
}

impl SettingValue for Dialect {
    const SHAPE: SettingShape = SettingShape::Choice;
    const WORDS: &'static [&'static str] = &[
        Self::Messages.as_str(),
        Self::ChatCompletions.as_str(),
        Self::Responses.as_str(),
    ];

    fn from_value(value: &ConfigValue) -> Option<Self> {
        let ConfigValue::Text(word) = value else {
            return None;
        };
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.plain_name())
    }
}
