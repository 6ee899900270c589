//! A deployment on an empty database with a clock that stands still, and a spec to work on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails here"
)]
mod commits;
mod leftovers;
mod reports;
mod sandboxed;
mod task_attempts;
mod test_options;
mod unasked_models;
mod watched;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::sample_rows::{self, task};
use crate::sqlite;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentRule;
use omoi_domain::config::{Config, DeploymentEnvironment};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, TaskId};
use omoi_domain::model_kind::WorkModel;
use omoi_domain::phase::Phase;
use omoi_domain::prompt_family::PromptFamily;
use omoi_domain::secret_mask::SecretMask;
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::agent_programs::{FindProgram, ProgramLaunch, ProgramUnusable};
use omoi_execution::consume::EventConsumer;
use omoi_execution::copied_files::CopyRules;
use omoi_execution::disk_room::DataDisk;
use omoi_execution::live::LiveEvents;
use omoi_execution::metering::HeldCalls;
use omoi_execution::repository_folders::{DataDir, RepositoryFolders};
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::setup::SetupBook;
use omoi_execution::spec_files::SpecFiles;
use omoi_execution::spec_selection::WorkScope;
use omoi_execution::{AgentModelFacts, AgentModels, DeploymentParts, FromParts};
use omoi_git::object::ObjectId;
use omoi_git::process::Git;
use omoi_git::toolchain::HostEnvironment;
use omoi_runtime::bus::LocalBus;
use omoi_runtime::clock::{Clock as _, ManualClock};
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::lifecycle::Lifecycle;
use omoi_runtime::reconcile::{Entities, EntityFailure, Next};
use omoi_runtime::rng::Rng;
use omoi_sandbox::{GuardedPlaces, SandboxLimits};
use omoi_store::attempts::{self, Attempt};
use omoi_store::projects::{self, NumberCounter};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, Store, StoreError, StoreOptions, Tx};

use self::leftovers::Leftovers;

pub use self::commits::start_commit;
pub use self::reports::{ended_report, failed_report, native_start};
pub use self::unasked_models::{models_with_key, unasked_models};
pub use self::watched::WatchedDeployment;

const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);
/// A secret that the platform of tests knows.
pub const KNOWN_SECRET: &str = "sk-known-0123456789";

/// What there is to know of a repository without files.
const SURVEY: &str = r#"{"survey": {"files": 0, "bytes": 0, "languages": [], "toolchains": [],
    "build": [], "test": [], "test_paths": [], "entry_points": [], "key_files": [],
    "conventions": [], "notes": []}}"#;
const POINT: CrashPoint = CrashPoint::TaskMoved;
/// What there is to know of the models of tests.
const AGENT_MODEL: AgentModelFacts = AgentModelFacts {
    window_tokens: None,
    takes_images: false,
    answer_tokens: 1_000,
    prompts: PromptFamily::Open,
    only_program: None,
};

/// A machine without agent programs.
struct NoPrograms;

impl FindProgram for NoPrograms {
    fn agent_rules(&self) -> &[AgentRule] {
        &[]
    }

    fn find_program(
        &self,
        agent: AgentProgram,
    ) -> Pin<Box<dyn Future<Output = Result<ProgramLaunch, ProgramUnusable>> + Send + '_>> {
        let reason = "it is not installed".to_owned();
        Box::pin(async move { Err(ProgramUnusable { agent, reason }) })
    }
}

/// A deployment of one test: its database, its folder and its time.
///
/// Dropped at the end of a test that did not fail, it refuses what a test should not leave behind: live
/// attempts that the code under test began, unless [`leaves_open_attempts`](Self::leaves_open_attempts)
/// says that they are meant, and an outbox that a reader could not follow to its end.
pub struct TestDeployment {
    /// What its loops and surfaces are built from.
    pub deployment: DeploymentParts,
    /// Its time, which the test moves.
    pub clock: ManualClock,
    /// The spec to work on, `working` with its planning behind it.
    pub spec: Spec,
    /// The ticket of its tasks.
    pub ticket: Ticket,
    /// The commit everything starts from: an empty tree.
    pub base: ObjectId,
    _lifecycle: Lifecycle,
    _folder: TempDir,
    database: TestDatabase,
    leftovers: Leftovers,
}

impl TestDeployment {
    /// One on SQLite.
    pub async fn new() -> Self {
        Self::on_database(sqlite::database(), |_| {}).await
    }

    /// One on SQLite, with some parts changed.
    pub async fn with_parts(change: impl FnOnce(&mut DeploymentParts)) -> Self {
        Self::on_database(sqlite::database(), change).await
    }

    /// One on `database`, with some parts changed.
    #[expect(clippy::disallowed_methods, reason = "a test runs the git it finds")]
    pub async fn on_database(
        database: TestDatabase,
        change: impl FnOnce(&mut DeploymentParts),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(START);
        let (rng, told) = (Rng::seeded(7), clock.clone());
        let (ids, timed) = (rng.fork(), clock.clone());
        let store = Store::connect(StoreOptions {
            url: database.url().to_owned(),
            now: Some(Arc::new(move || told.now())),
            new_uuid: Arc::new(move || uuid_v7(&timed, &ids)),
            server: omoi_store::ServerOptions::default(),
        })
        .await
        .unwrap();
        store.migrate().await.unwrap();
        let lifecycle = Lifecycle::new(Arc::new(clock.clone()));
        let bus = Arc::new(LocalBus::default());
        let live = LiveEvents::new(bus, Arc::new(clock.clone()), lifecycle.handle());
        let mut parts = DeploymentParts {
            store: store.tenant(OrgId::LOCAL),
            clock: Arc::new(clock.clone()),
            rng,
            lifecycle: lifecycle.handle(),
            live,
            sandbox: None,
            git: Git::find_on_path(&std::env::var_os("PATH").unwrap_or_default())
                .await
                .unwrap(),
            host: HostEnvironment::default(),
            config: Config::of_entries(DeploymentEnvironment::Test, Vec::new()),
            data: DataDir::new(folder.path().to_owned()),
            queue: test_options::queue_options(),
            monitoring: test_options::MONITORING,
            limits: test_options::LIMITS,
            outage_wait: Duration::from_mins(15),
            agent_models: AgentModels::new(AGENT_MODEL, BTreeMap::new()),
            sandbox_limits: SandboxLimits::default(),
            read_only: Vec::new(),
            owner: "this process".to_owned(),
            worker: "/nowhere".into(),
            model: WorkModel::simulated_model(None),
            llm: None,
            scope: WorkScope::Every,
            running: RunningAttempts::default(),
            calls: HeldCalls::default(),
            disk: DataDisk::default(),
            guarded: GuardedPlaces::default(),
            egress: None,
            copies: CopyRules::default(),
            programs: Arc::new(NoPrograms),
            setup: test_options::setup_options(),
            registries: None,
            setups: SetupBook::default(),
            render_spec_files: |_, _| Ok(SpecFiles::new()),
            mask: SecretMask::new([KNOWN_SECRET]),
        };
        change(&mut parts);
        let (spec, ticket, base) = world(&parts).await.unwrap();
        Self {
            deployment: parts,
            clock,
            spec,
            ticket,
            base,
            _lifecycle: lifecycle,
            _folder: folder,
            database,
            leftovers: Leftovers::default(),
        }
    }

    /// Lets the test end while attempts are live: it is about how they stand.
    pub fn leaves_open_attempts(&self) {
        self.leftovers.allow_open_attempts();
    }

    /// A loop, a surface or a value of this deployment, with what it needs.
    pub fn build_part<T: FromParts>(&self) -> T {
        T::from_parts(&self.deployment)
    }

    /// Begins, changes and commits.
    pub async fn commit<T>(
        &self,
        change: impl AsyncFnOnce(&mut Tx) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tx = self.deployment.store.begin_write().await?;
        let value = change(&mut tx).await?;
        tx.commit(POINT).await?;
        Ok(value)
    }

    /// Where the database is.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// A transaction that reads.
    pub async fn read_tx(&self) -> Tx {
        self.deployment.store.begin_read().await.unwrap()
    }

    /// Goes on with a spec of its own in the same project.
    pub async fn next_spec(&mut self, number: i64) {
        let (spec, ticket) = self
            .commit(async |tx| {
                let spec = Spec {
                    id: tx.new_id(),
                    number,
                    integration_branch: format!("feature/{number}"),
                    ..self.spec.clone()
                };
                let ticket = Ticket {
                    id: tx.new_id(),
                    spec_id: Some(spec.id),
                    number,
                    ..self.ticket.clone()
                };
                specs::insert(tx, &spec).await?;
                tickets::insert(tx, &ticket).await?;
                Ok((spec, ticket))
            })
            .await
            .unwrap();
        (self.spec, self.ticket) = (spec, ticket);
    }

    /// A new pending task that waits for `after`.
    pub async fn add_task(&self, number: i64, after: &[TaskId]) -> Task {
        self.commit(async |tx| {
            let task = task(tx, &self.ticket, number);
            tasks::insert(tx, &task).await?;
            for prerequisite in after {
                tasks::depend(tx, task.id, *prerequisite).await?;
            }
            Ok(task)
        })
        .await
        .unwrap()
    }

    /// The row of a task as it is.
    pub async fn task_now(&self, id: TaskId) -> Task {
        tasks::get(&mut self.read_tx().await, id).await.unwrap()
    }

    /// The row of an attempt as it is.
    pub async fn attempt_now(&self, attempt: &Attempt) -> Attempt {
        attempts::get(&mut self.read_tx().await, attempt.id)
            .await
            .unwrap()
    }

    /// Slots of all projects that are taken.
    pub async fn slots_in_use(&self) -> i64 {
        let slots = omoi_store::slots::in_use(&mut self.read_tx().await).await;
        slots.unwrap().in_organisation
    }

    /// Moves time on.
    pub fn advance_clock(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Drop for TestDeployment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.leftovers.refuse_leftovers(self.database.url());
        }
    }
}

/// A working spec with a ticket, and a mirror that holds its base commit.
async fn world(parts: &DeploymentParts) -> Result<(Spec, Ticket, ObjectId), StoreError> {
    let mut tx = parts.store.begin_write().await?;
    let project = projects::ensure(&mut tx, "repo", "/repo").await?;
    // Tests number their tasks themselves, from 1.
    for counter in [NumberCounter::Ticket, NumberCounter::Task] {
        projects::take_numbers(&mut tx, project.id, counter, 100_000).await?;
    }
    let mirror = RepositoryFolders::from_parts(parts)
        .project_mirror(project.id)
        .await
        .unwrap();
    let base = start_commit(&mirror).await;
    let spec = Spec {
        title: "Tags".to_owned(),
        status: SpecStatus::Working,
        current_phase: Phase::Complete,
        base_sha: base.as_str().to_owned(),
        base_branch: Some("main".to_owned()),
        survey: Json(SURVEY.parse().unwrap()),
        ..sample_rows::spec(&tx, project.id, 1)
    };
    let ticket = Ticket {
        title: "Tags".to_owned(),
        ..sample_rows::ticket(&tx, &spec, 1)
    };
    specs::insert(&mut tx, &spec).await?;
    tickets::insert(&mut tx, &ticket).await?;
    tx.commit(POINT).await?;
    Ok((spec, ticket, base))
}

/// One pass in which every entity has its turn: what the consumer says, and which failed.
pub async fn tick_with_failures(
    consumer: &mut dyn EventConsumer,
    now: Timestamp,
) -> (Next, Vec<EntityFailure>) {
    let mut entities = Entities::new("test", Rng::seeded(1));
    let next = consumer.tick(now, &mut entities).await.unwrap();
    (next, entities.failures())
}

/// As [`tick_with_failures`], where nothing may fail.
pub async fn tick_once(consumer: &mut dyn EventConsumer, now: Timestamp) -> Next {
    let (next, failures) = tick_with_failures(consumer, now).await;
    assert_eq!(failures, []);
    next
}
