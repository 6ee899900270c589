#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
//! Lists of models, and several keys of one provider.

use super::tests::{bearer, header, list, listed, now, server};
use super::*;
use crate::meter::ModelCaller;
use omoi_domain::model_route::RouteName;

/// A list of models for each of `names`.
fn choices_for(names: &[(RouteName, &[&str])]) -> LlmSettings {
    let list = |choices: &[&str]| choices.iter().map(|&choice| choice.to_owned()).collect();
    LlmSettings {
        anthropic: server(None, header("a")),
        openai: server(None, bearer("o")),
        choices: names.iter().map(|(name, of)| (*name, list(of))).collect(),
        ..LlmSettings::default()
    }
}

#[test]
fn every_choice_that_can_be_asked_is_kept_in_order() {
    let settings = choices_for(&[(
        RouteName::Agent,
        &[
            "anthropic/claude-opus-5-5",
            "openrouter/qwen/qwen3-coder",
            "openai/gpt-6.1-sol",
        ],
    )]);
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    let models = |name| {
        let choices = routes.choices_of(name).iter();
        choices
            .map(|route| route.model.as_str())
            .collect::<Vec<_>>()
    };
    let expected = ["claude-opus-5-5", "gpt-6.1-sol"];
    assert_eq!(models(RouteName::Agent), expected);
    assert_eq!(models(RouteName::Judge), expected);
    assert!(routes.route_notes()[0].contains("openrouter"));
    // A place behind the end of a list is the first of it.
    for (nth, model) in [(0, expected[0]), (1, expected[1]), (2, expected[0])] {
        let name = RouteName::Agent;
        assert_eq!(routes.route_at(RouteChoice { name, nth }).model, model);
    }
    assert!(RouteTable::from_lists([(RouteName::Agent, Vec::new())].into()).is_none());
}

#[test]
fn planners_and_kinds_of_tasks_may_have_models_of_their_own() {
    use omoi_domain::attempt::AgentRole::{Implementer, Planner, Resolver};
    use omoi_domain::task::TaskType::{FixBug, ImplementFeature, ResolveConflict};
    let settings = choices_for(&[
        (RouteName::Agent, &["anthropic/claude-sonnet-5-5"]),
        (RouteName::Planner, &["anthropic/claude-opus-5-5"]),
        (RouteName::FixBug, &["openai/gpt-6.1-sol"]),
    ]);
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    for (role, task_type, asks, expected) in [
        (Planner, None, "agent", "claude-opus-5-5"),
        (Implementer, Some(FixBug), "agent", "gpt-6.1-sol"),
        (
            Implementer,
            Some(ImplementFeature),
            "agent",
            "claude-sonnet-5-5",
        ),
        (
            Resolver,
            Some(ResolveConflict),
            "agent",
            "claude-sonnet-5-5",
        ),
        // Whatever its program names is a turn of its work, but for small models.
        (Implementer, Some(FixBug), "claude-opus-5-5", "gpt-6.1-sol"),
        (Implementer, Some(FixBug), "judge", "gpt-6.1-sol"),
        (Implementer, Some(FixBug), "planner", "gpt-6.1-sol"),
        (
            Implementer,
            Some(FixBug),
            "claude-haiku-4-5",
            "claude-haiku-5-5",
        ),
    ] {
        let caller = ModelCaller {
            principal: omoi_domain::principal::Principal {
                org: omoi_domain::id::OrgId::LOCAL,
                project: omoi_domain::id::ProjectId::from_uuid(uuid::Uuid::nil()),
                spec: omoi_domain::id::SpecId::from_uuid(uuid::Uuid::nil()),
                purpose: omoi_domain::principal::CallPurpose::Judge,
            },
            role,
            program: None,
            phase: "work".to_owned(),
            task: None,
            task_type,
            title: None,
            round: 1,
            n_turns: None,
        };
        let route = routes.route_for_caller(&caller, asks);
        let model = &routes.route_named(route).model;
        assert_eq!(model, expected, "{role} {task_type:?} {asks}");
    }
}

#[test]
fn a_provider_with_several_keys_is_asked_with_each() {
    use secrecy::ExposeSecret as _;
    let row = "name=rack; preset=vllm; address=http://rack:8000/v1; key=ONE TWO THREE";
    let row: omoi_domain::provider_row::ProviderRow = row.parse().unwrap();
    assert_eq!(row.key_variable.as_deref(), Some("ONE"));
    assert_eq!(row.more_keys, ["TWO", "THREE"]);
    let settings = LlmSettings {
        providers: vec![ListedProvider {
            row,
            key: Some("1".into()),
            // The second is not here.
            more_keys: vec!["3".into()],
            headers: BTreeMap::new(),
        }],
        choices: [(RouteName::Agent, vec!["rack/m".to_owned()])].into(),
        ..LlmSettings::default()
    };
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    let choices = routes.choices_of(RouteName::Agent);
    let keys: Vec<_> = choices
        .iter()
        .filter_map(|route| route.key.secret_key())
        .map(|key| key.expose_secret().to_owned())
        .collect();
    assert_eq!(keys, ["1", "3"]);
    let ids = choices.iter().map(ModelRoute::credential_id);
    let ids: std::collections::BTreeSet<_> = ids.collect();
    assert_eq!(ids.len(), 2, "each has limits of its own");
}

#[test]
fn a_subscription_is_a_provider_of_its_own() {
    let mut subscription = listed("claude-subscription", Some("token"));
    assert_eq!(
        subscription.row.key_variable.as_deref(),
        Some("CLAUDE_CODE_OAUTH_TOKEN")
    );
    subscription.row.max_tokens = Some(64_000);
    let settings = LlmSettings {
        anthropic: server(None, header("a")),
        providers: vec![subscription],
        choices: [(
            RouteName::Agent,
            vec![
                "claude-subscription/claude-sonnet-5-5".to_owned(),
                "anthropic/claude-sonnet-5-5".to_owned(),
            ],
        )]
        .into(),
        ..LlmSettings::default()
    };
    let routes = RouteTable::resolve_all(&settings, &list(), now()).unwrap();
    let choices = routes.choices_of(RouteName::Agent).iter();
    let told: Vec<_> = choices
        .map(|route| {
            (
                route.only_program,
                matches!(route.key, ProviderKey::Bearer(_)),
            )
        })
        .collect();
    let claude_code = Some(omoi_domain::agent_program::AgentProgram::ClaudeCode);
    assert_eq!(told, [(claude_code, true), (None, false)]);
}
