//! Which open calls this process still follows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::id::CostId;

/// The model calls that this process will record. Never authoritative: the rows are.
#[derive(Clone, Debug, Default)]
pub struct HeldCalls(Arc<Mutex<BTreeSet<CostId>>>);

/// This process follows a call for as long as this lives.
#[derive(Debug)]
pub(super) struct HeldCall {
    among: HeldCalls,
    id: CostId,
}

impl HeldCalls {
    /// Follows a call until the returned value is dropped.
    pub(super) fn hold_call(&self, id: CostId) -> HeldCall {
        self.lock_calls().insert(id);
        HeldCall {
            among: self.clone(),
            id,
        }
    }

    /// Whether this process follows a call.
    pub(super) fn contains(&self, id: CostId) -> bool {
        self.lock_calls().contains(&id)
    }

    fn lock_calls(&self) -> MutexGuard<'_, BTreeSet<CostId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        self.among.lock_calls().remove(&self.id);
    }
}
