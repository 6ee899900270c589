//! Keys that organisations bring: each is asked with its own, and nothing of one key holds for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use serde_json::json;
use uuid::Uuid;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::id::OrgId;
use omoi_domain::model_route::RouteName;
use omoi_llm::brought_keys::{BroughtKeyError, BroughtKeySource, BroughtKeys};
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::route::{AwaitedKey, ModelRoute, ProviderKey, RouteTable, ServerSettings};
use omoi_llm::structured::{MeteredCaller, TypedQuestion, ask_structured};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, Says, Stub};
use crate::support::{TestMeter, VirtualPace, caller, llm_of_list, route};

const ACME_KEY: &str = "sk-acme-0123456789abcdef";

/// Organisations, of which the first brings a key unless a test says otherwise.
const fn org(n: u128) -> OrgId {
    OrgId::from_uuid(Uuid::from_u128(n))
}

/// What organisations brought.
#[derive(Default)]
struct KeyRows {
    rows: Mutex<BTreeMap<OrgId, BTreeMap<String, String>>>,
    /// Whether a row cannot be opened.
    is_broken: Mutex<bool>,
}

impl KeyRows {
    fn with_key(org: OrgId, provider: &str, key: &str) -> Arc<Self> {
        let rows = Self::default();
        rows.set_key(org, provider, key);
        Arc::new(rows)
    }

    fn set_key(&self, org: OrgId, provider: &str, key: &str) {
        let mut rows = self.rows.lock().unwrap();
        let own = rows.entry(org).or_default();
        own.insert(provider.to_owned(), key.to_owned());
    }

    fn remove_keys(&self, org: OrgId) {
        self.rows.lock().unwrap().remove(&org);
    }
}

impl BroughtKeySource for KeyRows {
    fn find_keys(&self, org: OrgId) -> BoxFuture<'_, Result<BroughtKeys, BroughtKeyError>> {
        let rows = self.rows.lock().unwrap();
        let own = rows.get(&org).cloned().unwrap_or_default().into_iter();
        let keys = own.map(|(provider, key)| (provider, key.into())).collect();
        let found = match *self.is_broken.lock().unwrap() {
            false => Ok(BroughtKeys(keys)),
            true => Err(BroughtKeyError::Unreadable("it was altered".into())),
        };
        futures::future::ready(found).boxed()
    }
}

/// The model of `provider`, asked with `key`.
fn of_provider(url: &str, provider: &str, key: &str) -> ModelRoute {
    ModelRoute {
        key: ProviderKey::Bearer(key.into()),
        server: ServerSettings {
            provider: Some(provider.to_owned()),
            ..ServerSettings::default()
        },
        ..route(Dialect::Messages, url)
    }
}

struct AskedOffice {
    llm: LlmClient,
    gateway: ModelGateway,
    meter: Arc<TestMeter>,
    pace: Arc<VirtualPace>,
}

/// The model of `provider`, which the deployment has no key for.
fn awaiting(url: &str, provider: &str) -> ModelRoute {
    let key = AwaitedKey {
        variable: "RACK_KEY".to_owned(),
        is_bearer: true,
    };
    ModelRoute {
        key: ProviderKey::Awaited(key),
        ..of_provider(url, provider, "")
    }
}

fn office(list: Vec<ModelRoute>, rows: &Arc<KeyRows>) -> AskedOffice {
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let llm = llm_of_list(list, &pace).with_brought_keys(Arc::clone(rows) as _);
    AskedOffice {
        gateway: ModelGateway::new(llm.clone(), Arc::clone(&meter) as _),
        llm,
        meter,
        pace,
    }
}

impl AskedOffice {
    async fn ask(&self, org: OrgId) -> (u16, HeaderMap, String) {
        self.ask_saying(org, "a").await
    }

    async fn ask_saying(&self, org: OrgId, content: &str) -> (u16, HeaderMap, String) {
        let body = json!({"model": "agent", "max_tokens": 1000,
            "messages": [{"role": "user", "content": content}]});
        let request = GatewayRequest {
            method: Method::POST,
            path: "/v1/messages".to_owned(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        };
        let mut caller = caller();
        caller.principal.org = org;
        let reply = self.gateway.handle_request(&caller, request).await;
        let ReplyBody::Full(body) = reply.body else {
            panic!("it is whole");
        };
        let text = String::from_utf8(body.to_vec()).unwrap();
        (reply.status.as_u16(), reply.headers, text)
    }
}

/// The key of each call, in order.
fn keys_sent(stub: &Stub) -> Vec<String> {
    let bearer = |headers: &HeaderMap| {
        let sent = headers["authorization"].to_str().unwrap().to_owned();
        sent.trim_start_matches("Bearer ").to_owned()
    };
    stub.seen()
        .iter()
        .map(|seen| bearer(&seen.headers))
        .collect()
}

#[tokio::test]
async fn a_limit_of_one_key_holds_nobody_else_back() {
    let stub = Stub::start(vec![stub::status_after(429, 5 * 3_600)], stub::good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    let office = office(vec![of_provider(&stub.url, "rack", "deployments")], &rows);
    assert_eq!(office.ask(org(1)).await.0, 429);
    // That organisation waits and makes no call; the one without a key and the deployment's is asked at once.
    assert_eq!(office.ask(org(1)).await.0, 429);
    assert_eq!(office.ask(org(2)).await.0, 200);
    rows.set_key(org(3), "rack", "sk-other-0123456789abcdef");
    assert_eq!(office.ask(org(3)).await.0, 200);
    let other = "sk-other-0123456789abcdef";
    assert_eq!(keys_sent(&stub), [ACME_KEY, "deployments", other]);
    // A new key has its own limits.
    rows.set_key(org(1), "rack", "sk-acme-the-second-key-1");
    assert_eq!(office.ask(org(1)).await.0, 200);
}

#[tokio::test]
async fn a_provider_that_keeps_failing_one_key_is_asked_with_the_others() {
    let failing = Says::Plain(500, None, String::new());
    let with_key = || KeyRows::with_key(org(1), "rack", ACME_KEY);
    let always = Stub::always(failing.clone()).await;
    let doomed = office(
        vec![of_provider(&always.url, "rack", "deployments")],
        &with_key(),
    );
    assert_ne!(doomed.ask(org(1)).await.0, 200);

    // As many failures as open the circuit of the organisation's key, and no more.
    let stub = Stub::start(vec![failing; always.calls()], stub::good()).await;
    let office = office(
        vec![of_provider(&stub.url, "rack", "deployments")],
        &with_key(),
    );
    assert_ne!(office.ask(org(1)).await.0, 200);
    let n_pauses = || office.pace.pauses().len();
    let before = n_pauses();
    assert_eq!(office.ask(org(2)).await.0, 200);
    assert_eq!(n_pauses(), before, "it waits for no circuit");
    assert_eq!(office.ask(org(1)).await.0, 200);
    assert!(n_pauses() > before, "its own is open");
    let sent = keys_sent(&stub);
    assert_eq!(sent[always.calls()..], ["deployments", ACME_KEY]);
}

#[tokio::test]
async fn a_key_that_is_removed_or_changed_is_used_for_no_further_try() {
    let busy = || stub::status_after(529, 10);
    for change in ["removed", "changed"] {
        let stub = Stub::start(vec![busy()], stub::good()).await;
        let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
        let office = office(vec![of_provider(&stub.url, "rack", "deployments")], &rows);
        // The pause before the second try is longer than a key is believed.
        let changer = async {
            while stub.calls() == 0 {
                tokio::task::yield_now().await;
            }
            match change {
                "removed" => rows.remove_keys(org(1)),
                _ => rows.set_key(org(1), "rack", "sk-acme-the-second-key-1"),
            }
        };
        let ((status, headers, text), ()) = futures::join!(office.ask(org(1)), changer);
        assert_eq!((status, stub.calls()), (503, 1), "{change}: {text}");
        assert_eq!(headers["x-should-retry"], "true", "{change}");
        assert_eq!(office.ask(org(1)).await.0, 200, "{change}");
        let expected = match change {
            "removed" => "deployments",
            _ => "sk-acme-the-second-key-1",
        };
        assert_eq!(keys_sent(&stub), [ACME_KEY, expected], "{change}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_replaced_by_nobody_elses() {
    let stub = Stub::always(stub::good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    *rows.is_broken.lock().unwrap() = true;
    let office = office(vec![of_provider(&stub.url, "rack", "deployments")], &rows);
    let (status, headers, text) = office.ask(org(1)).await;
    assert_eq!((status, stub.calls()), (403, 0), "{text}");
    assert_eq!(headers["x-should-retry"], "false");
    assert!(text.contains("cannot be read"), "{text}");
    assert!(text.contains("omoi org provider-key set"), "{text}");
}

#[tokio::test]
async fn a_key_is_for_its_provider_alone() {
    let [rack, other] = [(); 2].map(|()| Stub::always(Says::Plain(401, None, String::new())));
    let (rack, other) = futures::join!(rack, other);
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    let subscribed = ModelRoute {
        only_program: Some(AgentProgram::ClaudeCode),
        ..of_provider(&other.url, "rack", "of-a-subscription")
    };
    let nameless = ModelRoute {
        server: ServerSettings::default(),
        ..of_provider(&other.url, "rack", "nameless")
    };
    let list = vec![
        // Two keys of the deployment, used in turn: one of the organisation's.
        of_provider(&rack.url, "rack", "first"),
        of_provider(&rack.url, "rack", "second"),
        of_provider(&other.url, "other", "others"),
        nameless,
        subscribed,
    ];
    let office = office(list, &rows);
    let asked = office.llm.routes.key_providers();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["other", "rack"]);
    assert_eq!(office.ask(org(1)).await.0, 403);
    assert_eq!(keys_sent(&rack), [ACME_KEY]);
    assert_eq!(keys_sent(&other), ["others", "nameless"]);
    assert_eq!(office.ask(org(2)).await.0, 403);
    assert_eq!(keys_sent(&rack), [ACME_KEY, "first", "second"]);
    // The simulated model is asked with no key of anybody.
    let simulated = RouteTable::all_simulated(Dialect::Messages, "http://a");
    assert!(simulated.key_providers().is_empty());
}

#[tokio::test]
async fn a_key_of_the_organisation_stands_in_for_one_that_the_deployment_lacks() {
    let rack = Stub::always(stub::good()).await;
    let other = Stub::always(stub::good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    rows.set_key(org(3), "elsewhere", "sk-other-0123456789abcdef");
    let list = vec![awaiting(&other.url, "other"), awaiting(&rack.url, "rack")];
    let mut office = office(list.clone(), &rows);
    let missing = "set RACK_KEY; or have the organisation bring a key: omoi org provider-key set";
    let open = RouteTable::from_lists([(RouteName::Agent, list)].into()).unwrap();
    office.llm = office
        .llm
        .with_awaited_routes(open, Some(missing.to_owned()));
    office.gateway = ModelGateway::new(office.llm.clone(), Arc::clone(&office.meter) as _);
    let asked: Vec<String> = office.llm.key_providers().into_iter().collect();
    assert_eq!(asked, ["other", "rack"]);
    assert_eq!(office.llm.brought_models().len(), 2);

    assert_eq!(office.ask(org(1)).await.0, 200);
    assert_eq!(
        (keys_sent(&rack), other.calls()),
        (vec![ACME_KEY.to_owned()], 0)
    );
    // Who brought none, or one for somebody else, is told both ways.
    for (asking, parts) in [
        (org(2), [missing, "there is no model to ask"]),
        (org(3), ["omoi org provider-key set other", "set RACK_KEY"]),
    ] {
        let (status, _, text) = office.ask(asking).await;
        assert_eq!(status, 403, "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    assert_eq!(rack.calls() + other.calls(), 1);
}

#[tokio::test]
async fn a_model_that_waits_for_a_key_is_asked_by_those_who_brought_one() {
    let rack = Stub::always(stub::good()).await;
    let other = Stub::always(stub::good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    let own = of_provider(&other.url, "other", "deployments");
    let open = vec![awaiting(&rack.url, "rack"), own.clone()];
    let open = RouteTable::from_lists([(RouteName::Agent, open)].into()).unwrap();
    let office = office(vec![own], &rows);
    let llm = office.llm.with_awaited_routes(open, None);
    assert!(llm.brought_models().is_empty(), "all have a model");
    let office = AskedOffice {
        gateway: ModelGateway::new(llm.clone(), Arc::clone(&office.meter) as _),
        llm,
        ..office
    };
    for asking in [org(2), org(1)] {
        assert_eq!(office.ask(asking).await.0, 200);
    }
    assert_eq!(
        (keys_sent(&other), keys_sent(&rack)),
        (vec!["deployments".to_owned()], vec![ACME_KEY.to_owned()])
    );
}

#[tokio::test]
async fn what_a_provider_says_of_a_key_is_told_to_nobody() {
    let echo = format!(
        "{{\"error\": {{\"type\": \"authentication_error\", \"message\": \"bad key {ACME_KEY}\"}}}}"
    );
    let stub = Stub::start(vec![Says::Plain(401, None, echo)], stub::good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    let office = office(vec![of_provider(&stub.url, "rack", "deployments")], &rows);
    assert!(office.gateway.organisation_mask(org(1)).is_none());
    let (_, _, text) = office.ask(org(1)).await;
    assert!(text.contains("bad key ****"), "{text}");
    let failed = format!("{:?}", office.meter.failed.lock().unwrap());
    assert!(!failed.contains(ACME_KEY), "{failed}");
    // From then on reports of the organisation's agents are rid of it, and nobody else's.
    let mask = office.gateway.organisation_mask(org(1)).unwrap();
    assert_eq!(mask.mask_text(ACME_KEY), "****");
    assert!(office.gateway.organisation_mask(org(2)).is_none());
    // Who writes the key into a question has it hidden from the model.
    for (org, expected) in [
        (org(1), "my key is ****"),
        (org(2), "my key is sk-acme-0123456789abcdef"),
    ] {
        let said = format!("my key is {ACME_KEY}");
        assert_eq!(office.ask_saying(org, &said).await.0, 200);
        let asked = stub.seen().pop().unwrap();
        let sent = asked.body["messages"].to_string();
        assert!(sent.contains(expected), "{sent}");
    }
    let own = office.llm.for_organisation(org(1)).await.unwrap();
    assert!(!format!("{:?}", own.routes).contains(ACME_KEY));
}

#[tokio::test]
async fn questions_of_the_platform_are_asked_with_the_organisations_key() {
    #[derive(schemars::JsonSchema, serde::Deserialize)]
    struct Verdict {
        passed: bool,
    }
    let good = || stub::calls_tool("answer", "{\"passed\": true}");
    let stub = Stub::start(vec![stub::status_after(529, 10)], good()).await;
    let rows = KeyRows::with_key(org(1), "rack", ACME_KEY);
    let office = office(vec![of_provider(&stub.url, "rack", "deployments")], &rows);
    let mut caller = caller();
    caller.principal.org = org(1);
    let question = TypedQuestion {
        route: RouteName::Judge,
        system: None,
        prompt: "Is it done?".to_owned(),
        max_tokens: 500,
        temperature: None,
        authors: Vec::new(),
    };
    let asker = MeteredCaller {
        caller: &caller,
        meter: office.meter.as_ref(),
    };
    let changer = async {
        while stub.calls() == 0 {
            tokio::task::yield_now().await;
        }
        rows.set_key(org(1), "rack", "sk-acme-the-second-key-1");
        office.pace.advance(Duration::from_secs(5));
    };
    let asked = ask_structured::<Verdict>(&office.llm, asker, &question);
    let (answer, ()) = futures::join!(asked, changer);
    assert!(answer.unwrap().value.passed);
    assert_eq!(keys_sent(&stub), [ACME_KEY, "sk-acme-the-second-key-1"]);
}
