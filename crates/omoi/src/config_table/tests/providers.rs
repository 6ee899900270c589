//! Providers and models as a person writes them: in YAML, with keys elsewhere.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use omoi_domain::model_route::RouteName;
use omoi_domain::reference::NamedProject;
use omoi_egress::options::{EgressOptions, RegistryRow};
use omoi_llm::options::{LlmOptions, MODELS_AGENT, credential_origin};
use omoi_llm::route::RouteTable;
use omoi_runtime::config::{ConfigSources, LoadError, load_config};
use secrecy::ExposeSecret as _;

use super::*;

const FILE: &str = "\
providers:
  - openrouter
  - name: rack
    preset: vllm
    address: http://rack:8000/v1
    key: RACK_API_KEY
models:
  agent: [openrouter/qwen/qwen3, rack/qwen3]
  title:
    - rack/small
";

/// What a process makes of this file of a person, these secret files and variables.
pub(super) fn load_file(
    text: &str,
    secrets: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<Config, LoadError> {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str, text: &str| {
        let path = home.path().join(".config/omoios").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .unwrap();
    };
    place("config.yaml", text);
    for (name, value) in secrets {
        place(&format!("secrets/{name}"), &format!("{value}\n"));
    }
    let home_text = home.path().to_str().unwrap();
    let variables = [("HOME", home_text)]
        .into_iter()
        .chain(variables.iter().copied());
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let sources = ConfigSources::from_variables(variables.collect());
    load_config(&CONFIG_TABLE, &sources)
}

#[test]
fn keys_of_listed_providers_come_from_secret_files_or_the_environment_and_are_masked() {
    let secrets = [
        ("RACK_API_KEY", "rack-secret"),
        ("OPENROUTER_API_KEY", "old"),
    ];
    let config = load_file(FILE, &secrets, &[("OPENROUTER_API_KEY", "router-secret")]).unwrap();
    let options = LlmOptions::from_config(&config);
    let listed = options.servers.providers.iter();
    let keys: Vec<_> = listed
        .map(|one| {
            let key = one.key.as_ref().map(|key| key.expose_secret().to_owned());
            (one.row.name.clone(), key.unwrap())
        })
        .collect();
    let expected = [("openrouter", "router-secret"), ("rack", "rack-secret")];
    assert_eq!(keys, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let masked = config
        .secret_mask()
        .mask_text("rack-secret and router-secret");
    assert!(!masked.contains("secret and"), "{masked}");
    assert!(!format!("{config}{:?}", config.to_json()).contains("rack-secret"));

    let now = omoi_domain::time::Timestamp::of_date("2026-11-28").unwrap();
    let list = omoi_llm::catalogue::ModelCatalogue::load_embedded().unwrap();
    let routes = RouteTable::resolve_all(&options.servers, &list, now).unwrap();
    let route = |name| {
        let route = routes.route_named(name);
        let origin = credential_origin(route, &options.servers, &config);
        (
            route.base_url.clone(),
            route.model.clone(),
            origin.map(ToString::to_string).unwrap_or_default(),
        )
    };
    let (address, model, origin) = route(RouteName::Agent);
    assert_eq!(
        (address.as_str(), model.as_str()),
        ("https://openrouter.ai/api/v1", "qwen/qwen3")
    );
    assert_eq!(origin, "environment variable OPENROUTER_API_KEY");
    let (_, model, origin) = route(RouteName::Title);
    assert_eq!(model, "small");
    assert!(origin.contains("secrets/RACK_API_KEY"), "{origin}");
}

/// The configurations that a page shows.
pub(super) fn shown_files(page: &'static str) -> Vec<&'static str> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

#[test]
fn the_page_of_models_shows_what_works() {
    let files = shown_files(include_str!("../../../../../docs/models.md"));
    let [local, several, _, _] = files.as_slice() else {
        panic!("{files:?}");
    };
    let now = omoi_domain::time::Timestamp::of_date("2026-11-28").unwrap();
    let list = omoi_llm::catalogue::ModelCatalogue::load_embedded().unwrap();
    let routes_of = |text: &str, secrets: &[(&str, &str)]| {
        let options = LlmOptions::from_config(&load_file(text, secrets, &[]).unwrap());
        let list = list.clone().with_own_prices(options.prices.clone());
        RouteTable::resolve_all(&options.servers, &list, now).unwrap()
    };
    let routes = routes_of(local, &[]);
    let route = routes.route_named(RouteName::Agent);
    assert_eq!(route.base_url, "http://127.0.0.1:11434/v1");
    assert_eq!(route.model, "qwen3-coder");
    assert!(route.key.is_none() && !route.price.is_assumed);
    assert_eq!(route.limits.first_content.as_secs(), 900);
    assert_eq!(routes.route_notes(), Vec::<String>::new());

    let secrets = [
        ("RACK_KEY_1", "one"),
        ("RACK_KEY_2", "two"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "token"),
        ("ANTHROPIC_API_KEY", "key"),
    ];
    let routes = routes_of(several, &secrets);
    let models = |name| {
        let choices = routes.choices_of(name).iter();
        let models = choices.map(|route| format!("{} {}", route.provider_name(), route.model));
        models.collect::<Vec<_>>()
    };
    let [sonnet, rack] = [
        "api.anthropic.com claude-sonnet-5-5",
        "rack:8000 qwen3-coder",
    ];
    assert_eq!(models(RouteName::Agent), [sonnet, sonnet, rack, rack]);
    assert_eq!(models(RouteName::FixBug), [rack, rack, sonnet]);
    assert_eq!(
        models(RouteName::Planner),
        ["api.anthropic.com claude-opus-5-5"]
    );
}

#[test]
fn the_page_of_models_shows_headers_of_a_proxy_that_work() {
    let files = shown_files(include_str!("../../../../../docs/models.md"));
    let secrets = [
        ("AZURE_KEY", "one"),
        ("PROXY_KEY", "two"),
        ("PROXY_TEAM", "three"),
    ];
    let config = load_file(files[3], &secrets, &[]).unwrap();
    let options = LlmOptions::from_config(&config);
    let now = omoi_domain::time::Timestamp::of_date("2026-11-28").unwrap();
    let list = omoi_llm::catalogue::ModelCatalogue::load_embedded().unwrap();
    let routes = RouteTable::resolve_all(&options.servers, &list, now).unwrap();
    let [azure, proxy] = routes.choices_of(RouteName::Agent) else {
        panic!("{routes:?}");
    };
    assert!(azure.acts_like_vendor() && proxy.acts_like_vendor());
    assert!(azure.key.is_none() && !proxy.key.is_none());
    assert_eq!(azure.window_tokens, Some(272_000));
    assert!(azure.server.headers.contains_key("api-key"));
    assert!(proxy.server.headers.contains_key("x-team"));
    let origin = credential_origin(azure, &options.servers, &config).unwrap();
    assert!(origin.to_string().contains("AZURE_KEY"), "{origin}");
}

#[test]
fn the_key_of_a_registry_is_a_secret_and_is_masked() {
    let file = "egress:\n  registries: ['host=npm.corp.example; site=npm; credential=NPM_KEY']\n";
    let config = load_file(file, &[("NPM_KEY", "Bearer registry-key-1")], &[]).unwrap();
    let options = EgressOptions::from_config(&config).unwrap();
    let opened = options.registries[0]
        .open_registry(&config, "local")
        .unwrap();
    assert_eq!(
        opened.credential.unwrap().expose_secret(),
        "Bearer registry-key-1"
    );
    let masked = config.secret_mask();
    assert_eq!(masked.mask_text("sent Bearer registry-key-1"), "sent ****");
    assert!(!format!("{config}{:?}", config.to_json()).contains("registry-key-1"));
    let without = load_file(file, &[], &[]).unwrap();
    let options = EgressOptions::from_config(&without).unwrap();
    let error = options.registries[0]
        .open_registry(&without, "local")
        .err()
        .unwrap();
    assert!(error.to_string().contains("set NPM_KEY"), "{error}");
}

#[test]
fn a_model_on_the_command_line_wins_over_all_lists() {
    let variables = [("HOME", HOME), ("MODELS_AGENT", "a,b")];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let sources = ConfigSources::from_variables(variables.into_iter().collect());
    let choices = |sources: &ConfigSources| {
        let config = load_config(&CONFIG_TABLE, sources).unwrap();
        assert_eq!(config.get(&MODELS_AGENT), ["a", "b"]);
        LlmOptions::from_config(&config)
            .servers
            .choices
            .get(&RouteName::Agent)
            .cloned()
    };
    assert_eq!(
        choices(&sources),
        Some(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(choices(&sources.with_flag("llm.model", "c")), None);
}

#[test]
fn a_wrong_row_is_told_with_its_line_and_without_what_may_be_a_key() {
    for (text, line, words) in [
        (
            "providers:\n  - nobody\n",
            1,
            "the preset of a provider must be one of",
        ),
        ("a: 1\n", 1, "unknown section `a`"),
        (
            "providers:\n  - {preset: vllm, key: sk-ant-pasted}\n",
            1,
            "the name of a variable or secret file",
        ),
        ("models:\n  agent: [two words]\n", 2, "without blanks"),
    ] {
        let error = error_chain(&load_file(text, &[], &[]).unwrap_err());
        let place = format!("config.yaml:{line}");
        assert!(error.contains(words) && error.contains(&place), "{error}");
        assert!(!error.contains("sk-ant-pasted"), "{error}");
    }
}

#[test]
fn a_repository_lists_no_providers_and_chooses_no_models() {
    let own = load(&[]).unwrap();
    for text in [
        "providers: [openrouter]\n",
        "llm:\n  providers: [openrouter]\n",
        "models:\n  agent: [x]\n",
        "models:\n  judge: [x]\n",
    ] {
        let home = Some(Path::new(HOME));
        let told = read_repository_settings(&own, home, text);
        assert!(
            matches!(told, Err(LoadError::ClosedToRepository { .. })),
            "{text}"
        );
    }
}

#[test]
fn the_page_of_packages_shows_what_works() {
    let files = shown_files(include_str!("../../../../../docs/packages.md"));
    let [versions, registries, copies, listed] = files.as_slice() else {
        panic!("{files:?}");
    };
    let options_of = |text: &str| {
        let config = load_file(text, &[("NPM_EXAMPLE", "Bearer x")], &[]).unwrap();
        let options = EgressOptions::from_config(&config).unwrap();
        for row in &options.registries {
            row.open_registry(&config, "organisation").unwrap();
        }
        options
    };
    assert_eq!(options_of(versions).versions.len(), 1);
    let hosts = options_of(registries).registries;
    let hosts: Vec<_> = hosts.iter().map(RegistryRow::host_name).collect();
    let expected = ["npm.example.org", "go.example.org", "pypi.example.org"];
    assert_eq!(hosts, expected);
    let copies = SandboxOptions::from_config(&load_file(copies, &[], &[]).unwrap()).copy;
    let secrets: Vec<_> = copies.iter().map(|row| row.is_secret).collect();
    assert_eq!(secrets, [false, true, true]);
    let listed = options_of(listed).hosts;
    let [todo, other] =
        ["/src/todo", "/src/other"].map(|path| NamedProject::among_paths(path, &[path]));
    assert!(listed.lists_for(&todo) && !listed.lists_for(&other));
}
