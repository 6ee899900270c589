//! The database's clock between two questions: what only reads takes the time from here, and what writes asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use omoi_domain::time::Timestamp;

/// How long the time that was told last is counted on from.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// When the database told which time.
#[derive(Default)]
pub(crate) struct KeptClock {
    told: Mutex<Option<(Timestamp, Instant)>>,
}

impl KeptClock {
    /// The time now, counted on from when the database told it; none where that is too long ago.
    pub(crate) fn read_now(&self) -> Option<Timestamp> {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, at) = told?;
        let since = at.elapsed();
        (since < KEPT_FOR).then(|| now + since)
    }

    /// Keeps what the database told just now.
    pub(crate) fn keep_now(&self, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some((now, Instant::now()));
    }
}
