//! From an attempt's row to a worker in a sandbox.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tracing::{Instrument as _, debug, info, info_span, warn};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SandboxId;
use omoi_domain::lifecycle::attempt::{
    AttemptLoss, SandboxExit, StoppingLimit, begin_attempt, sandbox_exited, start_failed,
    start_postponed,
};
use omoi_domain::model_route::RouteName;
use omoi_domain::sandbox::SandboxState;
use omoi_git::mirror::{BaseStore, BaseStoreError, MirrorError};
use omoi_git::refname::BadRefName;
use omoi_protocol::worker::{
    AgentLaunch, AgentTool, AttemptContext, AttemptLimits, CONTEXT_FILE, CommitPlan, TurnRecord,
    WorkerProgram,
};
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::policy::inside;
use omoi_sandbox::{
    GeneratedFile, GuardRefusal, LaunchError, Provider, ReadOnlyMount, RunningSandbox,
    SandboxLaunch, WaitError,
};
use omoi_store::attempts::{self, Attempt};
use omoi_store::sandboxes::{self, Sandbox};
use omoi_store::{Json, StoreError, Tx, projects};

use crate::agent_models::AgentModelFacts;
use crate::agent_programs::{ProgramLaunch, ProgramUnusable, launch_of};
use crate::attempt::work_plan::{WorkPlan, make_workspace};
use crate::attempt::{AttemptStarter, apply_to_attempt, settle};
use crate::commit_content::ContentError;
use crate::commit_workspace::CommitWorkspace;
use crate::copied_files::CopyError;
use crate::egress::egress_mode;
use crate::native_prompt::FamilyPrompt;
use crate::running_attempts::HeldAttempt;
use crate::sandbox_egress::SandboxEgress;
use crate::sandbox_host::remove_workspace;
use crate::setup::SetupError;
use crate::start_failure::{class_of, class_of_start};
use crate::{command, protected};

/// Name of the file of certificates among a sandbox's generated files.
const CERTIFICATE_FILE: &str = "egress.pem";
/// Time between the request to save and the kill.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of one tool result that reach the model.
const RESULT_BYTES: usize = 64 << 10;
/// Bytes kept of what a worker prints, for the log of a failed start.
const OUTPUT_BYTES: usize = 64 << 10;

/// What an agent may use.
#[derive(Clone, Copy, Debug)]
pub struct BriefLimits {
    /// Model turns.
    pub turns_max: u32,
    /// Wall time of the whole attempt.
    pub wall_s: u64,
    /// Wall time of one command.
    pub command_s: u64,
}

/// What the worker is told.
#[derive(Clone, Debug)]
pub struct AttemptBrief {
    /// `TSK-003`, or the phase's name.
    pub subject_ref: String,
    /// The system prompt.
    pub system: String,
    /// The first user message.
    pub prompt: String,
    /// Tools its model is offered.
    pub tools: Vec<AgentTool>,
    /// Schema of `submit_item`, when it is offered.
    pub item_schema: Option<Value>,
    /// What it may use.
    pub limits: BriefLimits,
    /// How its work is committed; none for attempts that only read.
    pub commit: Option<CommitPlan>,
}

/// Everything one launch needs.
pub struct AttemptJob {
    /// The attempt.
    pub attempt: Attempt,
    /// Its credential.
    pub token: String,
    /// Turns it goes on from.
    pub turns: Vec<TurnRecord>,
    /// Its workspace.
    pub work: WorkPlan,
    /// Its orders.
    pub brief: AttemptBrief,
    /// Whose models take its turns.
    pub route: RouteName,
}

/// Why a worker did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error("this process runs no sandboxes")]
    NoProvider,
    #[error("the database refused")]
    Store(#[from] StoreError),
    #[error("could not open the mirror")]
    Mirror(#[from] MirrorError),
    #[error("the branch cannot be used")]
    Branch(#[from] BadRefName),
    #[error("could not set the base commit's history apart")]
    BaseStore(#[from] BaseStoreError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("could not write the context")]
    Context(#[from] serde_json::Error),
    #[error(transparent)]
    Copies(#[from] CopyError),
    #[error("could not install packages")]
    Setup(#[from] SetupError),
    #[error("a folder on the list cannot be shown")]
    Guarded(#[from] GuardRefusal),
    #[error(transparent)]
    Program(#[from] ProgramUnusable),
    #[error("could not start the sandbox")]
    Launch(#[from] LaunchError),
    #[error("could not follow the sandbox")]
    Wait(#[from] WaitError),
}

/// Starts the worker of `job` and follows it to its end, apart from the caller. `held` is its attempt,
/// held since the transaction that wrote it.
///
/// However it ends, the attempt is settled: a worker that reported its outcome has done so itself;
/// one that vanished is lost.
pub fn launch_attempt(starter: &AttemptStarter, held: HeldAttempt, job: AttemptJob) {
    let id = job.attempt.id;
    let starter_ = starter.clone();
    // It outlives the pass that claimed it, so it is not below its span.
    let span = info_span!(
        parent: None, "attempt", attempt.id = %id, spec.id = %job.attempt.spec_id,
        task.id = job.attempt.subject.task_id().map(tracing::field::display),
        subject = job.brief.subject_ref
    );
    let work = async move {
        let attempt = job.attempt.clone();
        let dir = starter_.folders.data.workspace_path(id);
        let loss = follow_attempt(&starter_, job).await;
        if let Err(error) = settle::after_exit(&starter_, &attempt, loss).await {
            // The reaper finds the attempt by its lease.
            warn!(error = %error_chain(&error), "Could not settle attempt `{id}`");
        }
        drop(held);
        if let Some(provider) = &starter_.host.provider {
            remove_workspace(&starter_.lifecycle, provider, &dir).await;
        }
        debug!("Attempt `{id}` is cleared away");
        Ok(())
    };
    let name = format!("attempt {}", id.short());
    let lifecycle = &starter.lifecycle;
    lifecycle.spawn(name, SpawnKind::Work, work.instrument(span));
}

/// Prepares, launches and waits; returns how the attempt ends if its worker did not tell.
async fn follow_attempt(starter: &AttemptStarter, job: AttemptJob) -> AttemptLoss {
    let run = async {
        let provider = starter.host.provider.as_ref().ok_or(JobError::NoProvider)?;
        // Kept until the sandbox has ended.
        let base = starter
            .folders
            .project_mirror(job.attempt.project_id)
            .await?;
        let base = base.base_store(&job.work.base).await?;
        let workspace = make_workspace(starter, &job, &base, provider).await?;
        bind_sandbox(starter, &job, (provider.as_ref(), &workspace)).await?;
        let agent = job.attempt.agent.unwrap_or(AgentProgram::Native);
        let program = launch_of(starter.programs.as_ref(), agent).await?;
        let parts = LaunchParts {
            base: &base,
            workspace: &workspace,
            program,
            egress: attempt_egress(starter, &job.attempt).await?,
        };
        let launch = sandbox_launch(starter, &job, parts, provider.as_ref())?;
        let running = provider.launch(launch).await?;
        starter
            .running
            .set_control(job.attempt.id, running.control());
        Ok::<_, JobError>(exit_of(running).await?)
    };
    match run.await {
        Ok(exit) => sandbox_exited(&exit, starter.lifecycle.soft_token().is_cancelled()),
        Err(error) => {
            let (class, message) = (class_of(&error), error_chain(&error));
            let class =
                class_of_start(&starter.store, &starter.folders, job.attempt.spec_id, class).await;
            warn!(%class, error = message, "The sandbox of attempt `{}` did not start", job.attempt.id);
            match is_postponed(&error) {
                true => start_postponed(class, message),
                false => start_failed(class, message),
            }
        }
    }
}

/// Whether a start failed of something outside that was waited for.
const fn is_postponed(error: &JobError) -> bool {
    matches!(error, JobError::Setup(SetupError::RegistryAway(_)))
}

/// Writes the sandbox's row and moves attempt and task before anything is asked of the provider.
async fn bind_sandbox(
    starter: &AttemptStarter,
    job: &AttemptJob,
    (provider, workspace): (&dyn Provider, &CommitWorkspace),
) -> Result<(), JobError> {
    let (id, rung) = (job.attempt.id, provider.rung());
    let mounts = job.work.toolbox.toolchain_mounts(&starter.host.read_only);
    let bound = async |tx: &mut Tx| -> Result<(), StoreError> {
        let mut attempt = attempts::get(tx, id).await?;
        let sandbox = Sandbox {
            id: SandboxId::from_uuid(id.as_uuid()),
            org_id: tx.org(),
            attempt_id: id,
            provider: rung,
            state: SandboxState::Pending,
            held: Json(command::held(provider)),
            mounts: Json(command::shown(&mounts)),
            start_steps: Json(workspace.start_steps()),
            reason: None,
            created_at: tx.now(),
            state_version: 0,
        };
        sandboxes::insert(tx, &sandbox).await?;
        apply_to_attempt(tx, &mut attempt, begin_attempt(Some(rung))).await?;
        crate::tasks::mark_assigned(tx, &attempt).await
    };
    starter
        .store
        .write(CrashPoint::AttemptStarting, bound)
        .await?;
    info!(%rung, "Starting attempt `{id}` in a sandbox");
    Ok(())
}

/// Found again by this name after a crash.
pub(super) fn sandbox_name(attempt: &Attempt) -> String {
    format!("omoi-{}", attempt.id)
}

/// What a sandbox shows beside the workspace.
struct LaunchParts<'a> {
    base: &'a BaseStore,
    workspace: &'a CommitWorkspace,
    program: Option<ProgramLaunch>,
    /// Its way out, if it has one.
    egress: Option<AttemptWay>,
}

/// The way out of an attempt.
struct AttemptWay {
    egress: SandboxEgress,
    /// Whether its project reaches hosts beside the registries.
    lists_hosts: bool,
}

/// The way out of an attempt, if it has one: that is a port of its own loopback.
async fn attempt_egress(
    starter: &AttemptStarter,
    attempt: &Attempt,
) -> Result<Option<AttemptWay>, StoreError> {
    let Some(egress) = &starter.host.egress else {
        return Ok(None);
    };
    let read = async |tx: &mut Tx| -> Result<_, StoreError> {
        let project = projects::named_project(tx, attempt.project_id).await?;
        Ok((egress_mode(tx, attempt).await?, project))
    };
    let (mode, project) = starter.store.read(read).await?;
    let way = AttemptWay {
        egress: egress.clone(),
        lists_hosts: egress.lists_hosts_for(&project),
    };
    let is_open = starter.host.reached_mode(mode).is_open();
    Ok(Some(way).filter(|_| is_open))
}

/// What the sandbox is asked to be.
fn sandbox_launch(
    starter: &AttemptStarter,
    job: &AttemptJob,
    parts: LaunchParts<'_>,
    provider: &dyn Provider,
) -> Result<SandboxLaunch, JobError> {
    let dir = &starter.folders.data.workspace_path(job.attempt.id);
    let context_path = Path::new(inside::FILES).join(CONTEXT_FILE);
    let mut launch = SandboxLaunch::new(
        sandbox_name(&job.attempt),
        dir,
        [inside::WORKER, "agent", "--context"],
    );
    launch.access = job.work.access;
    let toolbox = &job.work.toolbox;
    launch.env = parts
        .workspace
        .launch_environment(toolbox, provider, &launch);
    launch.read_only = starter.host.sandbox_mounts(toolbox)?;
    let objects = ReadOnlyMount::at_same_path(parts.base.objects_dir());
    launch.read_only.push(objects);
    if let Some(program) = &parts.program {
        launch.read_only.extend(program.mounts.iter().cloned());
    }
    let egress = show_egress(&mut launch, parts.egress.as_ref());
    launch.protected = protected::in_sandbox(dir);
    launch.socket = Some(starter.folders.data.worker_socket());
    launch.worker = Some(starter.worker.clone());
    launch.limits = toolbox.sandbox_limits(starter.host.limits);
    launch.wall_timeout = Duration::from_secs(job.brief.limits.wall_s) + GRACE;
    launch.grace = GRACE;
    launch.output_bytes_max = OUTPUT_BYTES;
    let shown = |launch: &SandboxLaunch, path: &Path| {
        provider
            .path_inside(launch, path)
            .to_string_lossy()
            .into_owned()
    };
    let models = starter.agent_models.route_facts(job.route);
    let prompts = FamilyPrompt::of_family(models.prompts);
    let context = AttemptContext {
        attempt_id: job.attempt.id,
        sandbox_id: SandboxId::from_uuid(job.attempt.id.as_uuid()),
        fence: job.attempt.fence,
        subject: job.attempt.subject,
        subject_ref: job.brief.subject_ref.clone(),
        round: job.attempt.round,
        token: job.token.clone(),
        socket: shown(&launch, Path::new(inside::SOCKET)),
        workspace: shown(&launch, Path::new(inside::WORK)),
        agent: agent_launch(&job.attempt, parts.program, prompts, &|path| {
            shown(&launch, path)
        }),
        model: RouteName::Agent.as_str().to_owned(),
        max_tokens: models.answer_tokens,
        system: told_system(prompts, job),
        prompt: job.brief.prompt.clone() + &parts.workspace.missing_note().unwrap_or_default(),
        tools: offered_tools(models, job),
        item_schema: job.brief.item_schema.clone(),
        limits: attempt_limits(starter, job, models),
        commit: job.brief.commit.clone(),
        egress: egress.map(|(egress, path)| egress.client_launch(shown(&launch, &path))),
        resume: job.turns.clone(),
    };
    let context_inside = shown(&launch, &context_path);
    launch.argv.push(context_inside.into());
    launch.files.push(GeneratedFile {
        path: context_path,
        contents: serde_json::to_vec(&context)?,
        mode: 0o600,
    });
    Ok(launch)
}

/// The system prompt of the brief; our own loop's models are told how those of their family work best.
fn told_system(prompts: FamilyPrompt, job: &AttemptJob) -> String {
    match job
        .attempt
        .agent
        .unwrap_or(AgentProgram::Native)
        .is_native()
    {
        true => prompts.end_system(&job.brief.system, &job.brief.tools),
        false => job.brief.system.clone(),
    }
}

/// What the attempt may use.
fn attempt_limits(
    starter: &AttemptStarter,
    job: &AttemptJob,
    models: AgentModelFacts,
) -> AttemptLimits {
    AttemptLimits {
        turns_max: job.brief.limits.turns_max,
        wall_s: job.brief.limits.wall_s,
        command_s: job.brief.limits.command_s,
        result_bytes: RESULT_BYTES,
        heartbeat_s: starter.heartbeat.as_secs().max(1),
        window_tokens: models.window_tokens,
    }
}

/// Puts what clients of `egress` trust into the sandbox; returns where it is.
fn show_egress<'a>(
    launch: &mut SandboxLaunch,
    way: Option<&'a AttemptWay>,
) -> Option<(&'a SandboxEgress, PathBuf)> {
    let AttemptWay {
        egress,
        lists_hosts,
    } = way?;
    let path = show_certificates(launch, egress.trusted_certificates(*lists_hosts));
    Some((egress, path))
}

/// Puts the certificates of the way out into the sandbox; returns where.
pub(crate) fn show_certificates(launch: &mut SandboxLaunch, certificates: &str) -> PathBuf {
    let path = Path::new(inside::FILES).join(CERTIFICATE_FILE);
    launch.files.push(GeneratedFile {
        path: path.clone(),
        contents: certificates.as_bytes().to_vec(),
        mode: 0o444,
    });
    path
}

/// The tools of the brief; for our own loop those that fit its models, and pictures where they see.
fn offered_tools(models: AgentModelFacts, job: &AttemptJob) -> Vec<AgentTool> {
    let mut tools = job.brief.tools.clone();
    if !job
        .attempt
        .agent
        .unwrap_or(AgentProgram::Native)
        .is_native()
    {
        return tools;
    }
    tools = FamilyPrompt::of_family(models.prompts).fit_tools(tools);
    if models.takes_images && tools.contains(&AgentTool::Read) {
        tools.push(AgentTool::Image);
    }
    tools
}

/// What takes the turns of `attempt`, with its paths as `shown` to the worker.
fn agent_launch(
    attempt: &Attempt,
    program: Option<ProgramLaunch>,
    prompts: FamilyPrompt,
    shown: &dyn Fn(&Path) -> String,
) -> AgentLaunch {
    let agent = attempt.agent.unwrap_or(AgentProgram::Native);
    AgentLaunch {
        program: agent,
        prompts: agent.is_native().then(|| prompts.version_id()),
        installed: program.map(|program| WorkerProgram {
            command: program.command.iter().map(|path| shown(path)).collect(),
            version: program.version,
            declared: program.declared.map(|declared| {
                let folder = shown(&declared.folder);
                declared.for_worker(&folder)
            }),
        }),
    }
}

/// Waits for the end of a sandbox.
async fn exit_of(running: RunningSandbox) -> Result<SandboxExit, WaitError> {
    let exit = running.wait().await?;
    let ms = exit.took.as_millis() as u64;
    info!(ended = ?exit.ended, timed_out = exit.timed_out, ms, "The worker ended");
    let stderr = exit.stderr.to_text();
    let stderr = stderr.trim();
    if !stderr.is_empty() {
        debug!(output = stderr, "The worker said something");
    }
    Ok(SandboxExit {
        timed_out: exit.timed_out,
        limit: exit.exhausted.map(|limit| StoppingLimit {
            description: limit.to_string(),
            is_of_machine: limit.is_of_the_machine(),
        }),
        out_of_memory: exit.out_of_memory,
        status: format!("{:?}", exit.ended),
        last_output: (!stderr.is_empty()).then(|| stderr.to_owned()),
    })
}
