//! The parts of a process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::config::Config;
use omoi_domain::event::Consumer;
use omoi_domain::model_kind::WorkModel;
use omoi_domain::secret_mask::SecretMask;
use omoi_domain::work_limits::WorkLimits;
use omoi_git::process::Git;
use omoi_git::toolchain::HostEnvironment;
use omoi_llm::llm_client::LlmClient;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{GuardedPlaces, Provider, SandboxLimits};
use omoi_store::Tenant;

use crate::agent_models::AgentModels;
use crate::agent_programs::FindProgram;
use crate::consume::{ConsumerFactory, EventConsumer};
use crate::copied_files::CopyRules;
use crate::disk_room::DataDisk;
use crate::live::LiveEvents;
use crate::metering::HeldCalls;
use crate::options::{MonitoringOptions, QueueOptions};
use crate::repository_folders::DataDir;
use crate::running_attempts::RunningAttempts;
use crate::sandbox_egress::SandboxEgress;
use crate::setup::{OpenRegistries, SetupBook, SetupOptions};
use crate::spec_files::RenderSpecFiles;
use crate::spec_selection::WorkScope;

/// A value that is made of some parts of a deployment, and knows no others.
pub trait FromParts {
    /// Takes what it needs. State that the process shares stays shared.
    fn from_parts(parts: &DeploymentParts) -> Self;
}

/// All there is in a process, for the one place that builds its loops and surfaces: each takes what it
/// needs through [`FromParts`] and never sees the rest.
#[derive(Clone)]
pub struct DeploymentParts {
    /// Rows of one organisation.
    pub store: Tenant,
    /// Where time and pauses come from.
    pub clock: Clocked,
    /// Where pauses and ids get their chance from.
    pub rng: Rng,
    /// Starts tasks, and awaits them when the process stops.
    pub lifecycle: LifecycleHandle,
    /// Where those who listen to events subscribe.
    pub live: LiveEvents,
    /// Where attempts run; none in a process that runs none.
    pub sandbox: Option<Arc<dyn Provider>>,
    /// The git program of this machine.
    pub git: Git,
    /// The machine, for surveys of repositories.
    pub host: HostEnvironment,
    /// The configuration of this process, which limits what a repository's own file may say.
    pub config: Config,
    /// Folders below the data folder.
    pub data: DataDir,
    /// Which task is next, and how many are at work at once.
    pub queue: QueueOptions,
    /// How life is watched for.
    pub monitoring: MonitoringOptions,
    /// What work may take where its spec says nothing.
    pub limits: WorkLimits,
    /// How long work goes on being tried while the model provider fails its attempts.
    pub outage_wait: Duration,
    /// What is known of the agents' models.
    pub agent_models: AgentModels,
    /// Amounts of one sandbox.
    pub sandbox_limits: SandboxLimits,
    /// Paths every sandbox of this deployment may read.
    pub read_only: Vec<PathBuf>,
    /// Names this process in what it begins.
    pub owner: String,
    /// The `omoi` binary, shown to sandboxes as the worker.
    pub worker: PathBuf,
    /// What answers agents.
    pub model: WorkModel,
    /// What answers questions of the platform itself; none where there is no model.
    pub llm: Option<LlmClient>,
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
    /// The way out of sandboxes; none where there is no proxy.
    pub egress: Option<SandboxEgress>,
    /// Files of people's checkouts that sandboxes get.
    pub copies: CopyRules,
    /// Where the agent programs are.
    pub programs: Arc<dyn FindProgram>,
    /// What is set of set-ups and prepared checkouts.
    pub setup: SetupOptions,
    /// The way of set-ups to package registries; none in a process without a proxy.
    pub registries: Option<Arc<dyn OpenRegistries>>,
    /// What this process knows of set-ups.
    pub setups: SetupBook,
    /// Renders the files of a spec from its accepted outputs.
    pub render_spec_files: RenderSpecFiles,
    /// Takes the secrets of this process out of what others wrote, before it is kept or shown.
    pub mask: SecretMask,
}

impl DeploymentParts {
    /// The same for the rows that `store` sees.
    #[must_use]
    pub fn in_tenant(&self, store: Tenant) -> Self {
        Self {
            store,
            ..self.clone()
        }
    }

    /// Makes `consumer` of these parts, one for each organisation.
    pub fn consumer_factory<C: EventConsumer + FromParts + 'static>(
        &self,
        consumer: Consumer,
    ) -> ConsumerFactory {
        let parts = self.clone();
        ConsumerFactory::new(consumer, move |store| {
            Box::new(C::from_parts(&parts.in_tenant(store)))
        })
    }
}
