//! Organisations beside the one that every database begins with.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, UserId};
use omoi_store::organisations::{self, NewOrganisation};
use omoi_store::{Store, Tenant, Tx};

/// Makes an organisation that the laptop's user answers for, called after its id, with no limit and no budget of its
/// own.
///
/// # Panics
/// When it cannot be made.
pub async fn add_organisation(store: &Store, id: OrgId) -> Tenant {
    add_organisation_with(store, id, |_| {}).await
}

/// The same with something changed.
///
/// # Panics
/// When it cannot be made.
pub async fn add_organisation_with(
    store: &Store,
    id: OrgId,
    change: impl FnOnce(&mut NewOrganisation),
) -> Tenant {
    let mut new = NewOrganisation {
        name: "other".to_owned(),
        slug: id.to_string().parse().unwrap(),
        description: None,
        owner_id: UserId::LOCAL,
        billing_email: None,
        max_concurrent_agents: None,
        month_limit: None,
    };
    change(&mut new);
    let tenant = store.tenant(id);
    let create = async |tx: &mut Tx| organisations::create(tx, &new).await;
    tenant
        .write(CrashPoint::AccountChanged, create)
        .await
        .unwrap();
    tenant
}
