//! The keys that organisations brought, for whoever asks models for them.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use omoi_accounts::brought_keys::{BroughtKeyReader, OpenKeyError};
use omoi_domain::id::OrgId;
use omoi_llm::brought_keys::{BroughtKeyError, BroughtKeySource, BroughtKeys};

/// Keys of organisations as their rows have them.
#[derive(Clone)]
pub struct StoredProviderKeys {
    reader: BroughtKeyReader,
}

impl StoredProviderKeys {
    /// Those that `reader` opens.
    pub fn new(reader: BroughtKeyReader) -> Arc<Self> {
        Arc::new(Self { reader })
    }
}

impl BroughtKeySource for StoredProviderKeys {
    fn find_keys(&self, org: OrgId) -> BoxFuture<'_, Result<BroughtKeys, BroughtKeyError>> {
        async move {
            match self.reader.read_keys(org).await {
                Ok(keys) => Ok(BroughtKeys(keys)),
                Err(OpenKeyError::Store(error)) => {
                    Err(BroughtKeyError::Unavailable(Box::new(error)))
                }
                Err(error @ (OpenKeyError::Sealed { .. } | OpenKeyError::NoRing { .. })) => {
                    Err(BroughtKeyError::Unreadable(Box::new(error)))
                }
            }
        }
        .boxed()
    }
}
