//! Holders of credentials, kept for seconds so that a request costs no look at the database.
//!
//! **Invariant:** what was loaded before a revocation is not kept after it (`HolderCache::keep_holder`): this process
//! refuses a revoked credential with the next request, another one as soon as a hint reaches it, and at the latest after
//! [`KEPT_FOR`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::bus::{Bus, BusHint};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::telemetry::error_chain;
use tokio::sync::watch;
use tracing::warn;

use crate::holder::CredentialHolder;

/// How long a holder is answered without a look at the database.
pub const KEPT_FOR: Duration = Duration::from_secs(5);
/// How long the number of revocations is believed.
const COUNT_KEPT_FOR: Duration = Duration::from_millis(500);
/// Holders that are kept at once, at most.
pub const HOLDERS_MAX: usize = 10_000;
/// The topic of the bus on which processes tell each other of revocations.
const REVOCATIONS: &str = "revocations";

/// Holders by the digests of their credentials. Cheap to clone; the clones are one cache.
#[derive(Clone, Debug)]
pub struct HolderCache {
    inner: Arc<CacheInner>,
}

#[derive(Debug)]
struct CacheInner {
    clock: Clocked,
    kept: Mutex<KeptHolders>,
    /// Revocations in the whole deployment, and when they were counted.
    counted: tokio::sync::Mutex<Option<(Timestamp, i64)>>,
    /// Changes with every revocation of this process.
    revoked: watch::Sender<u64>,
    /// Changes with every revocation that this process hears of.
    forgotten: watch::Sender<u64>,
}

/// Two halves: the younger one is filled, the older one is forgotten whole when that is full.
#[derive(Debug, Default)]
struct KeptHolders {
    /// Grows whenever all are forgotten.
    generation: u64,
    young: HashMap<String, KeptHolder>,
    old: HashMap<String, KeptHolder>,
}

#[derive(Debug)]
struct KeptHolder {
    loaded_at: Timestamp,
    holder: Arc<CredentialHolder>,
}

/// A look at the database that began at an instant; what it finds is kept unless something was revoked since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HolderLoad {
    generation: u64,
    began_at: Timestamp,
}

impl HolderCache {
    /// An empty cache that goes by `clock`.
    pub fn new(clock: Clocked) -> Self {
        let (revoked, _) = watch::channel(0);
        Self {
            inner: Arc::new(CacheInner {
                clock,
                kept: Mutex::default(),
                counted: tokio::sync::Mutex::default(),
                revoked,
                forgotten: watch::Sender::new(0),
            }),
        }
    }

    /// The present, by the clock that access tokens are judged by.
    pub(crate) fn current_time(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The holder of the credential with that digest, unless it was loaded too long ago.
    pub(crate) fn find_holder(&self, digest: &str) -> Option<Arc<CredentialHolder>> {
        let now = self.current_time();
        let kept = self.lock_kept();
        let found = kept.young.get(digest).or_else(|| kept.old.get(digest))?;
        // A clock that was set back makes nothing young again.
        let is_fresh = found.loaded_at <= now && now.since(found.loaded_at) < KEPT_FOR;
        is_fresh.then(|| Arc::clone(&found.holder))
    }

    /// To be taken before the database is asked.
    pub(crate) fn begin_load(&self) -> HolderLoad {
        HolderLoad {
            began_at: self.current_time(),
            generation: self.lock_kept().generation,
        }
    }

    /// Keeps what `load` found, unless something was revoked meanwhile.
    pub(crate) fn keep_holder(
        &self,
        digest: String,
        load: HolderLoad,
        holder: Arc<CredentialHolder>,
    ) {
        let mut kept = self.lock_kept();
        if kept.generation != load.generation {
            return;
        }
        if kept.young.len() >= HOLDERS_MAX / 2 {
            kept.old = std::mem::take(&mut kept.young);
        }
        let loaded_at = load.began_at;
        kept.young.insert(digest, KeptHolder { loaded_at, holder });
    }

    /// Changes with every revocation that this process hears of: for those who believe a holder for longer than a
    /// request takes.
    pub fn watch_revocations(&self) -> watch::Receiver<u64> {
        self.inner.forgotten.subscribe()
    }

    /// The number of revocations: what it was less than half a second ago, or what `count` finds now, once for all who
    /// ask meanwhile.
    pub(crate) async fn count_once<E>(
        &self,
        count: impl AsyncFnOnce() -> Result<i64, E>,
    ) -> Result<i64, E> {
        let mut counted = self.inner.counted.lock().await;
        let now = self.current_time();
        if let Some((at, n)) = *counted
            && at <= now
            && now.since(at) < COUNT_KEPT_FOR
        {
            return Ok(n);
        }
        let n = count().await?;
        *counted = Some((now, n));
        Ok(n)
    }

    /// Forgets every holder: something was revoked, here or elsewhere.
    fn forget_all(&self) {
        let mut kept = self.lock_kept();
        kept.generation += 1;
        kept.young.clear();
        kept.old.clear();
        drop(kept);
        self.inner.forgotten.send_modify(|n| *n += 1);
    }

    /// Forgets every holder, and has [`follow_revocations`] tell other processes.
    pub(crate) fn note_revocation(&self) {
        self.forget_all();
        self.inner.revoked.send_modify(|n| *n += 1);
    }

    fn lock_kept(&self) -> MutexGuard<'_, KeptHolders> {
        // Each critical section leaves both halves whole.
        let kept = self.inner.kept.lock();
        kept.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells other processes what is revoked here, and forgets what they revoke, until the process stops.
pub fn follow_revocations(cache: &HolderCache, lifecycle: &LifecycleHandle, bus: &Arc<dyn Bus>) {
    let (cache, bus) = (cache.clone(), Arc::clone(bus));
    let mut revoked = cache.inner.revoked.subscribe();
    let mut hints = bus.subscribe_hints();
    let soft = lifecycle.soft_token();
    lifecycle.spawn("revocations", SpawnKind::Critical, async move {
        loop {
            // All are cancel-safe: a watch, a subscription and a token.
            let hint = tokio::select! {
                _ = revoked.changed() => {
                    publish_revocation(bus.as_ref()).await;
                    continue;
                }
                hint = hints.next_hint() => hint,
                () = soft.cancelled() => break,
            };
            match hint {
                Some(BusHint::Appended { topic, .. }) if topic != REVOCATIONS => {}
                Some(BusHint::Appended { .. } | BusHint::Resync) => cache.forget_all(),
                None => break,
            }
        }
        Ok(())
    });
}

async fn publish_revocation(bus: &dyn Bus) {
    let topic = REVOCATIONS.to_owned();
    let published = bus.publish_hint(BusHint::Appended { topic, seq: 0 }).await;
    if let Err(error) = published {
        // Others learn of it by the age of what they keep.
        warn!(error = %error_chain(&error), "Could not tell other processes of a revocation");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::clock::ManualClock;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

    fn keep(cache: &HolderCache, digest: &str) {
        let load = cache.begin_load();
        let holder = Arc::new(CredentialHolder::folder_owner());
        cache.keep_holder(digest.to_owned(), load, holder);
    }

    #[test]
    fn a_holder_is_kept_for_five_seconds_and_not_past_a_revocation() {
        let clock = ManualClock::new(START);
        let cache = HolderCache::new(Arc::new(clock.clone()));
        keep(&cache, "a");
        clock.advance(Duration::from_millis(4_999));
        assert!(cache.find_holder("a").is_some() && cache.find_holder("b").is_none());
        clock.advance(Duration::from_millis(1));
        assert!(cache.find_holder("a").is_none());
        keep(&cache, "a");
        let revocations = cache.watch_revocations();
        assert!(!revocations.has_changed().unwrap());
        cache.note_revocation();
        assert!(revocations.has_changed().unwrap());
        assert!(cache.find_holder("a").is_none());
        // What was read before the revocation says nothing of after it.
        let load = cache.begin_load();
        cache.note_revocation();
        let holder = Arc::new(CredentialHolder::folder_owner());
        cache.keep_holder("a".to_owned(), load, holder);
        assert!(cache.find_holder("a").is_none());
    }

    #[test]
    fn no_more_are_kept_than_may_be_and_the_newest_are_among_them() {
        let cache = HolderCache::new(Arc::new(ManualClock::new(START)));
        for n in 0..3 * HOLDERS_MAX {
            keep(&cache, &n.to_string());
        }
        let n_kept = {
            let kept = cache.lock_kept();
            kept.young.len() + kept.old.len()
        };
        assert!(n_kept <= HOLDERS_MAX, "{n_kept}");
        let newest = (3 * HOLDERS_MAX - HOLDERS_MAX / 2)..3 * HOLDERS_MAX;
        for n in newest {
            assert!(cache.find_holder(&n.to_string()).is_some(), "{n}");
        }
    }
}
