//! Which model answers, and the gateway in front of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use omoi_domain::crash::CrashPoint;
use omoi_domain::model_kind::WorkModel;
use omoi_domain::model_route::RouteName;
use omoi_domain::prompt_family::PromptFamily;
use omoi_domain::time::Timestamp;
use omoi_execution::metering::{CallLedger, StoredQuota};
use omoi_execution::{AgentModelFacts, AgentModels, DeploymentParts, FromParts as _};
use omoi_llm::brought_keys::missing_words;
use omoi_llm::catalogue::{ModelCatalogue, ModelFeature, provider_at};
use omoi_llm::gateway::ModelGateway;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::options::LlmOptions;
use omoi_llm::pace::CallPace;
use omoi_llm::route::{ModelRoute, RouteError, RouteTable};
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{self, SimulatedModel};
use omoi_llm::upstream::UpstreamError;
use omoi_llm::wire::dialect::Dialect;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::rng::Rng;
use omoi_server::stored_provider_keys::StoredProviderKeys;
use omoi_store::{Store, Tx, deployment};
use tracing::info;

use super::{ProcessRoles, StartOptions, accounts};
use crate::data_folder::OpenedFolder;

/// What answers, ready to be asked.
pub(super) struct ModelSetup {
    /// What answers agents.
    pub(super) model: WorkModel,
    /// What is known of the agents' models.
    pub(super) agent_models: AgentModels,
    /// How long work goes on being tried while the provider fails its attempts.
    pub(super) outage_wait: Duration,
    /// What people should know about them.
    pub(super) notes: Vec<String>,
    /// Why organisations that brought no key have no model to ask.
    missing: Option<String>,
    llm: Option<LlmClient>,
}

impl ModelSetup {
    /// The gateway of this process, or why it has no model.
    pub(super) fn open_gateway(&self, parts: &DeploymentParts) -> Result<ModelGateway, String> {
        let why = || self.missing.clone().unwrap_or_default();
        let llm = self.llm.clone().ok_or_else(why)?;
        llm.quota.set_book(Arc::new(StoredQuota::from_parts(parts)));
        Ok(ModelGateway::new(
            llm,
            Arc::new(CallLedger::from_parts(parts)),
        ))
    }

    /// The same models, asked by organisations with the keys that they brought; what was kept of the models that answered
    /// before is brought up to date.
    pub(super) async fn join_store(
        mut self,
        start: &StartOptions,
        folder: &OpenedFolder,
        store: &Store,
        rng: &Rng,
    ) -> anyhow::Result<Self> {
        self.note_models(store, start.roles).await?;
        let brought = accounts::brought_keys(&start.config, folder, store, rng)?;
        if start.roles.orchestrator {
            accounts::rewrap_keys(&brought, rng).await?;
        }
        let brought = StoredProviderKeys::new(brought);
        self.llm = self.llm.map(|llm| llm.with_brought_keys(brought));
        Ok(self)
    }

    /// Keeps for which providers organisations may bring keys of their own.
    async fn note_key_providers(&self, store: &Store) -> anyhow::Result<()> {
        let asked = self.llm.as_ref().map(LlmClient::key_providers);
        let names: Vec<String> = asked.unwrap_or_default().into_iter().collect();
        let system = store.system();
        let known = system
            .read(async |tx| deployment::key_providers(tx).await)
            .await?;
        if known != names {
            let keep = async |tx: &mut Tx| deployment::keep_key_providers(tx, &names).await;
            system.write(CrashPoint::DeploymentTaken, keep).await?;
        }
        Ok(())
    }

    /// Has work that waits for a provider go on now, where other models answer than before. That is up to
    /// whoever runs the work.
    async fn note_models(&self, store: &Store, roles: ProcessRoles) -> anyhow::Result<()> {
        if roles.orchestrator {
            self.note_key_providers(store).await?;
        }
        let (Some(llm), true) = (&self.llm, roles.orchestrator) else {
            return Ok(());
        };
        let digest = llm.routes.models_digest();
        let system = store.system();
        let known = system
            .read(async |tx| deployment::known_models(tx).await)
            .await?;
        if known.as_ref() == Some(&digest) {
            return Ok(());
        }
        let mut has_ended = false;
        if known.is_some() {
            for org in system.organisations().await? {
                let end = async |tx: &mut Tx| deployment::end_all_waits(tx).await;
                let tenant = store.tenant(org);
                has_ended |= tenant.write(CrashPoint::DeploymentTaken, end).await?;
            }
        }
        let keep = async |tx: &mut Tx| deployment::keep_models(tx, &digest).await;
        system.write(CrashPoint::DeploymentTaken, keep).await?;
        if has_ended {
            info!("Other models answer than before: what waited for a later time goes on now");
        }
        Ok(())
    }

    /// What answers questions of the platform itself.
    pub(super) fn platform_llm(&self) -> Option<LlmClient> {
        self.llm.clone()
    }

    /// Why there is no model to ask for organisations that brought no key.
    pub(super) fn missing_reason(&self) -> Option<&str> {
        self.missing.as_deref()
    }
}

/// The process's clock and dice, as the model layer wants them.
struct RuntimePace {
    clock: Clocked,
    rng: Rng,
}

impl CallPace for RuntimePace {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clock.clone();
        Box::pin(async move { clock.sleep(pause).await })
    }

    fn jitter(&self) -> f64 {
        self.rng.unit_fraction()
    }
}

/// Works out who answers; the simulated model is started when it is asked for.
///
/// Without a provider a process still starts: people can look at what there is, and attempts say
/// exactly what to set.
pub(super) async fn start_models(
    start: &StartOptions,
    handle: &LifecycleHandle,
    clock: &Clocked,
    rng: &Rng,
) -> anyhow::Result<ModelSetup> {
    let options = LlmOptions::from_config(&start.config);
    let simulated = options.is_simulated();
    let unknown = AgentModelFacts {
        window_tokens: None,
        takes_images: false,
        answer_tokens: options.servers.anthropic.max_tokens,
        prompts: PromptFamily::Open,
        only_program: None,
    };
    let without = |model: WorkModel, why: String| ModelSetup {
        model,
        agent_models: AgentModels::new(unknown, BTreeMap::new()),
        outage_wait: options.outage_wait,
        notes: Vec::new(),
        missing: Some(why),
        llm: None,
    };
    let now = clock.now();
    let open = match (simulated, start.roles.orchestrator) {
        (false, true) => awaited_routes(&options, now)?,
        (true, _) | (false, false) => None,
    };
    let (routes, missing) = match (simulated, start.roles.orchestrator) {
        (true, true) => (simulated_routes(&options, handle, clock).await?, None),
        (true, false) => {
            let why = "the process that runs the sandboxes scripts the answers";
            return Ok(without(WorkModel::simulated_model(None), why.to_owned()));
        }
        (false, _) => match (live_routes(&options, now)?, &open) {
            (Ok(routes), _) => (routes, None),
            (Err(why), None) => return Ok(without(WorkModel::no_model(), why.to_string())),
            (Err(why), Some(open)) => {
                let missing = missing_words(&why, &open.key_providers());
                (open.clone(), Some(missing))
            }
        },
    };
    let mut llm = build_llm(routes, &options, clock, rng)?;
    llm = llm.hiding_secrets(&start.config.secret_mask());
    if let Some(open) = open {
        let open = open.with_answer_times(&options.answer_times);
        llm = llm.with_awaited_routes(open, missing.clone());
    }
    let agent = llm.routes.route_named(RouteName::Agent);
    Ok(ModelSetup {
        model: match (simulated, &missing) {
            (true, _) => {
                let file = options.scenario.as_ref();
                WorkModel::simulated_model(file.map(|path| path.display().to_string()))
            }
            (false, None) => WorkModel::live_model(&agent.model),
            // What an organisation brings, its own work alone is answered by.
            (false, Some(_)) => WorkModel::no_model(),
        },
        notes: llm.routes.route_notes(),
        outage_wait: options.outage_wait,
        agent_models: match simulated {
            true => AgentModels::new(unknown, BTreeMap::new()),
            false => agent_models(&llm.routes, &model_catalogue(&options)?),
        },
        missing,
        llm: Some(llm),
    })
}

/// Starts the simulated model, and has every route lead there.
async fn simulated_routes(
    options: &LlmOptions,
    handle: &LifecycleHandle,
    clock: &Clocked,
) -> anyhow::Result<RouteTable> {
    let server = start_simulation(&load_scenario(options)?, handle, clock).await?;
    let dialect = options.simulated_dialect;
    let base = match dialect {
        Dialect::Messages => server,
        Dialect::ChatCompletions | Dialect::Responses => format!("{server}/v1"),
    };
    Ok(RouteTable::all_simulated(dialect, &base))
}

/// The routes to real models with the keys that organisations may bring; none where also those lead to no model.
fn awaited_routes(options: &LlmOptions, now: Timestamp) -> anyhow::Result<Option<RouteTable>> {
    let list = model_catalogue(options)?;
    Ok(RouteTable::resolve_awaited(&options.servers, &list, now).ok())
}

/// What is known of the models of each kind of work.
fn agent_models(routes: &RouteTable, catalogue: &ModelCatalogue) -> AgentModels {
    let facts = |route| list_facts(routes.choices_of(route), catalogue);
    let by_route = RouteName::OF_WORK.map(|route| (route, facts(route)));
    AgentModels::new(facts(RouteName::Agent), by_route.into())
}

/// What holds for all models of `choices`: any of them may take the next turn. An answer may be as long as
/// the longest, for calls of the others are cut.
fn list_facts(choices: &[ModelRoute], catalogue: &ModelCatalogue) -> AgentModelFacts {
    let windows = choices.iter().filter_map(|route| route.window_tokens);
    let answers = choices.iter().map(|route| route.max_tokens);
    let first = choices.first().and_then(|route| route.only_program);
    let are_all = |only| choices.iter().all(|route| route.only_program == Some(only));
    AgentModelFacts {
        window_tokens: windows.min(),
        takes_images: choices.iter().all(|route| sees_pictures(catalogue, route)),
        answer_tokens: answers.max().unwrap_or(0),
        prompts: PromptFamily::of_models(choices.iter().map(|route| route.model.as_str())),
        only_program: first.filter(|only| are_all(*only)),
    }
}

/// Whether `catalogue` says that the model of `route` sees pictures; of one that it does not know it is
/// not assumed.
fn sees_pictures(catalogue: &ModelCatalogue, route: &ModelRoute) -> bool {
    let entry = catalogue.find_entry(provider_at(&route.base_url), &route.model);
    entry.is_some_and(|entry| entry.features.contains(&ModelFeature::Vision))
}

/// The models behind `routes`, by the process's clock and dice, asked for as long as is configured.
pub(crate) fn build_llm(
    routes: RouteTable,
    options: &LlmOptions,
    clock: &Clocked,
    rng: &Rng,
) -> Result<LlmClient, UpstreamError> {
    let pace = Arc::new(RuntimePace {
        clock: clock.clone(),
        rng: rng.fork(),
    });
    let routes = routes.with_answer_times(&options.answer_times);
    let mut llm = LlmClient::new(routes, pace)?;
    llm.retry_time = options.retry_time;
    Ok(llm)
}

/// The price list with the person's own prices.
///
/// # Errors
/// When the program was built with a broken list.
pub(crate) fn model_catalogue(options: &LlmOptions) -> anyhow::Result<ModelCatalogue> {
    let list = ModelCatalogue::load_embedded()?;
    Ok(list.with_own_prices(options.prices.clone()))
}

/// The routes to real models at `now`, or what to set so that there are some.
pub(crate) fn live_routes(
    options: &LlmOptions,
    now: Timestamp,
) -> anyhow::Result<Result<RouteTable, RouteError>> {
    let list = model_catalogue(options)?;
    Ok(RouteTable::resolve_all(&options.servers, &list, now))
}

/// The scenario that is named.
fn load_scenario(options: &LlmOptions) -> anyhow::Result<Scenario> {
    let path = options.scenario.as_ref().ok_or_else(|| {
        let why = anyhow!("the simulated model has no scenario");
        why.context(crate::ErrorHint(
            "name one with --scenario FILE; see docs/scenario-format.md".to_owned(),
        ))
    })?;
    Ok(Scenario::load_file(path)?)
}

/// Starts the simulated model and gives its address.
async fn start_simulation(
    scenario: &Scenario,
    handle: &LifecycleHandle,
    clock: &Clocked,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("could not start the simulated model")?;
    let base = format!("http://{}", listener.local_addr()?);
    let clock = clock.clone();
    let model = SimulatedModel::with_clock(scenario.clone(), Arc::new(move || clock.now()));
    let soft = handle.soft_token();
    handle.spawn("simulated model", SpawnKind::Critical, async move {
        Ok(simulated::serve_scenario(listener, &model, soft.cancelled_owned()).await?)
    });
    Ok(base)
}

#[cfg(test)]
mod tests {
    use omoi_domain::agent_program::AgentProgram;
    use omoi_llm::route;
    use omoi_llm::upstream::AnswerLimits;
    use omoi_runtime::clock::SystemClock;
    use omoi_runtime::config::{ConfigSources, load_config};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config_table::CONFIG_TABLE;

    /// What a process does with these variables: where it asks, with which key, and how much.
    fn asked(variables: &[(&str, &str)]) -> String {
        let home = [("HOME", "/nowhere")];
        let variables = home.iter().chain(variables);
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let sources = ConfigSources::from_variables(variables.collect());
        let options = LlmOptions::from_config(&load_config(&CONFIG_TABLE, &sources).unwrap());
        // At a fixed date: models end.
        let now = Timestamp::of_date("2026-11-28").unwrap();
        let routes = match live_routes(&options, now).unwrap() {
            Ok(routes) => routes,
            Err(error) => return error.to_string(),
        };
        let agent = routes.route_named(RouteName::Agent);
        let key = match &agent.key {
            route::ProviderKey::None | route::ProviderKey::Awaited(_) => "no key".to_owned(),
            route::ProviderKey::Header(key) => format!("key {}", key.expose_secret()),
            route::ProviderKey::Bearer(key) => format!("token {}", key.expose_secret()),
        };
        let route::ModelRoute {
            base_url,
            model,
            max_tokens,
            ..
        } = agent;
        format!("{model} at {base_url} with {key}, {max_tokens}")
    }

    #[test]
    fn a_model_is_asked_for_as_long_as_is_configured() {
        let variables = [
            ("HOME", "/nowhere"),
            ("ANTHROPIC_API_KEY", "a"),
            ("LLM_ANSWER_TIMES", "agent=900/60/3600"),
            ("LLM_RETRY_TIME", "5"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let sources = ConfigSources::from_variables(variables.into_iter().collect());
        let options = LlmOptions::from_config(&load_config(&CONFIG_TABLE, &sources).unwrap());
        let now = Timestamp::of_date("2026-11-28").unwrap();
        let routes = live_routes(&options, now).unwrap().unwrap();
        let clock: Clocked = Arc::new(SystemClock);
        let llm = build_llm(routes, &options, &clock, &Rng::seeded(1)).unwrap();
        let limits = llm.routes.route_named(RouteName::Agent).limits;
        let times = [
            limits.first_content,
            limits.silence,
            limits.total,
            llm.retry_time,
        ];
        assert_eq!(times, [900, 60, 3600, 5].map(Duration::from_secs));
        let others = llm.routes.route_named(RouteName::Title).limits;
        let usual = AnswerLimits {
            bytes: others.bytes,
            ..AnswerLimits::default()
        };
        assert_eq!(others, usual);
    }

    #[test]
    fn each_kind_of_work_has_the_facts_of_its_own_models() {
        let variables = [
            ("HOME", "/nowhere"),
            ("ANTHROPIC_API_KEY", "a"),
            ("OPENAI_API_KEY", "o"),
            ("CLAUDE_CODE_OAUTH_TOKEN", "t"),
            (
                "LLM_PROVIDERS",
                "claude-subscription, name=rack; preset=vllm",
            ),
            ("MODELS_AGENT", "anthropic/claude-opus-4-5"),
            ("MODELS_PLANNER", "claude-subscription/claude-opus-5-5"),
            (
                "MODELS_FIX_BUG",
                "anthropic/claude-opus-5-5, openai/gpt-5.2",
            ),
            ("MODELS_WRITE_TESTS", "rack/qwen"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let sources = ConfigSources::from_variables(variables.into_iter().collect());
        let options = LlmOptions::from_config(&load_config(&CONFIG_TABLE, &sources).unwrap());
        let now = Timestamp::of_date("2026-11-28").unwrap();
        let routes = live_routes(&options, now).unwrap().unwrap();
        let models = agent_models(&routes, &model_catalogue(&options).unwrap());
        let (claude, open) = (PromptFamily::Claude, PromptFamily::Open);
        for (route, window, answer, images, prompts) in [
            (RouteName::Agent, Some(200_000), 64_000, true, claude),
            (
                RouteName::ImplementFeature,
                Some(200_000),
                64_000,
                true,
                claude,
            ),
            (RouteName::Planner, Some(1_000_000), 64_000, true, claude),
            // Makers are mixed.
            (RouteName::FixBug, Some(272_000), 64_000, true, open),
            (RouteName::WriteTests, None, 32_768, false, open),
        ] {
            let facts = models.route_facts(route);
            let told = (facts.window_tokens, facts.answer_tokens, facts.takes_images);
            assert_eq!(told, (window, answer, images), "{route}");
            assert_eq!(facts.prompts, prompts, "{route}");
            let only = (route == RouteName::Planner).then_some(AgentProgram::ClaudeCode);
            assert_eq!(facts.only_program, only, "{route}");
        }
    }

    #[test]
    fn each_variable_says_what_it_says_about_its_own_server() {
        const LOCAL: (&str, &str) = ("LLM_BASE_URL", "http://local/v1");
        const ANTHROPIC: (&str, &str) = ("ANTHROPIC_API_KEY", "a");
        const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "o");
        const SONNET: &str = "claude-sonnet-5-5 at https://api.anthropic.com with";
        for (variables, expected) in [
            (&[ANTHROPIC, OPENAI][..], format!("{SONNET} key a, 64000")),
            (
                &[ANTHROPIC, ("ANTHROPIC_AUTH_TOKEN", "t")],
                format!("{SONNET} token t, 64000"),
            ),
            (
                &[ANTHROPIC, ("OPENAI_MODEL", "gpt"), ("LLM_API_KEY", "own")],
                format!("{SONNET} key a, 64000"),
            ),
            (
                &[OPENAI, ("ANTHROPIC_MODEL", "claude")],
                "gpt-6.1-sol at https://api.openai.com/v1 with token o, 32768".to_owned(),
            ),
            (
                &[LOCAL, ANTHROPIC, OPENAI, ("LLM_MODEL", "m")],
                "m at http://local/v1 with no key, 32768".to_owned(),
            ),
            (
                &[LOCAL, OPENAI, ("LLM_API_KEY", "own"), ("LLM_MODEL", "m")],
                "m at http://local/v1 with token own, 32768".to_owned(),
            ),
            (
                &[
                    ("OPENAI_BASE_URL", "http://other/v1"),
                    ("OPENAI_MODEL", "m"),
                    ("LLM_API_KEY", "own"),
                ],
                "m at http://other/v1 with no key, 32768".to_owned(),
            ),
            (
                &[LOCAL, OPENAI, ("OPENAI_MODEL", "gpt")],
                "no model is named for `http://local/v1`: set LLM_MODEL".to_owned(),
            ),
        ] {
            assert_eq!(asked(variables), expected, "{variables:?}");
        }
    }
}
