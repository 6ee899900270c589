//! How many connections one caller listens on at once, and all callers of one organisation, in this process.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::actor::Actor;
use omoi_domain::id::OrgId;

/// Connections of one caller at most.
pub const LISTENERS_MAX: usize = 10;
/// Connections on which the events of one organisation are told at most.
pub const ORGANISATION_LISTENERS_MAX: usize = 2_000;

/// The connections of each caller and organisation. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ListenerSeats(Arc<Mutex<ListenerTable>>);

#[derive(Debug, Default)]
struct ListenerTable {
    of_actors: HashMap<Actor, usize>,
    of_organisations: HashMap<OrgId, usize>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub struct ListenerSeat {
    seats: ListenerSeats,
    actor: Actor,
    organisations: Vec<OrgId>,
}

/// No place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenersFull {
    /// The caller listens on as many connections as it may.
    OfCaller,
    /// The members of an organisation do.
    OfOrganisation,
}

impl fmt::Display for ListenersFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfCaller => write!(
                f,
                "you listen to events on {LISTENERS_MAX} connections, as many as you may"
            ),
            Self::OfOrganisation => write!(
                f,
                "{ORGANISATION_LISTENERS_MAX} connections listen to an organisation of yours, as many as may"
            ),
        }
    }
}

impl ListenerSeats {
    pub(super) fn take_seat(
        &self,
        actor: Actor,
        organisations: &[OrgId],
    ) -> Result<ListenerSeat, ListenersFull> {
        let mut table = self.lock();
        if count_of(&table.of_actors, &actor) >= LISTENERS_MAX {
            return Err(ListenersFull::OfCaller);
        }
        let is_full = |org| count_of(&table.of_organisations, org) >= ORGANISATION_LISTENERS_MAX;
        if organisations.iter().any(is_full) {
            return Err(ListenersFull::OfOrganisation);
        }
        *table.of_actors.entry(actor).or_default() += 1;
        for org in organisations {
            *table.of_organisations.entry(*org).or_default() += 1;
        }
        drop(table);
        Ok(ListenerSeat {
            seats: self.clone(),
            actor,
            organisations: organisations.to_vec(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, ListenerTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_of<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for ListenerSeat {
    fn drop(&mut self) {
        let mut table = self.seats.lock();
        give_back(&mut table.of_actors, &self.actor);
        for org in &self.organisations {
            give_back(&mut table.of_organisations, org);
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
            .map(|_| seats.take_seat(user, &[OrgId::LOCAL]).unwrap())
            .collect();
        let full = seats.take_seat(user, &[OrgId::LOCAL]).unwrap_err();
        assert_eq!(full, ListenersFull::OfCaller);
        let other = seats.take_seat(Actor::System, &[]);
        assert!(other.is_ok());
        taken.pop();
        taken.push(seats.take_seat(user, &[]).unwrap());
        assert!(seats.take_seat(user, &[]).is_err());
        drop((taken, other));
        let table = seats.lock();
        assert!(table.of_actors.is_empty() && table.of_organisations.is_empty());
    }

    #[test]
    fn callers_of_one_organisation_leave_room_for_those_of_others() {
        let seats = ListenerSeats::default();
        let user = |n: usize| {
            let id = format!("01930000-0000-7000-8000-{n:012}");
            Actor::User(id.parse().unwrap())
        };
        let other: OrgId = "01930000-0000-7000-8000-0000000000e1".parse().unwrap();
        let taken: Vec<_> = (0..ORGANISATION_LISTENERS_MAX)
            .map(|n| seats.take_seat(user(n), &[OrgId::LOCAL]).unwrap())
            .collect();
        let next = user(ORGANISATION_LISTENERS_MAX);
        let full = seats.take_seat(next, &[other, OrgId::LOCAL]).unwrap_err();
        assert_eq!(full, ListenersFull::OfOrganisation);
        assert!(seats.take_seat(next, &[other]).is_ok());
        drop(taken);
        assert!(seats.take_seat(next, &[OrgId::LOCAL]).is_ok());
    }
}
