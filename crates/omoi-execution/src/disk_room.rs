//! Whether the disk below the data folder has room for work.
//!
//! With less than 5 % free nothing new is started, and what runs is let finish (spec/11 §12). It is no
//! fault of any task: nothing is counted against one, and work goes on when there is space again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_sandbox::{LowDisk, low_disk};

use crate::platform::Platform;

/// Time between two looks at a disk without room.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// Why an attempt ended whose disk had no room left to save more than what it had.
pub(crate) const DISK_LOW: &str = "disk_low";

/// What this process saw of the disk below its data folder.
#[derive(Debug, Default)]
pub struct DataDisk {
    low_since: Mutex<Option<Timestamp>>,
}

/// A disk that has had no room for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// When it was first seen so.
    pub since: Timestamp,
    /// How it is now.
    pub low: LowDisk,
}

impl Platform {
    /// Looks at the disk below the data folder: none when work may begin, or when this process runs
    /// none.
    pub fn disk_shortage(&self) -> Option<Shortage> {
        let runs_work = self.sandbox.is_some();
        let low = runs_work.then(|| low_disk(self.data.root(), &self.settings.limits));
        let low = low.flatten();
        let mut low_since = self
            .disk
            .low_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *low_since = low.map(|_| low_since.unwrap_or_else(|| self.clock.now()));
        let (since, low) = (*low_since).zip(low)?;
        Some(Shortage { since, low })
    }

    /// Waits until the disk has room. False when the process is asked to stop first.
    pub(crate) async fn has_disk_room(&self) -> bool {
        let soft = self.lifecycle.soft();
        while self.disk_shortage().is_some() {
            // Both are cancel-safe: a token and a timer.
            tokio::select! {
                () = soft.cancelled() => return false,
                () = self.clock.sleep(LOOK) => {}
            }
        }
        true
    }
}
