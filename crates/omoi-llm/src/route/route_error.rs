//! Why a question has no model.

use thiserror::Error;

use omoi_domain::model_route::RouteName;

use super::variables;

/// Why there is no model to ask.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// No provider is configured at all.
    #[error(
        "no model provider is configured: set {} for Anthropic, or {} for OpenAI, or {} and {} for another \
         OpenAI-compatible server (and {} if it wants a key)",
        variables::ANTHROPIC_API_KEY,
        variables::OPENAI_API_KEY,
        variables::LLM_BASE_URL,
        variables::LLM_MODEL,
        variables::LLM_API_KEY
    )]
    NoProvider,
    /// The only providers that are listed lack their keys.
    #[error("the provider `{provider}` has no key: set {variable}")]
    NoKey {
        /// Name of the provider.
        provider: String,
        /// Variable or secret file that holds its key.
        variable: String,
    },
    /// A key without the server it is for, and nobody else to ask.
    #[error(
        "{} is the key of the server at {}, which is not set",
        variables::LLM_API_KEY,
        variables::LLM_BASE_URL
    )]
    KeyWithoutServer,
    /// Only the vendors' own servers have a model we may assume.
    #[error("no model is named for `{base_url}`: set {variable}")]
    NoModel {
        /// Base URL of the server without a model.
        base_url: String,
        /// Environment variable that names a model.
        variable: &'static str,
    },
    /// None of the models that are named can be asked.
    #[error("none of the models for `{route}` can be asked: {reasons}")]
    NoUsableChoice {
        /// The kind of question.
        route: RouteName,
        /// Each model, with what to set.
        reasons: String,
    },
    /// The model of a role cannot do what its settings say.
    #[error("`models.settings` wants {setting} of `{route}`, but {reason}")]
    ImpossibleSetting {
        /// The role.
        route: RouteName,
        /// What is wanted.
        setting: String,
        /// What its model cannot do, and what to write.
        reason: String,
    },
    /// An address is not an `http` or `https` URL.
    #[error("`{variable}` is not an http or https URL: `{value}`")]
    BadUrl {
        /// Where it was set.
        variable: &'static str,
        /// The text that is no URL.
        value: String,
    },
}
