//! The way to the rows: the process that owns the data folder, or this one when nobody does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::Stream;

use omoi_domain::config::Config;
use omoi_domain::model_kind::ModelKind;
use omoi_execution::spec_selection::WorkScope;
use omoi_llm::options::LlmOptions;
use omoi_protocol::api::ProcessStatus;
use omoi_runtime::clock::{Clock as _, SystemClock};
use omoi_runtime::lifecycle::{LifecycleHandle, StopCause};
use omoi_runtime::options::DataOptions;
use omoi_store::DatabaseOptions;

use super::command_context::{CommandSettings, check_scenario};
use super::error_report::UsageError;
use super::{CommandContext, ModelArgs};
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientEndpoint, ClientError};
use crate::composition::{self, ListenMode, ProcessRoles, RunningProcess, StartOptions};
use crate::data_folder::{FolderOwnership, OpenedFolder};

/// Tries at an owner that holds the lock but does not answer yet.
const TRIES: u32 = 100;
/// Time between two of them.
const BETWEEN: Duration = Duration::from_millis(100);

/// What a command is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessPurpose {
    /// Read or change rows.
    Ask,
    /// Run sandboxes in this process, for no work of anybody.
    SetUp,
    /// Have agents work in this process.
    Work,
}

/// A connection to the process that owns the rows.
pub(crate) struct OwnerAccess {
    pub(crate) client: ApiClient,
    /// What the answering process says about itself.
    pub(crate) status: ProcessStatus,
    /// This process, when it is the one that answers.
    own: Option<RunningProcess>,
}

/// Finds the owner, or becomes it.
pub(crate) async fn reach_owner(
    context: &CommandContext,
    settings: CommandSettings,
    purpose: AccessPurpose,
) -> anyhow::Result<OwnerAccess> {
    let folder = OpenedFolder::open(&DataOptions::from_config(&settings.config).folder)?;
    if let Some(url) = context.api_address() {
        return reach_address(context, &folder, url).await;
    }
    let is_shared = DatabaseOptions::from_config(&settings.config).is_shared();
    let mut reader = None;
    for _ in 0..TRIES {
        if let Some(access) = find_owner(&folder, context).await? {
            if purpose == AccessPurpose::Ask || access.has_agents_work() {
                return Ok(access);
            }
            reader = Some(access.status.pid);
        } else if is_shared {
            return become_owner(context, settings, purpose, None).await;
        } else if let Some(ownership) = folder.take_ownership()? {
            return become_owner(context, settings, purpose, Some(ownership)).await;
        }
        SystemClock.sleep(BETWEEN).await;
    }
    let path = folder.folder_path().display();
    let error = match reader {
        Some(pid) => anyhow!("process {pid} holds the data folder `{path}` to read from it"),
        None => anyhow!("another process owns the data folder `{path}` and does not answer"),
    };
    Err(error.context(ErrorHint(
        "stop it, or name another folder with --data-dir DIR".to_owned(),
    )))
}

/// The process at `url`.
async fn reach_address(
    context: &CommandContext,
    folder: &OpenedFolder,
    url: &str,
) -> anyhow::Result<OwnerAccess> {
    let token = folder.stored_token()?.ok_or_else(no_token)?;
    let client = ApiClient::new(&ClientEndpoint::Url(url.to_owned()), token)?;
    let client = client.asking_from(context.current_repository().as_deref());
    let status = client.get_status().await?;
    Ok(OwnerAccess {
        client,
        status,
        own: None,
    })
}

/// The process that runs on the data folder of `config`, or at the address that is asked for. None is begun, and
/// no folder made.
pub(super) async fn find_running(
    context: &CommandContext,
    config: &Config,
) -> anyhow::Result<Option<OwnerAccess>> {
    let path = DataOptions::from_config(config).folder;
    let url = context.api_address();
    if url.is_none() && !path.exists() {
        return Ok(None);
    }
    let folder = OpenedFolder::open(&path)?;
    match url {
        Some(url) => reach_address(context, &folder, url).await.map(Some),
        None => find_owner(&folder, context).await,
    }
}

/// The process that answers on the folder's socket.
pub(super) async fn find_owner(
    folder: &OpenedFolder,
    context: &CommandContext,
) -> anyhow::Result<Option<OwnerAccess>> {
    let Some(token) = folder.stored_token()? else {
        return Ok(None);
    };
    let client = ApiClient::new(&ClientEndpoint::Socket(folder.socket_path()), token)?;
    let client = client.asking_from(context.current_repository().as_deref());
    match client.get_status().await {
        Ok(status) => Ok(Some(OwnerAccess {
            client,
            status,
            own: None,
        })),
        Err(ClientError::Unreachable(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn become_owner(
    context: &CommandContext,
    settings: CommandSettings,
    purpose: AccessPurpose,
    ownership: Option<FolderOwnership>,
) -> anyhow::Result<OwnerAccess> {
    if purpose == AccessPurpose::Work {
        check_has_model(&settings.config)?;
    }
    let roles = ProcessRoles {
        api: true,
        orchestrator: purpose != AccessPurpose::Ask,
    };
    // Who shares a database ends while others work on: nobody may take it for one of those. The
    // folder's one owner must be found by the commands that wait for it.
    let door = match (purpose, &ownership) {
        (AccessPurpose::Ask, None) => ListenMode::Private,
        (AccessPurpose::Ask, Some(_)) | (AccessPurpose::SetUp | AccessPurpose::Work, _) => {
            ListenMode::Folder
        }
    };
    let CommandSettings { config, sources } = settings;
    let process = composition::start_process(StartOptions {
        config,
        sources,
        roles,
        door,
        // Others may wait for another model, another configuration, or for nobody.
        scope: match purpose {
            AccessPurpose::Ask | AccessPurpose::SetUp => WorkScope::Nothing,
            AccessPurpose::Work => WorkScope::Asked(Arc::default()),
        },
        ownership,
        log: context.process_log(),
    })
    .await?;
    Ok(OwnerAccess {
        client: process
            .client
            .clone()
            .asking_from(context.current_repository().as_deref()),
        status: process.status.clone(),
        own: Some(process),
    })
}

impl OwnerAccess {
    /// Whether this process is the one that answers.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether whoever answers also has agents work; a command that only asks does not, and ends soon.
    pub(super) fn has_agents_work(&self) -> bool {
        self.status.database != "sqlite" || self.status.roles.iter().any(|r| r == "orchestrator")
    }

    /// Stops this process, when it is the one that answers.
    pub(crate) fn lifecycle_handle(&self) -> Option<LifecycleHandle> {
        self.own.as_ref().map(|process| process.lifecycle.handle())
    }

    /// Refuses an owner that would not do what the flags of this command ask for.
    pub(crate) fn check_model(&self, model: &ModelArgs, config: &Config) -> anyhow::Result<()> {
        if self.is_own() {
            return Ok(());
        }
        let theirs = self.status.model.as_str();
        let has_model = self.status.model_kind != ModelKind::Missing;
        let runs_agents = self.status.roles.iter().any(|r| r == "orchestrator");
        if !has_model && !runs_agents {
            // The process that runs them has a model of its own.
            return Ok(());
        }
        if !has_model {
            let error = UsageError(format!(
                "process {} was started without a model",
                self.status.pid
            ));
            let hint = "stop it and start it again with a key set; `omoi doctor` says which";
            return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
        }
        let simulated = LlmOptions::from_config(config).is_simulated();
        let is_simulated = self.status.model_kind == ModelKind::Simulated;
        let differs = match (simulated, &model.model) {
            (true, _) => !is_simulated,
            (false, Some(name)) => is_simulated || name != theirs,
            (false, None) => false,
        };
        let differs = differs || model.scenario.is_some();
        if !differs {
            return Ok(());
        }
        let error = UsageError(format!(
            "process {} owns the data folder and answers with model `{theirs}` as it was started",
            self.status.pid
        ));
        let hint = "stop it, or use a folder of its own for this run: --data-dir DIR";
        Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())))
    }

    /// Ends what this process started; `signals` that come now make it stop hard.
    pub(crate) async fn close(
        self,
        signals: impl Stream<Item = &'static str> + Send,
    ) -> anyhow::Result<()> {
        let Some(process) = self.own else {
            return Ok(());
        };
        process.lifecycle.handle().stop();
        match process.lifecycle.run_with_signals(signals).await.cause {
            StopCause::Failed { name, error } => Err(anyhow!("{name} failed: {error}")),
            _ => Ok(()),
        }
    }
}

/// Says exactly what to set where there is nobody to ask.
fn check_has_model(config: &Config) -> anyhow::Result<()> {
    let options = LlmOptions::from_config(config);
    if options.is_simulated() {
        return check_scenario(config);
    }
    let hint = "export ANTHROPIC_API_KEY=… or OPENAI_API_KEY=…, and let `omoi doctor` try it; \
                without a key: --model simulated --scenario FILE";
    composition::live_routes(&options, SystemClock.now())?
        .map(drop)
        .map_err(|error| anyhow::Error::new(error).context(ErrorHint(hint.to_owned())))
}

fn no_token() -> anyhow::Error {
    let error = UsageError("the data folder has no token for that address".to_owned());
    let hint = "use the data folder of the `api` process: --data-dir DIR";
    anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
}
