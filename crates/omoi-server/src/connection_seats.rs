//! How many connections sandboxes may hold to the platform: each attempt, each user who has shown no token
//! yet, and all together.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use omoi_domain::id::AttemptId;

/// The share of the files that this process may open that connections are left.
const OPEN_FILES_SHARE: u64 = 2;
/// Connections of all, however many files may be open.
const ALL_MAX: usize = 4_096;
/// Connections of one attempt. Its proxy takes 64 of them at most.
const ATTEMPT_MAX: usize = 128;
/// Connections of one user that have shown no token.
const STRANGERS_MAX: usize = 128;
/// How long who holds too many is told to wait.
pub(crate) const CROWDED_WAIT: Duration = Duration::from_secs(1);

/// How many connections are held at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatCaps {
    /// Of all sandboxes.
    pub(crate) all: usize,
    /// Of one attempt.
    pub(crate) attempt: usize,
    /// Of one user, as long as they have shown no token.
    pub(crate) strangers: usize,
}

impl SeatCaps {
    /// What this process has room for.
    pub(crate) fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        Self::for_open_files(limit.unwrap_or(u64::MAX))
    }

    /// What a process has room for that may open `open_files` files.
    fn for_open_files(open_files: u64) -> Self {
        let share = usize::try_from(open_files / OPEN_FILES_SHARE).unwrap_or(usize::MAX);
        let all = share.min(ALL_MAX);
        // No attempt and no user keeps all others out.
        let quarter = all.div_ceil(4);
        Self {
            all,
            attempt: ATTEMPT_MAX.min(quarter),
            strangers: STRANGERS_MAX.min(quarter),
        }
    }
}

/// The connections of a socket. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSeats {
    caps: SeatCaps,
    table: Arc<Mutex<SeatTable>>,
}

#[derive(Debug, Default)]
struct SeatTable {
    n_taken: usize,
    n_ever: u64,
    of_attempts: HashMap<AttemptId, usize>,
    /// By user, oldest first.
    strangers: HashMap<u32, BTreeMap<u64, CancellationToken>>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSeat {
    seats: ConnectionSeats,
    id: u64,
    user: u32,
    attempt: Mutex<Option<AttemptId>>,
    evicted: CancellationToken,
}

/// An attempt that holds as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CrowdedAttempt {
    /// As many as it may hold.
    connections_max: usize,
}

impl fmt::Display for CrowdedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.connections_max;
        write!(f, "this sandbox holds {max} connections, as many as it may")
    }
}

impl ConnectionSeats {
    pub(crate) fn new(caps: SeatCaps) -> Self {
        Self {
            caps,
            table: Arc::default(),
        }
    }

    /// A place for a connection of `user`; none where all are taken. Who holds as many as may be held without a
    /// token loses the oldest: a worker shows its token at once.
    pub(crate) fn take_seat(&self, user: u32) -> Option<Arc<ConnectionSeat>> {
        let mut table = self.lock_table();
        if table.n_taken >= self.caps.all {
            debug!(user, "Refused a connection: all places are taken");
            return None;
        }
        table.n_taken += 1;
        table.n_ever += 1;
        let (id, evicted) = (table.n_ever, CancellationToken::new());
        let strangers = table.strangers.entry(user).or_default();
        if strangers.len() >= self.caps.strangers
            && let Some((_, oldest)) = strangers.pop_first()
        {
            debug!(
                user,
                "Closing the oldest of too many connections without a token"
            );
            oldest.cancel();
        }
        strangers.insert(id, evicted.clone());
        drop(table);
        Some(Arc::new(ConnectionSeat {
            seats: self.clone(),
            id,
            user,
            attempt: Mutex::default(),
            evicted,
        }))
    }

    fn lock_table(&self) -> MutexGuard<'_, SeatTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatTable {
    fn forget_stranger(&mut self, user: u32, id: u64) {
        if let Some(strangers) = self.strangers.get_mut(&user) {
            strangers.remove(&id);
            if strangers.is_empty() {
                self.strangers.remove(&user);
            }
        }
    }
}

impl ConnectionSeat {
    /// Counts the connection as one of `attempt`, whose token it has shown. It stays that of the first.
    ///
    /// # Errors
    /// When the attempt holds as many as it may.
    pub(crate) fn claim_for(&self, attempt: AttemptId) -> Result<(), CrowdedAttempt> {
        let mut claimed = self.lock_attempt();
        if claimed.is_some() {
            return Ok(());
        }
        let mut table = self.seats.lock_table();
        let max = self.seats.caps.attempt;
        let held = table.of_attempts.entry(attempt).or_default();
        if *held >= max {
            return Err(CrowdedAttempt {
                connections_max: max,
            });
        }
        *held += 1;
        table.forget_stranger(self.user, self.id);
        *claimed = Some(attempt);
        Ok(())
    }

    /// Whether it has shown no token yet.
    pub(crate) fn is_stranger(&self) -> bool {
        self.lock_attempt().is_none()
    }

    /// Ends when the connection is to be closed in favour of others.
    pub(crate) async fn wait_evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn lock_attempt(&self) -> MutexGuard<'_, Option<AttemptId>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSeat {
    fn drop(&mut self) {
        let claimed = *self.lock_attempt();
        let mut table = self.seats.lock_table();
        table.n_taken -= 1;
        let Some(attempt) = claimed else {
            table.forget_stranger(self.user, self.id);
            return;
        };
        if let Some(held) = table.of_attempts.get_mut(&attempt) {
            *held -= 1;
            if *held == 0 {
                table.of_attempts.remove(&attempt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const CAPS: SeatCaps = SeatCaps {
        all: 6,
        attempt: 2,
        strangers: 3,
    };

    fn attempt(n: u32) -> AttemptId {
        format!("01930000-0000-7000-8000-{n:012}").parse().unwrap()
    }

    #[test]
    fn connections_leave_room_for_files_and_for_others() {
        for (open_files, all, each) in [
            (u64::MAX, 4_096, 128),
            (65_536, 4_096, 128),
            (1_024, 512, 128),
            (256, 128, 32),
        ] {
            let caps = SeatCaps::for_open_files(open_files);
            let expected = (all, each, each);
            assert_eq!(
                (caps.all, caps.attempt, caps.strangers),
                expected,
                "{open_files}"
            );
        }
    }

    #[test]
    fn the_oldest_without_a_token_goes_first() {
        let seats = ConnectionSeats::new(CAPS);
        let known = seats.take_seat(1).unwrap();
        known.claim_for(attempt(1)).unwrap();
        let strangers: Vec<_> = (0..4).map(|_| seats.take_seat(1).unwrap()).collect();
        let other = seats.take_seat(2).unwrap();
        let evicted = |seat: &ConnectionSeat| seat.evicted.is_cancelled();
        assert!(!evicted(&known) && !evicted(&other));
        let of_strangers: Vec<_> = strangers.iter().map(|seat| evicted(seat)).collect();
        assert_eq!(of_strangers, [true, false, false, false]);
        // It holds its place until it is gone.
        assert!(seats.take_seat(2).is_none());
        drop(strangers);
        assert!(seats.take_seat(2).is_some());
    }

    #[test]
    fn an_attempt_holds_as_many_as_it_may_and_gives_them_back() {
        let seats = ConnectionSeats::new(CAPS);
        let held: Vec<_> = (0..3).map(|_| seats.take_seat(1).unwrap()).collect();
        held[0].claim_for(attempt(1)).unwrap();
        held[1].claim_for(attempt(1)).unwrap();
        held[1].claim_for(attempt(1)).unwrap();
        let refused = held[2].claim_for(attempt(1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "this sandbox holds 2 connections, as many as it may"
        );
        held[2].claim_for(attempt(2)).unwrap();
        assert!(!held[2].is_stranger());
        drop(held);
        let table = seats.lock_table();
        assert_eq!(table.n_taken, 0);
        assert!(table.of_attempts.is_empty() && table.strangers.is_empty());
    }
}
