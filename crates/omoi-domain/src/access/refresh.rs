//! What becomes of a sign-in when one of its refresh tokens comes.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a sign-in lives that nobody uses.
pub const SIGN_IN_IDLE: Duration = Duration::from_hours(7 * 24);
/// How long a sign-in lives at most.
pub const SIGN_IN_LONGEST: Duration = Duration::from_hours(30 * 24);
/// How long the token before the newest one still gives the newest.
pub const PREVIOUS_TOKEN_LIFE: Duration = Duration::from_secs(10);
/// How long an access token lives.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_mins(15);
/// How young a sign-in must be for acts that move an organisation or its keys.
pub const REAUTH_WITHIN: Duration = Duration::from_mins(10);

crate::closed_set! {
    /// Why a sign-in ended before its time.
    SessionEnd {
        /// Its user signed out.
        SignOut = "sign_out",
        /// Its user signed out of all.
        SignOutEverywhere = "sign_out_everywhere",
        /// An old refresh token of it came: somebody has a copy.
        TokenReuse = "token_reuse",
        /// The password was changed in another one.
        PasswordChange = "password_change",
        /// The password was set by a mailed link.
        PasswordReset = "password_reset",
        /// Its user may not sign in any more.
        Deactivation = "deactivation",
    }
}

/// A family of tokens, as far as a refresh asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFamily {
    /// The generation of the newest token.
    pub generation: i64,
    /// When the newest token was given out.
    pub rotated_at: Timestamp,
    /// Ends when nobody refreshes until then.
    pub expires_at: Timestamp,
    /// Ends whatever happens.
    pub absolute_expires_at: Timestamp,
    /// Whether it was ended.
    pub is_revoked: bool,
}

/// What follows from a refresh token that is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDecision {
    /// The newest one: the next generation follows, and the family lives until then.
    Rotate {
        /// The new end by idleness.
        expires_at: Timestamp,
    },
    /// The one before, just now: a second tab gets the same successor.
    SameSuccessor,
    /// An older one: somebody has a copy, and the family ends.
    Reuse,
    /// The family is over.
    Ended,
}

/// Decides what a genuine token of `generation` does.
pub fn decide_refresh(family: &TokenFamily, generation: i64, now: Timestamp) -> RefreshDecision {
    let end = family.expires_at.min(family.absolute_expires_at);
    let is_recent = now < family.rotated_at + PREVIOUS_TOKEN_LIFE;
    if family.is_revoked || end <= now {
        RefreshDecision::Ended
    } else if generation == family.generation {
        let expires_at = (now + SIGN_IN_IDLE).min(family.absolute_expires_at);
        RefreshDecision::Rotate { expires_at }
    } else if generation == family.generation - 1 && is_recent {
        RefreshDecision::SameSuccessor
    } else {
        RefreshDecision::Reuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn check(generation: i64, after_s: u64, want: RefreshDecision) {
        let family = TokenFamily {
            generation: 4,
            rotated_at: START,
            expires_at: START + SIGN_IN_IDLE,
            absolute_expires_at: START + SIGN_IN_IDLE + Duration::from_hours(1),
            is_revoked: false,
        };
        let now = START + Duration::from_secs(after_s);
        assert_eq!(
            decide_refresh(&family, generation, now),
            want,
            "{generation} {after_s}"
        );
        let is_revoked = true;
        let revoked = TokenFamily {
            is_revoked,
            ..family
        };
        assert_eq!(
            decide_refresh(&revoked, generation, now),
            RefreshDecision::Ended
        );
    }

    #[test]
    fn the_previous_token_is_good_for_ten_seconds_and_an_older_one_ends_the_family() {
        use RefreshDecision::{Ended, Reuse, Rotate, SameSuccessor};
        let day_s = 24 * 3_600;
        let later = |expires_at| Rotate { expires_at };
        check(4, 0, later(START + SIGN_IN_IDLE));
        check(4, 60, later(START + SIGN_IN_IDLE + Duration::from_secs(60)));
        // No rotation outlives the longest life of a sign-in.
        check(
            4,
            day_s,
            later(START + SIGN_IN_IDLE + Duration::from_hours(1)),
        );
        check(4, 7 * day_s, Ended);
        check(3, 0, SameSuccessor);
        check(3, 9, SameSuccessor);
        check(3, 10, Reuse);
        check(2, 0, Reuse);
        // A generation that was never given out: the database is older than the token.
        check(5, 0, Reuse);
    }
}
