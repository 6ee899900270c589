//! Which refusals are written down: of a caller who asks again and again for what they may not do, one in ten of each minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::actor::Actor;
use omoi_domain::audit::AuditAction;
use omoi_domain::time::Timestamp;

/// Of how many refusals of a minute one is written down. Source: 06-api-auth §12.
const ONE_OF: u64 = 10;
/// A sample is of so long.
const WINDOW: Duration = Duration::from_mins(1);
/// Callers that are remembered at once.
const CALLERS_MAX: usize = 10_000;

/// Counts refusals by caller and by what they would have done, so that many of one kind hide none of another. Cheap to clone; all copies count together.
#[derive(Clone, Debug, Default)]
pub struct DenialSamples(Arc<Mutex<HashMap<DeniedAct, CountedDenials>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DeniedAct {
    caller: Actor,
    action: AuditAction,
}

#[derive(Clone, Copy, Debug)]
struct CountedDenials {
    since: Timestamp,
    n_denials: u64,
}

impl DenialSamples {
    /// Counts a refusal of `action` to `caller`; whether it is one to write down: the first of a minute is.
    pub fn count_denial(&self, caller: Actor, action: AuditAction, now: Timestamp) -> bool {
        let denied = DeniedAct { caller, action };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= CALLERS_MAX && !counted.contains_key(&denied) {
            counted.retain(|_, denials| now.since(denials.since) < WINDOW);
            if counted.len() >= CALLERS_MAX {
                counted.clear();
            }
        }
        let fresh = CountedDenials {
            since: now,
            n_denials: 0,
        };
        let denials = counted.entry(denied).or_insert(fresh);
        if now.since(denials.since) >= WINDOW {
            *denials = fresh;
        }
        denials.n_denials += 1;
        denials.n_denials % ONE_OF == 1
    }
}

#[cfg(test)]
mod tests {
    use omoi_domain::id::UserId;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

    #[test]
    fn one_refusal_in_ten_of_a_caller_and_minute_is_written_down() {
        let samples = DenialSamples::default();
        let caller = Actor::User(UserId::LOCAL);
        let action = AuditAction::PermissionDenied;
        let n_of = |n, now| {
            let told = (0..n).filter(|_| samples.count_denial(caller, action, now));
            told.count()
        };
        assert_eq!(n_of(1, START), 1);
        assert_eq!(n_of(9, START), 0);
        assert_eq!(n_of(11, START + Duration::from_secs(59)), 2);
        assert!(samples.clone().count_denial(Actor::System, action, START));
        assert!(samples.count_denial(caller, AuditAction::MemberRoleChanged, START));
        assert_eq!(n_of(1, START + WINDOW), 1);
    }

    #[test]
    fn no_crowd_of_callers_is_remembered_for_ever() {
        let samples = DenialSamples::default();
        for n in 0..CALLERS_MAX as u128 + 5 {
            let caller = Actor::User(UserId::from_uuid(uuid::Uuid::from_u128(n)));
            assert!(samples.count_denial(caller, AuditAction::PermissionDenied, START));
        }
        assert!(samples.0.lock().unwrap().len() <= CALLERS_MAX);
    }
}
