//! Mails that are to go out: what each is about, how far it is, and when it is tried again.

use std::time::Duration;

use crate::time::Timestamp;

crate::closed_set! {
    /// What a mail is about.
    MailKind {
        /// An address is to be shown to be its account's.
        Verification = "verification",
        /// Somebody registered with an address that has an account.
        KnownAddress = "known_address",
        /// A new password was asked for.
        Reset = "reset",
        /// Somebody is invited to an organisation.
        Invitation = "invitation",
        /// Too many strangers tried the account.
        Unlock = "unlock",
        /// A refresh token was used twice.
        TokenReuse = "token_reuse",
    }
}

crate::closed_set! {
    /// How far a mail is.
    MailState {
        /// It waits to be handed to the mail server.
        Planned = "planned",
        /// It is being handed over; whoever did so may have died meanwhile.
        Sent = "sent",
        /// The mail server took it.
        Confirmed = "confirmed",
        /// It was tried for too long, or nobody needs it any more.
        Failed = "failed",
        /// The mail server refused it for good.
        Bounced = "bounced",
    }
}

/// How long a mail that was written is tried: then what it tells is old.
pub const MAIL_TRIED_FOR: Duration = Duration::from_hours(24);
/// How long its row is kept. Source: 07-data-model §11.
pub const MAIL_KEPT_FOR: Duration = Duration::from_hours(7 * 24);
/// Longest time that the mail server may take for one mail.
pub const MAIL_TIMEOUT_MAX: Duration = Duration::from_mins(2);
/// After how long a mail that is being handed over counts as left by whoever did so.
pub const MAIL_LEASE: Duration = Duration::from_mins(5);
/// Pauses after the first tries that failed; the last one repeats. Source: 11-reliability-security §3.6.
const PAUSES_MIN: [u64; 4] = [1, 5, 30, 120];

/// When a mail whose try number `tries` failed at `now` is tried again; none where that is too late for one that was
/// written at `written_at`.
pub fn next_mail_try(tries: u32, written_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let at = (tries.max(1) as usize - 1).min(PAUSES_MIN.len() - 1);
    let next = now + Duration::from_mins(PAUSES_MIN[at]);
    (next < written_at + MAIL_TRIED_FOR).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

    #[test]
    fn a_mail_is_tried_less_and_less_often_for_a_day() {
        let (mut now, mut pauses) = (START, Vec::new());
        for tries in 1..100 {
            let Some(next) = next_mail_try(tries, START, now) else {
                break;
            };
            pauses.push(next.since(now).as_secs() / 60);
            now = next;
        }
        assert_eq!(pauses[..5], [1, 5, 30, 120, 120]);
        assert!(now < START + MAIL_TRIED_FOR && pauses.len() < 20);
        assert_eq!(next_mail_try(1, START, START + MAIL_TRIED_FOR), None);
    }

    #[test]
    fn nobody_takes_a_mail_over_that_may_still_be_handed_over() {
        assert!(MAIL_LEASE > MAIL_TIMEOUT_MAX);
    }
}
