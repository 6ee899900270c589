//! Which models would answer, and whether the first of them does.

use std::sync::Arc;
use std::time::Duration;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::config::Config;
use omoi_domain::model_route::{AnswerTimes, RouteName};
use omoi_llm::llm_client::{QuestionTally, RoutedRequest};
use omoi_llm::options::{LlmOptions, credential_origin};
use omoi_llm::retry::CallAllowance;
use omoi_llm::route::{ModelRoute, RouteChoice, RouteTable};
use omoi_llm::wire::anthropic::{ConversationMessage, MessagesRequest};
use omoi_runtime::clock::{Clock as _, Clocked, SystemClock};
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;

use super::{DoctorFinding, FindingMark, model_age};
use crate::cli::command_context::check_scenario;
use crate::composition;
use crate::view::text_layout::{clean_line, format_duration};

/// How long a person waits for the model to answer one word.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Tokens of that answer.
const TOKENS_MAX: u32 = 16;

/// Says which models would answer, and asks the agents' unless `offline`.
pub(super) async fn check_model(config: &Config, offline: bool) -> Vec<DoctorFinding> {
    let options = LlmOptions::from_config(config);
    if options.is_simulated() {
        return vec![match check_scenario(config) {
            Ok(()) => DoctorFinding::new(
                "model",
                FindingMark::Ok,
                "simulated: scripted answers, no key, no cost",
            ),
            Err(error) => DoctorFinding::new(
                "model",
                FindingMark::Missing,
                format!("simulated: {error:#}"),
            ),
        }];
    }
    let now = SystemClock.now();
    let missing = |next: String| {
        vec![
            DoctorFinding::new("model", FindingMark::Missing, "no model to ask")
                .with_next_step(next),
        ]
    };
    let (list, routes) = match (
        composition::model_catalogue(&options),
        composition::live_routes(&options, now),
    ) {
        (Ok(list), Ok(Ok(routes))) => (list, routes),
        (_, Ok(Err(error))) => return missing(error.to_string()),
        (Err(error), _) | (_, Err(error)) => return missing(format!("{error:#}")),
    };
    let mut findings: Vec<DoctorFinding> = Vec::new();
    // Every model of every list, those that are asked in the place of others included.
    for (name, route) in routes.all_routes() {
        let text = describe_route(route, config, &options);
        match findings.iter_mut().find(|f| f.text.ends_with(&text)) {
            // Another key of the same model.
            Some(same) if names_route(&same.text, name) => {}
            Some(same) => same.text = format!("{name}, {}", same.text),
            None => findings.push(DoctorFinding::new(
                "model",
                FindingMark::Ok,
                format!("{name}: {text}"),
            )),
        }
    }
    findings.extend(model_age::age_findings(&routes, &list, now));
    if offline {
        findings.push(DoctorFinding::new(
            "model",
            FindingMark::Note,
            "not tried (--offline)",
        ));
    } else {
        findings.push(match routes.platform_choice(RouteName::Agent) {
            Some(choice) => try_model(routes, choice, &options).await,
            None => reserved_model(routes.route_named(RouteName::Agent)),
        });
    }
    findings
}

/// Whether the finding `text` is about the route called `name` already.
fn names_route(text: &str, name: RouteName) -> bool {
    let names = text.split_once(": ").map_or("", |(names, _)| names);
    names.split(", ").any(|known| known == name.as_str())
}

/// `claude-… at https://… with ANTHROPIC_API_KEY (environment variable)`.
fn describe_route(route: &ModelRoute, config: &Config, options: &LlmOptions) -> String {
    let key = credential_origin(route, &options.servers, config);
    let key = key.map_or("without a key".to_owned(), |origin| {
        format!("with the key of {origin}")
    });
    let price = match (route.price.is_assumed, route.price.tiers.first()) {
        (true, _) => "price assumed".to_owned(),
        (false, None) => "no price".to_owned(),
        (false, Some(tier)) => {
            let usd = |nanos: u64| nanos as f64 / 1e9;
            format!("${} in and ${} out", usd(tier.input), usd(tier.output))
        }
    };
    format!(
        "{} at {} {key}, {price}",
        clean_line(&route.model),
        clean_line(&route.base_url)
    )
}

/// How long the model may take to answer one word: a person is waiting, but a model that is granted
/// its own time is known to be slow.
fn answer_wait(options: &LlmOptions) -> AnswerTimes {
    let mut rows = options.answer_times.iter();
    let own = rows.find(|times| times.route == RouteName::Agent);
    own.copied().unwrap_or(AnswerTimes {
        route: RouteName::Agent,
        first_content: ANSWER_WAIT,
        silence: ANSWER_WAIT,
        total: ANSWER_WAIT,
    })
}

/// A model that is not asked, since its key is for calls of an agent's program.
fn reserved_model(route: &ModelRoute) -> DoctorFinding {
    let only = route.only_program.as_ref();
    let only = only.map_or("another program", AgentProgram::as_str);
    let text = format!(
        "not tried: the key of {} is for calls of {only} alone",
        clean_line(&route.model)
    );
    DoctorFinding::new("model", FindingMark::Note, text).with_next_step(format!(
        "run with --agent {only}, or name another model in models.agent"
    ))
}

/// Makes one cheap call and says how it went.
async fn try_model(routes: RouteTable, choice: RouteChoice, options: &LlmOptions) -> DoctorFinding {
    let clock: Clocked = Arc::new(SystemClock);
    let asked = async {
        let options = LlmOptions {
            answer_times: vec![answer_wait(options)],
            ..options.clone()
        };
        let llm = composition::build_llm(routes, &options, &clock, &Rng::from_os()?)?;
        let prompt = vec![ConversationMessage::from_user("Answer with the word ok.")];
        let request = MessagesRequest::new("", TOKENS_MAX, prompt);
        let headers = http::HeaderMap::new();
        let ask = RoutedRequest {
            route: choice,
            request: &request,
            headers: &headers,
        };
        let start = clock.now();
        let allowance = CallAllowance {
            calls_left: 1,
            ..CallAllowance::new(start)
        };
        llm.complete_answer(ask, &mut QuestionTally::new(allowance))
            .await?;
        anyhow::Ok(clock.now().since(start))
    };
    match asked.await {
        Ok(time) => DoctorFinding::new(
            "model",
            FindingMark::Ok,
            format!("answered in {}", format_duration(time.as_millis() as i64)),
        ),
        Err(error) => DoctorFinding::new(
            "model",
            FindingMark::Missing,
            format!(
                "does not answer: {}",
                clean_line(&error_chain(error.as_ref()))
            ),
        )
        .with_next_step("check the key, the address and the network; --offline skips this"),
    }
}
