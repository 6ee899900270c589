#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]
mod repository;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::keys::{self, TABLE};
use super::load::load_over;
use super::*;
use crate::telemetry::chain;

/// A deployment, a person and a repository in one temporary folder.
struct World {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    flags: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root/config", "secrets", "home/.config/omoios", "repo"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let variables = [
            ("HOME", path("home")),
            (OMOI_ROOT, path("root")),
            (OMOI_SECRETS_DIR, path("secrets")),
        ];
        Self {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            folder,
            flags: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Config, LoadError> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let mut sources = Sources::from_variables(variables.collect());
        for (key, value) in &self.flags {
            sources = sources.with_flag(key, value);
        }
        let own = load(&TABLE, &sources)?;
        match fs::read_to_string(self.path(PROJECT)) {
            Ok(text) => load_over(&TABLE, &own, self.path("home").to_str(), &text),
            Err(_) => Ok(own),
        }
    }

    /// The refusal with every cause, the temporary folder left out.
    fn refused(&self) -> String {
        let text = chain(&self.load().unwrap_err());
        text.replace(self.folder.path().to_str().unwrap(), "")
    }
}

const USER: &str = "home/.config/omoios/config.yaml";
const PROJECT: &str = "repo/.omoi.yaml";

/// Writes `llm.model` in layer `layer`, and says where that is.
fn write_model(world: World, layer: Layer) -> (World, &'static str) {
    let name = layer.as_str().replace(' ', "_");
    let yaml = format!("# first\nllm:\n  model: {name}\n");
    let env = format!("# first\nLLM_MODEL={name}\n");
    match layer {
        Layer::Default => (world, "default"),
        Layer::Base => (
            world.file("root/config/base.yaml", &yaml),
            "/root/config/base.yaml:3",
        ),
        Layer::User => (
            world.file(USER, &yaml),
            "/home/.config/omoios/config.yaml:3",
        ),
        Layer::Project => unreachable!("a repository chooses no model"),
        Layer::Environment => (
            world.file("root/config/local.yaml", &yaml),
            "/root/config/local.yaml:3",
        ),
        Layer::SecretFile => (
            world.file("secrets/LLM_MODEL", &format!("{name}\n")),
            "/secrets/LLM_MODEL",
        ),
        Layer::DotEnv => (world.file("root/.env", &env), "/root/.env:2"),
        Layer::DotEnvLocal => (world.file("root/.env.local", &env), "/root/.env.local:2"),
        Layer::Process => (
            world.variable("LLM_MODEL", &name),
            "environment variable LLM_MODEL",
        ),
        Layer::Flag => (world.flag("llm.model", &name), "command line"),
    }
}

const LAYERS: [Layer; 9] = [
    Layer::Default,
    Layer::Base,
    Layer::User,
    Layer::Environment,
    Layer::SecretFile,
    Layer::DotEnv,
    Layer::DotEnvLocal,
    Layer::Process,
    Layer::Flag,
];

fn assert_model_from(world: &World, layer: Layer, place: &str) {
    let config = world.load().unwrap();
    let expected = (layer != Layer::Default).then(|| layer.as_str().replace(' ', "_"));
    assert_eq!(config.get(&keys::LLM_MODEL), expected);
    let origin = &config.entry(&keys::LLM_MODEL.spec).unwrap().origin;
    assert_eq!(origin.layer, layer);
    let shown = origin.to_string();
    assert_eq!(
        shown.replace(world.folder.path().to_str().unwrap(), ""),
        place
    );
}

#[test]
fn each_layer_wins_over_all_below() {
    let mut world = World::new();
    for layer in LAYERS {
        let place;
        (world, place) = write_model(world, layer);
        assert_model_from(&world, layer, place);
    }
}

#[test]
fn each_layer_wins_over_its_neighbour_alone() {
    for pair in LAYERS.windows(2) {
        let (world, _) = write_model(World::new(), pair[0]);
        let (world, place) = write_model(world, pair[1]);
        assert_model_from(&world, pair[1], place);
    }
}

#[test]
fn every_default_is_as_documented() {
    let world = World::new();
    let config = world.load().unwrap();
    let home = world.path("home").to_str().unwrap().to_owned();
    let shown: Vec<_> = config
        .entries()
        .iter()
        .map(|entry| {
            assert_eq!(entry.origin.layer, Layer::Default);
            format!("{}={}", entry.spec.path(), entry.value).replace(&home, "~")
        })
        .collect();
    let expected = include_str!("defaults.txt");
    assert_eq!(shown.join("\n"), expected.trim_end());

    assert_eq!(config.get(&keys::SANDBOX_MEMORY), 4 << 30);
    let poll = config.get(&keys::MONITORING_POLL_INTERVAL);
    assert_eq!(poll, Duration::from_secs(1));
    assert_eq!(config.get(&keys::LLM_MODE), keys::ModelMode::Live);
    assert_eq!(config.get(&keys::REDIS_URL), None);
    assert!(config.get(&keys::ANTHROPIC_API_KEY).is_none());
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeMap::new();
    for spec in TABLE.keys {
        let path = spec.path();
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
fn environments_pick_their_file() {
    for environment in Environment::ALL {
        let name = environment.as_str();
        let file = format!("root/config/{name}.yaml");
        let world = World::new()
            .file(&file, "server: {port: 1234}\n")
            .file("root/.env", "OMOIOS_ENV=staging\n")
            .variable(OMOIOS_ENV, name);
        let config = world.load().unwrap();
        assert_eq!(config.environment(), environment);
        assert_eq!(config.get(&keys::SERVER_PORT), 1234);
    }
    let world = World::new().file("root/.env", "OMOIOS_ENV=staging\n");
    assert_eq!(world.load().unwrap().environment(), Environment::Staging);
    let world = World::new().variable(OMOIOS_ENV, "prod");
    assert_eq!(
        world.refused(),
        "environment variable OMOIOS_ENV: no environment is called `prod`; \
         use local, staging, production or test"
    );
}

#[test]
fn mistakes_in_files_are_told_with_their_place() {
    for (text, expected) in [
        (
            "llm:\n  modle: x\n",
            "/root/config/base.yaml:2: unknown key `llm.modle`; did you mean `llm.model`?",
        ),
        (
            "llm:\n  max_turns: 3\n",
            "/root/config/base.yaml:2: unknown key `llm.max_turns`; did you mean `spec.max_turns`?",
        ),
        (
            "llm:\n  zzz: {a: [1]}\n",
            "/root/config/base.yaml:2: unknown key `llm.zzz`",
        ),
        (
            "\n\nlml: {}\n",
            "/root/config/base.yaml:3: unknown section `lml`; did you mean `llm`?",
        ),
        (
            "server:\n  port: 70000\n",
            "/root/config/base.yaml:2: `70000` cannot be the value of `server.port`: it must be between 0 and 65535",
        ),
        (
            "llm:\n  mode: dry\n",
            "/root/config/base.yaml:2: `dry` cannot be the value of `llm.mode`: `dry` must be one of: live, simulated",
        ),
        (
            "llm:\n  api_key: sk-hunter2\n",
            "/root/config/base.yaml:2: `llm.api_key` is a secret; set LLM_API_KEY in the environment or use a secret file",
        ),
        (
            "database:\n  url: postgres://a:hunter2@h/d\n",
            "/root/config/base.yaml:2: `database.url` is a secret; set DATABASE_URL in the environment or use a secret file",
        ),
    ] {
        let world = World::new().file("root/config/base.yaml", text);
        assert_eq!(world.refused(), expected, "{text}");
    }
    for (text, line) in [
        ("llm: [1, 2]\n", 1),
        ("llm:\n  model: [a]\n", 2),
        ("\nsandbox:\n  read_only: /opt\n", 3),
        ("llm:\n  model: a\n  model: b\n", 3),
        ("llm:\n  model: 'a\n", 3),
        ("- a\n", 1),
    ] {
        let world = World::new().file("root/config/base.yaml", text);
        let start = format!("`/root/config/base.yaml` line {line} is not valid: ");
        let told = world.refused();
        assert!(told.starts_with(&start), "{text:?}: {told}");
    }
}

#[test]
fn yaml_keeps_spellings_and_skips_nulls() {
    let world = World::new().file(
        "root/config/base.yaml",
        "llm:\n  model: 1.20\n  api_key:\nanthropic: ~\nsandbox:\n  read_only: [/opt/a, ~/b]\n  memory_bytes: 1 GiB\nserver: {port: 0}\n",
    );
    let config = world.load().unwrap();
    assert_eq!(config.get(&keys::LLM_MODEL).as_deref(), Some("1.20"));
    assert!(config.get(&keys::LLM_API_KEY).is_none());
    assert_eq!(
        config.get(&keys::SANDBOX_READ_ONLY),
        [PathBuf::from("/opt/a"), world.path("home/b")]
    );
    assert_eq!(config.get(&keys::SANDBOX_MEMORY), 1 << 30);
    assert_eq!(config.get(&keys::SERVER_PORT), 0);
    for empty in ["", "# nothing\n", "---\n"] {
        World::new()
            .file("root/config/base.yaml", empty)
            .load()
            .unwrap();
    }
}

#[test]
fn both_names_work_and_must_agree() {
    for (name, alias) in [
        ("MAX_CONCURRENT_AGENTS", "OMOI_LIMITS_MAX_CONCURRENT_AGENTS"),
        ("TQ_BLOCKER_CEILING", "OMOI_TASK_QUEUE_BLOCKER_CEILING"),
    ] {
        for used in [name, alias] {
            let config = World::new().variable(used, "7").load().unwrap();
            let found = config
                .entries()
                .iter()
                .find(|e| e.origin.layer == Layer::Process);
            assert_eq!(found.unwrap().value.to_string(), "7");
        }
        World::new()
            .variable(name, "7")
            .variable(alias, "7")
            .load()
            .unwrap();
        let world = World::new().variable(name, "7").variable(alias, "8");
        let told = world.refused();
        let expected = format!(
            "is set by environment variable {name} and, differently, by environment variable {alias}; remove one"
        );
        assert!(told.ends_with(&expected), "{told}");
    }
    // In different layers they do not meet: the higher layer wins.
    let world = World::new()
        .file("root/.env", "OMOI_LLM_MODEL=low\n")
        .variable("LLM_MODEL", "high");
    let model = world.load().unwrap().get(&keys::LLM_MODEL);
    assert_eq!(model.as_deref(), Some("high"));
}

#[test]
fn mistakes_outside_yaml_are_told() {
    for (world, expected) in [
        (
            World::new().variable("TQ_W_A", "1.5"),
            "environment variable TQ_W_A: `1.5` cannot be the value of `task_queue.w_a`: it must be between 0 and 1",
        ),
        (
            World::new().file("root/.env", "\nSPEC_CFG_MAX_TURNS=many\n"),
            "/root/.env:2: `many` cannot be the value of `spec.max_turns`: it must be a whole number",
        ),
        (
            World::new().file("root/.env.local", "LLM_MODEL='x\n"),
            "`/root/.env.local` line 1: the closing quote is missing",
        ),
        (
            World::new().flag("lmm.model", "x"),
            "command line: unknown section `lmm`; did you mean `llm`?",
        ),
        (
            World::new().flag("llm.mdel", "x"),
            "command line: unknown key `llm.mdel`; did you mean `llm.model`?",
        ),
        (
            World::new().variable("REDIS_URL", "http://:hunter2@h"),
            "environment variable REDIS_URL: `http://:****@h` cannot be the value of `redis.url`: `http` must be one of: redis, rediss, redis+unix",
        ),
        (
            World::new().variable("HOME", ""),
            "`data.dir` has no default here; set OMOI_DATA_DIR",
        ),
        (
            World::new().variable("TQ_W_P", "0.5"),
            "the task queue's weights must sum to 1, but they sum to 1.05: \
             task_queue.w_p=0.5 (environment variable TQ_W_P), task_queue.w_a=0.2 (default), \
             task_queue.w_d=0.15 (default), task_queue.w_b=0.15 (default), task_queue.w_r=0.05 (default)",
        ),
    ] {
        assert_eq!(world.refused(), expected);
    }
    let tuned = World::new()
        .variable("TQ_W_P", "0.4499995")
        .variable("TQ_W_A", "0.2");
    tuned.load().unwrap();
}

#[test]
fn unreadable_and_huge_files_are_refused() {
    let world = World::new().file(USER, &"#".repeat(1024 * 1024 + 1));
    assert_eq!(
        world.refused(),
        "`/home/.config/omoios/config.yaml` is larger than 1048576 bytes"
    );
    let world = World::new();
    fs::create_dir(world.path(USER)).unwrap();
    assert!(
        world
            .refused()
            .starts_with("could not read `/home/.config/omoios/config.yaml`: ")
    );
    let world = World::new();
    fs::write(world.path(USER), b"\xff").unwrap();
    assert!(world.refused().contains("invalid utf-8"));
}

#[test]
fn variables_that_nobody_reads_are_warned_of() {
    let world = World::new()
        .variable("OMOI_LLM_MODLE", "x")
        .variable("OMOI_SANDBOX_ZZZZZZZZZZZZZZZ", "x")
        .variable("OMOI_UNRELATED", "x")
        .variable("LLM_ZZZ", "x");
    assert_eq!(
        world.load().unwrap().warnings(),
        [
            "nobody reads OMOI_LLM_MODLE; did you mean OMOI_LLM_MODEL?",
            "nobody reads OMOI_SANDBOX_ZZZZZZZZZZZZZZZ"
        ]
    );
}

#[test]
fn nothing_shown_holds_a_secret() {
    let mut world = World::new()
        .variable("DATABASE_URL", "postgres://ada:hunter2@host/db")
        .variable("REDIS_URL", "rediss://:hunter2@host")
        .variable("LLM_BASE_URL", "https://u:hunter2@host/v1?api_key=hunter2");
    let mut secrets = 0;
    for spec in TABLE
        .keys
        .iter()
        .filter(|spec| matches!(spec.kind, Kind::Secret))
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
    assert_eq!(shown.len(), TABLE.keys.len());
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
        written == page(&TABLE),
        "write it again: cargo run -p omoi -- config reference > docs/configuration.md"
    );
}

#[test]
fn the_reference_lists_every_key() {
    let page = reference(&TABLE);
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, TABLE.keys.len());
    assert!(page.contains(
        "| `port` | `8000` | 0 to 65535 | `SERVER_PORT`, `OMOI_SERVER_PORT` \
         | The port to listen at; 0 takes a free one. Not in the file of a repository. |"
    ));
}
