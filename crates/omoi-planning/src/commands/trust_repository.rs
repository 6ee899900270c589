//! `omoi trust`.

use serde_json::json;
use tracing::info;

use omoi_domain::approval::ApprovalState;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_protocol::api::{RepositoryTrustView, TrustRepository};
use omoi_store::{Tenant, approvals, repository_trusts};

use super::CreateError;
use crate::repository_reader::RepositoryReader;

/// Keeps a person's yes to the text they saw.
///
/// # Errors
/// [`CreateError::TrustOutdated`] when HEAD has another text by now.
pub async fn trust_repository(
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    request: &TrustRepository,
) -> Result<RepositoryTrustView, CreateError> {
    let info = reader.inspect_repository(&request.repo_path).await?;
    let repository = reader.open(&tenant.before_request(), info).await?;
    let digest = request.file_digest.as_str();
    if repository.settings.file_digest.as_deref() != Some(digest) {
        return Err(CreateError::TrustOutdated);
    }
    let project = repository.project.id;
    let kept = tenant.write(CrashPoint::ProjectCreated, async |tx| {
        let trusted = AuditAct::done_to(AuditAction::RepositoryTrusted, project);
        tx.record_act(trusted.with_after(json!({ "file_digest": digest })));
        if let Some(mut asked) = approvals::open_of_repository(tx, project).await? {
            approvals::close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
        }
        repository_trusts::keep(tx, UserId::LOCAL, project, digest).await
    });
    kept.await?;
    info!(project.id = %project, digest, "A person allowed what `.omoi.yaml` asks for");
    Ok(repository.allowed_view())
}
