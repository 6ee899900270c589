//! What a session may reach at this instant.

use std::sync::{Arc, Mutex, PoisonError};

use crate::listing::{ListedEntries, ListedPolicy};
use crate::policy::EgressPolicy;

/// What a session may reach: the same for good, or as a person lists it at that instant.
#[derive(Debug)]
pub struct SessionPolicy {
    /// What it is made of anew when the list changes.
    listed: Option<ListedPolicy>,
    current: Mutex<CurrentPolicy>,
}

#[derive(Debug)]
struct CurrentPolicy {
    policy: Arc<EgressPolicy>,
    /// What was listed when it was made.
    entries: Arc<ListedEntries>,
}

impl From<EgressPolicy> for SessionPolicy {
    fn from(policy: EgressPolicy) -> Self {
        let current = CurrentPolicy {
            policy: Arc::new(policy),
            entries: Arc::default(),
        };
        Self {
            listed: None,
            current: Mutex::new(current),
        }
    }
}

impl From<ListedPolicy> for SessionPolicy {
    fn from(listed: ListedPolicy) -> Self {
        let entries = listed.listing.current_entries();
        let current = CurrentPolicy {
            policy: Arc::new(listed.policy_with(&entries)),
            entries,
        };
        Self {
            listed: Some(listed),
            current: Mutex::new(current),
        }
    }
}

impl SessionPolicy {
    /// The policy as it is now.
    pub(super) fn current_policy(&self) -> Arc<EgressPolicy> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = &self.listed {
            let entries = listed.listing.current_entries();
            if !Arc::ptr_eq(&entries, &current.entries) {
                let policy = Arc::new(listed.policy_with(&entries));
                *current = CurrentPolicy { policy, entries };
            }
        }
        current.policy.clone()
    }
}
