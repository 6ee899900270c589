#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use super::*;
use crate::catalogue::ModelCatalogue;
use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;

pub(super) fn list() -> ModelCatalogue {
    ModelCatalogue::load_embedded().unwrap()
}

/// Fixed, so that no model of the list ends while tests run.
pub(super) fn now() -> Timestamp {
    Timestamp::of_date("2026-11-28").unwrap()
}

pub(super) fn server(base_url: Option<&str>, key: ProviderKey) -> ModelServer {
    ModelServer {
        base_url: base_url.map(Into::into),
        key,
        max_tokens: 64_000,
        ..ModelServer::default()
    }
}

pub(super) fn header(text: &str) -> ProviderKey {
    ProviderKey::Header(text.into())
}

pub(super) fn bearer(text: &str) -> ProviderKey {
    ProviderKey::Bearer(text.into())
}

/// `base model key` of the agent route; the title route's model where it differs.
fn shape(settings: &LlmSettings) -> Result<String, String> {
    use secrecy::ExposeSecret as _;
    let routes = RouteTable::resolve_all(settings, &list(), now()).map_err(|e| e.to_string())?;
    let [agent, title] = [RouteName::Agent, RouteName::Title].map(|name| routes.route_named(name));
    let key = match &agent.key {
        ProviderKey::None | ProviderKey::Awaited(_) => "no key",
        ProviderKey::Header(key) | ProviderKey::Bearer(key) => key.expose_secret(),
    };
    let mut shape = format!("{} {} {key}", agent.base_url, agent.model);
    if title.model != agent.model {
        shape.push_str(&format!(", title {}", title.model));
    }
    Ok(shape)
}

#[test]
fn an_answer_of_all_its_tokens_fits_into_its_stream() {
    let settings = LlmSettings {
        anthropic: server(None, header("k")),
        ..LlmSettings::default()
    };
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    let agent = routes.route_named(RouteName::Agent);
    assert_eq!(agent.max_tokens, 64_000);
    // An event for each token, as some servers stream.
    assert!(agent.limits.bytes >= 64_000 * 300, "{:?}", agent.limits);
}

#[test]
fn second_opinions_come_from_another_model_where_one_is_named() {
    let mut settings = LlmSettings {
        anthropic: server(None, header("k")),
        model: Some("author".to_owned()),
        ..LlmSettings::default()
    };
    let models = |settings: &LlmSettings| {
        let routes = RouteTable::resolve_all(settings, &list(), now()).unwrap();
        [RouteName::Agent, RouteName::Judge].map(|name| routes.route_named(name).model.clone())
    };
    assert_eq!(models(&settings), ["author", "author"]);
    settings.judge_model = Some("reader".to_owned());
    assert_eq!(models(&settings), ["author", "reader"]);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn each_key_goes_to_its_own_server_and_nothing_is_assumed_without_one() {
    let local = "http://127.0.0.1:8080/v1/";
    let none = LlmSettings::default;
    let anthropic = LlmSettings {
        anthropic: server(None, header("anthropic's")),
        ..none()
    };
    let openai = LlmSettings {
        openai: server(None, bearer("openai's")),
        ..none()
    };
    let all = LlmSettings {
        own: server(Some(local), bearer("own")),
        anthropic: anthropic.anthropic.clone(),
        openai: openai.openai.clone(),
        ..none()
    };
    let named = |settings: &LlmSettings, model: &str| LlmSettings {
        model: Some(model.into()),
        ..settings.clone()
    };
    let with_models = |settings: &LlmSettings| {
        let mut settings = settings.clone();
        settings.own.model = Some("own-model".into());
        settings.anthropic.model = Some("claude-x".into());
        settings.openai.model = Some("gpt-x".into());
        settings
    };
    let both = LlmSettings {
        own: ModelServer::default(),
        ..all.clone()
    };
    let at = |base: &str, key: ProviderKey| LlmSettings {
        openai: server(Some(base), key),
        ..none()
    };
    let keyless_own = LlmSettings {
        own: server(Some(local), ProviderKey::None),
        ..all.clone()
    };
    let compatible = LlmSettings {
        anthropic: server(Some("http://proxy"), bearer("token")),
        ..none()
    };
    let sonnet = "https://api.anthropic.com claude-sonnet-5-5 anthropic's, title claude-haiku-5-5";
    for (settings, expected) in [
        (anthropic.clone(), sonnet),
        (both.clone(), sonnet),
        (
            openai.clone(),
            "https://api.openai.com/v1 gpt-6.1-sol openai's, title gpt-6-luna",
        ),
        (
            with_models(&both),
            "https://api.anthropic.com claude-x anthropic's",
        ),
        (
            with_models(&openai),
            "https://api.openai.com/v1 gpt-x openai's",
        ),
        (
            named(&with_models(&both), "m"),
            "https://api.anthropic.com m anthropic's",
        ),
        (named(&all, "m"), "http://127.0.0.1:8080/v1 m own"),
        (with_models(&all), "http://127.0.0.1:8080/v1 own-model own"),
        // The vendors' keys are set, and still none of them goes to the server of our own.
        (
            named(&keyless_own, "m"),
            "http://127.0.0.1:8080/v1 m no key",
        ),
        (
            named(&at(local, ProviderKey::None), "qwen"),
            "http://127.0.0.1:8080/v1 qwen no key",
        ),
        (
            with_models(&at(local, bearer("o"))),
            "http://127.0.0.1:8080/v1 gpt-x o",
        ),
        (named(&compatible, "m"), "http://proxy m token"),
    ] {
        assert_eq!(shape(&settings).as_deref(), Ok(expected), "{settings:?}");
    }
    let own_key = LlmSettings {
        own: server(None, bearer("own")),
        ..none()
    };
    for (settings, expected) in [
        (
            none(),
            "no model provider is configured: set ANTHROPIC_API_KEY for Anthropic, or OPENAI_API_KEY for OpenAI, \
             or LLM_BASE_URL and LLM_MODEL for another OpenAI-compatible server (and LLM_API_KEY if it wants a key)",
        ),
        (
            own_key,
            "LLM_API_KEY is the key of the server at LLM_BASE_URL, which is not set",
        ),
        (
            all,
            "no model is named for `http://127.0.0.1:8080/v1`: set LLM_MODEL",
        ),
        (
            at(local, ProviderKey::None),
            "no model is named for `http://127.0.0.1:8080/v1`: set OPENAI_MODEL",
        ),
        (
            compatible,
            "no model is named for `http://proxy`: set ANTHROPIC_MODEL",
        ),
        (
            at("localhost:1", ProviderKey::None),
            "`OPENAI_BASE_URL` is not an http or https URL: `localhost:1`",
        ),
    ] {
        assert_eq!(shape(&settings), Err(expected.to_owned()));
    }
}

#[test]
fn routes_are_found_by_name_or_model_and_show_no_key() {
    let settings = LlmSettings {
        anthropic: server(None, header("sk-hidden")),
        ..LlmSettings::default()
    };
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    for (model, expected) in [
        ("title", RouteName::Title),
        ("claude-haiku-5-5", RouteName::Title),
        ("claude-sonnet-5-5", RouteName::Agent),
        ("claude-2", RouteName::Agent),
    ] {
        assert_eq!(routes.route_for_model(model), expected);
    }
    assert!(!format!("{routes:?}").contains("sk-hidden"));
}

#[test]
fn what_a_model_can_do_decides_how_it_is_asked_and_unknown_ones_are_told() {
    let at = |model: &str| {
        let settings = LlmSettings {
            anthropic: server(None, header("k")),
            model: Some(model.into()),
            ..LlmSettings::default()
        };
        RouteTable::resolve_all(&settings, &list(), now()).unwrap()
    };
    for (model, mode, takes_sampling, window) in [
        (
            "claude-sonnet-4-5",
            AnswerMode::ToolCall,
            true,
            Some(200_000),
        ),
        (
            "claude-sonnet-5-5",
            AnswerMode::JsonSchema,
            false,
            Some(1_000_000),
        ),
        ("claude-novel-9", AnswerMode::ToolCall, true, None),
    ] {
        let routes = at(model);
        let agent = routes.route_named(RouteName::Agent);
        let found = (agent.answer_mode, agent.takes_sampling, agent.window_tokens);
        assert_eq!(found, (mode, takes_sampling, window), "{model}");
    }
    assert_eq!(at("claude-sonnet-4-5").route_notes(), [""; 0]);
    assert_eq!(
        at("claude-novel-9").route_notes(),
        [
            "the price of `claude-novel-9` is not known: it is charged like anthropic's dearest model; \
          `llm.prices` sets its own"
        ]
    );
}

#[test]
fn no_default_is_named_when_every_model_of_its_family_has_ended() {
    let settings = LlmSettings {
        anthropic: server(None, header("k")),
        ..LlmSettings::default()
    };
    let mut list = list();
    list.models.retain(|entry| entry.family != "sonnet");
    let error = RouteTable::resolve_all(&settings, &list, now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no model is named for `https://api.anthropic.com`: set ANTHROPIC_MODEL"
    );
}

#[test]
fn every_name_of_a_model_leads_to_a_route() {
    let route = |model: &str| ModelRoute {
        model: model.to_owned(),
        ..RouteTable::all_simulated(Dialect::Messages, "http://a")
            .route_named(RouteName::Agent)
            .clone()
    };
    let table = [
        (RouteName::Agent, route("claude-sonnet-5-5")),
        (RouteName::Title, route("claude-haiku-5-5")),
        (RouteName::Judge, route("gpt-6.1-mini")),
    ];
    let routes = RouteTable::from_table(table.into()).unwrap();
    for (model, expected) in [
        ("agent", RouteName::Agent),
        ("judge", RouteName::Judge),
        (" title ", RouteName::Title),
        ("agent[1m]", RouteName::Agent),
        ("claude-sonnet-5-5", RouteName::Agent),
        ("claude-sonnet-5-5[1m]", RouteName::Agent),
        ("gpt-6.1-mini", RouteName::Judge),
        ("claude-3-5-haiku-20241022", RouteName::Title),
        ("gpt-5-mini", RouteName::Title),
        ("gpt-4.1-nano", RouteName::Title),
        ("openai/gpt-6.1-luna", RouteName::Title),
        ("GPT-5-Mini", RouteName::Title),
        ("gemini-3-pro", RouteName::Agent),
        ("claude-sonnet-4-5", RouteName::Agent),
        ("opus", RouteName::Agent),
        ("anything at all", RouteName::Agent),
        ("", RouteName::Agent),
    ] {
        assert_eq!(routes.route_for_model(model), expected, "{model}");
    }
}

pub(super) fn listed(text: &str, key: Option<&str>) -> ListedProvider {
    ListedProvider {
        row: text.parse().unwrap(),
        key: key.map(Into::into),
        more_keys: Vec::new(),
        headers: BTreeMap::new(),
    }
}

/// `provider host, model` of a route, and what was passed over.
fn chosen(settings: &LlmSettings, name: RouteName) -> (String, Vec<String>) {
    let routes = RouteTable::resolve_all(settings, &list(), now()).unwrap();
    let route = routes.route_named(name);
    let shown = format!("{} {}", route.provider_name(), route.model);
    (shown, routes.route_notes())
}

#[test]
fn each_kind_of_question_takes_the_first_of_its_choices_that_can_be_asked() {
    let of_agent = |choices: &[&str]| {
        let choices = choices.iter().map(|&c| c.to_owned()).collect();
        LlmSettings {
            anthropic: server(None, header("a")),
            providers: vec![
                listed("openrouter", None),
                listed("name=rack; preset=vllm; address=http://rack:8000/v1", None),
            ],
            choices: [(RouteName::Agent, choices)].into(),
            ..LlmSettings::default()
        }
    };
    for (choices, expected, note) in [
        (&["rack/qwen3"][..], "rack:8000 qwen3", None),
        // The first server takes any name, since nobody knows what it serves.
        (&["qwen3"], "rack:8000 qwen3", None),
        (
            &["anthropic/claude-opus-5-5"],
            "api.anthropic.com claude-opus-5-5",
            None,
        ),
        (
            &["openrouter/qwen/qwen3", "openai/gpt-6.1-sol", "rack/qwen3"],
            "rack:8000 qwen3",
            Some(
                "`models.agent` passes over `openrouter/qwen/qwen3`: set OPENROUTER_API_KEY; `openai/gpt-6.1-sol`: set OPENAI_API_KEY",
            ),
        ),
    ] {
        let (shown, notes) = chosen(&of_agent(choices), RouteName::Agent);
        assert_eq!(shown, expected, "{choices:?}");
        let passed = notes.iter().find(|n| n.contains("passes over"));
        assert_eq!(passed.map(String::as_str), note, "{choices:?}");
    }
    let nobody = of_agent(&["openrouter/qwen/qwen3", "ollama/qwen3"]);
    let error = RouteTable::resolve_all(&nobody, &list(), now()).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("`openrouter/qwen/qwen3`: set OPENROUTER_API_KEY"),
        "{words}"
    );
    assert!(
        words.contains("`ollama/qwen3`: list `ollama` under `providers:`"),
        "{words}"
    );
}

#[test]
fn a_vendor_takes_its_own_models_and_leaves_those_of_others_to_them() {
    let both = LlmSettings {
        anthropic: server(None, header("a")),
        openai: server(None, bearer("o")),
        ..LlmSettings::default()
    };
    let with = |settings: &LlmSettings, choices: &[(RouteName, &str)]| {
        let lists = choices.iter();
        let lists = lists.map(|(name, list)| (*name, list.split(' ').map(Into::into).collect()));
        LlmSettings {
            choices: lists.collect(),
            ..settings.clone()
        }
    };
    let agent = |list| [(RouteName::Agent, list)];
    let gpt = with(&both, &agent("gpt-6.1-sol"));
    assert_eq!(
        chosen(&gpt, RouteName::Agent).0,
        "api.openai.com gpt-6.1-sol"
    );
    // Newer than the list: the first vendor may know it.
    let novel = with(&both, &agent("claude-novel-9"));
    assert_eq!(
        chosen(&novel, RouteName::Agent).0,
        "api.anthropic.com claude-novel-9"
    );
    let keyless = LlmSettings {
        openai: ModelServer::default(),
        ..both.clone()
    };
    let error = RouteTable::resolve_all(&with(&keyless, &agent("gpt-6.1-sol")), &list(), now());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("set OPENAI_API_KEY")
    );
    // Small questions stay with a small model, opinions with the agents' one, unless named.
    let opus = with(&both, &agent("claude-opus-5-5"));
    assert_eq!(
        chosen(&opus, RouteName::Title).0,
        "api.anthropic.com claude-haiku-5-5"
    );
    assert_eq!(
        chosen(&opus, RouteName::Judge).0,
        "api.anthropic.com claude-opus-5-5"
    );
    let named = with(
        &both,
        &[
            (RouteName::Agent, "claude-opus-5-5"),
            (RouteName::Judge, "gpt-6.1-sol"),
        ],
    );
    assert_eq!(
        chosen(&named, RouteName::Judge).0,
        "api.openai.com gpt-6.1-sol"
    );
    // An ended one is passed over while there is another, and taken where there is none.
    let ended = with(&both, &agent("claude-mythos-preview claude-opus-5-5"));
    let (shown, notes) = chosen(&ended, RouteName::Agent);
    assert_eq!(shown, "api.anthropic.com claude-opus-5-5");
    assert_eq!(
        notes,
        ["`models.agent` passes over `claude-mythos-preview`: it has ended"]
    );
    let only = with(&both, &agent("claude-mythos-preview"));
    assert_eq!(
        chosen(&only, RouteName::Agent).0,
        "api.anthropic.com claude-mythos-preview"
    );
}

#[test]
fn a_listed_provider_replaces_the_vendor_of_its_name_and_says_when_its_key_is_missing() {
    let mut settings = LlmSettings {
        anthropic: server(None, header("short")),
        providers: vec![listed("anthropic", Some("listed"))],
        ..LlmSettings::default()
    };
    assert_eq!(
        shape(&settings).unwrap(),
        "https://api.anthropic.com claude-sonnet-5-5 listed, title claude-haiku-5-5"
    );
    assert_eq!(settings.providers_with_key(), ["anthropic"]);
    // A server that nobody named a model for leaves the question to the next.
    settings.providers = vec![listed("ollama", None)];
    assert_eq!(
        shape(&settings).unwrap(),
        "https://api.anthropic.com claude-sonnet-5-5 short, title claude-haiku-5-5"
    );
    settings.providers = vec![listed("fireworks", None)];
    settings.anthropic = ModelServer::default();
    assert_eq!(
        shape(&settings).unwrap_err(),
        "the provider `fireworks` has no key: set FIREWORKS_API_KEY"
    );
}

#[test]
fn providers_without_a_key_wait_for_the_ones_of_organisations() {
    let none = LlmSettings {
        anthropic: server(None, ProviderKey::None),
        openai: server(None, ProviderKey::None),
        ..LlmSettings::default()
    };
    let keyed = LlmSettings {
        anthropic: server(None, header("a")),
        ..none.clone()
    };
    let with = |settings: &LlmSettings, list: &[&str]| LlmSettings {
        choices: [(
            RouteName::Agent,
            list.iter().map(|choice| (*choice).to_owned()).collect(),
        )]
        .into(),
        ..settings.clone()
    };
    let named = ["openai/gpt-6.1-sol", "anthropic/claude-opus-5-5"];
    for (settings, expected) in [
        // Without a key and a choice each vendor is there, the usual first.
        (
            none.clone(),
            &[
                ("claude-sonnet-5-5", Some("ANTHROPIC_API_KEY")),
                ("gpt-6.1-sol", Some("OPENAI_API_KEY")),
            ][..],
        ),
        (keyed.clone(), &[("claude-sonnet-5-5", None)]),
        (
            with(&keyed, &named),
            &[
                ("gpt-6.1-sol", Some("OPENAI_API_KEY")),
                ("claude-opus-5-5", None),
            ],
        ),
        (
            with(&none, &named[1..]),
            &[("claude-opus-5-5", Some("ANTHROPIC_API_KEY"))],
        ),
    ] {
        let routes = RouteTable::resolve_awaited(&settings, &list(), now()).unwrap();
        let found = routes.choices_of(RouteName::Agent).iter().map(|route| {
            let awaited = route.awaited_key().map(|key| key.variable.as_str());
            (route.model.as_str(), awaited)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
    // Elsewhere nothing is assumed without a key.
    let strict = RouteTable::resolve_all(&none, &list(), now()).unwrap_err();
    assert_eq!(strict, RouteError::NoProvider);
}
