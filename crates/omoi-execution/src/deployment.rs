//! What every reconciler needs, built once by the composition root.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::id::{AttemptId, ProjectId, SpecId};
use omoi_domain::model_kind::ModelKind;
pub use omoi_domain::model_kind::{NO_MODEL, SIMULATED};
use omoi_domain::secret_mask::SecretMask;
use omoi_domain::spec::SpecStatus;
use omoi_domain::work_limits::WorkLimits;
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_git::process::Git;
use omoi_llm::llm_client::LlmClient;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::rng::Rng;
pub use omoi_sandbox::GuardedPlaces;
use omoi_sandbox::{
    ExhaustedLimit, GuardRefusal, MountSource, Provider, ReadOnlyMount, SandboxControl,
    SandboxLimits,
};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant};
use tokio::sync::Notify;

use crate::disk_room::DataDisk;
use crate::metering::HeldCalls;
use crate::options::{MonitoringOptions, QueueOptions};
use crate::sandbox_toolchain::SandboxToolchain;
use crate::spec_files::RenderSpecFiles;

/// The folders of one deployment on this host.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The folder at `path`, which exists.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder itself.
    pub fn root_folder(&self) -> &Path {
        &self.0
    }

    /// The mirror of a project.
    pub fn mirror_path(&self, project: ProjectId) -> PathBuf {
        self.0.join("mirrors").join(format!("{project}.git"))
    }

    /// The projects that have a mirror here.
    ///
    /// # Errors
    /// When the folder of mirrors cannot be read.
    pub fn mirrored_projects(&self) -> io::Result<Vec<ProjectId>> {
        let entries = match std::fs::read_dir(self.0.join("mirrors")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        let project = |name: &OsString| name.to_str()?.strip_suffix(".git")?.parse().ok();
        Ok(names.iter().filter_map(project).collect())
    }

    /// Clones and scratch of live attempts.
    pub fn work_folder(&self) -> PathBuf {
        self.0.join("work")
    }

    /// The workspace of one attempt.
    pub fn workspace_path(&self, attempt: AttemptId) -> PathBuf {
        self.work_folder().join(attempt.to_string())
    }

    /// The socket workers reach the platform through.
    pub fn worker_socket(&self) -> PathBuf {
        self.0.join("worker.sock")
    }

    /// Rendered files of a spec.
    pub fn spec_files(&self, number: i64, project: ProjectId) -> PathBuf {
        self.0
            .join("specs")
            .join(format!("{}-SPEC-{number}", project.short()))
    }
}

/// Which specs a process works on. Rows say what is to be done; this says who does it.
#[derive(Debug, Default)]
pub enum WorkScope {
    /// None: it only answers questions.
    Nothing,
    /// Those it was asked for since it started.
    Asked(Mutex<BTreeSet<SpecId>>),
    /// All there are.
    #[default]
    Every,
}

impl WorkScope {
    /// Notes that a person asked this process for `spec`.
    pub fn ask_for(&self, spec: SpecId) {
        if let Self::Asked(asked) = self {
            asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(spec);
        }
    }

    /// Whether it is to work on `spec`.
    pub fn contains(&self, spec: SpecId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Asked(asked) => asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&spec),
            Self::Every => true,
        }
    }
}

/// Everything the reconcilers share. Cheap to clone.
#[derive(Clone)]
pub struct Deployment(Arc<DeploymentParts>);

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// The parts of a [`Deployment`].
pub struct DeploymentParts {
    /// Rows of one organisation.
    pub store: Tenant,
    /// Time.
    pub clock: Clocked,
    /// Randomness.
    pub rng: Rng,
    /// Starts tasks.
    pub lifecycle: LifecycleHandle,
    /// Where attempts run; none in a process that runs none.
    pub sandbox: Option<Arc<dyn Provider>>,
    /// Git.
    pub git: Git,
    /// Folders.
    pub data: DataDir,
    /// Which task is next, and how many are at work at once.
    pub queue: QueueOptions,
    /// How life is watched for.
    pub monitoring: MonitoringOptions,
    /// What work may take where its spec says nothing.
    pub limits: WorkLimits,
    /// How long work goes on being tried while the model provider fails its attempts.
    pub outage_wait: Duration,
    /// Most tokens of one answer to an agent.
    pub answer_tokens: u32,
    /// Amounts of one sandbox.
    pub sandbox_limits: SandboxLimits,
    /// Paths every sandbox of this deployment may read.
    pub read_only: Vec<PathBuf>,
    /// Names this process in what it begins.
    pub owner: String,
    /// The `omoi` binary, shown to sandboxes as the worker.
    pub worker: PathBuf,
    /// What answers agents: `simulated`, or a model's name.
    pub model_label: String,
    /// What answers questions of the platform itself; none where there is no model.
    pub llm: Option<LlmClient>,
    /// The file of the scripted answers, when it is simulated.
    pub scenario: Option<String>,
    /// Which specs this process works on.
    pub scope: WorkScope,
    /// Sandboxes of this process that still run.
    pub running: RunningAttempts,
    /// Model calls that this process will record.
    pub calls: HeldCalls,
    /// The disk below the data folder.
    pub disk: DataDisk,
    /// Places that are shown to no sandbox.
    pub guarded: GuardedPlaces,
    /// Renders the files of a spec from its accepted outputs.
    pub render_spec_files: RenderSpecFiles,
    /// Takes the secrets of this process out of what others wrote, before it is kept or shown.
    pub mask: SecretMask,
}

impl Deployment {
    /// A platform of these parts.
    pub fn new(parts: DeploymentParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The mirror of a project, made when there is none.
    ///
    /// # Errors
    /// When the folder or git refuses.
    pub async fn project_mirror(&self, project: ProjectId) -> Result<Mirror, MirrorError> {
        Mirror::open_or_create(&self.git, &self.data.mirror_path(project)).await
    }

    /// What sandboxes with that toolbox may read, looked at right before they start: a link or a
    /// socket may have come since the folder was allowed.
    ///
    /// # Errors
    /// [`GuardRefusal`] for a listed place that must not be shown.
    pub fn sandbox_mounts(
        &self,
        toolbox: &SandboxToolchain,
    ) -> Result<Vec<ReadOnlyMount>, GuardRefusal> {
        for path in &self.read_only {
            self.guarded.check_mount(path, MountSource::Person)?;
        }
        for path in &toolbox.allowed {
            self.guarded.check_mount(path, MountSource::Repository)?;
        }
        Ok(toolbox.toolchain_mounts(&self.read_only))
    }

    /// What the work on `spec` may take, whoever does it.
    pub fn limits_of(&self, spec: &Spec) -> WorkLimits {
        self.limits.for_repository(&spec.options.0.repository)
    }

    /// Whether `spec` was begun with another kind of model than this process works with: then nothing
    /// here may go on with it, or its label would not be true.
    pub fn is_of_another_kind(&self, spec: &Spec) -> bool {
        let begun = ModelKind::from_name(&spec.model, spec.scenario.as_deref());
        let now = ModelKind::from_name(&self.model_label, self.scenario.as_deref());
        !now.may_go_on_with(begun)
    }

    /// Whether this process goes on with `spec`: it was asked to, and may.
    pub fn works_on(&self, spec: &Spec) -> bool {
        self.scope.contains(spec.id) && !self.is_of_another_kind(spec)
    }

    /// Specs in `status` that this process goes on with, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn own_specs(&self, status: SpecStatus) -> Result<Vec<Spec>, StoreError> {
        let found = self
            .store
            .read(async |tx| specs::with_status(tx, status).await);
        let mut found = found.await?;
        found.retain(|spec| self.works_on(spec));
        Ok(found)
    }
}

impl Deref for Deployment {
    type Target = DeploymentParts;
    fn deref(&self) -> &DeploymentParts {
        &self.0
    }
}

/// Stop handles of the sandboxes this process runs. Never authoritative: the rows are.
#[derive(Debug, Default)]
pub struct RunningAttempts {
    all: Mutex<BTreeMap<AttemptId, Option<SandboxControl>>>,
    ended: Notify,
}

/// This process works on an attempt for as long as this lives, however the work ends.
#[derive(Debug)]
#[must_use]
pub struct HeldAttempt {
    deployment: Deployment,
    attempt: AttemptId,
}

impl Deployment {
    /// Ends when the process is to stop and its attempts have ended. What attempts need to end well
    /// must last as long.
    pub async fn work_ended(self) {
        self.lifecycle.soft_token().cancelled().await;
        self.running.wait_drained().await;
    }

    /// Notes that this process works on an attempt until the returned value is dropped.
    pub fn hold_attempt(&self, attempt: AttemptId) -> HeldAttempt {
        self.running.begin_attempt(attempt);
        HeldAttempt {
            deployment: self.clone(),
            attempt,
        }
    }
}

impl HeldAttempt {
    /// The deployment that works on it.
    pub(crate) fn held_by(&self) -> &Deployment {
        &self.deployment
    }

    /// The attempt worked on.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }
}

impl Drop for HeldAttempt {
    fn drop(&mut self) {
        self.deployment.running.end_attempt(self.attempt);
    }
}

impl RunningAttempts {
    /// Notes that this process works on an attempt.
    pub fn begin_attempt(&self, attempt: AttemptId) {
        self.lock_attempts().insert(attempt, None);
    }

    /// Notes how its sandbox can be stopped.
    pub(crate) fn set_control(&self, attempt: AttemptId, control: SandboxControl) {
        self.lock_attempts().insert(attempt, Some(control));
    }

    /// Forgets an attempt.
    pub fn end_attempt(&self, attempt: AttemptId) {
        self.lock_attempts().remove(&attempt);
        self.ended.notify_waiters();
    }

    /// Whether this process works on an attempt.
    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.lock_attempts().contains_key(&attempt)
    }

    /// The limit that the watcher stopped the sandbox of an attempt for.
    pub fn exhausted_limit(&self, attempt: AttemptId) -> Option<ExhaustedLimit> {
        let all = self.lock_attempts();
        all.get(&attempt)?.as_ref()?.exhausted_limit()
    }

    /// Kills the sandbox of an attempt, if this process runs it.
    pub fn kill_sandbox(&self, attempt: AttemptId) {
        if let Some(Some(control)) = self.lock_attempts().get(&attempt) {
            control.kill_tree();
        }
    }

    /// Asks the worker of an attempt to save and stop; false when this process runs no such.
    pub fn interrupt_worker(&self, attempt: AttemptId) -> bool {
        let all = self.lock_attempts();
        let Some(Some(control)) = all.get(&attempt) else {
            return false;
        };
        control.interrupt_program();
        true
    }

    /// Whether the sandbox of an attempt was started here and is still held.
    pub fn has_sandboxes(&self) -> bool {
        self.lock_attempts().values().any(Option::is_some)
    }

    /// Every attempt this process works on.
    pub fn attempt_ids(&self) -> Vec<AttemptId> {
        self.lock_attempts().keys().copied().collect()
    }

    /// Ends when this process works on nothing.
    pub async fn wait_drained(&self) {
        loop {
            // Registered before the look, so that an end in between is not missed.
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.lock_attempts().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock_attempts(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, Option<SandboxControl>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
