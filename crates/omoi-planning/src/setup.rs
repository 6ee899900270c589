//! `omoi setup`: the packages of a repository's HEAD, installed before anybody works there.

use std::sync::Arc;

use omoi_domain::id::ProjectId;
use omoi_execution::copied_files::CopiedFiles;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::setup::{
    CommitPackages, FoundPackages, PackageSetup, SetupError, SetupSubject,
};
use omoi_git::layer::PackageLayer;
use omoi_git::mirror::BaseStore;
use omoi_git::survey::survey_commit;
use omoi_git::toolchain::resolve_toolchain;
use omoi_protocol::api::{CheckSandboxView, SetUpRepository, SetupView};
use omoi_sandbox::Provider;
use omoi_store::Tenant;

use crate::commands::CreateError;
use crate::repository_reader::{OpenedRepository, RepositoryReader};
use crate::trust;

/// A repository whose packages are to be installed, looked at and agreed to.
pub struct PreparedSetup {
    repository: OpenedRepository,
    toolbox: SandboxToolchain,
    base: BaseStore,
    provider: Arc<dyn Provider>,
    setup: PackageSetup,
    copies: CopiedFiles,
    rebuild: bool,
    only_find: bool,
}

/// Looks at the repository that is to be set up.
///
/// # Errors
/// [`CreateError`].
pub async fn prepare_setup(
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    setup: &PackageSetup,
    request: &SetUpRepository,
) -> Result<PreparedSetup, CreateError> {
    let provider = setup.host.provider.clone();
    let provider = provider.ok_or(CreateError::NoSandbox)?;
    let info = reader.inspect_repository(&request.repo_path).await?;
    let repository = reader.open(&tenant.before_request(), info).await?;
    trust::expect_trusted(tenant, &repository).await?;
    let commit = repository.source.head_commit();
    let toolbox = toolbox_of(reader, &repository).await?;
    let base = repository.mirror.base_store(commit).await?;
    Ok(PreparedSetup {
        repository,
        toolbox,
        base,
        provider,
        setup: setup.clone(),
        copies: reader.access.copies.in_tenant(tenant),
        rebuild: request.rebuild,
        only_find: request.only_find,
    })
}

impl PreparedSetup {
    /// The project of the repository.
    pub const fn project_id(&self) -> ProjectId {
        self.repository.project.id
    }

    /// Installs what HEAD of the repository needs, where it is not there yet.
    ///
    /// # Errors
    /// [`CreateError`]; a set-up that ran and failed is an answer.
    pub async fn install_packages(self) -> Result<SetupView, CreateError> {
        let (setup, provider) = (&self.setup, &self.provider);
        let subject = SetupSubject::at_base(&self.base, &self.toolbox);
        if self.only_find {
            let found = setup.find_packages(provider, subject).await;
            let copies = self.copies.paths_for_checks(self.project_id());
            return Ok(SetupView {
                checks: CheckSandboxView {
                    copies: copies.await?,
                    read_only: self.toolbox.allowed.clone(),
                    limits: self.toolbox.limits,
                },
                ..found_view(&self.repository, found.map_err(CreateError::Setup)?)
            });
        }
        let found = match self.rebuild {
            true => setup.reinstall_packages(provider, subject).await,
            false => setup.retry_packages(provider, subject).await,
        };
        view_of(&self.repository, found)
    }
}

/// What came of a set-up.
fn view_of(
    repository: &OpenedRepository,
    found: Result<CommitPackages, SetupError>,
) -> Result<SetupView, CreateError> {
    let mut view = empty_view(repository);
    let failure = match found {
        Ok(CommitPackages::Unneeded) => return Ok(view),
        Ok(CommitPackages::Installed(layer)) => return Ok(installed_view(repository, &layer)),
        Ok(CommitPackages::Missing(failure) | CommitPackages::Refused(failure)) => failure,
        Err(SetupError::Failed(failure)) => {
            view.is_written = true;
            failure
        }
        Err(SetupError::RegistryAway(failure)) => failure,
        Err(other) => return Err(CreateError::Setup(other)),
    };
    view.commands.clone_from(&failure.commands);
    view.failure = Some(failure.cause.to_string());
    view.output = Some(failure.output);
    Ok(view)
}

/// What a sandbox of the repository may read, as for a run.
async fn toolbox_of(
    reader: RepositoryReader<'_>,
    repository: &OpenedRepository,
) -> Result<SandboxToolchain, CreateError> {
    let survey = survey_commit(&repository.mirror, repository.source.head_commit()).await?;
    let toolchain = resolve_toolchain(&survey, reader.host).await;
    Ok(SandboxToolchain {
        allowed: repository.settings.read_only.clone(),
        setup: repository.settings.setup.clone(),
        limits: repository.settings.sandbox,
        ..SandboxToolchain::of_host(toolchain)
    })
}

fn found_view(repository: &OpenedRepository, found: FoundPackages) -> SetupView {
    match found {
        FoundPackages::Unneeded => empty_view(repository),
        FoundPackages::Installed(layer) => installed_view(repository, &layer),
        FoundPackages::NotInstalled(plan) => SetupView {
            commands: plan.commands,
            is_written: plan.is_written,
            ..empty_view(repository)
        },
    }
}

fn installed_view(repository: &OpenedRepository, layer: &PackageLayer) -> SetupView {
    let record = layer.record();
    SetupView {
        commands: record.plan.commands.clone(),
        is_written: record.plan.is_written,
        packages: record.packages.clone(),
        installed: record.roots.clone(),
        packages_layer: Some(layer.layer_digest().to_owned()),
        took_ms: Some(record.took_ms),
        ..empty_view(repository)
    }
}

fn empty_view(repository: &OpenedRepository) -> SetupView {
    SetupView {
        repo: repository.place_text().into_owned(),
        commit: repository.source.head_commit().to_string(),
        commands: Vec::new(),
        is_written: false,
        packages: Vec::new(),
        installed: Vec::new(),
        packages_layer: None,
        took_ms: None,
        failure: None,
        output: None,
        checks: CheckSandboxView::default(),
    }
}
