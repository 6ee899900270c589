//! Shows a spec to whoever has a link, and has the link lead nowhere.

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::project::ProjectStatus;
use omoi_domain::task::TaskStatus;
use omoi_store::spec_shares::{self, SpecShare};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, organisations, projects, requirements, tasks, tickets};

/// A link to a spec that a person wants.
#[derive(Clone, Debug)]
pub struct WantedShare {
    /// The spec.
    pub spec: SpecId,
    /// SHA-256 of the token that the link carries.
    pub digest: String,
    /// Whether search engines may show the page.
    pub is_listed: bool,
}

/// What whoever has the link is shown of a spec, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedSpec {
    /// The spec.
    pub spec: Spec,
    /// Name of its project.
    pub project: String,
    /// Its requirements.
    pub n_requirements: usize,
    /// Its tickets.
    pub n_tickets: usize,
    /// Its tasks.
    pub n_tasks: usize,
    /// Those of them that are done.
    pub n_tasks_done: usize,
    /// How often it was looked at, this time with.
    pub n_views: i64,
    /// Whether search engines may show the page.
    pub is_listed: bool,
}

/// Makes a link to a spec; one that leads there already leads nowhere then.
///
/// # Errors
/// When the database cannot be written.
pub async fn share_spec(tenant: &Tenant, wanted: WantedShare) -> Result<SpecShare, StoreError> {
    let shared = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let spec = specs::get(tx, wanted.spec).await?;
        let share = SpecShare {
            spec_id: spec.id,
            org_id: tx.org(),
            digest: wanted.digest,
            is_listed: wanted.is_listed,
            n_views: 0,
            created_at: tx.now(),
        };
        spec_shares::replace(tx, &share).await?;
        tx.record_act(AuditAct::done_to(AuditAction::SpecShared, spec.id));
        Ok::<_, StoreError>(share)
    });
    shared.await
}

/// Has the link to a spec lead nowhere.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub async fn unshare_spec(tenant: &Tenant, id: SpecId) -> Result<(), StoreError> {
    let removed = tenant.write(CrashPoint::SpecMoved, async |tx| {
        if !spec_shares::remove(tx, id).await? {
            return Err(StoreError::NotFound {
                what: "link to the spec",
                key: id.to_string(),
            });
        }
        tx.record_act(AuditAct::done_to(AuditAction::SpecUnshared, id));
        Ok(())
    });
    removed.await
}

/// What the link shows whose token has that digest; looking is counted.
///
/// # Errors
/// [`StoreError::NotFound`] where it leads nowhere, and to a spec that was put away.
pub async fn look_at_shared_spec(tenant: &Tenant, digest: &str) -> Result<SharedSpec, StoreError> {
    let looked = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let share = spec_shares::count_view(tx, digest).await?;
        let spec = specs::get(tx, share.spec_id).await?;
        let project = projects::get(tx, spec.project_id).await?;
        let is_put_away = spec.archived_at.is_some()
            || project.status == ProjectStatus::Archived
            || organisations::get(tx).await?.archived_at.is_some();
        if is_put_away {
            return Err(StoreError::NotFound {
                what: "shared spec",
                key: "of this link".to_owned(),
            });
        }
        let all = tasks::standing_of_spec(tx, spec.id).await?;
        let done = all.iter();
        let done = done.filter(|task| task.status == TaskStatus::Completed);
        Ok(SharedSpec {
            project: project.name,
            n_requirements: requirements::of_spec(tx, spec.id).await?.len(),
            n_tickets: tickets::of_spec(tx, spec.id).await?.len(),
            n_tasks: all.len(),
            n_tasks_done: done.count(),
            n_views: share.n_views,
            is_listed: share.is_listed,
            spec,
        })
    });
    looked.await
}
