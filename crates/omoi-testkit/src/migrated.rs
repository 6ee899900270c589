//! The schema of a new database, which is made once for many tests.

use std::sync::Arc;

use omoi_store::{ServerOptions, Store, StoreError, StoreOptions};
use sqlx::types::Uuid;

/// Gives the database at `url` the newest schema.
///
/// # Errors
/// As [`Store::migrate`].
pub(crate) async fn make_schema(url: &str) -> Result<(), StoreError> {
    let store = Store::connect(StoreOptions {
        url: url.to_owned(),
        now: None,
        // Migrations draw no ids.
        new_uuid: Arc::new(Uuid::nil),
        server: ServerOptions::default(),
    })
    .await?;
    let migrated = store.migrate().await;
    store.close().await;
    migrated
}
