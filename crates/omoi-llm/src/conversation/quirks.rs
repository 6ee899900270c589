//! What servers of one dialect do differently.

use omoi_domain::provider_row::ServerQuirk;

use crate::route::ModelRoute;
use crate::wire::dialect::Dialect;

/// Which field carries the token limit: OpenAI reads the newer, most compatible servers the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensField {
    /// Field `max_tokens`, read by most compatible servers.
    MaxTokens,
    /// Field `max_completion_tokens`, read by OpenAI itself.
    MaxCompletionTokens,
}

/// The role of instructions in chat completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionRole {
    /// The older name, which every server reads.
    System,
    /// The newer name, which OpenAI reads.
    Developer,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingForm {
    /// It cannot be told.
    Untold,
    /// By a word for the effort; in Messages it decides by itself how long it thinks.
    Effort,
    /// By a number of tokens, as older models that speak Messages.
    Budget,
    /// By an object of its own, as OpenRouter has it in chat completions.
    Reasoning,
}

impl ThinkingForm {
    /// How servers of `dialect` are told: the vendor's own, or those that are compatible with it.
    pub const fn of_server(dialect: Dialect, is_vendor: bool) -> Self {
        match (dialect, is_vendor) {
            (Dialect::Responses, _) | (_, true) => Self::Effort,
            (Dialect::Messages | Dialect::ChatCompletions, false) => Self::Untold,
        }
    }
}

/// What servers of one dialect do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialectQuirks {
    /// Which field carries the token limit, in chat completions.
    pub max_tokens_field: MaxTokensField,
    /// The role of instructions, in chat completions.
    pub instruction_role: InstructionRole,
    /// Whether instructions may stand in the midst of the conversation.
    pub takes_late_instructions: bool,
    /// Whether `parallel_tool_calls` is read.
    pub takes_parallel_calls: bool,
    /// How the model is told how much to think.
    pub thinking: ThinkingForm,
    /// Whether PDF documents are read.
    pub takes_documents: bool,
    /// Whether the prompt cache wants marks, in Messages.
    pub wants_cache_marks: bool,
    /// Whether `prompt_cache_key` and a name of the end user are read.
    pub takes_cache_key: bool,
    /// Whether a word for the length of answers is read, in chat completions.
    pub takes_verbosity: bool,
    /// Whether sampling settings are read.
    pub takes_sampling: bool,
    /// Whether reasoning that was shown goes back to its maker, in chat completions.
    pub takes_reasoning_back: bool,
}

impl DialectQuirks {
    /// What is known of the server that `route` leads to.
    pub fn of_route(route: &ModelRoute) -> Self {
        let told = Self {
            takes_sampling: route.takes_sampling,
            thinking: route.thinking,
            ..Self::of_dialect(route.dialect, route.acts_like_vendor())
        };
        let quirks = route.server.quirks.iter();
        quirks.fold(told, |quirks, quirk| quirks.with_quirk(*quirk))
    }

    /// These, with what a person says of one.
    const fn with_quirk(mut self, quirk: ServerQuirk) -> Self {
        match quirk {
            ServerQuirk::MaxTokens => self.max_tokens_field = MaxTokensField::MaxTokens,
            ServerQuirk::MaxCompletionTokens => {
                self.max_tokens_field = MaxTokensField::MaxCompletionTokens;
            }
            ServerQuirk::SystemRole => self.instruction_role = InstructionRole::System,
            ServerQuirk::DeveloperRole => self.instruction_role = InstructionRole::Developer,
            ServerQuirk::NoParallelCalls => self.takes_parallel_calls = false,
            ServerQuirk::Documents => self.takes_documents = true,
            ServerQuirk::NoDocuments => self.takes_documents = false,
            ServerQuirk::CacheKey => self.takes_cache_key = true,
            ServerQuirk::NoCacheKey => self.takes_cache_key = false,
        }
        self
    }

    /// What servers of `dialect` do: the vendor's own, or those that are compatible with it.
    pub const fn of_dialect(dialect: Dialect, is_vendor: bool) -> Self {
        let is_chat = matches!(dialect, Dialect::ChatCompletions);
        let is_compatible_chat = is_chat && !is_vendor;
        Self {
            max_tokens_field: match is_chat && is_vendor {
                true => MaxTokensField::MaxCompletionTokens,
                false => MaxTokensField::MaxTokens,
            },
            instruction_role: match is_compatible_chat {
                true => InstructionRole::System,
                false => InstructionRole::Developer,
            },
            takes_late_instructions: match dialect {
                // Only the newest models take them, and they do not say so.
                Dialect::Messages => false,
                Dialect::ChatCompletions => is_vendor,
                Dialect::Responses => true,
            },
            takes_parallel_calls: true,
            thinking: ThinkingForm::of_server(dialect, is_vendor),
            takes_documents: !is_compatible_chat,
            wants_cache_marks: matches!(dialect, Dialect::Messages),
            takes_cache_key: match dialect {
                Dialect::Messages => false,
                Dialect::ChatCompletions => is_vendor,
                Dialect::Responses => true,
            },
            takes_verbosity: is_chat && is_vendor,
            takes_sampling: true,
            takes_reasoning_back: is_compatible_chat,
        }
    }
}
