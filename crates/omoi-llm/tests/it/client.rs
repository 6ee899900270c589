//! The agent's client against a gateway behind a Unix socket and behind loopback.

use std::sync::Arc;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::StreamExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::gateway_client::{GatewayClient, GatewayEndpoint};
use omoi_llm::pace::CallPace;
use omoi_llm::upstream::UpstreamError;

use crate::stub::{self, End, Stub};
use crate::support::{TestMeter, VirtualPace, caller, llm, request};

/// The transport that the server puts around the gateway.
async fn serve(State(gateway): State<ModelGateway>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    assert_eq!(parts.headers["authorization"], "Bearer attempt-token");
    let request = GatewayRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
    };
    let reply = gateway.handle_request(&caller(), request).await;
    let body = match reply.body {
        ReplyBody::Full(bytes) => HttpBody::from(bytes),
        ReplyBody::Events(events) => HttpBody::from_stream(events.map(Ok::<_, std::io::Error>)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

#[tokio::test]
async fn answers_and_refusals_arrive_over_both_ways() {
    let stub = Stub::start(
        vec![stub::good(), stub::good(), stub::first(6, End::Clean)],
        stub::calls_tool("read", "{\"path\": "),
    )
    .await;
    let pace = VirtualPace::new();
    let meter = TestMeter::rich();
    let gateway = ModelGateway::new(llm(&stub.url, &pace), Arc::clone(&meter) as _);
    let router = Router::new().fallback(serve).with_state(gateway.clone());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gateway.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", tcp.local_addr().unwrap());
    let mut servers = JoinSet::new();
    let same = router.clone();
    servers.spawn(async move { axum::serve(unix, same).await.unwrap() });
    servers.spawn(async move { axum::serve(tcp, router).await.unwrap() });

    let client = |endpoint| {
        let pace = Arc::clone(&pace) as Arc<dyn CallPace>;
        GatewayClient::new(endpoint, "attempt-token".into(), pace).unwrap()
    };
    let over_unix = client(GatewayEndpoint::Unix(socket));
    for client in [&over_unix, &client(GatewayEndpoint::Http(address))] {
        let mut kinds = Vec::new();
        let answer = client
            .create_message(&request(), |event| kinds.push(event.kind().to_owned()))
            .await
            .unwrap();
        assert_eq!(answer.response.content.len(), 2);
        assert_eq!(kinds.len(), 12);
    }

    let cut = over_unix
        .create_message(&request(), |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(&cut, UpstreamError::Status { status: 500, .. }),
        "{cut:?}"
    );

    let answer = over_unix.create_message(&request(), |_| {}).await.unwrap();
    let broken = &answer.broken_calls[0];
    assert_eq!(
        (broken.id.as_str(), broken.raw.as_str()),
        ("toolu_9", "{\"path\": ")
    );
    assert_eq!(stub.calls(), 4, "the client repeats nothing by itself");
    assert!(
        stub.seen()
            .iter()
            .all(|s| s.body["model"] == "claude-sonnet-4-5")
    );

    let mut wrong = request();
    wrong.messages.clear();
    let refused = over_unix.create_message(&wrong, |_| {}).await.unwrap_err();
    assert!(
        matches!(&refused, UpstreamError::Status { status: 400, kind, .. } if kind == "invalid_request_error")
    );
    assert_eq!(meter.usages().len(), 4);
    gateway.drain_questions().await;
}

#[tokio::test]
async fn an_answer_of_many_tokens_arrives_whole() {
    let mut events = stub::anthropic_events();
    let mut delta = events[3].clone();
    delta["delta"]["text"] = "x".repeat(2 << 20).into();
    // 12 MiB, and each event within what one may have.
    events.splice(3..5, vec![delta; 6]);
    let stub = Stub::always(stub::says(&events)).await;
    let pace = VirtualPace::new();
    let client = GatewayClient::new(
        GatewayEndpoint::Http(stub.url.clone()),
        "attempt-token".into(),
        Arc::clone(&pace) as _,
    )
    .unwrap();
    let mut request = request();
    request.max_tokens = 64_000;
    let answer = client.create_message(&request, |_| {}).await.unwrap();
    assert_eq!(answer.response.content.len(), 2);
}
