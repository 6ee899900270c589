//! Refusals that the audit log tells of: of whoever would give more than they have, and of the last owner's leave.

use omoi_domain::access::role_chain::RoleChainError;
use omoi_domain::audit::AuditAct;
use omoi_domain::crash::CrashPoint;
use omoi_store::{StoreError, Tenant, Tx};
use serde_json::json;
use tracing::warn;

use crate::context::AccountContext;
use crate::error::AccountError;

impl AccountContext {
    /// Gives `done` back. Where it is such a refusal, the audit log of `tenant` tells of it as `refused`, with what was
    /// asked for and why not; of a caller who asks for the same again and again, one in ten of each minute.
    ///
    /// The transaction of the act was rolled back, so that the row has one of its own. A request that its sender named is
    /// not done with it: its key is free again.
    pub(crate) async fn audit_refusal<T>(
        &self,
        tenant: &Tenant,
        refused: AuditAct,
        done: Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        if let Err(error) = &done
            && is_told(error)
        {
            let told = json!({ "asked": refused.after, "refused": error.to_string() });
            let tenant = tenant.before_request();
            let written = self.write_refusal(&tenant, refused.with_after(told)).await;
            // The refusal stands whether or not it can be told of.
            if let Err(error) = written {
                warn!(%error, "A refusal is not in the audit log");
            }
        }
        done
    }

    async fn write_refusal(&self, tenant: &Tenant, refused: AuditAct) -> Result<(), StoreError> {
        let look = async |tx: &mut Tx| -> Result<_, StoreError> { Ok(tx.now()) };
        let now = tenant.read(look).await?;
        let caller = refused.actor.unwrap_or_else(|| tenant.scope_actor());
        if !self.denials.count_denial(caller, refused.action, now) {
            return Ok(());
        }
        let record = async |tx: &mut Tx| -> Result<(), StoreError> {
            tx.record_act(refused);
            Ok(())
        };
        tenant.write(CrashPoint::AccountChanged, record).await
    }
}

/// Whether the audit log tells of a refusal: it is not of a mistake, but of more than the caller may do.
const fn is_told(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::Escalation(_)
            | AccountError::LastOwner(_)
            | AccountError::RoleChain(RoleChainError::Cycle(_))
    )
}
