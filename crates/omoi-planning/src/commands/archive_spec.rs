//! Puts a spec away, and takes it back.

use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::expect_archivable;
use omoi_store::Tenant;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::spec_changes::{expect_planned, expect_version, spec_name};

/// Puts a spec away, so that lists leave it out, or takes it back; one that is where it should be stays as it is. With
/// `versions`, only while the spec has one of them.
///
/// # Errors
/// [`SpecCommandError::GoesOn`] of one that is worked on or may go on by itself, [`SpecCommandError::StaleVersion`].
pub async fn archive_spec(
    tenant: &Tenant,
    id: SpecId,
    is_archived: bool,
    versions: Option<&[i64]>,
) -> Result<Spec, SpecCommandError> {
    let archived = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_version(&spec, versions)?;
        expect_planned(&spec)?;
        if is_archived && expect_archivable(spec.status).is_err() {
            return Err(SpecCommandError::GoesOn {
                spec: spec_name(tx, &spec).await?,
                status: spec.status,
            });
        }
        if spec.archived_at.is_some() != is_archived {
            specs::set_archived(tx, &mut spec, is_archived).await?;
            let action = match is_archived {
                true => AuditAction::SpecArchived,
                false => AuditAction::SpecUnarchived,
            };
            tx.record_act(AuditAct::done_to(action, id));
        }
        Ok(spec)
    });
    archived.await.inspect(|spec: &Spec| {
        info!(spec.id = %spec.id, is_archived, "SPEC-{} was put away or taken back", spec.number);
    })
}
