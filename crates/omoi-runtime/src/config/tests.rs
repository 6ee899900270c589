#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]
mod mistakes;
mod repository;
mod sample_keys;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use omoi_domain::config::{Config, ConfigLayer, DeploymentEnvironment};

use self::sample_keys as keys;
use self::sample_keys::TABLE;
use super::*;
use crate::telemetry::error_chain;

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
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
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
        let mut sources = ConfigSources::from_variables(variables.collect());
        for (key, value) in &self.flags {
            sources = sources.with_flag(key, value);
        }
        let own = load_config(&TABLE, &sources)?;
        match fs::read_to_string(self.path(PROJECT)) {
            Ok(text) => load_repository_file(&own, Some(&self.path("home")), &text),
            Err(_) => Ok(own),
        }
    }

    /// The refusal with every cause, the temporary folder left out.
    fn refused(&self) -> String {
        let text = error_chain(&self.load().unwrap_err());
        text.replace(self.folder.path().to_str().unwrap(), "")
    }
}

const USER: &str = "home/.config/omoios/config.yaml";
const PROJECT: &str = "repo/.omoi.yaml";

/// Writes `llm.model` in layer `layer`, and says where that is.
fn write_model(world: World, layer: ConfigLayer) -> (World, &'static str) {
    let name = layer.as_str().replace(' ', "_");
    let yaml = format!("# first\nllm:\n  model: {name}\n");
    let env = format!("# first\nLLM_MODEL={name}\n");
    match layer {
        ConfigLayer::Default => (world, "default"),
        ConfigLayer::Base => (
            world.file("root/config/base.yaml", &yaml),
            "/root/config/base.yaml:3",
        ),
        ConfigLayer::User => (
            world.file(USER, &yaml),
            "/home/.config/omoios/config.yaml:3",
        ),
        ConfigLayer::Repository => unreachable!("a repository chooses no model"),
        ConfigLayer::Environment => (
            world.file("root/config/local.yaml", &yaml),
            "/root/config/local.yaml:3",
        ),
        ConfigLayer::SecretFile => (
            world.file("secrets/LLM_MODEL", &format!("{name}\n")),
            "/secrets/LLM_MODEL",
        ),
        ConfigLayer::DotEnv => (world.file("root/.env", &env), "/root/.env:2"),
        ConfigLayer::DotEnvLocal => (world.file("root/.env.local", &env), "/root/.env.local:2"),
        ConfigLayer::Process => (
            world.variable("LLM_MODEL", &name),
            "environment variable LLM_MODEL",
        ),
        ConfigLayer::Flag => (world.flag("llm.model", &name), "command line"),
    }
}

#[test]
fn a_secret_file_that_others_can_read_is_not_used() {
    let world = World::new().file("secrets/LLM_API_KEY", "key\n");
    let path = world.path("secrets/LLM_API_KEY");
    for (mode, expected) in [
        (0o400, true),
        (0o640, false),
        (0o644, false),
        (0o602, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = world.load();
        assert_eq!(loaded.is_ok(), expected, "{mode:o}");
        if let Err(error) = loaded {
            let says = format!("(mode {mode:04o}); run: chmod 600 {}", path.display());
            assert!(error.to_string().ends_with(&says), "{error}");
        }
    }
}

const LAYERS: [ConfigLayer; 9] = [
    ConfigLayer::Default,
    ConfigLayer::Base,
    ConfigLayer::User,
    ConfigLayer::Environment,
    ConfigLayer::SecretFile,
    ConfigLayer::DotEnv,
    ConfigLayer::DotEnvLocal,
    ConfigLayer::Process,
    ConfigLayer::Flag,
];

fn assert_model_from(world: &World, layer: ConfigLayer, place: &str) {
    let config = world.load().unwrap();
    let expected = (layer != ConfigLayer::Default).then(|| layer.as_str().replace(' ', "_"));
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
fn environments_pick_their_file() {
    for environment in DeploymentEnvironment::ALL {
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
    assert_eq!(
        world.load().unwrap().environment(),
        DeploymentEnvironment::Staging
    );
    let world = World::new().variable(OMOIOS_ENV, "prod");
    assert_eq!(
        world.refused(),
        "environment variable OMOIOS_ENV: no environment is called `prod`; \
         use local, staging, production or test"
    );
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
                .find(|e| e.origin.layer == ConfigLayer::Process);
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
