//! Room for the bodies of requests that are held at once.
//!
//! A body is given room before it is read, so that nobody fills the memory with requests that do not come to
//! their end, or the share of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use omoi_domain::id::AttemptId;

/// How much is held at once, bodies that still come included.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// KiB of the bodies of one attempt.
    pub attempt_kib: usize,
    /// KiB of all bodies.
    pub all_kib: usize,
}

/// The room for one kind of bodies. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyRooms {
    limits: BodyLimits,
    all: Arc<Semaphore>,
    /// What the bodies of each attempt share; of none those of the platform itself.
    shares: Arc<Mutex<HashMap<Option<AttemptId>, Weak<Semaphore>>>>,
}

/// Room for one body, given back with this value.
#[derive(Debug)]
#[must_use = "the room is free again without it"]
pub struct BodyRoom(#[expect(dead_code, reason = "held for its end")] [OwnedSemaphorePermit; 2]);

/// Other bodies of the attempt, or those of all, leave no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the requests under way leave no room for this one")]
pub struct BodyRoomTaken;

impl BodyRooms {
    /// Room within `limits`.
    pub fn new(limits: BodyLimits) -> Self {
        Self {
            limits,
            all: Arc::new(Semaphore::new(limits.all_kib)),
            shares: Arc::default(),
        }
    }

    /// Takes room for a body of `n_bytes` of `attempt`, none for the platform's own.
    ///
    /// # Errors
    /// When other bodies of the attempt, or those of all, leave none.
    pub fn reserve_room(
        &self,
        attempt: Option<AttemptId>,
        n_bytes: usize,
    ) -> Result<BodyRoom, BodyRoomTaken> {
        let n_kib = u32::try_from(n_bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let take = |room: Arc<Semaphore>| {
            room.try_acquire_many_owned(n_kib).map_err(|_| {
                tracing::warn!(n_bytes, "Others fill the room for bodies of requests");
                BodyRoomTaken
            })
        };
        let own = take(self.attempt_share(attempt))?;
        Ok(BodyRoom([own, take(Arc::clone(&self.all))?]))
    }

    /// The room for bodies of one attempt, which is there while one of them is.
    fn attempt_share(&self, attempt: Option<AttemptId>) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&attempt).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.limits.attempt_kib));
        shares.insert(attempt, Arc::downgrade(&share));
        share
    }
}
