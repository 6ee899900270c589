//! The one composition root: from configuration to a running process of any role.

mod listen;
mod models;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use axum::Router;
use tracing::warn;

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::Merger;
use omoi_delivery::validator::Validator;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_domain::sandbox::SandboxRung;
use omoi_execution::consume::{self, Consume};
use omoi_execution::disk_room::DataDisk;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::metering::HeldCalls;
use omoi_execution::platform::{DataDir, Parts, Platform, RunningAttempts, WorkScope};
use omoi_execution::reaper::{Reaper, clear_away};
use omoi_git::process::Git;
use omoi_git::toolchain::{HostEnvironment, VARIABLES};
use omoi_planning::planner::Planner;
use omoi_protocol::control::Status;
use omoi_runtime::bus::{Bus, LocalBus, RedisBus, RedisOptions};
use omoi_runtime::clock::{Clock as _, Clocked, SystemClock};
use omoi_runtime::config::{Config, ConfigSources, keys};
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::lifecycle::{Lifecycle, LifecycleHandle, SpawnKind};
use omoi_runtime::reconcile::StatusReader;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{
    GuardedPlaces, ProbeConfig, Property, Provider, RefusedBelowFloor, SandboxFloor, SandboxProbe,
    probe_host,
};
use omoi_server::control::ControlSurface;
use omoi_server::probes::Probes;
use omoi_server::worker::WorkerSurface;
use omoi_store::deployment::{self, DataFolder};
use omoi_store::dialect::Backend;
use omoi_store::{Options, Store, StoreError, Tx};

use self::models::Models;
use crate::client::{Client, Endpoint};
use crate::folder::{Folder, Ownership};

pub(crate) use self::models::{catalogue, live_routes, llm};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Answers people.
    pub(crate) api: bool,
    /// Plans, dispatches, validates, merges, and runs sandboxes.
    pub(crate) orchestrator: bool,
}

impl Roles {
    /// Everything in one process.
    pub(crate) const ALL: Self = Self {
        api: true,
        orchestrator: true,
    };

    fn names(self) -> Vec<String> {
        let all = [(self.api, "api"), (self.orchestrator, "orchestrator")];
        all.iter()
            .filter(|(plays, _)| *plays)
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }
}

/// Where a process that answers people is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// By every command on the data folder.
    Folder,
    /// There, and at the configured address.
    FolderAndHttp,
    /// Only by the command that started it.
    Private,
}

/// How a process is to start.
pub(crate) struct Start {
    /// Configuration.
    pub(crate) config: Config,
    /// Where the machine's variables were read from.
    pub(crate) sources: ConfigSources,
    /// What it does.
    pub(crate) roles: Roles,
    /// Where people find it, when it answers them.
    pub(crate) door: Door,
    /// Which specs it works on.
    pub(crate) scope: WorkScope,
    /// The data folder, when the caller has taken it already.
    pub(crate) ownership: Option<Ownership>,
}

/// A running process.
pub(crate) struct Process {
    /// Awaits the end of everything.
    pub(crate) lifecycle: Lifecycle,
    /// Asks this very process.
    pub(crate) client: Client,
    /// What `GET /status` says.
    pub(crate) status: Status,
    /// The HTTP address, when it listens on one.
    pub(crate) address: Option<String>,
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// Lets go of the data folder when dropped.
    _ownership: Option<Ownership>,
}

/// Builds and starts a process.
#[expect(
    clippy::too_many_lines,
    reason = "the one composition root: every part in the order in which it is made"
)]
pub(crate) async fn start(mut start: Start) -> anyhow::Result<Process> {
    let folder = Folder::open(&start.config.get(&keys::DATA_DIR))?;
    let url = database_url(&start.config, &folder);
    let backend = Backend::of(&url)?;
    // Rows of SQLite have one user; so have the socket and the workspaces of an orchestrator.
    let owns_rows = backend == Backend::Sqlite;
    let mut ownership = start.ownership.take();
    if ownership.is_none() && (owns_rows || start.roles.orchestrator) {
        ownership = Some(folder.own()?.ok_or_else(|| taken(&folder))?);
    }
    let clock: Clocked = Arc::new(SystemClock);
    let rng = Rng::from_os()?;
    let lifecycle = Lifecycle::new(clock.clone());
    let handle = lifecycle.handle();
    let owner = uuid_v7(clock.as_ref(), &rng).to_string();
    let store = open_store(&start.config, &url, (&clock, &rng)).await?;
    let store = join(store, &folder.identity(&rng)?, start.roles).await?;
    let bus = bus(&start.config, &clock, &rng, &handle)?;
    let sandbox = match start.roles.orchestrator {
        true => Some(sandbox(&start.config, &folder).await?),
        false => None,
    };
    let models = models::start(&start, &handle, &clock, &rng).await?;
    let token = folder.token(&rng)?;
    let path_variable = variable(&start.sources, "PATH");
    let platform = Platform::new(Parts {
        store: store.tenant(OrgId::LOCAL),
        clock: clock.clone(),
        rng: rng.fork(),
        lifecycle: handle.clone(),
        sandbox: sandbox.clone(),
        git: Git::find_on_path(&path_variable).await?,
        data: DataDir::new(folder.path().to_path_buf()),
        settings: settings::of_config(&start.config, models.max_tokens),
        owner,
        worker: std::env::current_exe().context("could not find this program's own file")?,
        scenario: models.scenario.clone(),
        scope: std::mem::replace(&mut start.scope, WorkScope::Nothing),
        model_label: models.label.clone(),
        llm: models.llm(),
        running: RunningAttempts::default(),
        calls: HeldCalls::default(),
        disk: DataDisk::default(),
        guarded: guarded(&start.sources, &folder),
        render_spec_files: omoi_planning::spec_files::render_spec_files,
        mask: start.config.secret_mask().with(&token),
    });
    let reconcilers: Vec<StatusReader> = match start.roles.orchestrator {
        true => work(&platform, &models, &bus)?,
        false => Vec::new(),
    };
    consume::publish_commits(&platform, &bus);
    let status = status(&start, backend, sandbox.as_deref(), &models);
    let probes = Probes {
        platform: platform.clone(),
        reconcilers: reconcilers.clone(),
        token: token.clone(),
    };
    let mut router = omoi_server::probes::router(probes);
    if start.roles.api {
        router = router.merge(omoi_server::control::router(ControlSurface {
            platform: platform.clone(),
            host: host(&start.sources),
            config: start.config.clone(),
            token: token.clone(),
            status: status.clone(),
            reconcilers,
        }));
    }
    let (endpoint, address) = open_doors(&start, &folder, &handle, router).await?;
    let client = Client::new(&endpoint, token)?;
    Ok(Process {
        lifecycle,
        client,
        status,
        address,
        folder: folder.path().to_path_buf(),
        _ownership: ownership,
    })
}

/// Brings the schema up to date and joins the data folder to the database; an orchestrator, which
/// holds the lock of the folder, takes over from whoever had it before.
async fn join(store: Store, folder: &DataFolder, roles: Roles) -> anyhow::Result<Store> {
    let migrated = store.migrate().await;
    migrated.context("could not bring the database up to date")?;
    let system = store.system();
    if !roles.orchestrator {
        let is_named = system.read(async |tx| deployment::is_named(tx, folder).await);
        if !is_named.await? {
            let join = async |tx: &mut Tx| deployment::join(tx, folder).await;
            system.write(CrashPoint::DeploymentTaken, join).await?;
        }
        return Ok(store);
    }
    let take_over = async |tx: &mut Tx| -> Result<_, StoreError> {
        deployment::join(tx, folder).await?;
        let fence = deployment::take_over(tx).await?;
        Ok((fence, deployment::end_waits_of_the_future(tx).await?))
    };
    let taken = system.write(CrashPoint::DeploymentTaken, take_over);
    let (fence, set_back) = taken.await?;
    if let Some(micros) = set_back {
        let seconds = micros / 1_000_000;
        warn!(
            "The clock is {seconds} s behind the last event: what waited for a later time goes on now"
        );
    }
    Ok(store.fenced(fence))
}

/// Answers workers and starts the reconcilers; returns what tells how they are.
fn work(
    platform: &Platform,
    models: &Models,
    bus: &Arc<dyn Bus>,
) -> anyhow::Result<Vec<StatusReader>> {
    let surface = WorkerSurface {
        platform: platform.clone(),
        gateway: models.gateway(platform),
    };
    let listener = listen::bind_socket(&platform.data.worker_socket(), 0o666)?;
    // Agents hand in what they have when the process is to stop.
    let served = omoi_server::worker::serve(listener, surface, platform.clone().work_ended());
    let served = async move { Ok(served.await?) };
    platform
        .lifecycle
        .spawn("worker socket", SpawnKind::Critical, served);
    clear_away(platform).map_err(|error| anyhow!(error))?;
    Ok(consume::start(platform, bus, consumers(platform)))
}

/// What `GET /status` says.
fn status(
    start: &Start,
    backend: Backend,
    sandbox: Option<&dyn Provider>,
    models: &Models,
) -> Status {
    let bus = match start.config.get(&keys::REDIS_URL) {
        Some(_) => "redis",
        None => "in-process",
    };
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        roles: start.roles.names(),
        database: backend.as_str().to_owned(),
        bus: bus.to_owned(),
        sandbox: sandbox.map(|provider| provider.rung().to_string()),
        model: Some(models.label.clone()),
        model_missing: models.missing().map(ToOwned::to_owned),
        loops: Vec::new(),
        stall: None,
        model_notes: models.notes.clone(),
    }
}

/// Answers where people look for it; says where this command asks, and the HTTP address.
async fn open_doors(
    start: &Start,
    folder: &Folder,
    handle: &LifecycleHandle,
    router: Router,
) -> anyhow::Result<(Endpoint, Option<String>)> {
    let socket = folder.socket();
    if start.roles.api && start.door == Door::Private {
        let address = listen::privately(handle, router).await?;
        return Ok((Endpoint::Loopback(address), None));
    }
    // First the address, which nobody can take from another.
    let address = match start.door {
        Door::FolderAndHttp => Some(listen::on_http(handle, &start.config, router.clone()).await?),
        Door::Folder | Door::Private => None,
    };
    if start.roles.api {
        listen::on_socket(handle, listen::bind_socket(&socket, 0o600)?, router);
    }
    Ok((Endpoint::Socket(socket), address))
}

fn taken(folder: &Folder) -> anyhow::Error {
    let what = anyhow!(
        "another process owns the data folder `{}`",
        folder.path().display()
    );
    what.context(crate::Hint(
        "stop it, or name another folder with --data-dir DIR".to_owned(),
    ))
}

/// Every reconciler of an orchestrator; the registry in `omoi-domain` says what wakes each.
fn consumers(platform: &Platform) -> Vec<Box<dyn Consume>> {
    vec![
        Box::new(Reaper::new(platform.clone())),
        Box::new(Planner::new(platform.clone())),
        Box::new(Dispatcher::new(platform.clone())),
        Box::new(Validator::new(platform.clone())),
        Box::new(Merger::new(platform.clone())),
        Box::new(Finisher::new(platform.clone())),
    ]
}

/// The database's address; a new SQLite file is made.
pub(crate) fn database_url(config: &Config, folder: &Folder) -> String {
    let url = config.get(&keys::DATABASE_URL);
    let entry = config.entry(&keys::DATABASE_URL.spec);
    let derived = entry.is_some_and(|e| e.value.to_string().is_empty());
    let url = match (url.is_empty() || derived, url.starts_with("sqlite:")) {
        (true, _) => format!("sqlite://{}", folder.path().join("omoios.db").display()),
        (false, _) => url,
    };
    match url.starts_with("sqlite:") && !url.contains('?') {
        true => format!("{url}?mode=rwc"),
        false => url,
    }
}

/// Opens the store at `url` without touching its schema.
pub(crate) async fn open_store(
    config: &Config,
    url: &str,
    (clock, rng): (&Clocked, &Rng),
) -> anyhow::Result<Store> {
    let (clock, rng) = (clock.clone(), rng.fork());
    let options = Options {
        url: url.to_owned(),
        now: None,
        new_uuid: Arc::new(move || uuid_v7(clock.as_ref(), &rng)),
        server: settings::server(config),
    };
    Store::connect(options)
        .await
        .context("could not open the database")
}

fn bus(
    config: &Config,
    clock: &Clocked,
    rng: &Rng,
    handle: &LifecycleHandle,
) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(url) = config.get(&keys::REDIS_URL) else {
        return Ok(Arc::new(LocalBus::new()));
    };
    let options = RedisOptions {
        url,
        key_prefix: config.get(&keys::REDIS_KEY_PREFIX),
        clock: clock.clone(),
        rng: rng.fork(),
    };
    Ok(Arc::new(RedisBus::new(options, handle)?))
}

/// The best sandbox that meets the floor.
async fn sandbox(config: &Config, folder: &Folder) -> anyhow::Result<Arc<dyn Provider>> {
    let mut ask = ProbeConfig::new(folder.path().join("run"));
    ask.hidden = vec![folder.path().to_path_buf()];
    let found = probe_host(&ask)
        .await
        .context("could not look for a sandbox")?;
    select_sandbox(config, &found).map_err(|refused| {
        let next = refused.next_step();
        anyhow::Error::new(refused).context(crate::Hint(next))
    })
}

/// The best sandbox of those found that meets the configured floor.
pub(crate) fn select_sandbox(
    config: &Config,
    found: &SandboxProbe,
) -> Result<Arc<dyn Provider>, RefusedBelowFloor> {
    let names = config.get(&keys::SANDBOX_FLOOR);
    let wanted = match config.get(&keys::SANDBOX_PROVIDER) {
        keys::SandboxProvider::Auto => None,
        keys::SandboxProvider::Bubblewrap => Some(SandboxRung::Bubblewrap),
        keys::SandboxProvider::Process => Some(SandboxRung::Process),
    };
    let floor = Property::ALL
        .iter()
        .copied()
        .filter(|p| names.iter().any(|n| n == p.as_str()));
    found.select_provider(&SandboxFloor(floor.collect()), wanted)
}

/// The places of this machine that no sandbox sees.
fn guarded(sources: &ConfigSources, folder: &Folder) -> GuardedPlaces {
    let home = variable(sources, "HOME");
    let home = (!home.is_empty()).then(|| PathBuf::from(home));
    GuardedPlaces::of_machine(home.as_deref(), &[folder.path().to_path_buf()])
}

pub(crate) fn variable(sources: &ConfigSources, name: &str) -> OsString {
    sources
        .process
        .get(std::ffi::OsStr::new(name))
        .cloned()
        .unwrap_or_default()
}

/// What a survey needs to know of the machine.
pub(crate) fn host(sources: &ConfigSources) -> HostEnvironment {
    let home = variable(sources, "HOME");
    HostEnvironment {
        path: variable(sources, "PATH"),
        home: (!home.is_empty()).then(|| PathBuf::from(home)),
        variables: VARIABLES
            .iter()
            .map(|name| (OsString::from(name), variable(sources, name)))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    }
}

/// The present, for those who only need to look at a clock.
pub(crate) fn now() -> omoi_domain::time::Timestamp {
    SystemClock.now()
}
