//! The keys that organisations brought for providers of models, as a process asks with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_runtime::rng::Rng;
use omoi_store::provider_keys::{self, ProviderKeyRow};
use omoi_store::{Store, StoreError, Tx};
use secrecy::SecretString;
use tracing::warn;

use crate::key_ring::KeyRing;
use crate::sealed_secret::{SealError, SealedPlace, SealedSecret};

/// Opens the keys of organisations. Cheap to clone.
#[derive(Clone)]
pub struct BroughtKeyReader {
    /// The rows.
    pub store: Store,
    /// What they are encrypted with; none where that is not set up.
    pub ring: Option<Arc<KeyRing>>,
}

/// Why the keys of an organisation cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenKeyError {
    /// What was kept of a key opens no more.
    #[error("the key of this organisation for `{provider}` cannot be read")]
    Sealed {
        /// The provider that it is for.
        provider: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// Nothing to open keys with is set up.
    #[error(
        "the key of this organisation for `{provider}` cannot be read: `auth.encryption_keys` is not set"
    )]
    NoRing {
        /// The provider that it is for.
        provider: String,
    },
    /// The rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BroughtKeyReader {
    /// The keys of `org` as they are now, by provider.
    ///
    /// # Errors
    /// [`OpenKeyError`]: whoever brought a key is never served by another one in its place.
    pub async fn read_keys(
        &self,
        org: OrgId,
    ) -> Result<BTreeMap<String, SecretString>, OpenKeyError> {
        let list = async |tx: &mut Tx| provider_keys::list_all(tx).await;
        let rows = self.store.tenant(org).read(list).await?;
        rows.into_iter()
            .map(|row| self.open_row(org, row))
            .collect()
    }

    fn open_row(
        &self,
        org: OrgId,
        row: ProviderKeyRow,
    ) -> Result<(String, SecretString), OpenKeyError> {
        let provider = row.provider_name.clone();
        let Some(ring) = &self.ring else {
            return Err(OpenKeyError::NoRing { provider });
        };
        let place = SealedPlace {
            org,
            provider: &provider,
        };
        match sealed_of(row).open(ring, place) {
            Ok(key) => Ok((provider, key)),
            Err(source) => Err(OpenKeyError::Sealed { provider, source }),
        }
    }

    /// Has the newest key of the ring open every key of every organisation, so that the one before it can leave the ring;
    /// how many it did not open before. One that cannot be read stays as it is.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn rewrap_keys(&self, rng: &Rng) -> Result<usize, StoreError> {
        let Some(ring) = &self.ring else {
            return Ok(0);
        };
        let mut n_moved = 0;
        for org in self.store.system().organisations().await? {
            let tenant = self.store.tenant(org);
            let list = async |tx: &mut Tx| provider_keys::list_all(tx).await;
            let mut moved = Vec::new();
            for row in tenant.read(list).await? {
                moved.extend(rewrapped_row(ring, rng, row));
            }
            if moved.is_empty() {
                continue;
            }
            let keep = async |tx: &mut Tx| -> Result<usize, StoreError> {
                let mut n_kept = 0;
                for row in &moved {
                    n_kept += usize::from(provider_keys::rewrap_key(tx, row).await?);
                }
                Ok(n_kept)
            };
            n_moved += tenant.write(CrashPoint::AccountChanged, keep).await?;
        }
        Ok(n_moved)
    }
}

/// `row`, opened by the newest key of `ring`; none where it is already, or cannot be read.
fn rewrapped_row(ring: &KeyRing, rng: &Rng, row: ProviderKeyRow) -> Option<ProviderKeyRow> {
    let place = SealedPlace {
        org: row.org_id,
        provider: &row.provider_name,
    };
    match sealed_of(row.clone()).wrap_again(ring, rng, place) {
        Ok(sealed) => sealed.map(|sealed| ProviderKeyRow {
            ring_key: sealed.ring_key,
            wrapped_key: sealed.wrapped_key,
            ..row
        }),
        Err(error) => {
            let provider = &row.provider_name;
            warn!(org.id = %row.org_id, provider, %error, "A key that an organisation brought for `{provider}` cannot be read");
            None
        }
    }
}

fn sealed_of(row: ProviderKeyRow) -> SealedSecret {
    SealedSecret {
        ring_key: row.ring_key,
        wrapped_key: row.wrapped_key,
        sealed: row.sealed_key,
    }
}
