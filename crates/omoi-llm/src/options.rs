//! What can be configured of models and their servers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use omoi_domain::config::{
    Config, ConfigKey, ConfigLayer, KeySpec, ListItems, ValueKind, ValueOrigin,
};
use omoi_domain::model_price::PriceRow;
use omoi_domain::model_route::{AnswerTimes, RouteName};
use omoi_domain::provider_row::ProviderRow;
use omoi_domain::role_settings::RoleSettingsRow;
use omoi_domain::{choice, config_keys};

use crate::route::{ListedProvider, LlmSettings, ModelRoute, ModelServer, ProviderKey};
use crate::wire::dialect::Dialect;

config_keys! {
    /// Keys of the model to ask, whoever answers.
    LLM_KEYS of LLM = "llm", "LLM_";

    /// Who answers model requests.
    LLM_MODE: ModelMode = ConfigKey::choice(&LLM, "mode", "live").closed_to_repository();
    /// The script of the simulated model.
    LLM_SCENARIO: Option<PathBuf> = ConfigKey::new(&LLM, "scenario", ValueKind::Path, "")
        .closed_to_repository();
    /// The wire format in which the simulated model is asked; a provider is asked in its own.
    LLM_SIMULATED_DIALECT: Dialect = ConfigKey::choice(&LLM, "simulated_dialect", "messages")
        .closed_to_repository();
    /// The model to ask, whoever answers; wins over `anthropic.model` and `openai.model`.
    LLM_MODEL: Option<String> = ConfigKey::new(&LLM, "model", ValueKind::Text, "")
        .closed_to_repository();
    /// The model that gives a second opinion on a plan; empty asks the one that wrote it, afresh.
    LLM_JUDGE_MODEL: Option<String> = ConfigKey::new(&LLM, "judge_model", ValueKind::Text, "")
        .closed_to_repository();
    /// Own prices of models, for those the price list does not know or that cost something else.
    LLM_PRICES: Vec<PriceRow> =
        ConfigKey::new(&LLM, "prices", ValueKind::List(ListItems::Prices), "")
            .closed_to_repository();
    /// Providers of models beside the vendors, in order of preference; stands outside of its section as `providers:`.
    LLM_PROVIDERS: Vec<ProviderRow> =
        ConfigKey::new(&LLM, "providers", ValueKind::List(ListItems::Providers), "")
            .closed_to_repository();
    /// An OpenAI-compatible endpoint to ask, whatever other providers have a key.
    LLM_BASE_URL: Option<String> = ConfigKey::new(&LLM, "base_url", ValueKind::HTTP_URL, "")
        .closed_to_repository();
    /// The key for `llm.base_url`; it goes nowhere else.
    LLM_API_KEY: Option<SecretString> = ConfigKey::new(&LLM, "api_key", ValueKind::Secret, "")
        .closed_to_repository();
    /// How long answers of a route may take: until the first content, between two pieces from then on, and from the first content to the last. A route without a row has 300, 300 and 1800 s, and 900 s until the first content from a server of your own: with the preset ollama, vllm or llama.cpp, or at an address of this machine or of a private network.
    LLM_ANSWER_TIMES: Vec<AnswerTimes> =
        ConfigKey::new(&LLM, "answer_times", ValueKind::List(ListItems::AnswerTimes), "")
            .closed_to_repository();
    /// How long one question is asked again while the provider fails, before the attempt that asks it ends. A call under way is not cut by it.
    LLM_RETRY_TIME: Duration = ConfigKey::new(&LLM, "retry_time", ValueKind::TIME, "600")
        .closed_to_repository();
    /// How long a run goes on trying while the provider fails its attempts, before it waits for a person; 0 does not wait.
    LLM_OUTAGE_WAIT: Duration =
        ConfigKey::new(&LLM, "outage_wait", ValueKind::Seconds { min: 0, max: 86_400 }, "900")
            .closed_to_repository();
}

config_keys! {
    /// Keys of Anthropic, or a server that speaks its format.
    ANTHROPIC_KEYS of ANTHROPIC = "anthropic", "ANTHROPIC_";

    /// An Anthropic API key; it goes to `anthropic.base_url`.
    ANTHROPIC_API_KEY: Option<SecretString> =
        ConfigKey::new(&ANTHROPIC, "api_key", ValueKind::Secret, "")
            .closed_to_repository();
    /// A bearer token for `anthropic.base_url`; preferred over the key.
    ANTHROPIC_AUTH_TOKEN: Option<SecretString> =
        ConfigKey::new(&ANTHROPIC, "auth_token", ValueKind::Secret, "")
            .closed_to_repository();
    /// The endpoint of the Anthropic API.
    ANTHROPIC_BASE_URL: String =
        ConfigKey::new(&ANTHROPIC, "base_url", ValueKind::HTTP_URL, "https://api.anthropic.com")
            .closed_to_repository();
    /// The model to ask there; empty takes the newest `sonnet` of the price list, at Anthropic's own endpoint only.
    ANTHROPIC_MODEL: Option<String> = ConfigKey::new(&ANTHROPIC, "model", ValueKind::Text, "")
        .closed_to_repository();
    /// The most tokens in one answer from there.
    ANTHROPIC_MAX_TOKENS: u32 =
        ConfigKey::new(&ANTHROPIC, "max_tokens", ValueKind::int_range(1, 1_000_000), "64000")
            .closed_to_repository();
}

config_keys! {
    /// Keys of OpenAI, or a server that speaks its format.
    OPENAI_KEYS of OPENAI = "openai", "OPENAI_";

    /// A key for OpenAI or a compatible provider; it goes to `openai.base_url`.
    OPENAI_API_KEY: Option<SecretString> = ConfigKey::new(&OPENAI, "api_key", ValueKind::Secret, "")
        .closed_to_repository();
    /// The endpoint of that provider.
    OPENAI_BASE_URL: String =
        ConfigKey::new(&OPENAI, "base_url", ValueKind::HTTP_URL, "https://api.openai.com/v1")
            .closed_to_repository();
    /// The model to ask there; empty takes the newest `gpt-sol` of the price list, at OpenAI's own endpoint only.
    OPENAI_MODEL: Option<String> = ConfigKey::new(&OPENAI, "model", ValueKind::Text, "")
        .closed_to_repository();
    /// The most tokens in one answer from there or from `llm.base_url`.
    OPENAI_MAX_TOKENS: u32 =
        ConfigKey::new(&OPENAI, "max_tokens", ValueKind::int_range(1, 1_000_000), "32768")
            .closed_to_repository();
}

config_keys! {
    /// Keys of models by what they are asked for.
    MODELS_KEYS of MODELS = "models", "MODELS_";

    /// Models of the agents, and of every kind of question below that names none. `MODEL` or `PROVIDER/MODEL`.
    MODELS_AGENT: Vec<String> = ConfigKey::new(&MODELS, "agent", ValueKind::List(ListItems::Models), "")
        .closed_to_repository();
    /// Models of small questions, such as titles; empty takes a small model of a vendor.
    MODELS_TITLE: Vec<String> = ConfigKey::new(&MODELS, "title", ValueKind::List(ListItems::Models), "")
        .closed_to_repository();
    /// Models of second opinions; they win over `llm.judge_model`.
    MODELS_JUDGE: Vec<String> = ConfigKey::new(&MODELS, "judge", ValueKind::List(ListItems::Models), "")
        .closed_to_repository();
    /// Models of agents that plan; empty takes those of `models.agent`.
    MODELS_PLANNER: Vec<String> =
        ConfigKey::new(&MODELS, "planner", ValueKind::List(ListItems::Models), "")
            .closed_to_repository();
    /// Models of agents that build a feature; empty takes those of `models.agent`.
    MODELS_IMPLEMENT_FEATURE: Vec<String> =
        ConfigKey::new(&MODELS, "implement_feature", ValueKind::List(ListItems::Models), "")
            .closed_to_repository();
    /// Models of agents that write tests; empty takes those of `models.agent`.
    MODELS_WRITE_TESTS: Vec<String> =
        ConfigKey::new(&MODELS, "write_tests", ValueKind::List(ListItems::Models), "")
            .closed_to_repository();
    /// Models of agents that repair a fault; empty takes those of `models.agent`.
    MODELS_FIX_BUG: Vec<String> =
        ConfigKey::new(&MODELS, "fix_bug", ValueKind::List(ListItems::Models), "")
            .closed_to_repository();
    /// Models of agents that resolve a conflict; empty takes those of `models.agent`.
    MODELS_RESOLVE_CONFLICT: Vec<String> =
        ConfigKey::new(&MODELS, "resolve_conflict", ValueKind::List(ListItems::Models), "")
            .closed_to_repository();
    /// How the models of a role are to answer where a request has no choice of its own. Kinds of tasks and `planner` have what `agent` has unless they say otherwise. What a maker has no word for is left out; `omoi models list` says what.
    MODELS_SETTINGS: Vec<RoleSettingsRow> =
        ConfigKey::new(&MODELS, "settings", ValueKind::List(ListItems::RoleSettings), "")
            .closed_to_repository();
}

choice! {
    /// Who answers model requests.
    ModelMode {
        /// A provider or local endpoint.
        Live = "live",
        /// A local server that answers from a script.
        Simulated = "simulated",
    }
}

/// Which model answers, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct LlmOptions {
    /// Who answers model requests.
    pub mode: ModelMode,
    /// The script of the simulated model.
    pub scenario: Option<PathBuf>,
    /// The wire format in which the simulated model is asked.
    pub simulated_dialect: Dialect,
    /// Models and their servers.
    pub servers: LlmSettings,
    /// Own prices of models.
    pub prices: Vec<PriceRow>,
    /// How long answers may take, where a person says so.
    pub answer_times: Vec<AnswerTimes>,
    /// How long one question is asked again while the provider fails.
    pub retry_time: Duration,
    /// How long a run goes on trying while the provider fails its attempts.
    pub outage_wait: Duration,
}

impl LlmOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            mode: config.get(&LLM_MODE),
            scenario: config.get(&LLM_SCENARIO),
            simulated_dialect: config.get(&LLM_SIMULATED_DIALECT),
            servers: model_servers(config),
            prices: config.get(&LLM_PRICES),
            answer_times: config.get(&LLM_ANSWER_TIMES),
            retry_time: config.get(&LLM_RETRY_TIME),
            outage_wait: config.get(&LLM_OUTAGE_WAIT),
        }
    }

    /// Whether a script answers.
    pub fn is_simulated(&self) -> bool {
        self.mode == ModelMode::Simulated
    }
}

/// Where the credential was found that `route` is asked with; none where it wants none.
pub fn credential_origin<'a>(
    route: &ModelRoute,
    servers: &LlmSettings,
    config: &'a Config,
) -> Option<&'a ValueOrigin> {
    let mut listed = servers.providers.iter();
    let listed = listed.find(|one| {
        one.row.address == route.base_url
            && one.row.only_program == route.only_program
            && (one.key.is_some() || !one.headers.is_empty())
    });
    if let Some(listed) = listed {
        let variable = listed.row.secret_names().next()?;
        return Some(&config.named_secrets().get(variable)?.origin);
    }
    let entry = config.entry(credential_key(route, servers)?)?;
    Some(&entry.origin)
}

/// The key of the table that says with what credential `route` is asked; none where it wants none.
fn credential_key(route: &ModelRoute, servers: &LlmSettings) -> Option<&'static KeySpec> {
    match (route.dialect, &route.key) {
        (_, ProviderKey::None | ProviderKey::Awaited(_)) => None,
        (Dialect::Messages, ProviderKey::Bearer(_)) => Some(&ANTHROPIC_AUTH_TOKEN.spec),
        (Dialect::Messages, ProviderKey::Header(_)) => Some(&ANTHROPIC_API_KEY.spec),
        (Dialect::ChatCompletions | Dialect::Responses, _) if servers.own.base_url.is_some() => {
            Some(&LLM_API_KEY.spec)
        }
        (Dialect::ChatCompletions | Dialect::Responses, _) => Some(&OPENAI_API_KEY.spec),
    }
}

fn model_servers(config: &Config) -> LlmSettings {
    let explicit = |key: &'static ConfigKey<String>| {
        let entry = config.entry(&key.spec);
        let set = entry.is_some_and(|entry| entry.origin.layer != ConfigLayer::Default);
        set.then(|| config.get(key))
    };
    let token = config.get(&ANTHROPIC_AUTH_TOKEN).map(ProviderKey::Bearer);
    let key = config.get(&ANTHROPIC_API_KEY).map(ProviderKey::Header);
    let bearer = |key: Option<_>| key.map(ProviderKey::Bearer).unwrap_or_default();
    let openai_tokens = config.get(&OPENAI_MAX_TOKENS);
    LlmSettings {
        own: ModelServer {
            base_url: config.get(&LLM_BASE_URL),
            key: bearer(config.get(&LLM_API_KEY)),
            model: None,
            max_tokens: openai_tokens,
        },
        anthropic: ModelServer {
            base_url: Some(config.get(&ANTHROPIC_BASE_URL)),
            key: token.or(key).unwrap_or_default(),
            model: config.get(&ANTHROPIC_MODEL),
            max_tokens: config.get(&ANTHROPIC_MAX_TOKENS),
        },
        openai: ModelServer {
            base_url: explicit(&OPENAI_BASE_URL),
            key: bearer(config.get(&OPENAI_API_KEY)),
            model: config.get(&OPENAI_MODEL),
            max_tokens: openai_tokens,
        },
        model: config.get(&LLM_MODEL),
        judge_model: config.get(&LLM_JUDGE_MODEL),
        providers: listed_providers(config),
        choices: model_choices(config),
        role_settings: config.get(&MODELS_SETTINGS),
    }
}

fn listed_providers(config: &Config) -> Vec<ListedProvider> {
    let rows = config.get(&LLM_PROVIDERS).into_iter();
    let listed = rows.map(|row| {
        let secrets = config.named_secrets();
        let key_of = |name: &String| Some(secrets.get(name)?.value.clone());
        ListedProvider {
            key: row.key_variable.as_ref().and_then(key_of),
            more_keys: row.more_keys.iter().filter_map(key_of).collect(),
            headers: (row.manner.headers.iter())
                .filter_map(|header| Some((header.name.clone(), key_of(&header.variable)?)))
                .collect(),
            row,
        }
    });
    listed.collect()
}

/// The key of the models that `route` prefers.
pub fn model_choice_key(route: RouteName) -> &'static ConfigKey<Vec<String>> {
    match route {
        RouteName::Agent => &MODELS_AGENT,
        RouteName::Title => &MODELS_TITLE,
        RouteName::Judge => &MODELS_JUDGE,
        RouteName::Planner => &MODELS_PLANNER,
        RouteName::ImplementFeature => &MODELS_IMPLEMENT_FEATURE,
        RouteName::WriteTests => &MODELS_WRITE_TESTS,
        RouteName::FixBug => &MODELS_FIX_BUG,
        RouteName::ResolveConflict => &MODELS_RESOLVE_CONFLICT,
    }
}

/// The key of how the models of a role are to answer.
pub fn role_settings_key() -> &'static ConfigKey<Vec<RoleSettingsRow>> {
    &MODELS_SETTINGS
}

/// What each kind of question prefers. Whoever names a model on the command line means all of them.
fn model_choices(config: &Config) -> BTreeMap<RouteName, Vec<String>> {
    let model = config.entry(&LLM_MODEL.spec);
    if model.is_some_and(|entry| entry.origin.layer == ConfigLayer::Flag) {
        return BTreeMap::new();
    }
    let routes = RouteName::ALL.iter().copied();
    routes
        .map(|route| (route, config.get(model_choice_key(route))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::variables;

    #[test]
    fn messages_name_the_variables_that_are_read() {
        for (spec, named) in [
            (&ANTHROPIC_API_KEY.spec, variables::ANTHROPIC_API_KEY),
            (&ANTHROPIC_BASE_URL.spec, variables::ANTHROPIC_BASE_URL),
            (&ANTHROPIC_MODEL.spec, variables::ANTHROPIC_MODEL),
            (&OPENAI_API_KEY.spec, variables::OPENAI_API_KEY),
            (&OPENAI_BASE_URL.spec, variables::OPENAI_BASE_URL),
            (&OPENAI_MODEL.spec, variables::OPENAI_MODEL),
            (&LLM_BASE_URL.spec, variables::LLM_BASE_URL),
            (&LLM_API_KEY.spec, variables::LLM_API_KEY),
            (&LLM_MODEL.spec, variables::LLM_MODEL),
        ] {
            let [usual, _] = spec.env_names();
            assert_eq!(usual, named);
        }
    }
}
