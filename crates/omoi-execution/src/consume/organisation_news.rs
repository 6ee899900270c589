//! Which organisations a loop has to look at, as the reader of the outboxes tells it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::id::OrgId;

/// Organisations that a loop was told of and has not looked at since. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct OrganisationNews(Arc<Mutex<NewsState>>);

/// What a loop was told since it asked last.
#[derive(Debug, Default)]
pub(super) struct NewsState {
    /// Those with events that it acts on.
    pub(super) told: BTreeSet<OrgId>,
    /// Those that it looks at though nothing is known of them.
    pub(super) swept: BTreeSet<OrgId>,
    /// How many organisations there are.
    pub(super) n_organisations: usize,
}

impl OrganisationNews {
    pub(super) fn tell_of(&self, org: OrgId) {
        self.lock_state().told.insert(org);
    }

    pub(super) fn sweep_all(&self, all: &[OrgId]) {
        let mut state = self.lock_state();
        state.swept.extend(all);
        state.n_organisations = all.len();
    }

    pub(super) fn take_news(&self) -> NewsState {
        let mut state = self.lock_state();
        let n_organisations = state.n_organisations;
        NewsState {
            n_organisations,
            ..std::mem::replace(
                &mut *state,
                NewsState {
                    n_organisations,
                    ..NewsState::default()
                },
            )
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, NewsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
