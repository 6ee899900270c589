//! What people say of themselves.

use omoi_domain::access::profile::{AccountAttributes, department_line, judge_attributes};
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::plain_title::given_name;
use omoi_store::users::{self, User};
use omoi_store::{Json, Tx};
use serde_json::json;

use crate::context::AccountContext;
use crate::error::AccountError;

/// What is to change of an account; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// What people call them.
    pub full_name: Option<String>,
    /// Where they work.
    pub department: Option<Option<String>>,
    /// Settings of the dashboard, in place of those before.
    pub attributes: Option<AccountAttributes>,
}

/// Changes what `user` says of themselves; the account as it is then.
///
/// # Errors
/// [`AccountError::Name`], [`AccountError::Profile`].
pub async fn update_profile(
    context: &AccountContext,
    user: UserId,
    change: ProfileChange,
) -> Result<User, AccountError> {
    let name = change.full_name.as_deref().map(given_name).transpose()?;
    let department = match change.department {
        Some(Some(text)) => Some(department_line(&text)?),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(attributes) = &change.attributes {
        judge_attributes(attributes)?;
    }
    let update = async |tx: &mut Tx| -> Result<_, AccountError> {
        users::lock(tx, user).await?;
        let mut row = users::get(tx, user).await?;
        let before = json!({ "full_name": row.name, "department": row.department });
        row.name = name.unwrap_or(row.name);
        row.department = department.unwrap_or(row.department);
        if let Some(attributes) = change.attributes {
            row.attributes = Some(Json(attributes));
        }
        users::save_profile(tx, &row).await?;
        let updated = AuditAct::done_to(AuditAction::ProfileUpdated, user).with_before(before);
        tx.record_act(
            updated.with_after(json!({ "full_name": row.name, "department": row.department })),
        );
        Ok(row)
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, update).await
}
