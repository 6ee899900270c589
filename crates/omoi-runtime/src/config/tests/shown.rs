//! The configuration as it is shown: for people, as JSON and as the reference page.

use secrecy::ExposeSecret as _;

use super::*;

#[test]
fn nothing_shown_holds_a_secret() {
    let mut world = World::new()
        .variable("DATABASE_URL", "postgres://ada:hunter2@host/db")
        .variable("REDIS_URL", "rediss://:hunter2@host")
        .variable("LLM_BASE_URL", "https://u:hunter2@host/v1?api_key=hunter2");
    let mut secrets = 0;
    for spec in TABLE
        .key_specs()
        .filter(|spec| matches!(spec.kind, ValueKind::Secret))
    {
        world = world.variable(&spec.env_names()[0], "hunter2");
        secrets += 1;
    }
    assert!(secrets >= 4);
    let config = world.load().unwrap();
    let key = config.get(&keys::ANTHROPIC_AUTH_TOKEN).unwrap();
    assert_eq!(key.expose_secret(), "hunter2");
    assert_eq!(
        config.get(&keys::DATABASE_URL),
        "postgres://ada:hunter2@host/db"
    );

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
    assert_eq!(shown.len(), TABLE.key_specs().count());
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
    let written = include_str!("../../../../../docs/configuration.md");
    assert!(
        written == config_page(&TABLE),
        "write it again: cargo run -p omoi -- config reference > docs/configuration.md"
    );
}

#[test]
fn the_reference_lists_every_key() {
    let page = key_reference(&TABLE);
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, TABLE.key_specs().count());
    assert!(page.contains(
        "| `port` | `8000` | 0 to 65535 | `SERVER_PORT`, `OMOI_SERVER_PORT` \
         | The port to listen at; 0 takes a free one. Not in the file of a repository. |"
    ));
}
