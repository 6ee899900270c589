//! How often strangers may try: limits that are counted before a try, exactly, over all processes.

use core::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::planted_bug::{PlantedBug, is_planted};
use crate::time::Timestamp;

crate::closed_set! {
    /// What is limited, and by what it is counted.
    LimitScope {
        /// Sign-ins from an address.
        SignInAddress = "sign_in_address",
        /// Sign-ins to an account from a network. A failure is counted until a success clears it.
        SignInPair = "sign_in_pair",
        /// Sign-ins to an account from anywhere; its owner opens it again by a mailed link.
        SignInAccount = "sign_in_account",
        /// Registrations from an address.
        RegisterAddress = "register_address",
        /// Verification mails asked for from an address.
        ResendAddress = "resend_address",
        /// Reset mails asked for from an address.
        ForgotAddress = "forgot_address",
        /// Mails to one address that anybody may ask for.
        MailTo = "mail_to",
        /// Verification links followed from an address.
        VerifyAddress = "verify_address",
        /// Resets from an address.
        ResetAddress = "reset_address",
        /// Mails that members of an organisation have sent to others: its invitations.
        MailFromOrganisation = "mail_from_organisation",
    }
}

/// How many in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// Tries within the window.
    pub most: u32,
    /// From the first try on; `None` counts until cleared.
    pub window: Option<Duration>,
    /// How long the try that fills the window closes it; `None` waits for its end.
    pub lock: Option<Duration>,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitCount {
    /// When the first try was counted.
    pub window_start: Timestamp,
    /// Tries since.
    pub count: u32,
    /// Until when no try is let in.
    pub locked_until: Option<Timestamp>,
}

/// Whether a try is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitDecision {
    /// It is, and this is the count with it.
    Counted(LimitCount),
    /// Not before then.
    RefusedUntil(Timestamp),
    /// Not before somebody clears the count.
    Refused,
}

impl LimitScope {
    /// The limit of the scope.
    pub fn limit_rule(self) -> LimitRule {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3_600;
        let (most, window_s, lock_s) = match self {
            Self::SignInAddress => (5, Some(MINUTE), None),
            Self::SignInPair => (5, Some(15 * MINUTE), Some(15 * MINUTE)),
            Self::SignInAccount => (50, None, None),
            Self::RegisterAddress | Self::ResendAddress | Self::ForgotAddress | Self::MailTo => {
                (3, Some(HOUR), None)
            }
            Self::VerifyAddress | Self::ResetAddress => (10, Some(HOUR), None),
            Self::MailFromOrganisation => (100, Some(HOUR), None),
        };
        LimitRule {
            most,
            window: window_s.map(Duration::from_secs),
            lock: lock_s.map(Duration::from_secs),
        }
    }
}

/// Counts one more try against `rule`, or refuses it.
///
/// The try is counted before its outcome is known: of many at once no more come through than the rule says. What
/// succeeds clears the count.
pub fn count_try(rule: LimitRule, before: Option<LimitCount>, now: Timestamp) -> LimitDecision {
    let is_over = |count: &LimitCount| {
        let window_ends = rule.window.map(|window| count.window_start + window);
        count
            .locked_until
            .or(window_ends)
            .is_some_and(|end| end <= now)
    };
    let fresh = LimitCount {
        window_start: now,
        ..LimitCount::default()
    };
    let mut count = before.filter(|count| !is_over(count)).unwrap_or(fresh);
    if count.count >= rule.most && !is_planted(PlantedBug::TryLimit) {
        let window_ends = rule.window.map(|window| count.window_start + window);
        return match count.locked_until.or(window_ends) {
            Some(end) => LimitDecision::RefusedUntil(end),
            None => LimitDecision::Refused,
        };
    }
    count.count += 1;
    if count.count == rule.most {
        count.locked_until = rule.lock.map(|lock| now + lock);
    }
    LimitDecision::Counted(count)
}

/// What requests from `address` are counted under: whoever has one address of version 6 has the other 2⁶⁴ of its
/// network.
pub fn counted_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let kept = v6.to_bits() & !(u128::MAX >> 64);
            format!("{}/64", Ipv6Addr::from_bits(kept))
        }
    }
}

/// The network that an address counts as: whoever has one address of it has others.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let kept = v6.to_bits() & !(u128::MAX >> 56);
            format!("{}/56", Ipv6Addr::from_bits(kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_secs(seconds)
    }

    /// Tries at these seconds; gives for each until when it is refused, in seconds.
    fn check(scope: LimitScope, tries: &[u64], want: &[Option<u64>]) {
        let mut count = None;
        let mut refusals = Vec::new();
        for second in tries {
            refusals.push(match count_try(scope.limit_rule(), count, at(*second)) {
                LimitDecision::Counted(counted) => {
                    count = Some(counted);
                    None
                }
                LimitDecision::RefusedUntil(end) => Some(end.since(at(0)).as_secs()),
                LimitDecision::Refused => Some(u64::MAX),
            });
        }
        assert_eq!(refusals, want, "{scope}");
    }

    #[test]
    fn the_sixth_try_waits() {
        const FIVE: [Option<u64>; 5] = [None; 5];
        let five = [0, 1, 2, 3, 4];
        let tries = |more: &[u64]| [&five[..], more].concat();
        let want = |more: &[Option<u64>]| [&FIVE[..], more].concat();
        check(
            LimitScope::SignInAddress,
            &tries(&[5, 59, 60, 61]),
            &want(&[Some(60), Some(60), None, None]),
        );
        // The fifth failure closes the pair for a quarter of an hour from then on.
        check(
            LimitScope::SignInPair,
            &tries(&[5, 901, 904, 905]),
            &want(&[Some(904), Some(904), None, None]),
        );
        // Failures that come slowly never fill the window.
        let slow: Vec<u64> = (0..20).map(|n| n * 300).collect();
        check(LimitScope::SignInPair, &slow, &[None; 20]);
        let many: Vec<u64> = (0..51).map(|n| n * 100_000).collect();
        let refused = [&[None; 50][..], &[Some(u64::MAX)]].concat();
        check(LimitScope::SignInAccount, &many, &refused);
        check(
            LimitScope::MailTo,
            &[0, 1, 2, 3],
            &[None, None, None, Some(3_600)],
        );
    }

    #[test]
    fn neighbours_count_as_one() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2fe::1", "2001:db8:1:200::/56"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()), network);
        }
        for (address, counted) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2fe:9::1", "2001:db8:1:2fe::/64"),
            ("2001:db8:1:2ff::1", "2001:db8:1:2ff::/64"),
        ] {
            assert_eq!(counted_address(address.parse().unwrap()), counted);
        }
    }
}
