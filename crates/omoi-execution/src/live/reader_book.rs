//! Which organisations are read in this process.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use omoi_domain::id::OrgId;

use super::fan_out::FanOut;

/// The readers at work, by their organisation. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ReaderBook(Arc<Mutex<BTreeMap<OrgId, Weak<FanOut>>>>);

/// A subscription that its fan-out counts.
pub(super) enum EnteredFanOut {
    /// A reader feeds it.
    Running(Arc<FanOut>),
    /// Nobody does yet.
    New(Arc<FanOut>),
}

impl ReaderBook {
    /// The fan-out of `org`, which counts one subscription more; a new one, which begins after the event `head`, where
    /// none is at work.
    pub(super) fn enter_fan_out(&self, org: OrgId, head: i64) -> EnteredFanOut {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = readers.get(&org).and_then(Weak::upgrade);
        if let Some(running) = running.filter(|fan_out| fan_out.enter_fan_out()) {
            return EnteredFanOut::Running(running);
        }
        let fan_out = Arc::new(FanOut::new(org, head));
        readers.insert(org, Arc::downgrade(&fan_out));
        EnteredFanOut::New(fan_out)
    }

    /// Forgets `fan_out`, which has ended; one that took its place stays.
    pub(super) fn forget_fan_out(&self, fan_out: &Arc<FanOut>) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let org = fan_out.org_id();
        let kept = readers.get(&org).map(Weak::as_ptr);
        if kept.is_some_and(|kept| ptr::eq(kept, Arc::as_ptr(fan_out))) {
            readers.remove(&org);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_kept(book: &ReaderBook) -> usize {
        book.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[test]
    fn an_ended_reader_is_replaced_and_forgotten() {
        let book = ReaderBook::default();
        let EnteredFanOut::New(first) = book.enter_fan_out(OrgId::LOCAL, 1) else {
            panic!("nobody reads");
        };
        let EnteredFanOut::Running(same) = book.enter_fan_out(OrgId::LOCAL, 2) else {
            panic!("one reads");
        };
        assert!(Arc::ptr_eq(&first, &same));
        first.end_all();
        let EnteredFanOut::New(second) = book.enter_fan_out(OrgId::LOCAL, 3) else {
            panic!("it has ended");
        };
        book.forget_fan_out(&first);
        assert_eq!(n_kept(&book), 1, "the one in its place");
        book.forget_fan_out(&second);
        assert_eq!(n_kept(&book), 0);
    }
}
