//! What calls under way may still cost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::id::SpecId;
use omoi_domain::money::NanoUsd;
use omoi_store::attempts::Attempt;

/// The calls of one process that were allowed and are not recorded yet.
#[derive(Clone, Default)]
pub(super) struct OpenCalls(Arc<Mutex<BTreeMap<u64, Call>>>);

struct Call {
    spec: SpecId,
    subject_id: String,
    cost: NanoUsd,
}

/// Counts a call until it is dropped.
pub(super) struct OpenCall {
    among: OpenCalls,
    key: u64,
}

impl OpenCalls {
    /// What they may cost at most: (those of the attempt's spec, those of its subject).
    pub(super) fn cost(&self, attempt: &Attempt) -> (NanoUsd, NanoUsd) {
        let (mut of_spec, mut of_subject) = (NanoUsd::ZERO, NanoUsd::ZERO);
        for call in self.lock().values() {
            if call.spec == attempt.spec_id {
                of_spec = of_spec.saturating_add(call.cost);
            }
            if call.subject_id == attempt.subject_id {
                of_subject = of_subject.saturating_add(call.cost);
            }
        }
        (of_spec, of_subject)
    }

    /// Counts one more.
    pub(super) fn add(&self, attempt: &Attempt, cost: NanoUsd) -> OpenCall {
        let mut all = self.lock();
        let key = all.last_key_value().map_or(0, |(last, _)| last + 1);
        let call = Call {
            spec: attempt.spec_id,
            subject_id: attempt.subject_id.clone(),
            cost,
        };
        all.insert(key, call);
        OpenCall {
            among: self.clone(),
            key,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.among.lock().remove(&self.key);
    }
}
