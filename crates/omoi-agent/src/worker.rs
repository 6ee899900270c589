//! Runs one attempt: from the context file to the final report.

mod program_run;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::retry::ErrorClass;
use omoi_domain::time::Timestamp;
use omoi_git::process::{Git, LocateError};
use omoi_llm::gateway_client::{GatewayClient, GatewayEndpoint};
use omoi_llm::upstream::UpstreamError;
use omoi_protocol::worker::{
    AttemptContext, CompleteAck, MESSAGE_LOOK_INTERVAL, ReportComplete, ReportStarted,
};
use omoi_runtime::clock::Clocked;
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;

use self::program_run::ProgramRun;
use crate::agent_loop::{AgentLoop, LoopEnd, TEXT_CHARS_MAX};
use crate::attempt_work::{AttemptWork, SaveError};
use crate::egress_forwarder::{EgressForwarder, EgressForwarderError};
use crate::event_reporter::{EventReporter, deliver_events, event_queue};
use crate::heartbeat::send_heartbeats;
use crate::inbox::{MessageInbox, acknowledge_messages, poll_inbox};
use crate::model_call::WorkerPace;
use crate::native::NativeRuntime;
use crate::platform_client::{CallError, PlatformClient};
use crate::program::driver_steps::INTERRUPT_TIME;
use crate::program::{HURRIED_END_TIME, SetUpProgramError};
use crate::runtime::{AgentRuntime, RuntimeEnding};
use crate::stop_signal::{AgentStopCause, StopSignal};
use crate::tools::{AgentTools, ToolServices, shorten_text};
use crate::transcript::BadTurn;

/// Time after the wall limit in which the end may still be reported.
const REPORT_TIME: Duration = Duration::from_secs(30);
/// Time in which the last events must go out; the end is more important.
const LAST_EVENTS_TIME: Duration = Duration::from_secs(5);
/// The same for an attempt that was interrupted.
const HURRIED_EVENTS_TIME: Duration = Duration::from_millis(250);
/// Time from an interrupt that is posted until its attempt reports the end, whatever its program does.
const INTERRUPTED_MAX: Duration = Duration::from_secs(1);

// It is found, the program stops its turn, ends by itself, ends as it is told, and its last events go out.
const _: () = {
    let limits = [
        MESSAGE_LOOK_INTERVAL,
        INTERRUPT_TIME,
        HURRIED_END_TIME,
        HURRIED_END_TIME,
        HURRIED_EVENTS_TIME,
    ];
    let (mut sum, mut n) = (0, 0);
    while n < limits.len() {
        sum += limits[n].as_millis();
        n += 1;
    }
    assert!(sum <= INTERRUPTED_MAX.as_millis());
};

/// What the worker takes from its host, beside the context file.
#[derive(Clone, Debug)]
pub struct WorkerHost {
    /// Clock for limits, pauses and timestamps.
    pub clock: Clocked,
    /// Randomness for ids and jitter.
    pub rng: Rng,
    /// The program path, to find git on.
    pub path: OsString,
    /// Folders beside the workspace that the file tools may use: `/tmp`, the home folder.
    pub scratch: Vec<PathBuf>,
    /// This executable, which agent programs start as the server of our tools.
    pub executable: PathBuf,
    /// Folder of the attempt's own, outside the work tree, for the state of an agent program.
    pub home: PathBuf,
}

/// Why the worker could not do or report its work.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
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

/// Why the attempt could not be set up.
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
    #[error("there is no way out to package registries")]
    Egress(#[from] EgressForwarderError),
    #[error("the agent program cannot be used")]
    Program(#[from] SetUpProgramError),
}

/// Runs the worker of the attempt that the file at `context_path` describes.
///
/// Succeeds when the platform took the report of the end, whatever that end was, or does not want it
/// any more because a newer attempt took over; fails with the reason on standard error otherwise.
pub async fn run_worker(host: WorkerHost, context_path: &Path) -> ExitCode {
    match run_attempt(&host, context_path).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("omoi agent: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run_attempt(host: &WorkerHost, context_path: &Path) -> Result<(), WorkerError> {
    let context = load_context(context_path)?;
    let until = host.clock.now() + Duration::from_secs(context.limits.wall_s);
    let platform =
        PlatformClient::new(&context, &host.clock, &host.rng, until).map_err(WorkerError::Http)?;
    match platform
        .post_only("/started", &first_report(&context))
        .await
    {
        Ok(_) => {}
        Err(CallError::Superseded) => return Ok(()),
        Err(error) => return Err(WorkerError::Start(error)),
    }

    let stop_signal = StopSignal::default();
    let inbox = MessageInbox::default();
    let mut background = JoinSet::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(WorkerError::Signals)?;
    let on_signal = stop_signal.clone();
    background.spawn(async move {
        terminate.recv().await;
        on_signal.request_stop(AgentStopCause::Shutdown);
    });
    let every = Duration::from_secs(context.limits.heartbeat_s.max(1));
    background.spawn(send_heartbeats(
        platform.clone(),
        host.clock.clone(),
        every,
        stop_signal.clone(),
    ));
    background.spawn(poll_inbox(
        platform.clone(),
        host.clock.clone(),
        inbox.clone(),
        stop_signal.clone(),
    ));
    let (reporter, events) = event_queue(&host.clock, &host.rng);
    let mut delivery = JoinSet::new();
    delivery.spawn(deliver_events(platform.clone(), events, host.clock.clone()));

    let line = AttemptRun {
        host,
        context: &context,
        platform: platform.clone(),
        reporter,
        inbox: inbox.clone(),
        stop_signal,
        deadline: until,
    };
    let Some(complete) = line.work_to_end().await else {
        return Ok(());
    };
    // Reporters are gone by now: what is queued goes out, then the queue ends.
    let events_time = match complete.stop_reason {
        AttemptStopReason::Interrupt => HURRIED_EVENTS_TIME,
        _ => LAST_EVENTS_TIME,
    };
    tokio::select! {
        _ = delivery.join_next() => {}
        () = host.clock.sleep(events_time) => tracing::warn!("The last events were not delivered"),
    }
    let late = platform.with_deadline(until + REPORT_TIME);
    let interrupts = inbox.take_interrupts();
    if !interrupts.is_empty() {
        acknowledge_messages(&late, interrupts).await;
    }
    // Heartbeats go on until the end is taken.
    let reported = late.post_json::<CompleteAck>("/complete", &complete).await;
    background.shutdown().await;
    match reported {
        Ok(_) | Err(CallError::Superseded) => Ok(()),
        Err(error) => Err(WorkerError::Complete(error)),
    }
}

/// The first report: which agent program runs, and whether it resumes.
fn first_report(context: &AttemptContext) -> ReportStarted {
    ReportStarted {
        agent: context.agent.program,
        version: match &context.agent.installed {
            Some(installed) => installed.version.clone(),
            None => own_version(context.agent.prompts.as_deref()),
        },
        is_resuming: !context.resume.is_empty(),
    }
}

/// The version of our own loop: that of its program, and after a plus that of its prompts.
fn own_version(prompts: Option<&str>) -> String {
    let prompts = prompts.map_or_else(String::new, |prompts| format!("+{prompts}"));
    format!("{}{prompts}", env!("CARGO_PKG_VERSION"))
}

fn load_context(path: &Path) -> Result<AttemptContext, WorkerError> {
    let bytes = std::fs::read(path).map_err(|source| WorkerError::Context {
        path: path.to_path_buf(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| WorkerError::BadContext {
        path: path.to_path_buf(),
        source,
    })
}

/// One attempt under way, with the handles that its steps share.
struct AttemptRun<'a> {
    host: &'a WorkerHost,
    context: &'a AttemptContext,
    platform: PlatformClient,
    reporter: EventReporter,
    inbox: MessageInbox,
    stop_signal: StopSignal,
    deadline: Timestamp,
}

impl AttemptRun<'_> {
    /// Runs the agent and packs its work; none when a newer attempt took over.
    async fn work_to_end(self) -> Option<ReportComplete> {
        let mut turns = self.context.resume.len() as u32;
        let (mut tools, mut work) = (None, None);
        let end = match self.run_agent(&mut tools, &mut work, &mut turns).await {
            Ok(end) => end,
            Err(error) => AttemptEnd::By(LoopEnd::Failed {
                class: ErrorClass::AgentError,
                message: error_chain(&error),
            }),
        };
        let mut complete = end_report(end, turns)?;
        complete.refused_paths = tools.map(|t| t.refused_paths()).unwrap_or_default();
        if matches!(
            complete.outcome,
            AttemptOutcome::Succeeded | AttemptOutcome::Incomplete
        ) && let Some(work) = &work
        {
            self.pack_work(work, &mut complete).await;
        }
        Some(complete)
    }

    /// Sets up what the context names and lets it work to its end.
    async fn run_agent(
        &self,
        tools_kept: &mut Option<Arc<AgentTools>>,
        work: &mut Option<AttemptWork>,
        turns: &mut u32,
    ) -> Result<AttemptEnd, SetUpError> {
        let host = self.host;
        let forwarder = EgressForwarder::start(self.context, &host.clock).await?;
        let environment = forwarder
            .as_ref()
            .map_or_else(Vec::new, |forwarder| forwarder.proxy_variables().to_vec());
        let services = ToolServices {
            environment: environment.clone(),
            platform: self.platform.clone(),
            reporter: self.reporter.clone(),
            clock: host.clock.clone(),
            scratch: host.scratch.clone(),
        };
        let tools = AgentTools::new(self.context, services).map_err(SetUpError::Workspace)?;
        tools.recall_turns(self.context)?;
        let tools = Arc::new(tools);
        *tools_kept = Some(tools.clone());
        if self.context.commit.is_some() {
            let git = Git::find_on_path(&host.path).await?;
            *work = AttemptWork::new(&git, self.context, &host.clock)?;
        }
        if !self.context.agent.program.is_native() {
            let run = ProgramRun {
                tools: &tools,
                environment: &environment,
                work,
                turns,
            };
            return self.run_program(run).await;
        }
        let pass = AgentLoop {
            context: self.context,
            platform: self.platform.clone(),
            reporter: self.reporter.clone(),
            inbox: self.inbox.clone(),
            work: work.as_mut(),
            turns,
            committed: None,
        };
        let endpoint = GatewayEndpoint::Unix(PathBuf::from(&self.context.socket));
        let token = self.context.token.clone().into();
        let client = GatewayClient::new(endpoint, token, self.model_pace())?;
        let runtime = NativeRuntime::new(self.context, client, self.model_pace(), tools.as_ref());
        Ok(self.drive(pass, runtime).await)
    }

    fn model_pace(&self) -> Arc<WorkerPace> {
        Arc::new(WorkerPace {
            clock: self.host.clock.clone(),
            rng: self.host.rng.clone(),
        })
    }

    /// Lets `runtime` take turns until it is done or has to stop, and ends it.
    async fn drive(&self, mut pass: AgentLoop<'_>, mut runtime: impl AgentRuntime) -> AttemptEnd {
        let left = self.deadline.since(self.host.clock.now());
        // Dropping the pass is the point: the model call is abandoned, the command is killed, and the
        // turn in flight did not happen.
        let end = tokio::select! {
            biased;
            why = self.stop_signal.wait_stopped() => AttemptEnd::Stopped(why),
            () = self.host.clock.sleep(left) => AttemptEnd::By(LoopEnd::Limit(AttemptStopReason::MaxDurationReached)),
            end = pass.run_turns(&mut runtime) => AttemptEnd::By(end),
        };
        let ending = match &end {
            AttemptEnd::Stopped(AgentStopCause::Superseded)
            | AttemptEnd::By(LoopEnd::Superseded) => RuntimeEnding::AtOnce,
            AttemptEnd::Stopped(AgentStopCause::Interrupt | AgentStopCause::Shutdown) => {
                RuntimeEnding::Hurried
            }
            AttemptEnd::By(_) => RuntimeEnding::Orderly,
        };
        if ending != RuntimeEnding::AtOnce {
            runtime.interrupt().await;
        }
        runtime.end(ending).await;
        end
    }

    async fn pack_work(&self, work: &AttemptWork, complete: &mut ReportComplete) {
        match work.commit_work(complete.summary.as_deref()).await {
            Ok(finished) => {
                complete.bundle = finished.bundle;
                complete.ignored_paths = finished.ignored_paths;
                complete.unsaved = (!finished.unsaved.is_empty()).then_some(finished.unsaved);
                if !finished.restored_paths.is_empty() {
                    let data = json!({ "paths": finished.restored_paths });
                    let summary = format!("put back {}", finished.restored_paths.join(", "));
                    self.reporter
                        .show_event(AgentEventKind::PolicyViolation, data, &summary)
                        .await;
                    complete.refused_paths.extend(finished.restored_paths);
                }
            }
            Err(error) if error.is_mendable() => {
                complete.unsaved = Some(shorten_text(&error_chain(&error), TEXT_CHARS_MAX));
            }
            Err(error) => {
                complete.outcome = AttemptOutcome::Failed;
                complete.stop_reason = AttemptStopReason::Error;
                complete.error_class = Some(ErrorClass::AgentError);
                complete.error_message = Some(error_chain(&error));
            }
        }
    }
}

/// How the attempt ended: by its loop or by a stop.
enum AttemptEnd {
    By(LoopEnd),
    Stopped(AgentStopCause),
}

/// The report of `end`, before the work is packed; none when nobody wants it.
fn end_report(end: AttemptEnd, turns: u32) -> Option<ReportComplete> {
    let mut complete = ReportComplete {
        outcome: AttemptOutcome::Succeeded,
        stop_reason: AttemptStopReason::Done,
        summary: None,
        bundle: None,
        error_class: None,
        error_message: None,
        turns,
        refused_paths: Vec::new(),
        unsaved: None,
        ignored_paths: Vec::new(),
        question: None,
    };
    let (outcome, stop_reason) = match end {
        AttemptEnd::Stopped(AgentStopCause::Superseded) | AttemptEnd::By(LoopEnd::Superseded) => {
            return None;
        }
        AttemptEnd::Stopped(AgentStopCause::Interrupt) => {
            (AttemptOutcome::Interrupted, AttemptStopReason::Interrupt)
        }
        AttemptEnd::Stopped(AgentStopCause::Shutdown) => (
            AttemptOutcome::Interrupted,
            AttemptStopReason::ShutdownSignal,
        ),
        AttemptEnd::By(LoopEnd::Limit(reason)) => (AttemptOutcome::Incomplete, reason),
        AttemptEnd::By(LoopEnd::Done {
            stop_reason,
            summary,
        }) => {
            complete.summary = summary;
            (AttemptOutcome::Succeeded, stop_reason)
        }
        AttemptEnd::By(LoopEnd::Asked(asked)) => {
            complete.question = Some(asked);
            (
                AttemptOutcome::Interrupted,
                AttemptStopReason::QuestionAsked,
            )
        }
        AttemptEnd::By(LoopEnd::ProgramEnded { message, .. }) => {
            complete.error_class = Some(ErrorClass::AgentError);
            complete.error_message = Some(message);
            (AttemptOutcome::Failed, AttemptStopReason::Error)
        }
        AttemptEnd::By(LoopEnd::Failed { class, message }) => {
            complete.error_class = Some(class);
            complete.error_message = Some(message);
            let stop_reason = match class {
                ErrorClass::QuotaExceeded => AttemptStopReason::MaxCostReached,
                _ => AttemptStopReason::Error,
            };
            (AttemptOutcome::Failed, stop_reason)
        }
    };
    complete.outcome = outcome;
    complete.stop_reason = stop_reason;
    Some(complete)
}
