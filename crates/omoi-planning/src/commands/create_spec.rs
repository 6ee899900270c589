//! `omoi run`: writes a spec down, with what the person said, about which commit of which repository.

mod create_error;
mod spec_draft;
mod write_spec;

use omoi_domain::agent_settings::all_followed_settings;
use omoi_execution::agent_programs::{AgentPlace, assign_agents};
use omoi_git::repo::expect_writable;
use omoi_protocol::api::LaunchSpec;
use omoi_store::Tenant;
use omoi_store::specs::Spec;

pub use self::create_error::{CreateError, IDEA_CHARS_MAX};
pub use self::spec_draft::SpecStart;
pub(super) use self::spec_draft::{SpecDraft, SpecRequest, branch_slug};
pub(super) use self::write_spec::{SpecOrigin, SpecPlan, write_spec};
use crate::repository_reader::{OpenedRepository, RepositoryReader};
use crate::spec_policy::SpecPolicy;
use crate::trust;

/// A spec that a person asks for.
#[derive(Clone, Debug)]
pub struct AskedSpec {
    /// What they say of it.
    pub request: LaunchSpec,
    /// When it is begun.
    pub start: SpecStart,
}

impl AskedSpec {
    /// One that is begun at once.
    pub const fn begun_now(request: LaunchSpec) -> Self {
        Self {
            request,
            start: SpecStart::Now,
        }
    }
}

/// Inspects the repository, brings its HEAD into the mirror, surveys it and writes the spec down; it is begun as `start`
/// says.
///
/// # Errors
/// [`CreateError`]; nothing is written then.
pub async fn create_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedSpec,
) -> Result<Spec, CreateError> {
    let AskedSpec { request, start } = asked;
    expect_idea(&request.idea)?;
    let (repository, mut draft) = prepare_spec(policy, reader, tenant, request).await?;
    draft.start = start;
    write_asked(policy, tenant, &repository, draft).await
}

/// Inspects the repository of a request, brings its HEAD into the mirror, surveys it and puts together what is written
/// down of the spec.
///
/// # Errors
/// [`CreateError`].
pub(super) async fn prepare_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    request: LaunchSpec,
) -> Result<(OpenedRepository, SpecDraft), CreateError> {
    let info = reader.inspect_repository(&request.repo_path).await?;
    expect_writable(&info)?;
    let repository = reader.open(&tenant.before_request(), info).await?;
    let request = SpecRequest::of_launch(request);
    let asked = AskedWork {
        repository,
        request,
    };
    draft_spec(policy, reader, tenant, asked).await
}

/// What a person asks for, and of which repository.
pub(super) struct AskedWork {
    pub(super) repository: OpenedRepository,
    pub(super) request: SpecRequest,
}

/// Surveys the repository of `asked` and starts the spec.
pub(super) async fn begin_on(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedWork,
) -> Result<Spec, CreateError> {
    let (repository, draft) = draft_spec(policy, reader, tenant, asked).await?;
    write_asked(policy, tenant, &repository, draft).await
}

/// Writes down what a person asks for.
async fn write_asked(
    policy: &SpecPolicy,
    tenant: &Tenant,
    repository: &OpenedRepository,
    draft: SpecDraft,
) -> Result<Spec, CreateError> {
    let origin = SpecOrigin::Idea;
    let written = write_spec(policy, tenant, repository, SpecPlan { draft, origin }).await?;
    written.ok_or(CreateError::NotWanted)
}

/// Surveys the repository of `asked` and puts together what is written down of the spec.
pub(super) async fn draft_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedWork,
) -> Result<(OpenedRepository, SpecDraft), CreateError> {
    let AskedWork {
        repository,
        request,
    } = asked;
    trust::expect_trusted(tenant, &repository).await?;
    let OpenedRepository { source, mirror, .. } = &repository;
    let copies = policy.copies.in_tenant(tenant);
    let readable = copies.expect_readable(&repository.project, mirror, source.head_commit());
    readable.await?;
    let followed = all_followed_settings();
    let place = AgentPlace {
        project: &repository.project.name,
        settings: &mirror
            .present_paths(source.head_commit(), &followed)
            .await?,
    };
    let agents = assign_agents(policy.programs.as_ref(), place, request.agent).await?;
    policy.models.expect_usable(&agents.assignment)?;
    let draft = reader.draft_request(&repository, request, agents).await?;
    Ok((repository, draft))
}

pub(super) fn expect_idea(idea: &str) -> Result<(), CreateError> {
    let chars = idea.chars().count();
    if idea.trim().is_empty() {
        return Err(CreateError::EmptyIdea);
    }
    match chars > IDEA_CHARS_MAX {
        true => Err(CreateError::LongIdea { chars }),
        false => Ok(()),
    }
}
