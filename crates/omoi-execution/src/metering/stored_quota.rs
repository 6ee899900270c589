//! Closed credentials as rows, so that every process knows the limits that one was told of.

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_llm::quota::{ClosedCredential, QuotaBook, QuotaChange};
use omoi_store::closed_credentials::{self, ClosedCredentialRow};
use omoi_store::{Store, StoreError, Tx};

use crate::deployment::{DeploymentParts, FromParts};

/// The book of closed credentials of a deployment.
#[derive(Clone)]
pub struct StoredQuota {
    store: Store,
}

impl FromParts for StoredQuota {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.store().clone(),
        }
    }
}

impl QuotaBook for StoredQuota {
    fn exchange_closed<'a>(
        &'a self,
        changes: &'a [QuotaChange],
    ) -> BoxFuture<'a, Result<Vec<ClosedCredential>, Box<dyn std::error::Error + Send + Sync>>>
    {
        Box::pin(async move {
            if !changes.is_empty() {
                let write = async |tx: &mut Tx| -> Result<(), StoreError> {
                    for QuotaChange {
                        credential,
                        closed_until,
                    } in changes
                    {
                        match closed_until {
                            Some(at) => closed_credentials::close(tx, credential, *at).await?,
                            None => closed_credentials::open(tx, credential).await?,
                        }
                    }
                    Ok(())
                };
                let system = self.store.system();
                system.write(CrashPoint::CostRecorded, write).await?;
            }
            let rows = self
                .store
                .system()
                .read(async |tx| closed_credentials::closed_now(tx).await)
                .await?;
            let of_row = |row: ClosedCredentialRow| ClosedCredential {
                credential: row.credential,
                open_at: row.open_at,
            };
            Ok(rows.into_iter().map(of_row).collect())
        })
    }
}
