//! `omoi models try`: three small questions to one model.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use tokio::net::TcpListener;

use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_llm::catalogue::{ModelEnd, provider_at};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::model_probe::{PROBE_SCENARIO, ProbeFinding, ProbeReport, probe_model};
use omoi_llm::options::LlmOptions;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{SimulatedModel, serve_scenario};
use omoi_llm::wire::dialect::Dialect;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::rng::Rng;

use crate::cli::ModelArgs;
use crate::cli::command_context::{CommandContext, ConfigOverrides};
use crate::composition;
use crate::view::text_layout::{OutputPage, align_left, clean_line, format_duration, wrap_text};

/// Which model to ask.
#[derive(clap::Args, Debug)]
pub(crate) struct TryArgs {
    /// The model's name at the provider that is configured, or `simulated`
    #[arg(value_name = "NAME")]
    name: String,
}

/// What was asked, and what came of it.
#[derive(Serialize)]
struct TriedModel {
    model: String,
    address: String,
    dialect: Dialect,
    simulated: bool,
    /// Whether every feature holds.
    whole: bool,
    features: Vec<TriedFeature>,
    tokens_read: u64,
    tokens_answered: u64,
    cost_nanousd: NanoUsd,
    /// Some of the tokens are an estimate, because the provider did not tell them.
    estimated: bool,
    /// Nobody knows the price: it is taken to be the provider's dearest.
    price_assumed: bool,
    took_ms: u64,
    /// What people should know of the model's age.
    note: Option<String>,
}

#[derive(Serialize)]
struct TriedFeature {
    feature: &'static str,
    holds: bool,
    problem: Option<String>,
}

/// Asks the model and prints what it can do.
pub(crate) async fn try_model(
    context: &CommandContext,
    arguments: TryArgs,
) -> anyhow::Result<ExitCode> {
    let TryArgs { name } = arguments;
    let model = ModelArgs {
        model: Some(name),
        scenario: None,
    };
    let overrides = ConfigOverrides { model, port: None };
    let config = context.load_settings(&overrides)?.config;
    context.start_log(&config, true);
    let options = LlmOptions::from_config(&config);
    let clock: Clocked = Arc::new(SystemClock);
    let report = match options.is_simulated() {
        true => probe_simulated(&options, &clock).await?,
        false => {
            let routes =
                composition::live_routes(&options, clock.now())?.map_err(|e| anyhow!(e))?;
            expect_open(routes.route_named(RouteName::Agent))?;
            let llm = composition::build_llm(routes, &options, &clock, &Rng::from_os()?)?;
            let report = probe_model(&llm, RouteName::Agent).await;
            (llm.routes.route_named(RouteName::Agent).clone(), report)
        }
    };
    let (route, report) = report;
    let note = age_note(&route, &options, &clock)?;
    let tried = tried_model(&route, report, note);
    if context.is_json() {
        context.print_json(&tried)?;
    } else {
        context.print_lines(&render_tried(&tried, context.stdout_page()))?;
    }
    Ok(match tried.whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Refuses a model whose key is for calls of an agent's program: ours are none.
fn expect_open(route: &ModelRoute) -> anyhow::Result<()> {
    let Some(only) = route.only_program else {
        return Ok(());
    };
    let why = anyhow!("the key of `{}` is for calls of {only} alone", route.model);
    Err(why.context(crate::ErrorHint(format!(
        "`omoi run --agent {only}` asks it; `omoi models try` takes another key of the same model"
    ))))
}

/// The same questions to a scripted model of this process.
async fn probe_simulated(
    options: &LlmOptions,
    clock: &Clocked,
) -> anyhow::Result<(ModelRoute, ProbeReport)> {
    let scenario = Scenario::read_from("probe.yaml", &|_| Ok(PROBE_SCENARIO.into()))?;
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("could not start the simulated model")?;
    let base = format!("http://{}", listener.local_addr()?);
    let model = SimulatedModel::new(scenario, None);
    let routes = RouteTable::all_simulated(Dialect::Messages, &base);
    let llm: LlmClient = composition::build_llm(routes, options, clock, &Rng::from_os()?)?;
    let report = tokio::select! {
        report = probe_model(&llm, RouteName::Agent) => report,
        ended = serve_scenario(listener, &model, std::future::pending()) => {
            ended?;
            anyhow::bail!("the simulated model ended");
        }
    };
    Ok((llm.routes.route_named(RouteName::Agent).clone(), report))
}

/// That the model ended or ends soon, with its successor.
fn age_note(
    route: &ModelRoute,
    options: &LlmOptions,
    clock: &Clocked,
) -> anyhow::Result<Option<String>> {
    let list = composition::model_catalogue(options)?;
    let entry = list.find_entry(provider_at(&route.base_url), &route.model);
    let Some(entry) = entry.filter(|_| !route.simulated) else {
        return Ok(None);
    };
    let verb = match entry.end_at(clock.now()) {
        ModelEnd::Served => return Ok(None),
        ModelEnd::EndsSoon => "ends",
        ModelEnd::Retired => "ended",
    };
    let day = entry.ends_on.map(|day| day.to_string()).unwrap_or_default();
    let next = list.successor_of(entry, clock.now());
    let next = next.map_or(String::new(), |next| format!("; use {}", next.id));
    Ok(Some(format!("it {verb} on {day}{next}")))
}

fn tried_model(route: &ModelRoute, report: ProbeReport, note: Option<String>) -> TriedModel {
    let feature = |finding: &ProbeFinding| TriedFeature {
        feature: finding.feature.as_str(),
        holds: finding.problem.is_none(),
        problem: finding.problem.as_deref().map(clean_line),
    };
    TriedModel {
        model: clean_line(&route.model),
        address: clean_line(&route.base_url),
        dialect: route.dialect,
        simulated: route.simulated,
        whole: report.is_whole(),
        features: report.findings.iter().map(feature).collect(),
        tokens_read: report.tokens.read_tokens(),
        tokens_answered: report.tokens.output,
        cost_nanousd: report.cost,
        estimated: report.is_estimated,
        price_assumed: route.price.is_assumed,
        took_ms: report.took_ms,
        note,
    }
}

fn render_tried(tried: &TriedModel, page: OutputPage) -> Vec<String> {
    let mut lines = vec![match tried.simulated {
        true => format!("{} in {}", page.bold("simulated model"), tried.dialect),
        false => format!(
            "{} at {} in {}",
            page.bold(&tried.model),
            tried.address,
            tried.dialect
        ),
    }];
    for feature in &tried.features {
        let mark = match feature.holds {
            true => page.green("holds"),
            false => page.red("missing"),
        };
        let head = format!("  {}{mark}", align_left(feature.feature, 11));
        let problem = feature.problem.as_deref().unwrap_or_default();
        let mut problem = wrap_text(problem, page.width - 22).into_iter();
        lines.push(match problem.next() {
            Some(first) => format!("{head}  {first}"),
            None => head,
        });
        lines.extend(problem.map(|line| format!("{}{line}", " ".repeat(22))));
    }
    let assumed = match tried.price_assumed {
        true => ", at its provider's dearest price",
        false => "",
    };
    let cost = tried.cost_nanousd;
    let about = match tried.estimated {
        true => "~",
        false => "",
    };
    lines.push(format!(
        "  {about}{} tokens read, {about}{} answered, {about}{cost:.6}{assumed}, {}",
        tried.tokens_read,
        tried.tokens_answered,
        format_duration(i64::try_from(tried.took_ms).unwrap_or(i64::MAX))
    ));
    if let Some(note) = &tried.note {
        lines.extend(wrap_text(&format!("Note: {note}."), page.width));
    }
    lines
}
