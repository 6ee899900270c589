//! Faults that tests plant in a mechanism, to see that the proof of what it holds turns red without it.
//!
//! Only builds with the feature `planted-bugs` can have one; in all others the question has a constant answer.

crate::closed_set! {
    /// A mechanism that is switched off, called after what it protects.
    PlantedBug {
        /// Git is called without the settings that outrank a repository's own.
        GitSettings = "git_settings",
        /// Known secrets are not taken out of texts.
        SecretMask = "secret_mask",
        /// Text of others stands in prompts as it is.
        Quotation = "quotation",
        /// Every address counts as one of the internet.
        PublicAddress = "public_address",
        /// A parser keeps all that it finds.
        ParserLimit = "parser_limit",
        /// A caller of one organisation reaches the rows of all.
        ObjectScope = "object_scope",
        /// A role has every permission.
        RoleCheck = "role_check",
        /// An access token is good for ever.
        TokenTime = "token_time",
        /// Tries of strangers are not counted.
        TryLimit = "try_limit",
        /// A server answers under every name, and to pages of everybody.
        SiteNames = "site_names",
        /// Strangers read what there is to call.
        DescriptionDoor = "description_door",
        /// An address that a provider does not vouch for is its account's.
        ProviderAddress = "provider_address",
        /// An address holds as many connections as it opens.
        ConnectionLimit = "connection_limit",
        /// Whoever sees a row sees what it cost.
        CostSight = "cost_sight",
        /// A request that comes again with its key is a new one.
        RequestKey = "request_key",
        /// Any digest goes with a row of the audit log.
        AuditChain = "audit_chain",
    }
}

/// Whether the mechanism is to be left out: never, but in tests that planted the bug.
#[cfg(not(feature = "planted-bugs"))]
pub const fn is_planted(_: PlantedBug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use with_bugs::{PlantedUntilDrop, is_planted, plant_bug, plant_named};

#[cfg(feature = "planted-bugs")]
mod with_bugs {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::PlantedBug;

    /// The bug of this process by its place in [`PlantedBug::ALL`], counted from one.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    fn number_of(bug: PlantedBug) -> u8 {
        bug as u8 + 1
    }

    /// Whether the mechanism is to be left out.
    pub fn is_planted(bug: PlantedBug) -> bool {
        PLANTED.load(Ordering::Relaxed) == number_of(bug)
    }

    /// A bug that goes with this value.
    #[derive(Debug)]
    pub struct PlantedUntilDrop(());

    impl Drop for PlantedUntilDrop {
        fn drop(&mut self) {
            PLANTED.store(0, Ordering::Relaxed);
        }
    }

    /// Plants `bug` in this process, in place of another one.
    #[must_use = "the bug goes with the value"]
    pub fn plant_bug(bug: PlantedBug) -> PlantedUntilDrop {
        PLANTED.store(number_of(bug), Ordering::Relaxed);
        PlantedUntilDrop(())
    }

    /// Plants the bug called `name` for as long as the process lives; false where there is none of that name.
    pub fn plant_named(name: &str) -> bool {
        let bug = PlantedBug::parse(name);
        if let Some(bug) = bug {
            PLANTED.store(number_of(bug), Ordering::Relaxed);
        }
        bug.is_some()
    }
}
