//! How a model is to answer.

use serde_json::Value;

use omoi_domain::role_settings::{EffortChoice, RoleSettings, ThinkingChoice};

/// Randomness of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingSettings {
    /// Randomness, where 0 is none.
    pub temperature: Option<f64>,
    /// Nucleus sampling: share of probability considered.
    pub top_p: Option<f64>,
    /// Sampling among the k best.
    pub top_k: Option<u32>,
}

/// Shape of an answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerShape {
    /// A JSON object of any shape.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Letters, digits, `_` and `-`.
        name: Option<String>,
        /// JSON schema of the answer.
        schema: Value,
        /// The vendor enforces it.
        strict: Option<bool>,
    },
}

/// How much a model thinks before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThinkingSettings {
    /// How hard to think.
    pub effort: Option<EffortLevel>,
    /// Most tokens of thought, in the dialect that counts them.
    pub budget_tokens: Option<u32>,
    /// Whether to think at all, in the dialect that says so.
    pub enabled: Option<bool>,
    /// How much of it to show: a word such as `auto`.
    pub summary: Option<String>,
}

/// How hard a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffortLevel {
    /// No thought.
    Off,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Usual.
    Medium,
    /// Much.
    High,
    /// More than much.
    Highest,
}

impl AnswerShape {
    /// A name for the schema, with the letters that vendors allow.
    pub(crate) fn schema_name(&self) -> String {
        let name = match self {
            Self::JsonSchema { name, .. } => name.as_deref(),
            Self::JsonObject => None,
        };
        let letters = name.unwrap_or("answer").chars().take(64);
        letters
            .map(|c| match c {
                '-' | '_' => c,
                c if c.is_ascii_alphanumeric() => c,
                _ => '_',
            })
            .collect()
    }
}

impl EffortLevel {
    /// The word of OpenAI's APIs.
    pub(crate) const fn openai_word(self) -> &'static str {
        match self {
            Self::Off => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Highest => "xhigh",
        }
    }

    /// The level that `word` names in any dialect.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::Off,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "max" => Self::Highest,
            _ => return None,
        })
    }
}

impl ThinkingSettings {
    /// What a person wants of the models of a role.
    pub fn of_role(settings: &RoleSettings) -> Self {
        Self {
            effort: settings.effort.map(|effort| match effort {
                EffortChoice::Low => EffortLevel::Low,
                EffortChoice::Medium => EffortLevel::Medium,
                EffortChoice::High => EffortLevel::High,
            }),
            budget_tokens: match settings.thinking {
                Some(ThinkingChoice::Tokens(tokens)) => Some(tokens),
                Some(ThinkingChoice::Off | ThinkingChoice::Adaptive) | None => None,
            },
            enabled: settings
                .thinking
                .map(|thinking| thinking != ThinkingChoice::Off),
            summary: None,
        }
    }

    /// The level that these settings come to in a dialect that counts no tokens of thought.
    pub(crate) fn effort_level(&self) -> Option<EffortLevel> {
        let of_budget = |tokens| match tokens {
            ..=4_096 => EffortLevel::Low,
            4_097..=16_384 => EffortLevel::Medium,
            _ => EffortLevel::High,
        };
        let off = (self.enabled == Some(false)).then_some(EffortLevel::Off);
        off.or(self.effort)
            .or_else(|| self.budget_tokens.map(of_budget))
    }
}
