//! Gives a spec another title.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec as rules;
use omoi_execution::specs::apply_to_spec;
use omoi_store::specs::{self, Spec};
use omoi_store::{Tenant, search_documents, spec_versions};

use super::SpecCommandError;
use super::spec_changes::{expect_planned, expect_version, explain_refusal};

/// Changes a spec's title; on the next resume every phase runs again with it. With `versions`, only while the spec has
/// one of them.
///
/// # Errors
/// [`SpecCommandError::AtWork`] once its tasks are released, [`SpecCommandError::StaleVersion`].
pub async fn retitle_spec(
    tenant: &Tenant,
    id: SpecId,
    title: &str,
    versions: Option<&[i64]>,
) -> Result<Spec, SpecCommandError> {
    let retitled = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_version(&spec, versions)?;
        expect_planned(&spec)?;
        let actions = match rules::retitle_spec(spec.status) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        let before = spec_versions::look_before(tx, &spec).await?;
        title.clone_into(&mut spec.title);
        apply_to_spec(tx, &mut spec, actions, true).await?;
        search_documents::index_spec(tx, &spec).await?;
        spec_versions::append(tx, before, &spec, "title").await?;
        Ok(spec)
    });
    retitled.await
}
