//! Gives a spec another title.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_store::Tenant;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::edit_item::expect_changeable;

/// Changes a spec's title; on the next resume every phase runs again with it.
///
/// # Errors
/// [`SpecCommandError::AtWork`] once its tasks are released.
pub async fn retitle_spec(
    tenant: &Tenant,
    id: SpecId,
    title: &str,
) -> Result<Spec, SpecCommandError> {
    let retitled = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_changeable(tx, &spec).await?;
        title.clone_into(&mut spec.title);
        spec.current_phase = Phase::Explore;
        specs::save(tx, &mut spec).await?;
        Ok(spec)
    });
    retitled.await
}
