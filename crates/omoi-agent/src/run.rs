//! From the context file to the last report.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptStopReason, Outcome};
use omoi_domain::retry::ErrorClass;
use omoi_domain::time::Timestamp;
use omoi_git::process::{Git, LocateError};
use omoi_llm::client::{Client, Endpoint};
use omoi_llm::upstream::UpstreamError;
use omoi_protocol::worker::{AttemptContext, Complete, CompleteAck, Started};
use omoi_runtime::clock::Clocked;
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;

use crate::beside::{Inbox, acknowledge, heartbeat, poll};
use crate::model::WorkerPace;
use crate::pass::{End, Pass, TEXT_CHARS_MAX};
use crate::platform::{CallError, Platform};
use crate::reporter::{Reporter, deliver, reporter};
use crate::stop::{Stop, Stopper};
use crate::tools::{Means, Toolbox, shortened};
use crate::transcript::BadTurn;
use crate::work::{SaveError, Work};

/// Time after the wall limit in which the end may still be reported.
const LATE: Duration = Duration::from_secs(30);
/// Time in which the last events must go out; the end is more important.
const EVENTS_MAX: Duration = Duration::from_secs(5);

/// What a worker is given beside its context.
#[derive(Clone, Debug)]
pub struct Host {
    /// The time.
    pub clock: Clocked,
    /// The dice.
    pub rng: Rng,
    /// The program path, to find git on.
    pub path: OsString,
    /// Folders beside the workspace that the file tools may use: `/tmp`, the home folder.
    pub scratch: Vec<PathBuf>,
}

/// Why the worker could not do or report its work.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("could not read the context `{path}`")]
    Context {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the context `{path}` is not what a worker is told")]
    BadContext {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("could not listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("could not make a client for the platform")]
    Http(#[source] reqwest::Error),
    #[error("could not say that the worker is up")]
    Start(#[source] CallError),
    #[error("could not report the end")]
    Complete(#[source] CallError),
}

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
enum SetUpError {
    #[error("git cannot be used")]
    Git(#[from] LocateError),
    #[error("the workspace cannot be used")]
    Workspace(#[source] std::io::Error),
    #[error("the work tree cannot be used")]
    Work(#[from] SaveError),
    #[error("the model client cannot be made")]
    Model(#[from] UpstreamError),
    #[error("the transcript is broken")]
    Transcript(#[from] BadTurn),
}

/// Runs the worker of the attempt that the file at `context_path` describes.
///
/// Succeeds when the platform took the report of the end, whatever that end was, or does not want it
/// any more because a newer attempt took over; fails with the reason on standard error otherwise.
pub async fn run(host: Host, context_path: &Path) -> ExitCode {
    match attempt(&host, context_path).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("omoi agent: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn attempt(host: &Host, context_path: &Path) -> Result<(), RunError> {
    let context = load(context_path)?;
    let until = host.clock.now() + Duration::from_secs(context.limits.wall_s);
    let platform =
        Platform::new(&context, &host.clock, &host.rng, until).map_err(RunError::Http)?;
    match platform.tell("/started", &first_report(&context)).await {
        Ok(_) => {}
        Err(CallError::Superseded) => return Ok(()),
        Err(error) => return Err(RunError::Start(error)),
    }

    let stopper = Stopper::default();
    let inbox = Inbox::default();
    let mut beside = JoinSet::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let on_signal = stopper.clone();
    beside.spawn(async move {
        terminate.recv().await;
        on_signal.stop(Stop::Shutdown);
    });
    let every = Duration::from_secs(context.limits.heartbeat_s.max(1));
    beside.spawn(heartbeat(
        platform.clone(),
        host.clock.clone(),
        every,
        stopper.clone(),
    ));
    beside.spawn(poll(
        platform.clone(),
        host.clock.clone(),
        inbox.clone(),
        stopper.clone(),
    ));
    let (reporter, events) = reporter(&host.clock, &host.rng);
    let mut delivery = JoinSet::new();
    delivery.spawn(deliver(platform.clone(), events, host.clock.clone()));

    let line = Line {
        host,
        context: &context,
        platform: platform.clone(),
        reporter,
        inbox: inbox.clone(),
        stopper,
        until,
    };
    let Some(complete) = line.work().await else {
        return Ok(());
    };
    // Reporters are gone by now: what is queued goes out, then the queue ends.
    tokio::select! {
        _ = delivery.join_next() => {}
        () = host.clock.sleep(EVENTS_MAX) => tracing::warn!("The last events were not delivered"),
    }
    let late = platform.until(until + LATE);
    let interrupts = inbox.take_interrupts();
    if !interrupts.is_empty() {
        acknowledge(&late, interrupts).await;
    }
    // Heartbeats go on until the end is taken.
    let reported = late.post::<CompleteAck>("/complete", &complete).await;
    beside.shutdown().await;
    match reported {
        Ok(_) | Err(CallError::Superseded) => Ok(()),
        Err(error) => Err(RunError::Complete(error)),
    }
}

/// What the worker says when it is up.
fn first_report(context: &AttemptContext) -> Started {
    Started {
        agent: "native".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        is_resuming: !context.resume.is_empty(),
    }
}

fn load(path: &Path) -> Result<AttemptContext, RunError> {
    let bytes = std::fs::read(path).map_err(|source| RunError::Context {
        path: path.to_path_buf(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| RunError::BadContext {
        path: path.to_path_buf(),
        source,
    })
}

/// Everything that one pass through the work needs; ends with the report to make.
struct Line<'a> {
    host: &'a Host,
    context: &'a AttemptContext,
    platform: Platform,
    reporter: Reporter,
    inbox: Inbox,
    stopper: Stopper,
    until: Timestamp,
}

impl Line<'_> {
    /// Works to the end; none when a newer attempt took over.
    async fn work(self) -> Option<Complete> {
        let mut turns = self.context.resume.len() as u32;
        let (mut toolbox, mut work) = (None, None);
        let end = match self.set_up(&mut toolbox, &mut work).await {
            Ok(client) => match &toolbox {
                Some(toolbox) => self.pass(client, toolbox, work.as_mut(), &mut turns).await,
                None => return None,
            },
            Err(error) => Ended::By(End::Failed {
                class: ErrorClass::AgentError,
                message: error_chain(&error),
            }),
        };
        let mut complete = report(end, turns)?;
        complete.refused_paths = toolbox.map(|t| t.refused_paths()).unwrap_or_default();
        if matches!(complete.outcome, Outcome::Succeeded | Outcome::Incomplete)
            && let Some(work) = &work
        {
            self.finish(work, &mut complete).await;
        }
        Some(complete)
    }

    async fn set_up(
        &self,
        toolbox: &mut Option<Toolbox>,
        work: &mut Option<Work>,
    ) -> Result<Client, SetUpError> {
        let host = self.host;
        let means = Means {
            platform: self.platform.clone(),
            reporter: self.reporter.clone(),
            clock: host.clock.clone(),
            scratch: host.scratch.clone(),
        };
        let tools = Toolbox::new(self.context, means).map_err(SetUpError::Workspace)?;
        tools.recall(self.context)?;
        *toolbox = Some(tools);
        if self.context.commit.is_some() {
            let git = Git::find_on_path(&host.path).await?;
            *work = Work::new(&git, self.context, &host.clock)?;
        }
        let endpoint = Endpoint::Unix(PathBuf::from(&self.context.socket));
        let token = self.context.token.clone().into();
        Ok(Client::new(endpoint, token, self.pace())?)
    }

    fn pace(&self) -> Arc<WorkerPace> {
        Arc::new(WorkerPace {
            clock: self.host.clock.clone(),
            rng: self.host.rng.clone(),
        })
    }

    async fn pass(
        &self,
        client: Client,
        toolbox: &Toolbox,
        work: Option<&mut Work>,
        turns: &mut u32,
    ) -> Ended {
        let mut pass = Pass {
            context: self.context,
            client,
            pace: self.pace(),
            platform: self.platform.clone(),
            reporter: self.reporter.clone(),
            inbox: self.inbox.clone(),
            toolbox,
            work,
            turns,
        };
        let left = self.until.since(self.host.clock.now());
        // Dropping the pass is the point: the model call is abandoned, the command is killed, and the
        // turn in flight did not happen.
        tokio::select! {
            biased;
            why = self.stopper.stopped() => Ended::Stopped(why),
            () = self.host.clock.sleep(left) => Ended::By(End::Limit(AttemptStopReason::MaxDurationReached)),
            end = pass.run() => Ended::By(end),
        }
    }

    async fn finish(&self, work: &Work, complete: &mut Complete) {
        match work.finish(complete.summary.as_deref()).await {
            Ok(finished) => {
                complete.bundle = finished.bundle;
                complete.ignored_paths = finished.ignored;
                complete.unsaved = (!finished.left_out.is_empty()).then_some(finished.left_out);
                if !finished.put_back.is_empty() {
                    let data = json!({ "paths": finished.put_back });
                    let summary = format!("put back {}", finished.put_back.join(", "));
                    self.reporter
                        .show(AgentEventKind::PolicyViolation, data, &summary)
                        .await;
                    complete.refused_paths.extend(finished.put_back);
                }
            }
            Err(error) if error.is_mendable() => {
                complete.unsaved = Some(shortened(&error_chain(&error), TEXT_CHARS_MAX));
            }
            Err(error) => {
                complete.outcome = Outcome::Failed;
                complete.stop_reason = AttemptStopReason::Error;
                complete.error_class = Some(ErrorClass::AgentError);
                complete.error_message = Some(error_chain(&error));
            }
        }
    }
}

/// How the work ended.
enum Ended {
    By(End),
    Stopped(Stop),
}

/// The report of `end`, before the work is packed; none when nobody wants it.
fn report(end: Ended, turns: u32) -> Option<Complete> {
    let mut complete = Complete {
        outcome: Outcome::Succeeded,
        stop_reason: AttemptStopReason::Done,
        summary: None,
        bundle: None,
        error_class: None,
        error_message: None,
        turns,
        refused_paths: Vec::new(),
        unsaved: None,
        ignored_paths: Vec::new(),
    };
    let (outcome, stop_reason) = match end {
        Ended::Stopped(Stop::Superseded) | Ended::By(End::Superseded) => return None,
        Ended::Stopped(Stop::Interrupt) => (Outcome::Interrupted, AttemptStopReason::Interrupt),
        Ended::Stopped(Stop::Shutdown) => (Outcome::Interrupted, AttemptStopReason::ShutdownSignal),
        Ended::By(End::Limit(reason)) => (Outcome::Incomplete, reason),
        Ended::By(End::Done {
            stop_reason,
            summary,
        }) => {
            complete.summary = summary;
            (Outcome::Succeeded, stop_reason)
        }
        Ended::By(End::Failed { class, message }) => {
            complete.error_class = Some(class);
            complete.error_message = Some(message);
            (Outcome::Failed, AttemptStopReason::Error)
        }
    };
    complete.outcome = outcome;
    complete.stop_reason = stop_reason;
    Some(complete)
}
