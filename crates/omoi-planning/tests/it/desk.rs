//! A planner, a spec to plan, and an agent in the hands of the test.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::id::TaskId;
use omoi_domain::model_kind::WorkModel;
use omoi_domain::phase::Phase;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::spec::SpecStatus;
use omoi_execution::DeploymentParts;
use omoi_execution::FromParts as _;
use omoi_execution::intake::{self, IntakeError};
use omoi_git::mirror::{CommitMeta, FileChange, Identity};
use omoi_git::object::RepoPath;
use omoi_plan::items::split_output;
use omoi_planning::items;
use omoi_planning::planner::Planner;
use omoi_protocol::worker::{
    AttemptContext, ItemAck, ItemOutcome, ReportComplete, SubmitItem, SubmitItems,
};
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::Next;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{
    BoxFuture, LaunchError, OverlayRefusal, ProbeConfig, Property, PropertyStatus, Provider,
    RunningSandbox, SandboxFloor, SandboxLaunch, WorkspaceError, probe_host,
};
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::{self, Spec};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, ended_report};
use omoi_testkit::plans::{HonestPlan, todo_tags};

/// Starts checks as plain processes; workers are played by the test, so they never come to an end.
#[derive(Debug)]
pub(crate) struct Played {
    plain: Arc<dyn Provider>,
    /// What workers were told.
    told: Mutex<Vec<AttemptContext>>,
    /// Whether checks never come to an end either.
    pub(crate) hang: bool,
}

impl Provider for Played {
    fn rung(&self) -> SandboxRung {
        self.plain.rung()
    }
    fn rung_version(&self) -> &str {
        self.plain.rung_version()
    }
    fn held_properties(&self) -> &[(Property, PropertyStatus)] {
        self.plain.held_properties()
    }
    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>> {
        if launch.worker.is_some() {
            let context = serde_json::from_slice(&launch.files[0].contents).unwrap();
            self.told.lock().unwrap().push(context);
        } else if !self.hang {
            return self.plain.launch(launch);
        }
        Box::pin(futures::future::pending())
    }
    fn path_inside(&self, launch: &SandboxLaunch, path: &Path) -> PathBuf {
        self.plain.path_inside(launch, path)
    }
    fn overlay_support(&self) -> Result<(), OverlayRefusal> {
        self.plain.overlay_support()
    }
    fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal> {
        self.plain.lay_workspace(dir, lowers)
    }
    fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.plain.prepare_workspace(dir)
    }
    fn changed_files(&self, dir: &Path) -> Option<Arc<OwnedFd>> {
        self.plain.changed_files(dir)
    }
    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.plain.remove_workspace(dir)
    }
    fn list_orphans(&self) -> io::Result<Vec<String>> {
        self.plain.list_orphans()
    }
    fn destroy_sandbox(&self, name: &str) -> io::Result<bool> {
        self.plain.destroy_sandbox(name)
    }
}

pub(crate) struct Desk {
    pub(crate) it: TestDeployment,
    pub(crate) planner: Planner,
    pub(crate) plan: HonestPlan,
    pub(crate) spec: Spec,
    played: Arc<Played>,
    _state: TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(false, |_| {}).await
    }

    pub(crate) async fn with(hang: bool, change: impl FnOnce(&mut DeploymentParts)) -> Self {
        Self::on(omoi_testkit::sqlite::database(), hang, change).await
    }

    pub(crate) async fn on(
        database: TestDatabase,
        hang: bool,
        change: impl FnOnce(&mut DeploymentParts),
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut config = ProbeConfig::new(state.path().join("sandboxes"));
        config.bubblewrap = "/nowhere".into();
        let found = probe_host(&config).await.unwrap();
        let plain = found
            .select_provider(&SandboxFloor::none(), Some(SandboxRung::Process))
            .unwrap();
        let played = Arc::new(Played {
            plain,
            told: Mutex::new(Vec::new()),
            hang,
        });
        let provider = Arc::clone(&played);
        let it = TestDeployment::on_database(database, |parts| {
            parts.render_spec_files = omoi_planning::spec_files::render_spec_files;
            parts.sandbox = Some(provider);
            // The host's control groups are named by it, and tests run side by side.
            parts.rng = Rng::seeded(u64::from(std::process::id()) << 16);
            change(parts);
        })
        .await;
        // The test plays the agents, and may stop in the midst of one.
        it.leaves_open_attempts();
        std::fs::create_dir_all(it.deployment.data.work_folder()).unwrap();
        let mut plan = todo_tags();
        let tasks = plan.outputs.get_mut(&Phase::Tasks).unwrap();
        for task in tasks["tasks"].as_array_mut().unwrap() {
            let file = format!("sh todo.sh {}.done", task["id"].as_str().unwrap());
            for check in task["checks"].as_array_mut().unwrap() {
                check["command"] = json!(file);
            }
        }
        let base = commit(&it, &plan).await;
        let spec = add_spec(&it, 2, &base).await;
        Self {
            planner: Planner::from_parts(&it.deployment),
            it,
            plan,
            spec,
            played,
            _state: state,
        }
    }

    pub(crate) async fn tick(&mut self) -> Next {
        let now = self.it.clock.now();
        omoi_testkit::deployment::tick_with_failures(&mut self.planner, now)
            .await
            .0
    }

    pub(crate) async fn spec_now(&self) -> Spec {
        let mut tx = self.it.read_tx().await;
        specs::get(&mut tx, self.spec.id).await.unwrap()
    }

    pub(crate) async fn run(&self, phase: Phase) -> PhaseRun {
        let mut tx = self.it.read_tx().await;
        let run = phases::find(&mut tx, self.spec.id, phase).await;
        run.unwrap().unwrap()
    }

    /// Every attempt at a phase, oldest first.
    pub(crate) async fn attempts(&self, phase: Phase) -> Vec<Attempt> {
        let subject = AttemptSubject::SpecPhase { phase };
        let mut tx = self.it.read_tx().await;
        attempts::of_subject(&mut tx, self.spec.id, subject)
            .await
            .unwrap()
    }

    /// How many attempts each phase had.
    pub(crate) async fn counted(&self) -> [usize; 6] {
        let mut counted = [0; 6];
        for (n, phase) in Phase::ALL_WORKING.into_iter().enumerate() {
            counted[n] = self.attempts(phase).await.len();
        }
        counted
    }

    /// What `look` finds, as soon as it does.
    pub(crate) async fn until<T>(&self, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let mut commits = self.it.deployment.store.store().commits();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            commits.changed().await.unwrap();
        }
    }

    /// The newest attempt at a phase, once its worker may report, and what the worker was told.
    pub(crate) async fn agent(&self, phase: Phase) -> (Attempt, AttemptContext) {
        let attempt = self
            .until(async || {
                let newest = self.attempts(phase).await.pop();
                newest.filter(|a| a.state == AttemptState::Starting)
            })
            .await;
        intake::report_started(
            &self.it.deployment.store,
            attempt.id,
            omoi_testkit::deployment::native_start(),
        )
        .await
        .unwrap();
        let told = loop {
            let told = self.played.told.lock().unwrap().clone();
            match told.into_iter().find(|c| c.attempt_id == attempt.id) {
                Some(context) => break context,
                // It is bound already; its launch is the next thing that happens.
                None => tokio::task::yield_now().await,
            }
        };
        (attempt, told)
    }

    /// What the worker of a task was told, as soon as it is.
    pub(crate) async fn told_of_task(&self, task: TaskId) -> AttemptContext {
        self.until(async || {
            let mut tx = self.it.read_tx().await;
            let last = attempts::of_task(&mut tx, task).await.unwrap().pop();
            last.filter(|attempt| attempt.state == AttemptState::Starting)
        })
        .await;
        loop {
            let told = self.played.told.lock().unwrap().clone();
            let subject = AttemptSubject::Task { task_id: task };
            match told.into_iter().find(|context| context.subject == subject) {
                Some(context) => return context,
                // It is bound already; its launch is the next thing that happens.
                None => tokio::task::yield_now().await,
            }
        }
    }

    pub(crate) async fn submit(
        &self,
        attempt: &Attempt,
        (section, key): (&str, &str),
        value: Value,
    ) -> Result<ItemAck, IntakeError> {
        let item = SubmitItem {
            section: section.to_owned(),
            key: key.to_owned(),
            value,
        };
        let mut told = self.submit_all(attempt, vec![item]).await?;
        match told.pop().unwrap() {
            ItemOutcome::Accepted(ack) => Ok(ack),
            ItemOutcome::Refused { message } => Err(IntakeError::Refused(message)),
        }
    }

    pub(crate) async fn submit_all(
        &self,
        attempt: &Attempt,
        items: Vec<SubmitItem>,
    ) -> Result<Vec<ItemOutcome>, IntakeError> {
        let report = SubmitItems { items };
        let told = items::submit_items(&self.it.build_part(), attempt, report).await?;
        Ok(told.outcomes)
    }

    /// Hands in the plan's whole output of a phase.
    pub(crate) async fn hand_in(&self, attempt: &Attempt, phase: Phase) {
        let whole = match phase {
            Phase::Sync => json!({ "coverage": [], "recommendations": ["Look at the store."] }),
            _ => self.plan.phase_output(phase).clone(),
        };
        for item in split_output(phase, &whole) {
            let place = (item.section.as_str(), item.key.as_str());
            self.submit(attempt, place, item.value).await.unwrap();
        }
    }

    pub(crate) async fn end(&self, attempt: &Attempt, how: ReportComplete) {
        intake::complete_attempt(&self.it.build_part(), attempt, how)
            .await
            .unwrap();
    }

    /// Brings a phase to its end with what the plan says.
    pub(crate) async fn work_through(&mut self, phase: Phase) {
        self.tick().await;
        let (attempt, _) = self.agent(phase).await;
        self.hand_in(&attempt, phase).await;
        self.end(
            &attempt,
            ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
        )
        .await;
        self.tick().await;
        if phase == Phase::Tasks {
            self.proofs_ended().await;
            self.tick().await;
        }
        let run = self.run(phase).await;
        assert_eq!(
            run.state,
            omoi_domain::spec::PhaseState::Passed,
            "{phase}: {:?}",
            run.feedback
        );
    }

    /// Waits for the attempt at the proofs to end, if there is one.
    pub(crate) async fn proofs_ended(&self) -> Vec<Attempt> {
        let subject = AttemptSubject::PlanProofs;
        self.until(async || {
            let mut tx = self.it.read_tx().await;
            let all = attempts::of_subject(&mut tx, self.spec.id, subject)
                .await
                .unwrap();
            (!all.iter().any(|a| a.state.is_live())).then_some(all)
        })
        .await
    }

    /// Brings every phase from `first` on to its end.
    pub(crate) async fn plan_from(&mut self, first: Phase) {
        for phase in Phase::ALL_WORKING.into_iter().filter(|p| *p >= first) {
            self.work_through(phase).await;
        }
        assert_eq!(self.spec_now().await.status, SpecStatus::Completed);
    }

    /// Changes the plan's output of a phase.
    pub(crate) fn bend(&mut self, phase: Phase, bend: impl FnOnce(&mut Value)) {
        bend(self.plan.outputs.get_mut(&phase).unwrap());
    }
}

/// A commit with the files the plan speaks of.
async fn commit(it: &TestDeployment, plan: &HonestPlan) -> String {
    let mirror = it.project_mirror().await;
    let files: BTreeMap<_, _> = plan
        .facts
        .repo
        .paths
        .files()
        .map(|path| (path, text_of(path)))
        .chain([("todo.sh", text_of("todo.sh"))])
        .collect();
    let changes: Vec<FileChange> = files
        .into_iter()
        .map(|(path, text)| FileChange {
            path: RepoPath::new(path).unwrap(),
            content: Some(text.into()),
        })
        .collect();
    let meta = CommitMeta {
        message: "Files".to_owned(),
        trailers: Vec::new(),
        author: Identity::platform(),
        time: it.clock.now(),
    };
    let made = mirror.commit_files(&it.base, &changes, &meta).await;
    made.unwrap().as_str().to_owned()
}

/// What the files of the fixture's small program hold.
fn text_of(path: &str) -> &'static str {
    match path {
        "README.md" => "# todo\n\nA list of todos on the command line.\n",
        "todo.sh" => "# The program, as far as these tests start it.\ntest -e \"$1\"\n",
        "todo/cli.py" => "from todo.store import Store\n\n\ndef main(arguments):\n    ...\n",
        "todo/model.py" => "def add_todo(todos, title):\n    todos.append(title)\n",
        "todo/store.py" => {
            "import json\n\n\nclass Store:\n    def save(self, todos):\n        ...\n"
        }
        _ => "import unittest\n",
    }
}

/// A spec that waits to be planned.
pub(crate) async fn add_spec(it: &TestDeployment, number: i64, base: &str) -> Spec {
    it.commit(async |tx| {
        let mut spec = it.spec.clone();
        spec.id = tx.new_id();
        spec.number = number;
        spec.status = SpecStatus::Executing;
        spec.current_phase = Phase::Explore;
        spec.options.0.auto_start = false;
        spec.base_sha = base.to_owned();
        specs::insert(tx, &spec).await?;
        Ok(spec)
    })
    .await
    .unwrap()
}

/// The model that people call `label`.
pub(crate) fn work_model(label: &str) -> WorkModel {
    match label {
        "simulated" => WorkModel::simulated_model(None),
        "none" => WorkModel::no_model(),
        name => WorkModel::live_model(name),
    }
}
