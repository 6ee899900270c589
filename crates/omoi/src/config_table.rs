//! The one table of everything that can be configured: each crate's sections, in the order of the reference page.

use omoi_accounts::mail_options::{ACCOUNTS_KEYS, MAIL_KEYS};
use omoi_accounts::options::{AUTH_KEYS, COSTS_KEYS};
use omoi_accounts::provider_options::OAUTH_KEYS;
use omoi_egress::options::EGRESS_KEYS;
use omoi_execution::options::{agent, approval, discovery, monitoring, queue};
use omoi_llm::options::{ANTHROPIC_KEYS, LLM_KEYS, MODELS_KEYS, OPENAI_KEYS};
use omoi_planning::options::{SPEC_KEYS, VALIDATION_KEYS};
use omoi_programs::options::AGENTS_KEYS;
use omoi_runtime::config::KeyTable;
use omoi_runtime::options::{DATA_KEYS, LOG_KEYS, REDIS_KEYS};
use omoi_sandbox::options::SANDBOX_KEYS;
use omoi_server::options::SERVER_KEYS;
use omoi_store::options::DATABASE_KEYS;

/// The keys of this program and the rules between them.
pub(crate) static CONFIG_TABLE: KeyTable = KeyTable {
    sections: &[
        DATA_KEYS,
        LOG_KEYS,
        DATABASE_KEYS,
        REDIS_KEYS,
        SERVER_KEYS,
        AUTH_KEYS,
        ACCOUNTS_KEYS,
        MAIL_KEYS,
        OAUTH_KEYS,
        COSTS_KEYS,
        LLM_KEYS,
        MODELS_KEYS,
        ANTHROPIC_KEYS,
        OPENAI_KEYS,
        queue::QUEUE_KEYS,
        queue::SLOT_KEYS,
        SPEC_KEYS,
        agent::AGENT_KEYS,
        AGENTS_KEYS,
        VALIDATION_KEYS,
        SANDBOX_KEYS,
        EGRESS_KEYS,
        discovery::DISCOVERY_KEYS,
        approval::APPROVAL_KEYS,
        monitoring::MONITORING_KEYS,
    ],
    rules: &[queue::check_score_weights],
};

#[cfg(test)]
mod tests;
