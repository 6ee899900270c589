//! Keys: what acts for a person, an organisation or an agent without signing in.

/// Keys that one person, or one organisation, may have at once.
pub const KEYS_ACTIVE_MAX: usize = 50;
/// Longest life of a key that has an end, in days.
pub const KEY_DAYS_MAX: u32 = 365;
/// Longest life of an agent's key, in days.
pub const AGENT_KEY_DAYS_MAX: u32 = 90;

crate::closed_set! {
    /// Whose acts a key's are.
    ApiKeyKind {
        /// Its user's; it goes with them.
        Person = "person",
        /// Its organisation's; it stays when whoever made it leaves.
        Organization = "organization",
        /// An agent's at one project.
        Agent = "agent",
    }
}

crate::closed_set! {
    /// Why a key opens nothing any more.
    KeyDenial {
        /// Somebody revoked it.
        Revoked = "revoked",
        /// Its time is over.
        Expired = "expired",
        /// Its owner may not sign in, or belongs to the organisation no more.
        Owner = "owner",
    }
}

/// How many days a key of `kind` lives that was asked for `days`; `None` for more than it may, or none at all.
/// An agent's key always has an end.
pub fn key_days(kind: ApiKeyKind, days: Option<u32>) -> Option<Option<u32>> {
    let most = match kind {
        ApiKeyKind::Person | ApiKeyKind::Organization => KEY_DAYS_MAX,
        ApiKeyKind::Agent => AGENT_KEY_DAYS_MAX,
    };
    match (days, kind) {
        (None, ApiKeyKind::Agent) => Some(Some(most)),
        (None, _) => Some(None),
        (Some(days), _) => (1..=most).contains(&days).then_some(Some(days)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_as_long_as_its_kind_may() {
        for (kind, days, want) in [
            (ApiKeyKind::Person, None, Some(None)),
            (ApiKeyKind::Person, Some(365), Some(Some(365))),
            (ApiKeyKind::Organization, Some(366), None),
            (ApiKeyKind::Person, Some(0), None),
            (ApiKeyKind::Agent, None, Some(Some(90))),
            (ApiKeyKind::Agent, Some(91), None),
        ] {
            assert_eq!(key_days(kind, days), want, "{kind} {days:?}");
        }
    }
}
