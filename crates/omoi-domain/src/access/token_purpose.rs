//! Tokens that are good once.

use std::time::Duration;

use crate::time::Timestamp;

crate::closed_set! {
    /// What a token that is good once is for.
    TokenPurpose {
        /// Shows that a mail address is its user's.
        Verify = "verify",
        /// Sets a new password.
        Reset = "reset",
        /// Opens an account that too many strangers tried.
        Unlock = "unlock",
        /// Opens one stream of live events.
        LiveTicket = "live_ticket",
        /// Signs in the browser of a laptop.
        LocalLink = "local_link",
        /// Lets a command line wait for its approval in a browser.
        LoginCode = "login_code",
        /// Takes a person back who went to a sign-in provider.
        ProviderFlow = "provider_flow",
    }
}

/// What is known of a token that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// What it is for.
    pub purpose: TokenPurpose,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl TokenPurpose {
    /// How long a token lives.
    pub const fn token_lifetime(self) -> Duration {
        match self {
            Self::Verify => Duration::from_hours(24),
            Self::Reset | Self::Unlock => Duration::from_hours(1),
            Self::LiveTicket => Duration::from_mins(1),
            Self::LocalLink | Self::LoginCode | Self::ProviderFlow => Duration::from_mins(10),
        }
    }
}

impl TokenFacts {
    /// Whether the token is good for `purpose` now. Why it is not is told to nobody.
    pub fn is_good_for(&self, purpose: TokenPurpose, now: Timestamp) -> bool {
        self.purpose == purpose && self.used_at.is_none() && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_in_time_and_for_one_purpose() {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        for purpose in TokenPurpose::ALL.iter().copied() {
            let fresh = TokenFacts {
                purpose,
                expires_at: start + purpose.token_lifetime(),
                used_at: None,
            };
            for other in TokenPurpose::ALL.iter().copied() {
                assert_eq!(fresh.is_good_for(other, start), other == purpose);
            }
            assert!(!fresh.is_good_for(purpose, fresh.expires_at));
            let used_at = Some(start);
            let used = TokenFacts { used_at, ..fresh };
            assert!(!used.is_good_for(purpose, start));
        }
    }
}
