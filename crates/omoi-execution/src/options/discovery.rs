//! The section `discovery`: how much work agents may find on their way.

use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_domain::discovery::DiscoveryCaps;

config_keys! {
    /// Keys of the work that agents find.
    DISCOVERY_KEYS of DISCOVERY = "discovery", "DISCOVERY_";

    /// How many discoveries may lead to one another.
    DISCOVERY_DEPTH_CAP: u32 =
        ConfigKey::new(&DISCOVERY, "depth_cap", ValueKind::int_range(0, 100), "3")
            .lowered_by_repository();
    /// Discoveries of one task.
    DISCOVERY_PER_TASK_CAP: u32 =
        ConfigKey::new(&DISCOVERY, "per_task_cap", ValueKind::int_range(0, 1_000), "5")
            .lowered_by_repository();
    /// Discoveries of one spec.
    DISCOVERY_PER_SPEC_CAP: u32 =
        ConfigKey::new(&DISCOVERY, "per_spec_cap", ValueKind::int_range(0, 10_000), "20")
            .lowered_by_repository();
}

/// How much work discoveries may add, where the spec's repository asks for no less.
pub fn discovery_caps(config: &Config) -> DiscoveryCaps {
    DiscoveryCaps {
        depth: config.get(&DISCOVERY_DEPTH_CAP),
        per_task: config.get(&DISCOVERY_PER_TASK_CAP),
        per_spec: config.get(&DISCOVERY_PER_SPEC_CAP),
    }
}
