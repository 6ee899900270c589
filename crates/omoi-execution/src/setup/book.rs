//! What a process knows of set-ups. Never authoritative: it is forgotten with the process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use omoi_domain::time::Timestamp;
use omoi_git::object::ObjectId;
use omoi_git::survey::SetupPlan;

use super::{SetupCause, SetupFailure};

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
    failures: BTreeMap<String, KnownFailure>,
}

/// A set-up that failed.
#[derive(Clone, Debug)]
pub(super) struct KnownFailure {
    pub(super) failure: SetupFailure,
    /// When it was last tried.
    pub(super) at: Timestamp,
    /// Since when each try found a registry that does not answer.
    pub(super) away_since: Option<Timestamp>,
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

    /// How the set-up called `name` last failed.
    pub(super) fn known_failure(&self, name: &str) -> Option<KnownFailure> {
        self.lock_pages().failures.get(name).cloned()
    }

    pub(super) fn note_failure(
        &self,
        name: &str,
        failure: SetupFailure,
        at: Timestamp,
    ) -> KnownFailure {
        let mut pages = self.lock_pages();
        let before = pages.failures.get(name).and_then(|known| known.away_since);
        let is_away = matches!(failure.cause, SetupCause::RegistryAway(_));
        let known = KnownFailure {
            failure,
            at,
            away_since: is_away.then(|| before.unwrap_or(at)),
        };
        pages.failures.insert(name.to_owned(), known.clone());
        known
    }

    /// The set-up called `name` did not fail this time.
    pub(super) fn forget_failure(&self, name: &str) {
        self.lock_pages().failures.remove(name);
    }

    /// Has every set-up that failed tried again.
    pub fn forget_failures(&self) {
        self.lock_pages().failures.clear();
    }

    fn lock_pages(&self) -> std::sync::MutexGuard<'_, BookPages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
