//! Servers of a person's own list: the headers that they want, and the ways that a person says of them.

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;
use omoi_llm::catalogue::ModelCatalogue;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::route::{ListedProvider, LlmSettings, ModelServer, RouteError, RouteTable};

use crate::stub::{self, Says, Stub};
use crate::support::{START, TestMeter, VirtualPace, caller};

fn routes(stub: &Stub, said: &str, key: Option<&str>) -> Result<RouteTable, RouteError> {
    let row = format!(
        "name=azure; dialect=chat_completions; address={}; headers=Api-Key:AZURE_KEY{said}",
        stub.url
    );
    let values = key.map(|key| ("api-key".to_owned(), key.into()));
    let listed = ListedProvider {
        row: row.parse().unwrap(),
        key: None,
        more_keys: Vec::new(),
        headers: values.into_iter().collect(),
    };
    let settings = LlmSettings {
        openai: ModelServer {
            max_tokens: 1_000,
            ..ModelServer::default()
        },
        providers: vec![listed],
        choices: [(RouteName::Agent, vec!["azure/m".to_owned()])].into(),
        ..LlmSettings::default()
    };
    RouteTable::resolve_all(&settings, &ModelCatalogue::load_embedded().unwrap(), START)
}

async fn ask(routes: RouteTable) -> (u16, String) {
    let body = json!({"model": "agent", "max_tokens": 500,
        "messages": [{"role": "user", "content": "a"}]});
    ask_at("/v1/messages", &body, routes).await
}

async fn ask_at(path: &str, body: &Value, routes: RouteTable) -> (u16, String) {
    let llm = LlmClient::new(routes, VirtualPace::new()).unwrap();
    let gateway = ModelGateway::new(llm, TestMeter::rich() as Arc<_>);
    let request = GatewayRequest {
        method: Method::POST,
        path: path.to_owned(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    };
    let reply = gateway.handle_request(&caller(), request).await;
    let ReplyBody::Full(body) = reply.body else {
        panic!("it is whole");
    };
    let says = String::from_utf8(body.to_vec()).unwrap();
    (reply.status.as_u16(), says)
}

#[tokio::test]
async fn a_server_gets_the_headers_and_fields_that_a_person_says_of_it() {
    let stub = Stub::always(stub::chat(&["Hel", "lo"], "stop")).await;
    for (said, field) in [
        ("", "max_tokens"),
        ("; like=openai", "max_completion_tokens"),
        ("; like=openai; quirks=max_tokens", "max_tokens"),
        ("; quirks=max_completion_tokens", "max_completion_tokens"),
    ] {
        let (status, says) = ask(routes(&stub, said, Some("the-hidden-value")).unwrap()).await;
        assert_eq!(status, 200, "{said}: {says}");
        let seen = stub.seen().pop().unwrap();
        assert_eq!(seen.headers["api-key"], "the-hidden-value");
        assert!(!seen.headers.contains_key("authorization"));
        assert_eq!(seen.body[field], 500, "{said}: {}", seen.body);
    }
}

#[tokio::test]
async fn a_server_without_a_cache_key_still_reads_how_long_answers_are_to_be() {
    let stub = Stub::always(stub::chat(&["Hel", "lo"], "stop")).await;
    let asked = json!({"model": "agent", "input": "a", "prompt_cache_key": "k",
        "text": {"verbosity": "low"}});
    for (said, has_key, verbosity) in [
        ("; like=openai", true, json!("low")),
        ("; like=openai; quirks=no_cache_key", false, json!("low")),
        ("; quirks=cache_key", true, Value::Null),
    ] {
        let routes = routes(&stub, said, Some("a")).unwrap();
        let (status, says) = ask_at("/v1/responses", &asked, routes).await;
        assert_eq!(status, 200, "{said}: {says}");
        let sent = stub.seen().pop().unwrap().body;
        assert_eq!(
            sent["prompt_cache_key"].is_string(),
            has_key,
            "{said}: {sent}"
        );
        assert_eq!(sent["verbosity"], verbosity, "{said}: {sent}");
    }
}

#[tokio::test]
async fn the_value_of_a_header_is_a_secret_that_has_to_be_there() {
    let refused = json!({"error": {"message": "no such key: the-hidden-value"}});
    let stub = Stub::always(Says::Plain(401, None, refused.to_string())).await;
    let (status, says) = ask(routes(&stub, "", Some("the-hidden-value")).unwrap()).await;
    assert_ne!(status, 200);
    assert!(says.contains("no such key"), "{says}");
    assert!(!says.contains("the-hidden-value"), "{says}");
    let missing = routes(&stub, "", None).unwrap_err();
    assert!(missing.to_string().contains("AZURE_KEY"), "{missing}");
    let told = routes(&stub, "; window=32000", Some("k")).unwrap();
    let agent = told.route_named(RouteName::Agent);
    assert_eq!(agent.window_tokens, Some(32_000));
    let other = routes(&stub, "", Some("another")).unwrap();
    let other = other.route_named(RouteName::Agent).credential_id();
    assert_ne!(agent.credential_id(), other, "limits belong to the value");
}
