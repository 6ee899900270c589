//! One fetch at a time for each thing: who asks for what is under way waits and finds it in the cache.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// Locks that exist as long as somebody holds or awaits them.
pub(crate) struct FetchLocks<K> {
    locks: Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>,
}

impl<K> Default for FetchLocks<K> {
    fn default() -> Self {
        Self {
            locks: Mutex::default(),
        }
    }
}

impl<K: Clone + Eq + Hash> FetchLocks<K> {
    /// Waits until nobody else fetches `key`. The turn ends when the guard is dropped.
    pub(crate) async fn lock(&self, key: &K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(key.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_key_has_one_turn_and_leaves_nothing_behind() {
        let locks = FetchLocks::default();
        let first = locks.lock(&"a").await;
        assert!(locks.lock(&"a").now_or_never().is_none());
        let other = locks.lock(&"b").now_or_never().unwrap();
        drop(first);
        drop(other);
        let again = locks.lock(&"a").now_or_never().unwrap();
        drop(again);
        drop(locks.lock(&"c").await);
        assert_eq!(locks.locks.lock().unwrap().len(), 1);
    }
}
