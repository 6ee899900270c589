//! A deployment whose git is watched.

use std::sync::Arc;

use omoi_git::process::Git;
use omoi_store::StoreError;

use super::TestDeployment;
use crate::watched_git::WatchedGit;

/// A platform that may not start git while a transaction is open.
pub struct WatchedDeployment {
    /// The deployment that is watched.
    pub it: TestDeployment,
    git: WatchedGit,
    store: Arc<std::sync::OnceLock<omoi_store::Tenant>>,
}

impl WatchedDeployment {
    /// One on SQLite whose git is not watched yet.
    pub async fn new() -> Self {
        let store = Arc::new(std::sync::OnceLock::<omoi_store::Tenant>::new());
        let (watched, runtime) = (store.clone(), tokio::runtime::Handle::current());
        let git = WatchedGit::new(move || {
            if let Some(store) = watched.get() {
                runtime.block_on(nobody_holds_a_transaction(store));
            }
        });
        let located = Git::find_on_path(&git.search_path()).await.unwrap();
        let it = TestDeployment::with_parts(|parts| parts.git = located).await;
        Self { it, git, store }
    }

    /// From now on each start of git is looked at.
    pub fn watch_git(&self) {
        self.store
            .set(self.it.deployment.store.clone())
            .ok()
            .unwrap();
    }

    /// Says how often git was started.
    pub fn finish_watch(self) -> u32 {
        self.git.finish_watch()
    }
}

/// SQLite has one connection that writes and four that read: all of them are free.
async fn nobody_holds_a_transaction(store: &omoi_store::Tenant) {
    let all = async {
        let mut held = vec![store.begin_write().await?];
        for _ in 0..4 {
            held.push(store.begin_read().await?);
        }
        Ok::<_, StoreError>(held.len())
    };
    assert_eq!(all.await.expect("git was started inside a transaction"), 5);
}
