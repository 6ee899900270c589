//! What a process knows of set-ups. Never authoritative: it is forgotten with the process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_git::object::ObjectId;
use omoi_git::survey::SetupPlan;

use super::SetupFailure;

/// Plans that are remembered; more than that and all are forgotten.
const PLANS_MAX: usize = 500;

/// A commit in a mirror, and the commands that somebody wrote down for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CommitKey {
    pub(super) mirror: PathBuf,
    pub(super) commit: ObjectId,
    pub(super) written: Option<Vec<String>>,
}

/// How a commit is set up; none for nothing to install.
#[derive(Clone, Debug)]
pub(super) struct KnownPlan(pub(super) Option<SetupPlan>);

/// Set-ups under way, plans found and failures seen. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SetupBook(Arc<Mutex<BookPages>>);

#[derive(Debug, Default)]
struct BookPages {
    gates: BTreeMap<String, Arc<tokio::sync::Mutex<()>>>,
    plans: BTreeMap<CommitKey, KnownPlan>,
    failures: BTreeMap<String, (SetupFailure, Timestamp)>,
}

impl SetupBook {
    /// Held by whoever makes the layer called `digest`.
    pub(super) fn gate_of(&self, digest: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut pages = self.lock_pages();
        pages
            .gates
            .retain(|name, gate| name == digest || Arc::strong_count(gate) > 1);
        pages.gates.entry(digest.to_owned()).or_default().clone()
    }

    pub(super) fn known_plan(&self, key: &CommitKey) -> Option<KnownPlan> {
        self.lock_pages().plans.get(key).cloned()
    }

    pub(super) fn note_plan(&self, key: CommitKey, plan: KnownPlan) {
        let mut pages = self.lock_pages();
        if pages.plans.len() >= PLANS_MAX {
            pages.plans.clear();
        }
        pages.plans.insert(key, plan);
    }

    /// How the set-up called `digest` failed, if that was less than `window` ago.
    pub(super) fn recent_failure(
        &self,
        digest: &str,
        now: Timestamp,
        window: Duration,
    ) -> Option<SetupFailure> {
        let pages = self.lock_pages();
        let (failure, at) = pages.failures.get(digest)?;
        (now.since(*at) < window).then(|| failure.clone())
    }

    pub(super) fn note_failure(&self, digest: &str, failure: SetupFailure, now: Timestamp) {
        self.lock_pages()
            .failures
            .insert(digest.to_owned(), (failure, now));
    }

    /// Has every set-up that failed tried again.
    pub fn forget_failures(&self) {
        self.lock_pages().failures.clear();
    }

    fn lock_pages(&self) -> std::sync::MutexGuard<'_, BookPages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
