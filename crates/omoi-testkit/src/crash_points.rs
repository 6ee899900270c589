//! The crash points that a test passes: one for each commit that wrote something.

use std::sync::{Mutex, PoisonError};

use omoi_domain::crash::{self, CrashPoint, CrashSide};

static PASSED: Mutex<Vec<CrashPoint>> = Mutex::new(Vec::new());

/// Notes what this process passes from now on: a test's own, as nextest runs them.
pub fn note_crash_points() {
    crash::install_hook(|point, side| {
        if side == CrashSide::After {
            PASSED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(point);
        }
    });
}

/// How often `point` was passed since [`note_crash_points`].
pub fn count_passed(point: CrashPoint) -> usize {
    let passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    passed.iter().filter(|one| **one == point).count()
}
