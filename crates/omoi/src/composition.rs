//! The one composition root: from configuration to a running process of any role.

mod accounts;
mod agent_programs;
mod database;
mod doors;
mod egress;
mod folder_claim;
mod listeners;
mod loops;
mod machine;
mod model_setup;
mod reach;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use omoi_domain::config::Config;
use omoi_domain::id::OrgId;
use omoi_execution::copied_files::CopyRules;
use omoi_execution::disk_room::DataDisk;
use omoi_execution::live::LiveEvents;
use omoi_execution::metering::HeldCalls;
use omoi_execution::options::{MonitoringOptions, QueueOptions};
use omoi_execution::repository_folders::DataDir;
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::setup::{SetupBook, SetupOptions};
use omoi_execution::spec_selection::WorkScope;
use omoi_execution::{DeploymentParts, FromParts as _};
use omoi_git::process::Git;
use omoi_llm::options::LlmOptions;
use omoi_planning::options::work_limits;
use omoi_protocol::api::ProcessStatus;
use omoi_runtime::bus::{Bus, LocalBus, RedisBus};
use omoi_runtime::clock::{Clock as _, Clocked, SystemClock};
use omoi_runtime::config::ConfigSources;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::lifecycle::{Lifecycle, LifecycleHandle};
use omoi_runtime::options::{DataOptions, RedisOptions};
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::ProcessLog;
use omoi_sandbox::Provider;
use omoi_sandbox::options::SandboxOptions;
use omoi_server::api::{ApiParts, SurfaceParts};
use omoi_server::worker::{WorkerParts, WorkerSurface};
use omoi_store::dialect::Backend;

use self::accounts::StartedAccounts;
use self::agent_programs::InstalledPrograms;
use self::database::join_deployment;
use self::doors::{DoorRouters, open_listeners};
use self::egress::{OpenedEgress, open_egress};
use self::folder_claim::claim_folder;
use self::loops::start_loops;
use self::machine::{choose_sandbox, environment_variable};
use self::model_setup::ModelSetup;
use crate::api_client::ApiClient;
use crate::data_folder::{FolderOwnership, OpenedFolder};

pub(crate) use self::accounts::{mail_links, open_accounts};
pub(crate) use self::database::{database_options, open_store};
pub(crate) use self::machine::{guarded_places, host_toolchain, probe_config, select_sandbox};
pub(crate) use self::model_setup::{build_llm, live_routes, model_catalogue};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRoles {
    /// Serves the control API that commands use.
    pub(crate) api: bool,
    /// Plans, dispatches, validates, merges, and runs sandboxes.
    pub(crate) orchestrator: bool,
}

impl ProcessRoles {
    /// Everything in one process.
    pub(crate) const ALL: Self = Self {
        api: true,
        orchestrator: true,
    };

    fn role_names(self) -> Vec<String> {
        let all = [(self.api, "api"), (self.orchestrator, "orchestrator")];
        all.iter()
            .filter(|(plays, _)| *plays)
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }
}

/// Where a process that answers people is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenMode {
    /// By every command on the data folder.
    Folder,
    /// There, and at the configured address.
    FolderAndHttp,
    /// Only by the command that started it.
    Private,
}

/// How a process is to start.
pub(crate) struct StartOptions {
    pub(crate) config: Config,
    /// Where the machine's variables were read from.
    pub(crate) sources: ConfigSources,
    /// Roles that it plays.
    pub(crate) roles: ProcessRoles,
    /// Where people find it, when it answers them.
    pub(crate) door: ListenMode,
    /// Which specs it works on.
    pub(crate) scope: WorkScope,
    /// The data folder, when the caller has taken it already.
    pub(crate) ownership: Option<FolderOwnership>,
    /// The log of this process, which is kept in the data folder from its start on.
    pub(crate) log: ProcessLog,
}

/// A started process with its lifecycle and a client of itself.
pub(crate) struct RunningProcess {
    /// Awaits the end of everything.
    pub(crate) lifecycle: Lifecycle,
    /// Asks this very process.
    pub(crate) client: ApiClient,
    /// What `GET /status` says.
    pub(crate) status: ProcessStatus,
    /// The HTTP address, when it listens on one.
    pub(crate) address: Option<String>,
    /// Where probes and collectors of metrics ask, when it answers nobody else.
    pub(crate) probe_address: Option<String>,
    /// Path of the data folder.
    pub(crate) folder: PathBuf,
    /// Lets go of the data folder when dropped.
    _ownership: Option<FolderOwnership>,
}

/// Opens the data folder of a process; what it is to be reached by is checked before anything is made.
fn open_folder(start: &StartOptions) -> anyhow::Result<OpenedFolder> {
    reach::site_of(start)?;
    Ok(OpenedFolder::open(
        &DataOptions::from_config(&start.config).folder,
    )?)
}

/// Builds and starts a process.
pub(crate) async fn start_process(mut start: StartOptions) -> anyhow::Result<RunningProcess> {
    let folder = open_folder(&start)?;
    let database = database_options(&start.config, &folder);
    let ownership = claim_folder(&mut start, &folder, Backend::of(&database.url)?)?;
    let clock: Clocked = Arc::new(SystemClock);
    let rng = Rng::from_os()?;
    let lifecycle = Lifecycle::new(clock.clone());
    let store = open_store(&database, &clock, &rng).await?;
    let store = join_deployment(store, &folder.store_identity(&rng)?, start.roles).await?;
    let bus = open_bus(&start.config, &clock, &rng, &lifecycle.handle())?;
    let sandbox = start_sandbox(&start, &folder).await?;
    let sandboxes = SandboxOptions::from_config(&start.config);
    let models = model_setup::start_models(&start, &lifecycle.handle(), &clock, &rng).await?;
    let models = models.join_store(&start, &folder, &store, &rng).await?;
    let egress = open_egress(&start, folder.folder_path(), &clock)?;
    let token = folder.control_token(&rng)?;
    let mut parts = DeploymentParts {
        store: store.tenant(OrgId::LOCAL),
        clock: clock.clone(),
        rng: rng.fork(),
        lifecycle: lifecycle.handle(),
        live: LiveEvents::new(bus.clone(), clock.clone(), lifecycle.handle()),
        sandbox: sandbox.clone(),
        git: Git::find_on_path(&environment_variable(&start.sources, "PATH")).await?,
        host: host_toolchain(&start.sources),
        config: start.config.clone(),
        data: DataDir::new(folder.folder_path().to_path_buf()),
        queue: QueueOptions::from_config(&start.config),
        monitoring: MonitoringOptions::from_config(&start.config),
        limits: work_limits(&start.config),
        outage_wait: models.outage_wait,
        agent_models: models.agent_models.clone(),
        sandbox_limits: sandboxes.limits,
        read_only: sandboxes.read_only.clone(),
        owner: uuid_v7(clock.as_ref(), &rng).to_string(),
        worker: std::env::current_exe().context("could not find this program's own file")?,
        scope: std::mem::replace(&mut start.scope, WorkScope::Nothing),
        model: models.model.clone(),
        llm: models.platform_llm(),
        running: RunningAttempts::default(),
        calls: HeldCalls::default(),
        disk: DataDisk::default(),
        guarded: guarded_places(&start.sources, &folder),
        egress: egress.as_ref().map(OpenedEgress::sandbox_egress),
        copies: copy_rules(&start.config, &sandboxes),
        programs: InstalledPrograms::open(&start)?,
        setup: setup_options(&sandboxes),
        registries: None,
        setups: SetupBook::default(),
        render_spec_files: omoi_planning::spec_files::render_spec_files,
        mask: start.config.secret_mask().with_secret(&token),
    };
    parts.registries = egress.as_ref().map(|way| way.setup_registries(&parts));
    let workers = worker_surface(&parts, &models, egress);
    let reconcilers = start_loops(start.roles, &parts, workers, &bus)?;
    let status = process_status(&start, store.backend(), sandbox.as_deref(), &models);
    let accounts = accounts::start_accounts(&start.config, &folder, &parts, &bus)?;
    let surface = api_surface(&start, &parts, accounts, &status)?;
    let routers = DoorRouters::new(start.roles, surface, &token, reconcilers);
    let opened = open_listeners(&start, &folder, &lifecycle.handle(), routers).await?;
    Ok(RunningProcess {
        lifecycle,
        client: ApiClient::new(&opened.endpoint, Some(token.into()))?,
        status,
        address: opened.address,
        probe_address: opened.probe_address,
        folder: folder.folder_path().to_path_buf(),
        _ownership: ownership,
    })
}

/// What answers people, but for the token that doors of the data folder take and what it tells of loops.
fn api_surface(
    start: &StartOptions,
    parts: &DeploymentParts,
    started: StartedAccounts,
    status: &ProcessStatus,
) -> anyhow::Result<SurfaceParts> {
    let accounts = started.accounts;
    Ok(SurfaceParts {
        parts: ApiParts::from_parts(parts),
        host: host_toolchain(&start.sources),
        config: start.config.clone(),
        token: None,
        providers: accounts::sign_in_providers(&start.config)?,
        sends_mail: started.sends_mail,
        cursor_keys: accounts::cursor_keys(&accounts.ring),
        own_prices: LlmOptions::from_config(&start.config).prices,
        site: reach::site_of(start)?,
        limits: reach::request_limits(&start.config, &parts.clock)?,
        accounts,
        status: status.clone(),
        reconcilers: started.mailer.into_iter().collect(),
    })
}

/// What is set of set-ups and prepared checkouts.
fn setup_options(sandboxes: &SandboxOptions) -> SetupOptions {
    SetupOptions {
        layers_bytes: sandboxes.layers_bytes,
        timeout: sandboxes.setup_time,
        commands: sandboxes.setup.clone(),
    }
}

/// Files that sandboxes get; what is secret in them is known to every mask of this process.
fn copy_rules(config: &Config, sandboxes: &SandboxOptions) -> CopyRules {
    CopyRules {
        rows: sandboxes.copy.clone().into(),
        secrets: config.learned_secrets().clone(),
    }
}

/// What an orchestrator runs work in.
async fn start_sandbox(
    start: &StartOptions,
    folder: &OpenedFolder,
) -> anyhow::Result<Option<Arc<dyn Provider>>> {
    if !start.roles.orchestrator {
        return Ok(None);
    }
    choose_sandbox(&start.config, folder).await.map(Some)
}

/// What sandboxes reach: reports, the models, and the way out.
fn worker_surface(
    parts: &DeploymentParts,
    models: &ModelSetup,
    egress: Option<OpenedEgress>,
) -> WorkerSurface {
    WorkerSurface {
        parts: WorkerParts::from_parts(parts),
        gateway: models.open_gateway(parts),
        egress: egress.map(|egress| egress.attempts),
    }
}

/// What `GET /status` says.
fn process_status(
    start: &StartOptions,
    backend: Backend,
    sandbox: Option<&dyn Provider>,
    models: &ModelSetup,
) -> ProcessStatus {
    let bus = match RedisOptions::from_config(&start.config) {
        Some(_) => "redis",
        None => "in-process",
    };
    ProcessStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        roles: start.roles.role_names(),
        database: backend.as_str().to_owned(),
        bus: bus.to_owned(),
        sandbox: sandbox.map(|provider| provider.rung().to_string()),
        model: models.model.label.clone(),
        model_kind: models.model.kind,
        model_missing: models.missing_reason().map(ToOwned::to_owned),
        loops: Vec::new(),
        stall: None,
        model_notes: models.notes.clone(),
    }
}

fn open_bus(
    config: &Config,
    clock: &Clocked,
    rng: &Rng,
    handle: &LifecycleHandle,
) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(options) = RedisOptions::from_config(config) else {
        return Ok(Arc::new(LocalBus::new()));
    };
    let bus = RedisBus::new(&options, clock.clone(), rng.fork(), handle)?;
    Ok(Arc::new(bus))
}

/// The present, for those who only need to look at a clock.
pub(crate) fn current_time() -> omoi_domain::time::Timestamp {
    SystemClock.now()
}
