//! What the doctor looks at.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::model_route::RouteName;
use omoi_domain::sandbox::SandboxRung;
use omoi_git::process::{GIT_VERSION_MIN, Git};
use omoi_git::survey::survey_dir;
use omoi_git::toolchain::resolve_toolchain;
use omoi_llm::llm_client::{QuestionTally, RoutedRequest};
use omoi_llm::retry::CallAllowance;
use omoi_llm::route::{ModelProvider, ModelRoute, ProviderKey, RouteTable};
use omoi_llm::upstream::FIRST_CONTENT_TIME;
use omoi_llm::wire::anthropic::{ConversationMessage, MessagesRequest};
use omoi_protocol::control::Status;
use omoi_runtime::clock::{Clock as _, Clocked, SystemClock};
use omoi_runtime::config::{Config, keys};
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{ProbeConfig, PropertyStatus, probe_host};

use super::{Finding, Mark, model_age};
use crate::cli::context::{Context, Settings, check_scenario};
use crate::cli::{access, db};
use crate::folder::Folder;
use crate::root;
use crate::view::text::{clean, count, took};

/// How long a person waits for the model to answer one word.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Tokens of that answer.
const TOKENS_MAX: u32 = 16;
/// Below this a run will soon stop.
const DISK_LOW: u64 = 1 << 30;

/// Looks at everything, in the order people read it.
pub(super) async fn all(context: &Context, settings: &Settings, offline: bool) -> Vec<Finding> {
    let config = &settings.config;
    let mut findings = model(config, offline).await;
    findings.extend(agents(context));
    findings.extend(sandbox(settings).await);
    findings.push(database(config).await);
    findings.push(git(context).await);
    findings.push(disk(&config.get(&keys::DATA_DIR)));
    findings.extend(loops(context, config).await);
    findings
}

/// What the loops of the process that owns the data folder cannot go on with, if there is one.
async fn loops(context: &Context, config: &Config) -> Vec<Finding> {
    let Ok(folder) = Folder::open(&config.get(&keys::DATA_DIR)) else {
        // The database's finding says so.
        return Vec::new();
    };
    match access::owner(&folder, context).await {
        Ok(Some(owner)) => of_status(&owner.status),
        Ok(None) => Vec::new(),
        Err(error) => vec![Finding::new("loops", Mark::Note, format!("{error:#}"))],
    }
}

fn of_status(status: &Status) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(stall) = &status.stall {
        let text = format!(
            "process {}: {}, for {}",
            status.pid,
            clean(&stall.reason),
            took(stall.ms as i64)
        );
        findings.push(Finding::new("loops", Mark::Note, text).next("free some space"));
    }
    for one in &status.loops {
        if let Some(error) = &one.error {
            let text = format!("{}: failed {} times: {error}", one.name, one.failing);
            findings.push(Finding::new("loops", Mark::Note, clean(&text)));
        }
        for failing in &one.entities {
            let text = format!(
                "{}: {} failed {} times: {}",
                one.name, failing.entity, failing.failing, failing.error
            );
            findings.push(Finding::new("loops", Mark::Note, clean(&text)));
        }
    }
    if findings.is_empty() && !status.loops.is_empty() {
        let text = format!("process {}: all {} go on", status.pid, status.loops.len());
        findings.push(Finding::new("loops", Mark::Ok, text));
    }
    findings
}

async fn model(config: &Config, offline: bool) -> Vec<Finding> {
    if config.get(&keys::LLM_MODE) == keys::ModelMode::Simulated {
        return vec![match check_scenario(config) {
            Ok(()) => Finding::new(
                "model",
                Mark::Ok,
                "simulated: scripted answers, no key, no cost",
            ),
            Err(error) => Finding::new("model", Mark::Missing, format!("simulated: {error:#}")),
        }];
    }
    let now = SystemClock.now();
    let missing =
        |next: String| vec![Finding::new("model", Mark::Missing, "no model to ask").next(next)];
    let (list, routes) = match (root::catalogue(config), root::live_routes(config, now)) {
        (Ok(list), Ok(Ok(routes))) => (list, routes),
        (_, Ok(Err(error))) => return missing(error.to_string()),
        (Err(error), _) | (_, Err(error)) => return missing(format!("{error:#}")),
    };
    let mut findings: Vec<Finding> = Vec::new();
    for name in RouteName::ALL.iter().copied() {
        let text = told(routes.route_named(name), config);
        match findings.iter_mut().find(|f| f.text.ends_with(&text)) {
            Some(same) => same.text = format!("{name}, {}", same.text),
            None => findings.push(Finding::new("model", Mark::Ok, format!("{name}: {text}"))),
        }
    }
    findings.extend(model_age::findings(&routes, &list, now));
    if offline {
        findings.push(Finding::new("model", Mark::Note, "not tried (--offline)"));
    } else {
        findings.push(tried(routes, config).await);
    }
    findings
}

/// `claude-… at https://… with ANTHROPIC_API_KEY (environment variable)`.
fn told(route: &ModelRoute, config: &Config) -> String {
    let key = match (route.provider, &route.key) {
        (_, ProviderKey::None) => None,
        (ModelProvider::Anthropic, ProviderKey::Bearer(_)) => {
            Some(&keys::ANTHROPIC_AUTH_TOKEN.spec)
        }
        (ModelProvider::Anthropic, ProviderKey::Header(_)) => Some(&keys::ANTHROPIC_API_KEY.spec),
        (ModelProvider::Openai, _) if config.get(&keys::LLM_BASE_URL).is_some() => {
            Some(&keys::LLM_API_KEY.spec)
        }
        (ModelProvider::Openai, _) => Some(&keys::OPENAI_API_KEY.spec),
    };
    let key = key.and_then(|spec| config.entry(spec));
    let key = key.map_or("without a key".to_owned(), |entry| {
        format!("with the key of {}", entry.origin)
    });
    format!(
        "{} at {} {key}",
        clean(&route.model),
        clean(&route.base_url)
    )
}

/// How long the model may take to answer one word: a person is waiting, but a model that is granted
/// more time than usual is known to be slow.
fn answer_wait(granted: Duration) -> Duration {
    match granted > FIRST_CONTENT_TIME {
        true => granted,
        false => granted.min(ANSWER_WAIT),
    }
}

/// One cheap call.
async fn tried(routes: RouteTable, config: &Config) -> Finding {
    let clock: Clocked = Arc::new(SystemClock);
    let asked = async {
        let mut llm = root::llm(routes, config, &clock, &Rng::from_os()?)?;
        let granted = config.get(&keys::LLM_FIRST_CONTENT_TIME);
        llm.limits.first_content = answer_wait(granted);
        let prompt = vec![ConversationMessage::from_user("Answer with the word ok.")];
        let request = MessagesRequest::new("", TOKENS_MAX, prompt);
        let headers = http::HeaderMap::new();
        let ask = RoutedRequest {
            route: RouteName::Agent,
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
        Ok(time) => Finding::new(
            "model",
            Mark::Ok,
            format!("answered in {}", took(time.as_millis() as i64)),
        ),
        Err(error) => Finding::new(
            "model",
            Mark::Missing,
            format!("does not answer: {}", clean(&error_chain(error.as_ref()))),
        )
        .next("check the key, the address and the network; --offline skips this"),
    }
}

fn agents(context: &Context) -> Vec<Finding> {
    let path = context.variable("PATH").unwrap_or_default();
    let claude = std::env::split_paths(&path)
        .map(|folder| folder.join("claude"))
        .find(|file| file.is_file());
    let claude = match claude {
        Some(file) => Finding::new(
            "agents",
            Mark::Note,
            format!("claude found at {}", file.display()),
        ),
        None => Finding::new("agents", Mark::Note, "claude is not on the program path"),
    };
    vec![
        Finding::new("agents", Mark::Ok, "native (built in)"),
        claude,
    ]
}

async fn sandbox(settings: &Settings) -> Vec<Finding> {
    let config = &settings.config;
    let missing = |text: String| vec![Finding::new("sandbox", Mark::Missing, text)];
    let folder = match Folder::open(&config.get(&keys::DATA_DIR)) {
        Ok(folder) => folder,
        Err(error) => return missing(clean(&error_chain(&error))),
    };
    // A folder of its own: a running process keeps its sandboxes in another.
    let mut ask = ProbeConfig::new(folder.path().join("doctor"));
    ask.hidden = vec![folder.path().to_path_buf()];
    let probe = match probe_host(&ask).await {
        Ok(probe) => probe,
        Err(error) => return missing(clean(&error_chain(&error))),
    };
    let mut findings = Vec::new();
    match root::select_sandbox(config, &probe) {
        Ok(provider) if provider.rung() == SandboxRung::Process => findings.push(Finding::new(
            "sandbox",
            Mark::Note,
            "process: unsafe, nothing is held back; the floor allows it",
        )),
        Ok(provider) => findings.push(Finding::new("sandbox", Mark::Ok, provider.rung().as_str())),
        Err(refused) => {
            let next = refused.next_step();
            findings.push(Finding::new("sandbox", Mark::Missing, refused.to_string()).next(next));
        }
    }
    for tried in &probe.tried {
        match &tried.outcome {
            Ok(_) if tried.rung == SandboxRung::Process => {}
            Ok(properties) => {
                let held: Vec<&str> = properties
                    .iter()
                    .filter(|(_, held)| held.is_yes())
                    .map(|(property, _)| property.as_str())
                    .collect();
                let text = format!("{} holds {}", tried.rung, held.join(", "));
                findings.push(Finding::new("sandbox", Mark::Ok, text));
                for (property, held) in properties {
                    if let PropertyStatus::No(why) = held {
                        let text = format!("{} does not hold {property}: {why}", tried.rung);
                        findings.push(Finding::new("sandbox", Mark::Note, text));
                    }
                }
            }
            Err(unavailable) => {
                let text = format!("{} cannot be used: {}", tried.rung, unavailable.reason);
                let finding = Finding::new("sandbox", Mark::Note, text);
                findings.push(finding.next(unavailable.remedy.clone()));
            }
        }
    }
    findings.push(mounts(settings).await);
    findings
}

/// What sandboxes may read beyond the system: the configured folders, and the toolchain of the
/// repository the doctor was called in.
async fn mounts(settings: &Settings) -> Finding {
    let mut paths = settings.config.get(&keys::SANDBOX_READ_ONLY);
    let here = std::env::current_dir().unwrap_or_default();
    if here.join(".git").exists()
        && let Ok(survey) = survey_dir(&here)
    {
        paths.extend(
            resolve_toolchain(&survey, &root::host(&settings.sources))
                .await
                .roots,
        );
    }
    let shown: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let text = match shown.as_slice() {
        [] => "sandboxes read the system's folders and nothing else".to_owned(),
        shown => format!("sandboxes also read {}", shown.join(", ")),
    };
    Finding::new("sandbox", Mark::Ok, text)
}

async fn database(config: &Config) -> Finding {
    let looked = async {
        let store = db::open(config).await?;
        let migrations = store.migrations().await?;
        let pending = migrations.iter().filter(|(_, _, applied)| !applied).count();
        let backend = store.backend().as_str();
        store.close().await;
        anyhow::Ok((backend, pending))
    };
    match looked.await {
        Ok((backend, 0)) => Finding::new("database", Mark::Ok, format!("{backend}, up to date")),
        Ok((backend, pending)) => {
            let pending = count(pending as u64, "migration");
            let text = format!("{backend}, {pending} to apply, which the next start does");
            Finding::new("database", Mark::Ok, text)
        }
        Err(error) => Finding::new("database", Mark::Missing, clean(&format!("{error:#}")))
            .next("check --data-dir and --database"),
    }
}

async fn git(context: &Context) -> Finding {
    let path = context.variable("PATH").unwrap_or_default();
    match Git::find_on_path(&path).await {
        Ok(git) => Finding::new("git", Mark::Ok, git.version_text()),
        Err(error) => Finding::new("git", Mark::Missing, error_chain(&error)).next(format!(
            "install git {}.{} or newer",
            GIT_VERSION_MIN.0, GIT_VERSION_MIN.1
        )),
    }
}

fn disk(data: &Path) -> Finding {
    let Ok(found) = rustix::fs::statvfs(data) else {
        return Finding::new(
            "disk",
            Mark::Note,
            "the file system does not say what is free",
        );
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!(
        "{:.1} GiB free at {}",
        free as f64 / (1u64 << 30) as f64,
        data.display()
    );
    if free < DISK_LOW {
        Finding::new("disk", Mark::Missing, text)
            .next("free at least 1 GiB, or use another --data-dir")
    } else {
        Finding::new("disk", Mark::Ok, text)
    }
}
