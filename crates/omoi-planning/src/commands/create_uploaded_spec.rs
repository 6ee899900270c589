//! `omoi run` from another machine: writes a spec down about a commit that a person sent.

use omoi_domain::id::ProjectId;
use omoi_git::object::ObjectId;
use omoi_protocol::api::LaunchProjectSpec;
use omoi_store::Tenant;
use omoi_store::specs::Spec;

use super::CreateError;
use super::create_spec::{AskedWork, SpecRequest, begin_on, expect_idea};
use crate::repository_reader::{RepositoryReader, UploadedHead};
use crate::spec_policy::SpecPolicy;

/// What a person asks for in a project whose repository lies elsewhere.
#[derive(Clone, Debug)]
pub struct ProjectLaunch {
    /// The project.
    pub project: ProjectId,
    /// What is to be built on which commit.
    pub asked: LaunchProjectSpec,
}

/// Surveys the commit that `launch` names, in the mirror of its project, and starts the spec.
///
/// # Errors
/// [`CreateError::NotUploaded`] where the commit is not here, [`CreateError::OnServer`] where the repository lies on this
/// machine; nothing is written then.
pub async fn create_uploaded_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    launch: ProjectLaunch,
) -> Result<Spec, CreateError> {
    let ProjectLaunch {
        project,
        asked: request,
    } = launch;
    expect_idea(&request.idea)?;
    let head = UploadedHead {
        commit: ObjectId::parse(&request.commit).map_err(CreateError::CommitName)?,
        branch: request.branch,
        dirty: request.has_uncommitted,
    };
    let repository = reader.open_uploaded(tenant, project, head).await?;
    let request = SpecRequest {
        idea: request.idea,
        auto_start: request.auto_start,
        spec_files: request.spec_files,
        suite: request.suite,
        accept_red: request.accept_red,
        agent: request.agent,
        require_approval_gates: request.require_approval_gates,
    };
    let asked = AskedWork {
        repository,
        request,
    };
    begin_on(policy, reader, tenant, asked).await
}
