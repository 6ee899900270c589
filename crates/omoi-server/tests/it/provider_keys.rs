//! Keys that organisations bring for providers of models: over HTTP, and in the calls that are made with them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request};
use axum::routing::post;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use omoi_accounts::brought_keys::BroughtKeyReader;
use omoi_accounts::context::AccountContext;
use omoi_domain::access::role::SystemRole;
use omoi_domain::attempt::AgentRole;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::{CallPurpose, Principal};
use omoi_llm::failed_try::FailedTry;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::{
    CallMeter, CallUsage, CostProjection, FallbackNote, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::route::{ModelRoute, ProviderKey, RouteTable, ServerSettings};
use omoi_llm::wire::dialect::Dialect;
use omoi_runtime::rate_limiter::RateLimiter;
use omoi_server::api::{SurfaceParts, router};
use omoi_server::stored_provider_keys::StoredProviderKeys;
use omoi_server::{ApiDoor, RequestLimits};
use omoi_store::{Tx, deployment};
use omoi_testkit::organisations::add_organisation;
use omoi_testkit::raw_connection::RawConnection;

use crate::api::router_with;
use crate::browsers::surface_behind;
use crate::shutdown::StandingPace;
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused};

both!(
    a_key_is_told_to_nobody_again,
    a_key_that_cannot_be_kept_is_refused,
    each_organisation_is_asked_for_with_its_own_key,
    who_changes_keys_too_often_waits,
);

const LOCAL: &str = "/organizations/01930000-0000-7000-8000-000000000001/provider-keys";
const THIRD: &str = "01930000-0000-7000-8000-0000000000e3";
const ADAS: &str = "sk-acme-0123456789-x4f9";
const BOBS: &str = "sk-beta-9876543210-w1b2";

async fn ask_providers(desk: &SignInDesk, names: &[&str]) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let keep = async |tx: &mut Tx| deployment::keep_key_providers(tx, &names).await;
    let kept = desk.accounts.store.system();
    kept.write(CrashPoint::DeploymentTaken, keep).await.unwrap();
}

async fn token_of(desk: &SignInDesk, email: &str, org: OrgId, role: SystemRole) -> String {
    desk.add_user(email, &[(org, role)]).await;
    desk.sign_in(email, PASSWORD).await.access_token
}

async fn a_key_is_told_to_nobody_again(desk: SignInDesk) {
    ask_providers(&desk, &["anthropic", "rack"]).await;
    let owner = token_of(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Owner).await;
    let path = format!("{LOCAL}/anthropic");
    let key = || Some(json!({ "key": ADAS }));
    let mut told = Vec::new();
    for (method, path, body) in [
        (Method::PUT, path.as_str(), key()),
        (Method::GET, LOCAL, None),
        (Method::PUT, &format!("{LOCAL}/rack"), key()),
        (
            Method::GET,
            "/organizations/01930000-0000-7000-8000-000000000001/audit",
            None,
        ),
        (Method::GET, "/events", None),
    ] {
        let (status, answer) = desk.ask((method, path), Some(&owner), body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        told.push(answer);
    }
    assert_eq!(told[0]["provider"], "anthropic");
    assert_eq!(
        (&told[1]["items"][0]["last_four"], &told[0]["last_four"]),
        (&json!("x4f9"), &json!("x4f9"))
    );
    assert!(told[3].to_string().contains("secret_set"), "{}", told[3]);
    for answer in &told {
        assert!(!answer.to_string().contains("0123456789"), "{answer}");
    }
    // Whoever may not change the organisation sees and changes nothing; outside, it is not there.
    for (email, org, role, expected) in [
        (
            "max@example.org",
            OrgId::LOCAL,
            SystemRole::Member,
            refused(403, "forbidden"),
        ),
        (
            "vic@example.org",
            OrgId::LOCAL,
            SystemRole::Viewer,
            refused(403, "forbidden"),
        ),
        (
            "bob@example.org",
            ELSEWHERE.parse().unwrap(),
            SystemRole::Owner,
            refused(404, "not_found"),
        ),
    ] {
        let token = token_of(&desk, email, org, role).await;
        for (method, path, body) in [
            (Method::GET, LOCAL, None),
            (Method::PUT, path.as_str(), Some(json!({ "key": BOBS }))),
            (Method::DELETE, path.as_str(), None),
        ] {
            let said = desk.code_of((method, path), &token, body).await;
            assert_eq!(said, expected, "{email} {path}");
        }
    }
    let (_, listed) = desk.ask((Method::GET, LOCAL), Some(&owner), None).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let gone = desk.ask((Method::DELETE, &path), Some(&owner), None).await;
    assert_eq!(gone.0, 204);
    let again = desk.code_of((Method::DELETE, &path), &owner, None).await;
    assert_eq!(again, refused(404, "not_found"));
}

async fn a_key_that_cannot_be_kept_is_refused(mut desk: SignInDesk) {
    ask_providers(&desk, &["rack"]).await;
    let owner = token_of(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Owner).await;
    let rack = format!("{LOCAL}/rack");
    let asked = async |path: &str, body: Value| {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("/api/v1{path}"))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {owner}"));
        desk.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    };
    let key = json!({ "key": ADAS });
    for (path, body, expected) in [
        (
            format!("{LOCAL}/anthropic"),
            key.clone(),
            (422, "unasked_provider"),
        ),
        (
            rack.clone(),
            json!({ "key": "too-short" }),
            (422, "validation_failed"),
        ),
        (
            rack.clone(),
            json!({ "key": format!("{ADAS} b") }),
            (422, "validation_failed"),
        ),
        (
            rack.clone(),
            json!({ "key": ADAS, "org_id": ELSEWHERE }),
            (422, "unknown_field"),
        ),
        (
            rack.clone(),
            json!({ "key": [ADAS] }),
            (422, "validation_failed"),
        ),
        (rack.clone(), json!(ADAS), (422, "validation_failed")),
    ] {
        let (status, told) = asked(&path, body).await;
        assert_eq!(
            (status, told["error"].as_str().unwrap()),
            expected,
            "{told}"
        );
        assert!(!told.to_string().contains("0123456789"), "{told}");
    }
    let accounts = AccountContext {
        encryption_ring: None,
        ..desk.accounts.clone()
    };
    desk.router = router_with(&desk.test, accounts, ApiDoor::Network);
    let said = desk.code_of((Method::PUT, &rack), &owner, Some(key)).await;
    assert_eq!(said, refused(503, "encryption_not_configured"));
    let (_, listed) = desk.ask((Method::GET, LOCAL), Some(&owner), None).await;
    assert_eq!(listed["items"], json!([]));
}

async fn who_changes_keys_too_often_waits(mut desk: SignInDesk) {
    let owner = token_of(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Owner).await;
    let limiter = RateLimiter::of_process(desk.test.deployment.clock.clone());
    let surface = SurfaceParts {
        limits: RequestLimits::counted_by(limiter),
        ..surface_behind(&desk, ApiDoor::Network)
    };
    desk.router = router(surface, ApiDoor::Network);
    let path = format!("{LOCAL}/rack");
    for n in 0..20 {
        let said = desk.code_of((Method::DELETE, &path), &owner, None).await;
        assert_eq!(said, refused(404, "not_found"), "{n}");
    }
    let said = desk.code_of((Method::DELETE, &path), &owner, None).await;
    assert_eq!(said, refused(429, "rate_limited"));
    let (status, listed) = desk.ask((Method::GET, LOCAL), Some(&owner), None).await;
    assert_eq!(status, 200, "{listed}");
    desk.test.advance_clock(3);
    let said = desk.code_of((Method::DELETE, &path), &owner, None).await;
    assert_eq!(said, refused(404, "not_found"));
}

/// The key of each call, in order.
type SentKeys = Arc<Mutex<Vec<String>>>;

async fn answer_question(State(sent): State<SentKeys>, headers: HeaderMap) -> axum::Json<Value> {
    let key = headers["authorization"].to_str().unwrap();
    sent.lock().unwrap().push(key.to_owned());
    axum::Json(json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hm."}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }))
}

/// Grants every call.
struct OpenHand;

impl CallMeter for OpenHand {
    fn reserve_call<'a>(
        &'a self,
        _: &'a ModelCaller,
        _: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        let call: Box<dyn ReservedCall> = Box::new(Self);
        futures::future::ready(Ok(call)).boxed()
    }
    fn report_failure<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, ()> {
        futures::future::ready(()).boxed()
    }
    fn report_fallback<'a>(&'a self, _: &'a ModelCaller, _: &'a FallbackNote) -> BoxFuture<'a, ()> {
        futures::future::ready(()).boxed()
    }
    fn keep_maker<'a>(
        &'a self,
        _: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        futures::future::ready(Some(maker.to_owned())).boxed()
    }
    fn save_attempt<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, bool> {
        futures::future::ready(false).boxed()
    }
}

impl ReservedCall for OpenHand {
    fn raise_cost(&self, _: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>> {
        futures::future::ready(Ok(())).boxed()
    }
    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>> {
        futures::future::ready(Ok(())).boxed()
    }
    fn record_usage<'a>(&'a self, _: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        futures::future::ready(Ok(())).boxed()
    }
}

/// The gateway of a process that asks `rack` at `base` with a key of the deployment.
fn gateway_of(desk: &SignInDesk, base: &str) -> ModelGateway {
    let simulated = RouteTable::all_simulated(Dialect::Messages, base);
    let route = ModelRoute {
        key: ProviderKey::Bearer("deployments".into()),
        server: ServerSettings {
            provider: Some("rack".to_owned()),
            ..ServerSettings::default()
        },
        simulated: false,
        ..simulated.route_named(RouteName::Agent).clone()
    };
    let routes = RouteTable::from_table([(RouteName::Agent, route)].into());
    let llm = LlmClient::new(routes.unwrap(), Arc::new(StandingPace)).unwrap();
    let reader = BroughtKeyReader {
        store: desk.accounts.store.clone(),
        ring: desk.accounts.encryption_ring.clone(),
    };
    let llm = llm.with_brought_keys(StoredProviderKeys::new(reader));
    ModelGateway::new(llm, Arc::new(OpenHand))
}

/// Asks for `org`, and expects an answer.
async fn ask_model(gateway: &ModelGateway, desk: &SignInDesk, org: OrgId) {
    let spec = &desk.test.spec;
    let caller = ModelCaller {
        principal: Principal {
            org,
            project: spec.project_id,
            spec: spec.id,
            purpose: CallPurpose::Judge,
        },
        role: AgentRole::Implementer,
        program: None,
        phase: "implementation".to_owned(),
        task: None,
        task_type: None,
        title: None,
        round: 1,
        n_turns: None,
    };
    let body =
        json!({"model": "agent", "max_tokens": 10, "messages": [{"role": "user", "content": "a"}]});
    let request = GatewayRequest {
        method: Method::POST,
        path: "/v1/messages".to_owned(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    };
    let reply = gateway.handle_request(&caller, request).await;
    let ReplyBody::Full(text) = reply.body else {
        panic!("it is whole");
    };
    assert_eq!(reply.status.as_u16(), 200, "{text:?}");
}

async fn each_organisation_is_asked_for_with_its_own_key(desk: SignInDesk) {
    let (sent, mut serving) = (SentKeys::default(), JoinSet::new());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let provider = Router::new()
        .route("/v1/messages", post(answer_question))
        .with_state(Arc::clone(&sent));
    serving.spawn(async move { axum::serve(listener, provider).await.unwrap() });

    let (local, elsewhere, third) = (
        OrgId::LOCAL,
        ELSEWHERE.parse().unwrap(),
        THIRD.parse().unwrap(),
    );
    add_organisation(&desk.accounts.store, third).await;
    ask_providers(&desk, &["rack"]).await;
    let ada = token_of(&desk, "ada@example.org", local, SystemRole::Owner).await;
    let bob = token_of(&desk, "bob@example.org", elsewhere, SystemRole::Admin).await;
    let theirs = format!("/organizations/{ELSEWHERE}/provider-keys/rack");
    let ours = format!("{LOCAL}/rack");
    let gateway = gateway_of(&desk, &base);
    let sent_for = async |orgs: &[OrgId]| {
        for org in orgs {
            ask_model(&gateway, &desk, *org).await;
        }
        std::mem::take(&mut *sent.lock().unwrap())
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let all = [local, elsewhere, third];
    assert_eq!(sent_for(&all).await, ["deployments"; 3].map(bearer));

    for (path, token, key) in [(&ours, &ada, ADAS), (&theirs, &bob, BOBS)] {
        let body = Some(json!({ "key": key }));
        let (status, told) = desk.ask((Method::PUT, path), Some(token), body).await;
        assert_eq!(status, 200, "{told}");
    }
    assert_eq!(
        sent_for(&all).await,
        [ADAS, BOBS, "deployments"].map(bearer)
    );
    assert_eq!(
        gateway.organisation_mask(local).unwrap().mask_text(ADAS),
        "****"
    );
    assert!(gateway.organisation_mask(third).is_none());

    let removed = desk.ask((Method::DELETE, &ours), Some(&ada), None).await;
    assert_eq!(removed.0, 204);
    let changed = Some(json!({ "key": ADAS }));
    desk.ask((Method::PUT, &theirs), Some(&bob), changed).await;
    assert_eq!(
        sent_for(&all).await,
        ["deployments", ADAS, "deployments"].map(bearer)
    );

    // What the database holds of a key opens for nobody without the ring.
    let mut database = RawConnection::open(desk.test.database_url()).await.unwrap();
    let text = database.dump_rows().await.unwrap().to_lowercase();
    for secret in [ADAS, BOBS] {
        let digits: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(secret) && !text.contains(&digits));
    }
}
