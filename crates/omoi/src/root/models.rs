//! Which model answers, and the gateway in front of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::future::BoxFuture;
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::metering::Ledger;
use omoi_llm::ask::Llm;
use omoi_llm::gateway::Gateway;
use omoi_llm::pace::Pace;
use omoi_llm::pricing::Pricing;
use omoi_llm::route::{Provider, RouteName, Routes, Settings};
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{self, Simulated};
use omoi_llm::upstream::UpstreamError;
use omoi_runtime::clock::Clocked;
use omoi_runtime::config::{Config, Key, Layer, keys};
use omoi_runtime::lifecycle::{Handle, Kind};
use omoi_runtime::rng::Rng;
use tokio::net::TcpListener;

use super::Start;

/// What answers, ready to be asked.
pub(super) struct Models {
    /// `simulated`, or the model's name.
    pub(super) label: String,
    llm: Option<Llm>,
}

impl Models {
    /// The gateway of this process, if it has a model.
    pub(super) fn gateway(&self, platform: &Platform) -> Option<Gateway> {
        let llm = self.llm.clone()?;
        Some(Gateway::new(llm, Arc::new(Ledger::new(platform.clone()))))
    }
}

/// The process's clock and dice, as the model layer wants them.
struct RuntimePace {
    clock: Clocked,
    rng: Rng,
}

impl Pace for RuntimePace {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clock.clone();
        Box::pin(async move { clock.sleep(pause).await })
    }

    fn jitter(&self) -> f64 {
        self.rng.unit()
    }
}

/// Works out who answers; the simulated model is started when it is asked for.
///
/// Without a provider a process still starts: people can look at what there is, and attempts say
/// exactly what to set.
pub(super) async fn start(
    start: &Start,
    handle: &Handle,
    clock: &Clocked,
    rng: &Rng,
) -> anyhow::Result<Models> {
    let simulated = start.config.get(&keys::LLM_MODE) == keys::ModelMode::Simulated;
    let routes = match (simulated, start.roles.orchestrator) {
        (true, true) => simulate(&scenario(start)?, handle).await?,
        // Whoever runs the sandboxes scripts the answers.
        (true, false) => {
            return Ok(Models {
                label: "simulated".to_owned(),
                llm: None,
            });
        }
        (false, _) => match Routes::resolve(&route_settings(&start.config)) {
            Ok(routes) => routes,
            Err(_) => {
                return Ok(Models {
                    label: "none".to_owned(),
                    llm: None,
                });
            }
        },
    };
    let label = match simulated {
        true => "simulated".to_owned(),
        false => routes.get(RouteName::Agent).model.clone(),
    };
    Ok(Models {
        label,
        llm: Some(llm(routes, clock, rng)?),
    })
}

/// The models behind `routes`, by the process's clock and dice.
pub(crate) fn llm(routes: Routes, clock: &Clocked, rng: &Rng) -> Result<Llm, UpstreamError> {
    let pace = Arc::new(RuntimePace {
        clock: clock.clone(),
        rng: rng.fork(),
    });
    Llm::new(routes, Pricing::default(), pace)
}

/// What configuration says about models.
pub(crate) fn route_settings(config: &Config) -> Settings {
    let llm_base = config.get(&keys::LLM_BASE_URL);
    let explicit = |key: &'static Key<String>| {
        let entry = config.entry(&key.spec);
        let set = entry.is_some_and(|e| e.origin.layer != Layer::Default);
        set.then(|| config.get(key))
    };
    Settings {
        anthropic_api_key: config.get(&keys::ANTHROPIC_API_KEY),
        anthropic_auth_token: config
            .get(&keys::ANTHROPIC_OAUTH_TOKEN)
            .or_else(|| config.get(&keys::ANTHROPIC_AUTH_TOKEN)),
        anthropic_base_url: Some(config.get(&keys::ANTHROPIC_BASE_URL)),
        openai_api_key: config
            .get(&keys::OPENAI_API_KEY)
            .or_else(|| config.get(&keys::LLM_API_KEY)),
        openai_base_url: llm_base.or_else(|| explicit(&keys::OPENAI_BASE_URL)),
        model: config
            .get(&keys::LLM_MODEL)
            .or_else(|| config.get(&keys::OPENAI_MODEL)),
        routes: std::collections::BTreeMap::new(),
    }
}

/// The scenario bundled or named.
fn scenario(start: &Start) -> anyhow::Result<Scenario> {
    if let Some(bundled) = &start.scenario {
        return Ok(bundled.clone());
    }
    let path = start.config.get(&keys::LLM_SCENARIO).ok_or_else(|| {
        let why = anyhow!("the simulated model has no scenario");
        why.context(crate::Hint(
            "name one with --scenario FILE; see docs/scenario-format.md".to_owned(),
        ))
    })?;
    Ok(Scenario::load(&path)?)
}

async fn simulate(scenario: &Scenario, handle: &Handle) -> anyhow::Result<Routes> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("could not start the simulated model")?;
    let base = format!("http://{}", listener.local_addr()?);
    let model = Simulated::new(scenario.clone(), None);
    let soft = handle.soft();
    handle.spawn("simulated model", Kind::Critical, async move {
        Ok(simulated::serve(listener, &model, soft.cancelled_owned()).await?)
    });
    Ok(Routes::simulated(Provider::Anthropic, &base))
}
