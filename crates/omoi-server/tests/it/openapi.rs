//! The API as it describes itself: every operation is asked as its description says, and refuses as it says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY};
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::permission::Permission;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{
    EXAMPLE_APPROVAL, EXAMPLE_ATTEMPT, EXAMPLE_BUDGET, EXAMPLE_COMMENT, EXAMPLE_EVENT,
    EXAMPLE_FILE, EXAMPLE_INVITATION, EXAMPLE_KEY, EXAMPLE_MEMBER, EXAMPLE_OPERATION,
    EXAMPLE_ORGANIZATION, EXAMPLE_PREREQUISITE, EXAMPLE_PROJECT, EXAMPLE_REQUIREMENT, EXAMPLE_ROLE,
    EXAMPLE_SESSION, EXAMPLE_THREAD, EXAMPLE_THREAD_MESSAGE, EXAMPLE_TICKET, EXAMPLE_USER,
};

use crate::api::{TOKEN, bench};
use crate::ask::{ask, refusal};

/// Where the description is committed.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
/// Most operations that answer everybody.
const PUBLIC_MAX: usize = 22;

/// An operation as it is described.
pub(crate) struct Described {
    pub(crate) method: Method,
    pub(crate) path: String,
    operation: Value,
}

pub(crate) fn description() -> Value {
    serde_json::to_value(omoi_server::api::describe_openapi()).unwrap()
}

pub(crate) fn described(api: &Value) -> Vec<Described> {
    let mut found = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push(Described {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                operation: operation.clone(),
            });
        }
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}

impl Described {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn permission(&self) -> &str {
        self.operation["x-permission"].as_str().unwrap()
    }

    fn codes(&self) -> BTreeSet<String> {
        let codes = self.operation["x-error-codes"].as_array().unwrap();
        codes
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn parameters(&self) -> &[Value] {
        self.operation["parameters"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a request may name itself by a key.
    pub(crate) fn takes_keys(&self) -> bool {
        let mut parameters = self.parameters().iter();
        parameters.any(|parameter| parameter["name"] == "Idempotency-Key")
    }

    /// The schemas of what it answers.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &Value> {
        let responses = self.operation["responses"]
            .as_object()
            .into_iter()
            .flatten();
        responses.map(|(_, response)| &response["content"]["application/json"]["schema"])
    }

    /// Whether it reads JSON; bytes of another kind have tests of their own.
    fn takes_body(&self) -> bool {
        let content = &self.operation["requestBody"]["content"];
        content.get("application/json").is_some()
    }

    /// Its path with `spec` and `task` in it, and the examples of the query that it demands.
    pub(crate) fn asked(&self, spec: &str, task: &str) -> String {
        let path = self
            .path
            .replace("{spec_id}", spec)
            .replace("{task_id}", task)
            .replace("{planned_task_id}", "TSK-001")
            // The ticket of a task is named as it is.
            .replace("{ticket_id}", &task.replace("TSK", "TKT"))
            .replace("{dependency_id}", EXAMPLE_TICKET)
            .replace("{comment_id}", EXAMPLE_COMMENT)
            .replace("{file_id}", EXAMPLE_FILE)
            .replace("{approval_id}", EXAMPLE_APPROVAL)
            .replace("{depends_on_task_id}", EXAMPLE_PREREQUISITE)
            .replace("{phase_id}", "PHASE_DESIGN")
            .replace("{provider}", "github")
            .replace("{user_code}", "BCDF-GHJK")
            .replace("{to_phase}", "PHASE_DESIGN");
        let path = path.replace("{thread_id}", EXAMPLE_THREAD);
        let path = path.replace("{message_id}", EXAMPLE_THREAD_MESSAGE);
        let path = path.replace("{workflow_id}", EXAMPLE_TICKET);
        let path = path.replace("{req_id}", EXAMPLE_REQUIREMENT);
        let path = path.replace("{commit_sha}", &"1".repeat(40));
        let path = path.replace("{share_token}", &"A".repeat(43));
        let path = path.replace("{criterion_id}", "1");
        let path = path.replace("{number}", "1").replace("{other}", "2");
        let path = path.replace("{operation_id}", EXAMPLE_OPERATION);
        let path = path.replace("{agent_id}", EXAMPLE_ATTEMPT);
        let path = path.replace("{sandbox_id}", EXAMPLE_ATTEMPT);
        let path = path.replace("{project_id}", EXAMPLE_PROJECT);
        let path = path.replace("{session_id}", EXAMPLE_SESSION);
        let path = path.replace("{key_id}", EXAMPLE_KEY);
        let path = path.replace("{organization_id}", EXAMPLE_ORGANIZATION);
        let path = path.replace("{event_id}", EXAMPLE_EVENT);
        let path = path.replace("{member_id}", EXAMPLE_MEMBER);
        let path = path.replace("{role_id}", EXAMPLE_ROLE);
        let path = path.replace("{invitation_id}", EXAMPLE_INVITATION);
        let path = path.replace("{budget_id}", EXAMPLE_BUDGET);
        let path = path.replace("{user_id}", EXAMPLE_USER);
        let demanded = self.parameters().iter().filter(|parameter| {
            parameter["in"] == "query"
                && (parameter["required"] == true || parameter["name"] == "once")
        });
        let pairs = demanded.map(|parameter| {
            let value = &parameter["example"];
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            let value = if parameter["name"] == "spec_id" {
                spec.to_owned()
            } else {
                value
            };
            format!("{}={value}", parameter["name"].as_str().unwrap())
        });
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    /// What its path names, in order.
    pub(crate) fn path_names(&self) -> Vec<String> {
        let parts = self.path.split('{').skip(1);
        let names = parts.filter_map(|part| part.split_once('}'));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// Its name in clients.
    pub(crate) fn id(&self) -> &str {
        self.operation["operationId"].as_str().unwrap()
    }

    /// The media type of its body, where it reads one.
    pub(crate) fn body_media(&self) -> Option<&str> {
        let content = self.operation["requestBody"]["content"].as_object()?;
        content.keys().next().map(String::as_str)
    }

    /// The statuses that it answers who is let in and asks well.
    pub(crate) fn promised_statuses(&self) -> Vec<u16> {
        let responses = self.operation["responses"].as_object().unwrap();
        let statuses = responses.keys().filter_map(|status| status.parse().ok());
        statuses.filter(|status| *status < 400).collect()
    }

    /// The example of its body.
    pub(crate) fn body(&self, api: &Value) -> Option<Value> {
        let content = &self.operation["requestBody"]["content"]["application/json"];
        let named = content["schema"]["$ref"].as_str()?;
        let name = named.rsplit('/').next()?;
        let example = &api["components"]["schemas"][name]["example"];
        (!example.is_null()).then(|| example.clone())
    }

    /// Expects a refusal that the description has.
    fn expect_refused(&self, said: (axum::http::StatusCode, String), expected: (u16, &str)) {
        let told = said.1.clone();
        let (status, code) = refusal(said);
        assert_eq!((status, code.as_str()), expected, "{}: {told}", self.name());
        assert!(
            self.codes().contains(&code),
            "{} does not say `{code}`",
            self.name()
        );
        let responses = &self.operation["responses"];
        assert!(
            responses.get(status.to_string()).is_some(),
            "{}: {status}",
            self.name()
        );
    }
}

#[test]
fn every_operation_says_who_may_call_it_what_it_takes_and_how_it_refuses() {
    let api = description();
    let operations = described(&api);
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let name = operation.name();
        let permission = operation.permission();
        let words = ["public", "signed-in", "staff", "own-account", "person"];
        let is_known = words.contains(&permission);
        assert!(
            is_known || Permission::parse(permission).is_some(),
            "{name}: {permission}"
        );
        let security = operation.operation["security"].as_array().unwrap();
        assert_eq!(security.is_empty(), permission == "public", "{name}");
        for code in operation.codes() {
            let code = ErrorCode::parse(&code).unwrap_or_else(|| panic!("{name}: {code}"));
            let status = code.http_status().to_string();
            let response = &operation.operation["responses"][&status];
            let told = response["description"].as_str().unwrap_or_default();
            assert!(told.contains(code.as_str()), "{name}: {code}");
        }
        let id = operation.operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        assert!(operation.operation["summary"].is_string(), "{name}");
        for parameter in operation.parameters() {
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
            let is_demanded = parameter["required"] == true;
            assert!(
                !is_demanded || !parameter["example"].is_null(),
                "{name}: {parameter}"
            );
        }
        assert!(
            !operation.takes_body() || operation.body(&api).is_some(),
            "{name}"
        );
    }
    let public = operations
        .iter()
        .filter(|operation| operation.permission() == "public");
    let public: Vec<String> = public.map(Described::name).collect();
    assert!(public.len() <= PUBLIC_MAX, "{public:?}");
}

#[test]
fn the_committed_description_is_this_one() {
    let text = omoi_server::api::openapi_text();
    let committed = fs::read_to_string(Path::new(COMMITTED)).unwrap_or_default();
    assert!(committed == text, "make it anew: cargo xtask openapi");
}

#[tokio::test]
async fn every_operation_wants_the_credential_that_it_names() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let agents = test.run_task(task.id).await.token;
    test.leaves_open_attempts();
    let api = description();
    for operation in described(&api) {
        // Probes are a router of their own.
        if operation.permission() == "public" {
            continue;
        }
        let path = operation.asked("SPEC-1", "TSK-001");
        for token in [None, Some("made up"), Some(agents.as_str())] {
            // A body that never comes shows that nobody waits for it.
            let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let said = ask(&router, (&operation.method, &path), token, never).await;
            operation.expect_refused(said, (401, "unauthenticated"));
        }
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_makes_no_sense_is_told_apart() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let unknown = "01930000-0000-7000-8000-0000000000ff";
    let api = description();
    for operation in described(&api) {
        let ask_for = async |spec: &str, task: &str, more: &str| {
            let path = format!("{}{more}", operation.asked(spec, task));
            let body = operation
                .body(&api)
                .map_or_else(Body::empty, |body| body.to_string().into());
            ask(&router, (&operation.method, &path), Some(TOKEN), body).await
        };
        let takes_reference = ["{spec_id}", "{task_id}", "{ticket_id}"];
        if takes_reference
            .iter()
            .any(|place| operation.path.contains(place))
        {
            for (spec, task, expected) in [
                ("SPEC-9", "TSK-009", (404, "not_found")),
                (unknown, unknown, (404, "not_found")),
                ("nonsense", "nonsense", (422, "validation_failed")),
                ("TSK-001", "SPEC-1", (422, "validation_failed")),
            ] {
                operation.expect_refused(ask_for(spec, task, "").await, expected);
            }
        }
        // A provider sends a browser back with more than its documentation says.
        let is_return = operation.path.ends_with("/callback");
        let mut parameters = operation.parameters().iter();
        if !is_return && parameters.any(|parameter| parameter["in"] == "query") {
            let said = ask_for("SPEC-1", "TSK-001", "&nonsense=1").await;
            operation.expect_refused(said, (422, "unknown_field"));
        }
    }
}

/// What `router` says to `operation` with `body` of the media type `media`.
async fn send(
    router: &Router,
    operation: &Described,
    media: &str,
    body: String,
) -> (axum::http::StatusCode, String) {
    let request = axum::http::Request::builder()
        .method(&operation.method)
        .uri(operation.asked("SPEC-1", "TSK-001"))
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header("content-type", media);
    let response = router
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap());
    let response = response.await.unwrap();
    let status = response.status();
    let text = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_body_is_refused_by_what_is_wrong_with_it() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let api = description();
    let json_media = "application/json";
    for operation in described(&api)
        .iter()
        .filter(|operation| operation.takes_body())
    {
        let example = operation.body(&api).unwrap();
        let mut foreign = example.clone();
        foreign["org_id"] = json!("01930000-0000-7000-8000-0000000000ff");
        let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1 << 20));
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        for (media, body, expected) in [
            (json_media, "[".to_owned(), (400, "malformed_json")),
            (json_media, deep, (400, "malformed_json")),
            (json_media, "7".to_owned(), (422, "validation_failed")),
            (json_media, foreign.to_string(), (422, "unknown_field")),
            (json_media, large, (413, "too_large")),
            (
                "text/plain",
                example.to_string(),
                (415, "unsupported_media_type"),
            ),
        ] {
            let said = send(&router, operation, media, body).await;
            operation.expect_refused(said, expected);
        }
    }
}

#[tokio::test]
async fn the_pages_of_the_api_need_a_credential_and_no_network() {
    let (_test, router) = bench().await;
    for path in ["/docs/", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        for (token, expected) in [(None, 401), (Some(TOKEN), 200)] {
            let mut request = axum::http::Request::builder().uri(path);
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), expected, "{path}");
            if expected == 200 && path.starts_with("/docs") {
                let policy = response.headers()[CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap();
                assert!(policy.starts_with("default-src 'none'"), "{policy}");
            }
        }
    }
    let get = |path| ask(&router, (&Method::GET, path), Some(TOKEN), Body::empty());
    let (_, page) = get("/docs/").await;
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let (_, text) = get("/openapi.json").await;
    assert_eq!(text, omoi_server::api::openapi_text());
    assert_eq!(
        refusal(get("/api/v1/nothing").await),
        (404, "not_found".to_owned())
    );
    let gone = get("/api/v1/debug/event-bus/status").await;
    assert!(
        gone.1
            .contains("\"use\":\"GET /api/v1/admin/event-bus/status\"")
    );
    assert_eq!(refusal(gone), (410, "gone".to_owned()));
    let delete = (&Method::DELETE, "/api/v1/specs");
    let said = ask(&router, delete, Some(TOKEN), Body::empty()).await;
    assert_eq!(refusal(said), (405, "method_not_allowed".to_owned()));
}

/// What somebody may put where an id, a number or a body belongs.
const JUNK: [&str; 12] = [
    "",
    "%00",
    "..%2F..%2Fetc%2Fpasswd",
    "'%20or%201%3D1%20--",
    "SPEC-99999999999999999999",
    "-1",
    "%F0%9F%92%A5",
    "%FF%FE",
    "null",
    "a%0Ab",
    "00000000-0000-0000-0000-000000000000",
    "%7B%22a%22%3A1%7D",
];

/// Picks by a seed, so that a failure comes again.
struct SeededPicks(u64);

impl SeededPicks {
    fn next_below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    /// A path that is broken somewhere.
    fn path_of(&mut self, operation: &Described) -> String {
        let (spec, task) = (JUNK[self.next_below(12)], JUNK[self.next_below(12)]);
        match self.next_below(3) {
            0 => operation.asked(spec, task),
            1 => format!(
                "{}&{}={}",
                operation.asked("SPEC-1", "TSK-001"),
                "status",
                JUNK[self.next_below(12)]
            ),
            _ => format!(
                "{}&{}=1",
                operation.asked("SPEC-1", "TSK-001"),
                JUNK[self.next_below(12)]
            ),
        }
    }

    /// A body that is cut, or changed in one byte.
    fn body_of(&mut self, example: &str) -> Vec<u8> {
        let mut bytes = example.as_bytes().to_vec();
        if bytes.is_empty() {
            return JUNK[self.next_below(12)].as_bytes().to_vec();
        }
        let at = self.next_below(bytes.len());
        match self.next_below(3) {
            0 => bytes.truncate(at),
            1 => bytes[at] = u8::try_from(self.next_below(256)).unwrap(),
            _ => bytes.insert(at, u8::try_from(self.next_below(256)).unwrap()),
        }
        bytes
    }
}

#[tokio::test]
async fn five_thousand_broken_requests_are_answered_by_registered_codes() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let api = description();
    let mut operations = described(&api);
    operations.retain(|operation| operation.permission() != "public");
    let mut picks = SeededPicks(7);
    for n in 0..5_000 {
        let operation = &operations[picks.next_below(operations.len())];
        let path = picks.path_of(operation);
        let example = operation.body(&api).map(|body| body.to_string());
        let body = picks.body_of(&example.unwrap_or_default());
        let route = (&operation.method, path.as_str());
        let (status, text) = ask(&router, route, Some(TOKEN), body.clone().into()).await;
        if status.as_u16() < 400 {
            continue;
        }
        let said = String::from_utf8_lossy(&body);
        let about = format!("request {n}: {} {path} {said}: {text}", operation.method);
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{about}"));
        let code = ErrorCode::parse(told["error"].as_str().unwrap()).expect(&about);
        assert_eq!(code.http_status(), status.as_u16(), "{about}");
        // A server that nobody set up a provider at says so; nothing else fails here.
        let has_failed = status.as_u16() >= 500 && code != ErrorCode::OauthNotConfigured;
        assert!(!has_failed && told["detail"].is_string(), "{about}");
        assert!(
            !text.contains("select ") && !text.contains("/crates/"),
            "{about}"
        );
    }
}
