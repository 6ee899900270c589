//! Organisations: whose rows are whose.
//!
//! A new one is made in a transaction of its own scope, so that what it begins with is written under the same rules as
//! all that follows.

use omoi_domain::id::{OrgId, UserId};
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::BudgetLevel;
use omoi_domain::organisation::OrganisationSlug;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::deployment::hold_fence;
use crate::error::StoreError;
use crate::month_budgets::{self, MonthBudget};
use crate::row::{GlobalRow, Row as _, row};
use crate::tx::Tx;

row! {
    /// An organisation.
    Organisation in "organisations" as "organisation" {
        /// Its id.
        id: OrgId,
        /// What people call it.
        name: String,
        /// Its name in addresses.
        slug: String,
        /// What it is for.
        description: Option<String>,
        /// Who answers for it; they are a member, as an owner.
        owner_id: UserId,
        /// Where bills go.
        billing_email: Option<String>,
        /// Most tasks at work at once; without one it is kept by the deployment's limit alone.
        max_concurrent_agents: Option<i64>,
        /// When it was made; none for the organisation of a laptop.
        created_at: Option<Timestamp>,
        /// When it was put away; nothing is begun in it since.
        archived_at: Option<Timestamp>,
        /// Grows with each write of a person.
        state_version: i64,
    }
}

impl GlobalRow for Organisation {}

/// An organisation to make.
#[derive(Clone, Debug)]
pub struct NewOrganisation {
    /// What people call it.
    pub name: String,
    /// Its name in addresses.
    pub slug: OrganisationSlug,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner_id: UserId,
    /// Where bills go.
    pub billing_email: Option<String>,
    /// Most tasks at work at once; without one it is kept by the deployment's limit alone.
    pub max_concurrent_agents: Option<i64>,
    /// What it may spend on models in a calendar month; without one no budget is kept.
    pub month_limit: Option<NanoUsd>,
}

/// Makes the organisation whose scope `tx` has. The orchestrator of now works for it from the commit on.
///
/// # Errors
/// [`StoreError::Exists`] when the slug is taken.
pub async fn create(tx: &mut Tx, new: &NewOrganisation) -> Result<Organisation, StoreError> {
    let fence = hold_fence(tx).await?;
    let new = new.clone();
    let organisation = Organisation {
        id: tx.org(),
        name: new.name,
        slug: new.slug.as_str().to_owned(),
        description: new.description,
        owner_id: new.owner_id,
        billing_email: new.billing_email,
        max_concurrent_agents: new.max_concurrent_agents,
        created_at: Some(tx.now()),
        archived_at: None,
        state_version: 0,
    };
    tx.insert(&organisation).await?;
    tx.execute(
        "update organisations set owner_fence = $2 where id = $1",
        args![fence],
    )
    .await?;
    if let Some(limit_nanousd) = new.month_limit {
        let budget = MonthBudget {
            id: tx.new_id(),
            org_id: organisation.id,
            project_id: None,
            limit_nanousd,
            month_start: tx.now().month_start(),
            spent_nanousd: NanoUsd::ZERO,
            held_nanousd: NanoUsd::ZERO,
            level_reached: BudgetLevel::Normal,
            is_hard: true,
            state_version: 0,
        };
        month_budgets::insert(tx, &budget).await?;
    }
    Ok(organisation)
}

/// The organisation whose scope `tx` has.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx) -> Result<Organisation, StoreError> {
    let id = tx.org();
    let found = tx.find_global("id = $1", args![id]).await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: Organisation::WHAT,
        key: id.to_string(),
    })
}

/// The organisation with that slug.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_by_slug(
    tx: &mut Tx,
    slug: &OrganisationSlug,
) -> Result<Option<Organisation>, StoreError> {
    tx.find_global("slug = $1", args![slug.as_str()]).await
}

/// Every organisation, by slug.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx) -> Result<Vec<Organisation>, StoreError> {
    tx.all_global("true order by slug", args![]).await
}

/// The number of the newest event of every organisation.
///
/// # Errors
/// When the database cannot be read.
pub async fn event_heads(tx: &mut Tx) -> Result<Vec<(OrgId, i64)>, StoreError> {
    let rows = tx
        .raw(
            "select id, event_seq from organisations order by id",
            args![],
        )
        .await?;
    let heads = rows
        .iter()
        .map(|row| Ok((Column::read(row, "id")?, Column::read(row, "event_seq")?)));
    heads.collect()
}

/// Writes what people may change of an organisation, if nobody changed it since it was read.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody did, [`StoreError::Exists`] when the slug is taken.
pub async fn save(tx: &mut Tx, organisation: &mut Organisation) -> Result<(), StoreError> {
    let n_rows = tx
        .execute_global(
            "update organisations set state_version = state_version + 1, name = $3, slug = $4, description = $5,
             owner_id = $6, billing_email = $7, max_concurrent_agents = $8, archived_at = $9
             where id = $1 and state_version = $2",
            args![
                organisation.id,
                organisation.state_version,
                organisation.name,
                organisation.slug,
                organisation.description,
                organisation.owner_id,
                organisation.billing_email,
                organisation.max_concurrent_agents,
                organisation.archived_at
            ],
        )
        .await
        .map_err(|error| error.or_exists(Organisation::WHAT))?;
    if n_rows == 0 {
        return Err(StoreError::Conflict {
            what: Organisation::WHAT,
            key: organisation.id.to_string(),
        });
    }
    organisation.state_version += 1;
    Ok(())
}
