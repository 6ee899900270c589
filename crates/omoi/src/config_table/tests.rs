//! The whole table: its defaults, its page, and what a repository may say of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use omoi_domain::config::{Config, ConfigLayer, KeySpec, RepositoryRule, ValueKind};
use omoi_domain::repository_settings::{RepositorySandboxLimits, RepositorySettings};
use omoi_domain::score::ScoreWeights;
use omoi_execution::options::QueueOptions;
use omoi_llm::options::{ANTHROPIC_AUTH_TOKEN, LlmOptions};
use omoi_llm::retry::RETRY_TIME;
use omoi_planning::options::read_repository_settings;
use omoi_runtime::config::{ConfigSources, LoadError, config_page, key_reference, load_config};
use omoi_runtime::options::RedisOptions;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::SandboxLimits;
use omoi_sandbox::options::SandboxOptions;
use omoi_store::options::DATABASE_URL;
use omoi_store::{DatabaseOptions, ServerOptions};

use super::CONFIG_TABLE;

mod agents;
mod providers;
mod typed;

const HOME: &str = "/home/ada";

/// What a process makes of these variables.
fn load(variables: &[(&str, &str)]) -> Result<Config, LoadError> {
    let variables = [("HOME", HOME)].iter().chain(variables);
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    load_config(
        &CONFIG_TABLE,
        &ConfigSources::from_variables(variables.collect()),
    )
}

#[test]
fn every_default_is_as_documented() {
    let config = load(&[]).unwrap();
    let shown: Vec<_> = config
        .entries()
        .iter()
        .map(|entry| {
            assert_eq!(entry.origin.layer, ConfigLayer::Default);
            format!("{}={}", entry.spec.dotted_path(), entry.value).replace(HOME, "~")
        })
        .collect();
    let expected = include_str!("defaults.txt");
    assert_eq!(shown.join("\n"), expected.trim_end());

    // What the code takes where no configuration is read.
    let database = DatabaseOptions::from_config(&config);
    assert_eq!(database.server, ServerOptions::default());
    let sandboxes = SandboxOptions::from_config(&config);
    assert_eq!(sandboxes.limits, SandboxLimits::default());
    assert_eq!(
        QueueOptions::from_config(&config).weights,
        ScoreWeights::default()
    );
    let llm = LlmOptions::from_config(&config);
    assert!(!llm.is_simulated());
    assert_eq!((llm.answer_times, llm.retry_time), (Vec::new(), RETRY_TIME));
    assert!(RedisOptions::from_config(&config).is_none());
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeMap::new();
    for spec in CONFIG_TABLE.key_specs() {
        let path = spec.dotted_path();
        assert!(
            spec.doc.ends_with('.') && !spec.doc.contains('\n'),
            "{path}: {:?}",
            spec.doc
        );
        let lower = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(spec.name.chars().all(lower), "{path}");
        let [usual, alias] = spec.env_names();
        let mut own = vec![usual, alias];
        own.dedup();
        for name in own {
            let twice = names.insert(name.clone(), path.clone());
            assert_eq!(twice, None, "{name} names two keys");
        }
    }
}

#[test]
fn the_weights_of_the_queue_sum_to_one() {
    let refused = load(&[("TQ_W_P", "0.5")]).unwrap_err();
    assert_eq!(
        error_chain(&refused),
        "the task queue's weights must sum to 1, but they sum to 1.05: \
         task_queue.w_p=0.5 (environment variable TQ_W_P), task_queue.w_a=0.2 (default), \
         task_queue.w_d=0.15 (default), task_queue.w_b=0.15 (default), task_queue.w_r=0.05 (default)"
    );
    load(&[("TQ_W_P", "0.4499995"), ("TQ_W_A", "0.2")]).unwrap();
}

#[test]
fn a_repository_cannot_move_walls_or_credentials() {
    let own = load(&[]).unwrap();
    let is_closed = |spec: &KeySpec| spec.repository == RepositoryRule::Closed;
    let open: Vec<_> = CONFIG_TABLE
        .key_specs()
        .filter(|spec| !is_closed(spec))
        .collect();
    for spec in CONFIG_TABLE.key_specs() {
        let text = format!("{}:\n  {}: ''\n", spec.section.name, spec.name);
        let told = read_repository_settings(&own, None, &text);
        let closed = matches!(told, Err(LoadError::ClosedToRepository { .. }));
        let list = matches!(spec.kind, ValueKind::List(_));
        assert_eq!(closed, is_closed(spec) && !list, "{}", spec.dotted_path());
    }
    for name in ["base_url", "provider", "floor", "url", "dir", "host"] {
        assert!(
            open.iter().all(|spec| spec.name != name),
            "{name} must be closed"
        );
    }
}

#[test]
fn a_spec_keeps_each_key_that_a_repository_may_set() {
    let own = load(&[]).unwrap();
    for spec in CONFIG_TABLE.key_specs() {
        if spec.repository == RepositoryRule::Closed {
            continue;
        }
        let value = match spec.kind {
            ValueKind::List(_) => "['/opt/kept']".to_owned(),
            ValueKind::Int { min, .. } => min.max(1).to_string(),
            ValueKind::Bytes { min, .. } => min.to_string(),
            _ => "1".to_owned(),
        };
        let text = format!("{}: {{{}: {value}}}\n", spec.section.name, spec.name);
        let kept = read_repository_settings(&own, None, &text).unwrap();
        let nothing = RepositorySettings {
            file_digest: kept.file_digest.clone(),
            ..RepositorySettings::default()
        };
        assert_ne!(kept, nothing, "{} is read and not kept", spec.dotted_path());
    }
}

#[test]
fn a_repository_lowers_what_its_sandboxes_may_use_and_raises_nothing() {
    let own = load(&[]).unwrap();
    let told = |value: &str| {
        let text = format!("sandbox: {{{value}}}\n");
        read_repository_settings(&own, None, &text)
    };
    let lowered = told(
        "memory_bytes: 128 MiB, processes: 9, cpus: 0.5, file_bytes: 2 MiB, open_files: 65, temp_bytes: 3 MiB, \
         workspace_bytes: 4 MiB, setup_seconds: 7",
    );
    let expected = RepositorySandboxLimits {
        memory_bytes: Some(128 << 20),
        processes_max: Some(9),
        cpu_millicores: Some(500),
        file_bytes_max: Some(2 << 20),
        open_files_max: Some(65),
        temp_bytes: Some(3 << 20),
        workspace_bytes: Some(4 << 20),
        setup_seconds: Some(7),
    };
    assert_eq!(lowered.unwrap().sandbox, expected);
    for raised in [
        "memory_bytes: 5 GiB",
        "processes: 513",
        "cpus: 2.5",
        "file_bytes: 3 GiB",
        "open_files: 4097",
        "temp_bytes: 2 GiB",
        "workspace_bytes: 11 GiB",
        "setup_seconds: 901",
    ] {
        let refused = told(raised);
        assert!(
            matches!(refused, Err(LoadError::RaisedByRepository { .. })),
            "{raised}: {refused:?}"
        );
    }
}

#[test]
fn a_repository_raises_no_limit() {
    for spec in CONFIG_TABLE.key_specs() {
        let is_budget = spec.name.contains("budget") || spec.name.contains("max_");
        let is_limit = is_budget || spec.name.ends_with("_cap");
        assert!(
            !is_limit
                || matches!(
                    spec.repository,
                    RepositoryRule::Lower | RepositoryRule::Closed
                ),
            "{}",
            spec.dotted_path()
        );
    }
}

#[test]
fn nothing_shown_holds_a_secret() {
    let addresses = [
        ("DATABASE_URL", "postgres://ada:hunter2@host/db"),
        ("REDIS_URL", "rediss://:hunter2@host"),
        ("LLM_BASE_URL", "https://u:hunter2@host/v1?api_key=hunter2"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut variables = addresses.map(owned).to_vec();
    for spec in CONFIG_TABLE
        .key_specs()
        .filter(|spec| matches!(spec.kind, ValueKind::Secret))
    {
        let [variable, _] = spec.env_names();
        variables.push((variable, "hunter2".to_owned()));
    }
    assert!(variables.len() >= addresses.len() + 4);
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let config = load(&variables).unwrap();
    let key = config.get(&ANTHROPIC_AUTH_TOKEN).unwrap();
    assert_eq!(key.expose_secret(), "hunter2");
    assert_eq!(config.get(&DATABASE_URL), "postgres://ada:hunter2@host/db");

    let (text, json) = (config.to_string(), config.to_json().to_string());
    for shown in [
        &text,
        &json,
        &format!("{config:?}"),
        &format!("{:?}", config.entries()),
    ] {
        let leak = shown
            .find("hunter2")
            .map(|at| &shown[at.saturating_sub(80)..at]);
        assert_eq!(leak, None);
    }
    let line = text
        .lines()
        .find(|line| line.starts_with("llm.api_key"))
        .unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "llm.api_key",
            "****",
            "environment",
            "variable",
            "LLM_API_KEY"
        ]
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let shown = json["keys"].as_array().unwrap();
    assert_eq!(shown.len(), CONFIG_TABLE.key_specs().count());
    let port = shown
        .iter()
        .find(|key| key["key"] == "server.port")
        .unwrap();
    let expected = serde_json::json!({
        "key": "server.port", "value": 8000, "layer": "default", "origin": "default",
    });
    assert_eq!(port, &expected);
}

#[test]
fn the_documentation_is_current() {
    let written = include_str!("../../../../docs/configuration.md");
    assert!(
        written == config_page(&CONFIG_TABLE),
        "write it again: cargo run -p omoi -- config reference > docs/configuration.md"
    );
}

#[test]
fn the_reference_lists_every_key() {
    let page = key_reference(&CONFIG_TABLE);
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, CONFIG_TABLE.key_specs().count());
    assert!(page.contains(
        "| `port` | `8000` | 0 to 65535 | `SERVER_PORT`, `OMOI_SERVER_PORT` \
         | The port to listen at; 0 takes a free one. Not in the file of a repository. |"
    ));
}
