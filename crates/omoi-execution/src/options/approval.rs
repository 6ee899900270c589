//! The section `approval`: what people are asked before it is worked on.

use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;

config_keys! {
    /// Keys of what waits for a person's yes.
    APPROVAL_KEYS of APPROVAL = "approval", "APPROVAL_";

    /// Whether tickets that programs write wait for a person's yes.
    APPROVAL_TICKET_HUMAN_REVIEW: bool =
        ConfigKey::new(&APPROVAL, "ticket_human_review", ValueKind::Bool, "false")
            .closed_to_repository();
    /// How long people may take to decide; after that nothing comes of what was asked.
    APPROVAL_TIMEOUT: Duration =
        ConfigKey::new(&APPROVAL, "timeout_seconds", ValueKind::Seconds { min: 60, max: 86_400 }, "1800")
            .closed_to_repository();
}

/// How long people may take to decide about a ticket that a program writes; none where nobody is asked.
pub fn ticket_review(config: &Config) -> Option<Duration> {
    let is_asked = config.get(&APPROVAL_TICKET_HUMAN_REVIEW);
    is_asked.then(|| config.get(&APPROVAL_TIMEOUT))
}
