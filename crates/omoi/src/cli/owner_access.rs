//! The way to the rows: the process that owns the data folder, or this one when nobody does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::Stream;

use omoi_domain::config::Config;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
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
use super::server_choice::ChosenServer;
use super::{CommandContext, ModelArgs};
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientEndpoint, ClientError};
use crate::composition::{self, ListenMode, ProcessRoles, RunningProcess, StartOptions};
use crate::data_folder::{FolderOwnership, OpenedFolder};
use crate::server_profiles::ServerAddress;

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

/// Where it is kept in which organisation commands act.
#[derive(Clone, Debug)]
pub(super) enum OrganizationChoice {
    /// With the profile of a server, by its name.
    Profile(String),
    /// Nowhere: whoever owns a data folder belongs to one.
    Folder,
    /// Nowhere: the environment names the server.
    Environment,
}

/// A connection to the process that owns the rows.
pub(crate) struct OwnerAccess {
    pub(crate) client: ApiClient,
    /// What the answering process says about itself; none where the caller may not read it.
    status: Option<ProcessStatus>,
    /// The server that answers, unless it is the data folder's owner.
    server: Option<ServerAddress>,
    /// Where the organisation that commands act in is chosen.
    pub(super) choice: OrganizationChoice,
    /// Whether paths of this machine mean something to whoever answers.
    shares_paths: bool,
    /// This process, when it is the one that answers.
    own: Option<RunningProcess>,
}

/// Finds the owner, or becomes it; asks in the organisation that a flag names.
pub(crate) async fn reach_owner(
    context: &CommandContext,
    settings: CommandSettings,
    purpose: AccessPurpose,
) -> anyhow::Result<OwnerAccess> {
    let mut access = match context.chosen_server()? {
        Some(server) => reach_server(context, server).await?,
        None => reach_folder(context, settings, purpose).await?,
    };
    let Some(name) = context.org_flag() else {
        return Ok(access);
    };
    match organization_called(&access.client, name).await {
        Ok(organization) => {
            access.client = access.client.acting_in(Some(organization));
            Ok(access)
        }
        Err(error) => {
            access.close(futures::stream::pending()).await?;
            Err(error)
        }
    }
}

/// The organisation that is called `name`, by its id or its name in addresses, among those of the caller.
pub(super) async fn organization_called(client: &ApiClient, name: &str) -> anyhow::Result<OrgId> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let all = client.list_organizations().await?;
    let found = all.iter().find(|organization| organization.slug == name);
    found.map(|organization| organization.id).ok_or_else(|| {
        let hint = ErrorHint("which there are: omoi org list".to_owned());
        let none = UsageError(format!("you belong to no organisation `{name}`"));
        anyhow::Error::new(none).context(hint)
    })
}

async fn reach_folder(
    context: &CommandContext,
    settings: CommandSettings,
    purpose: AccessPurpose,
) -> anyhow::Result<OwnerAccess> {
    let folder = OpenedFolder::open(&DataOptions::from_config(&settings.config).folder)?;
    let is_shared = DatabaseOptions::from_config(&settings.config).is_shared();
    let mut reader = None;
    for _ in 0..TRIES {
        if let Some(access) = find_owner(&folder, context).await? {
            if purpose == AccessPurpose::Ask || access.has_agents_work() {
                return Ok(access);
            }
            reader = Some(access.place_text());
        } else if is_shared {
            return become_owner(context, settings, purpose, None).await;
        } else if let Some(ownership) = folder.take_ownership()? {
            return become_owner(context, settings, purpose, Some(ownership)).await;
        }
        SystemClock.sleep(BETWEEN).await;
    }
    let path = folder.folder_path().display();
    let error = match reader {
        Some(process) => anyhow!("{process} holds the data folder `{path}` to read from it"),
        None => anyhow!("another process owns the data folder `{path}` and does not answer"),
    };
    Err(error.context(ErrorHint(
        "stop it, or name another folder with --data-dir DIR".to_owned(),
    )))
}

/// The server that was chosen.
async fn reach_server(
    context: &CommandContext,
    server: ChosenServer,
) -> anyhow::Result<OwnerAccess> {
    let shares_paths = server.shares_paths();
    let here = context.current_repository();
    let endpoint = ClientEndpoint::Server(server.url.clone());
    let client = ApiClient::new(&endpoint, Some(server.key))?.acting_in(server.organization);
    let client = match shares_paths {
        true => client.asking_from(here.as_deref()),
        false => client.asking_from_elsewhere(here.as_deref()),
    };
    let status = match client.get_status().await {
        Ok(status) => Some(status),
        // What the process is, only staff may know.
        Err(error) if error.has_code(ErrorCode::Forbidden) => None,
        Err(error) if error.has_code(ErrorCode::InsufficientScope) => None,
        Err(error) => return Err(refused_by(error, &server.url, server.profile.as_deref())),
    };
    Ok(OwnerAccess {
        client,
        status,
        server: Some(server.url),
        choice: match server.profile {
            Some(name) => OrganizationChoice::Profile(name),
            None => OrganizationChoice::Environment,
        },
        shares_paths,
        own: None,
    })
}

/// The refusal of a server, with its address and what to do.
fn refused_by(error: ClientError, url: &ServerAddress, profile: Option<&str>) -> anyhow::Error {
    let hint = match &error {
        ClientError::Unreachable(_) => {
            "check the address and that the server runs; this machine's own data: --profile local"
                .to_owned()
        }
        error if error.has_code(ErrorCode::Unauthenticated) => match profile {
            Some(name) => format!("sign in again: omoi login {url} --name {name}"),
            None => "OMOI_API_KEY opens nothing there; make a key, or sign in: omoi login URL"
                .to_owned(),
        },
        _ => return error.into(),
    };
    anyhow::Error::new(error)
        .context(format!("{url} cannot be asked"))
        .context(ErrorHint(hint))
}

/// The process that runs on the data folder of `config`, or at the address that is asked for. None is begun, and
/// no folder made.
pub(super) async fn find_running(
    context: &CommandContext,
    config: &Config,
) -> anyhow::Result<Option<OwnerAccess>> {
    if let Some(server) = context.chosen_server()? {
        return reach_server(context, server).await.map(Some);
    }
    let path = DataOptions::from_config(config).folder;
    match path.exists() {
        true => find_owner(&OpenedFolder::open(&path)?, context).await,
        false => Ok(None),
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
    let client = ApiClient::new(
        &ClientEndpoint::Socket(folder.socket_path()),
        Some(token.into()),
    )?;
    let client = client.asking_from(context.current_repository().as_deref());
    match client.get_status().await {
        Ok(status) => Ok(Some(OwnerAccess {
            client,
            status: Some(status),
            server: None,
            choice: OrganizationChoice::Folder,
            shares_paths: true,
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
    let missing = match purpose {
        AccessPurpose::Work => missing_model(&settings.config)?,
        AccessPurpose::Ask | AccessPurpose::SetUp => None,
    };
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
    let client = process.client.clone();
    let client = client.asking_from(context.current_repository().as_deref());
    let access = OwnerAccess {
        client,
        status: Some(process.status.clone()),
        server: None,
        choice: OrganizationChoice::Folder,
        shares_paths: true,
        own: Some(process),
    };
    if let Some(missing) = missing
        && access
            .client
            .list_provider_keys(OrgId::LOCAL)
            .await?
            .is_empty()
    {
        access.close(futures::stream::pending()).await?;
        return Err(missing);
    }
    Ok(access)
}

impl OwnerAccess {
    /// Whether paths of this machine mean something to whoever answers; else commits are sent and fetched.
    pub(super) const fn shares_paths(&self) -> bool {
        self.shares_paths
    }

    /// Whether this process is the one that answers.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// What the answering process says about itself; none where the caller may not read it.
    pub(super) const fn process_status(&self) -> Option<&ProcessStatus> {
        self.status.as_ref()
    }

    /// Who answers, for people: a server by its address, else a process of this machine.
    pub(crate) fn place_text(&self) -> String {
        match (&self.server, &self.status) {
            (Some(url), _) => url.to_string(),
            (None, Some(status)) => format!("process {}", status.pid),
            (None, None) => "this machine".to_owned(),
        }
    }

    /// Whether whoever answers also has agents work; a command that only asks does not, and ends soon.
    pub(super) fn has_agents_work(&self) -> bool {
        self.status.as_ref().is_none_or(|status| {
            status.database != "sqlite" || status.roles.iter().any(|r| r == "orchestrator")
        })
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
        let Some(status) = &self.status else {
            return match &model.model {
                None => Ok(()),
                Some(_) => {
                    let place = self.place_text();
                    Err(
                        UsageError(format!("{place} chooses the model of its agents itself"))
                            .into(),
                    )
                }
            };
        };
        let theirs = status.model.as_str();
        let place = self.place_text();
        let has_model = status.model_kind != ModelKind::Missing;
        let runs_agents = status.roles.iter().any(|r| r == "orchestrator");
        if !has_model && !runs_agents {
            // The process that runs them has a model of its own.
            return Ok(());
        }
        if !has_model {
            let error = UsageError(format!("{place} was started without a model"));
            let hint = "stop it and start it again with a key set; `omoi doctor` says which";
            return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
        }
        let simulated = LlmOptions::from_config(config).is_simulated();
        let is_simulated = status.model_kind == ModelKind::Simulated;
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
            "{place} owns the data folder and answers with model `{theirs}` as it was started"
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

/// What to set, where there is nobody to ask unless the organisation of the data folder brought a key.
///
/// # Errors
/// The same, where nothing can have been brought, as there is no data folder yet.
fn missing_model(config: &Config) -> anyhow::Result<Option<anyhow::Error>> {
    let options = LlmOptions::from_config(config);
    if options.is_simulated() {
        return check_scenario(config).map(|()| None);
    }
    let hint = "export ANTHROPIC_API_KEY=… or OPENAI_API_KEY=…, and let `omoi doctor` try it; \
                without a key: --model simulated --scenario FILE";
    let Err(error) = composition::live_routes(&options, SystemClock.now())? else {
        return Ok(None);
    };
    let missing = anyhow::Error::new(error).context(ErrorHint(hint.to_owned()));
    match DataOptions::from_config(config).folder.exists() {
        true => Ok(Some(missing)),
        false => Err(missing),
    }
}
