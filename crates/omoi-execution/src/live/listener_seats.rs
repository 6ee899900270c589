//! How many connections one caller listens on at once, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::actor::Actor;

/// Connections of one caller at most.
pub const LISTENERS_MAX: usize = 10;

/// The connections of each caller. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ListenerSeats(Arc<Mutex<HashMap<Actor, usize>>>);

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub struct ListenerSeat {
    seats: ListenerSeats,
    actor: Actor,
}

impl ListenerSeats {
    pub(super) fn take_seat(&self, actor: Actor) -> Option<ListenerSeat> {
        let mut taken = self.lock();
        let n_taken = taken.entry(actor).or_default();
        if *n_taken >= LISTENERS_MAX {
            return None;
        }
        *n_taken += 1;
        drop(taken);
        let seats = self.clone();
        Some(ListenerSeat { seats, actor })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Actor, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ListenerSeat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(n_taken) = taken.get_mut(&self.actor) {
            *n_taken -= 1;
            if *n_taken == 0 {
                taken.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_domain::id::UserId;

    use super::*;

    #[test]
    fn ten_connections_of_a_caller_are_let_in_and_none_is_kept() {
        let seats = ListenerSeats::default();
        let user = Actor::User(UserId::LOCAL);
        let mut taken: Vec<_> = (0..LISTENERS_MAX)
            .map(|_| seats.take_seat(user).unwrap())
            .collect();
        assert!(seats.take_seat(user).is_none());
        let other = seats.take_seat(Actor::System);
        assert!(other.is_some());
        taken.pop();
        taken.push(seats.take_seat(user).unwrap());
        assert!(seats.take_seat(user).is_none());
        drop((taken, other));
        assert!(seats.lock().is_empty());
    }
}
