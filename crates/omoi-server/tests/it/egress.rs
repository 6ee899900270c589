//! The way out of a sandbox: who gets one, what it refuses, and what is kept of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

use omoi_domain::actor::Actor;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::audit::AuditAction;
use omoi_domain::egress::EgressOutcome;
use omoi_domain::event::EventKind;
use omoi_domain::id::{AttemptId, OrgId, UserId};
use omoi_egress::authority::EgressAuthority;
use omoi_egress::cache::RegistryCache;
use omoi_egress::listing::{ListedEntries, SharedListing};
use omoi_egress::project_hosts::{ProjectHosts, host_line};
use omoi_egress::proxy::{EgressProxy, ProxyParts};
use omoi_egress::resolve::{CheckedResolver, FixedAddresses};
use omoi_egress::service::RegistryService;
use omoi_egress::sites::RegistrySites;
use omoi_egress::upstream::{UpstreamRegistries, UpstreamSettings};
use omoi_execution::attempt::CreatedAttempt;
use omoi_execution::intake;
use omoi_execution::sandbox_egress::SandboxEgress;
use omoi_runtime::clock::Clocked;
use omoi_server::egress::{AttemptProxy, EgressLists};
use omoi_server::worker::WorkerSurface;
use omoi_server::worker_socket::serve_workers;
use omoi_store::egress_entries::EgressFilter;
use omoi_store::{egress_entries, events};
use omoi_testkit::deployment::{TestDeployment, ended_report};

use crate::api::{TOKEN, bench, router_of};
use crate::ask::ask;
use crate::sign_in_desk::newest_acts;

/// A host outside, which a person lists.
pub(crate) struct ListedHost {
    listener: TcpListener,
    port: u16,
}

impl ListedHost {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    pub(crate) fn name(&self) -> String {
        format!("listed.example:{}", self.port)
    }
}

/// A proxy whose registries nobody asks, and which lets attempts reach `host`.
fn attempt_proxy(
    test: &TestDeployment,
    folder: &Path,
    host: &ListedHost,
    listing: SharedListing,
) -> AttemptProxy {
    let clock: Clocked = Arc::new(test.clock.clone());
    let sites = RegistrySites::default();
    let at = SocketAddr::from(([127, 0, 0, 1], host.port));
    let lookup = FixedAddresses([("listed.example".to_owned(), at)].into());
    let resolver = CheckedResolver::new(Arc::new(lookup), clock.clone());
    let settings = UpstreamSettings::default();
    let upstream = UpstreamRegistries::new(resolver.clone(), settings, clock.clone()).unwrap();
    let cache = RegistryCache::open(folder.join("cache"), 1 << 30, clock.clone()).unwrap();
    let hosts = sites.registry_hosts("local");
    let authority = EgressAuthority::open(&folder.join("authority"), &hosts, clock.now()).unwrap();
    let proxy = EgressProxy::new(ProxyParts {
        service: RegistryService::new(cache, upstream, sites, clock.clone()),
        authority,
        resolver,
        clock: clock.clone(),
    });
    let lists = EgressLists {
        listing,
        ..EgressLists::default()
    };
    AttemptProxy::new(proxy, lists, clock)
}

/// `host` by its name and by its address.
fn listing_of(host: &ListedHost) -> SharedListing {
    let lines = [host.name(), format!("127.0.0.1:{}", host.port)];
    SharedListing::new(ListedEntries {
        hosts: ProjectHosts::parse(&lines).unwrap(),
        ..ListedEntries::default()
    })
}

/// Serves the workers of `test`, who may reach `host`, on a socket while `asking` asks.
async fn while_served<F>(
    test: &TestDeployment,
    host: &ListedHost,
    asking: impl FnOnce(PathBuf) -> F,
) where
    F: Future<Output = ()>,
{
    while_listed(test, host, listing_of(host), asking).await;
}

/// As [`while_served`], with what `listing` lists.
pub(crate) async fn while_listed<F>(
    test: &TestDeployment,
    host: &ListedHost,
    listing: SharedListing,
    asking: impl FnOnce(PathBuf) -> F,
) where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("worker.sock");
    let surface = WorkerSurface {
        parts: test.build_part(),
        gateway: Err("none".to_owned()),
        egress: Some(attempt_proxy(test, folder.path(), host, listing)),
    };
    let listener = UnixListener::bind(&socket).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve_workers(listener, surface, async {
        stopped.await.unwrap();
    });
    let asking = async {
        asking(socket).await;
        stop.send(()).unwrap();
    };
    tokio::join!(serving, asking);
}

/// Asks for the way out of `attempt`; returns the connection with the head of the answer.
pub(crate) async fn open_way(
    socket: &Path,
    attempt: AttemptId,
    token: &str,
) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "GET /api/v1/sandboxes/{attempt}/egress HTTP/1.1\r\nhost: omoi\r\n\
         authorization: Bearer {token}\r\nconnection: upgrade\r\nupgrade: omoi-egress\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    (stream, head)
}

/// Says `request` with an empty line; returns the head of the answer.
pub(crate) async fn say(stream: &mut UnixStream, request: &str) -> String {
    let request = format!("{request}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(stream).await
}

async fn read_head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_refusal_reaches_the_client_the_rows_and_people() {
    let test = TestDeployment::new().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    let host = ListedHost::start().await;
    while_served(&test, &host, async |socket| {
        let id = live.attempt.id;
        let (_, opened) = open_way(&socket, id, "made up").await;
        assert!(opened.starts_with("HTTP/1.1 401"), "{opened}");
        let (mut way, opened) = open_way(&socket, id, &live.token).await;
        assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
        let refused = say(
            &mut way,
            "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443",
        );
        let refused = refused.await;
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        assert!(
            refused.contains("omoi-egress-reason: host_not_listed"),
            "{refused}"
        );
        drop(way);
        // What came of the connection is written down when it ends.
        loop {
            let (spec, filter) = (&test.spec, EgressFilter::default());
            let kept = egress_entries::page_of_spec(&mut test.read_tx().await, spec, filter).await;
            let kept = kept.unwrap();
            if let [(entry, number)] = &kept[..] {
                assert_eq!(entry.outcome, EgressOutcome::Refused);
                assert_eq!(entry.target, "example.com:443");
                assert_eq!(entry.reason.as_deref(), Some("host_not_listed"));
                let remedy = entry.remedy.as_deref();
                assert_eq!(
                    remedy,
                    Some("egress.hosts: [\"project=repo; host=example.com\"]")
                );
                assert_eq!(entry.attempt_id, Some(id));
                assert_eq!(*number, Some(1));
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut tx, kind) = (test.read_tx().await, EventKind::SandboxEgressDenied);
    let told = events::of_kind(&mut tx, live.attempt.spec_id, kind).await;
    assert_eq!(told.unwrap().len(), 1);
}

/// A tunnel to `host` that is open, with the host's end of it.
async fn open_tunnel(
    socket: &Path,
    live: &CreatedAttempt,
    host: &ListedHost,
) -> (UnixStream, TcpStream) {
    let (mut way, opened) = open_way(socket, live.attempt.id, &live.token).await;
    assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
    let name = host.name();
    let asked = format!("CONNECT {name} HTTP/1.1\r\nhost: {name}");
    let (head, accepted) = tokio::join!(say(&mut way, &asked), host.listener.accept());
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    (way, accepted.unwrap().0)
}

/// A connection whose client was answered once and may ask on.
async fn open_kept(socket: &Path, live: &CreatedAttempt) -> UnixStream {
    let (mut way, opened) = open_way(socket, live.attempt.id, &live.token).await;
    assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
    let refused = say(
        &mut way,
        "GET http://other.example/ HTTP/1.1\r\nhost: other.example",
    )
    .await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    read_body(&mut way, &refused).await;
    way
}

/// Reads what follows the head of an answer.
async fn read_body(way: &mut UnixStream, head: &str) {
    let mut headers = head.lines();
    let length = headers.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    way.read_exact(&mut body).await.unwrap();
}

/// Whether the other side ends it. It has all the time that a machine under load may take.
async fn is_ended(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let ending = async {
        let mut said = [0; 1024];
        while !matches!(stream.read(&mut said).await, Ok(0) | Err(_)) {}
    };
    tokio::time::timeout(Duration::from_secs(20), ending)
        .await
        .is_ok()
}

#[tokio::test]
async fn open_tunnels_and_kept_connections_end_with_their_attempt() {
    let test = TestDeployment::new().await;
    let mut live = Vec::new();
    for number in 1..=2 {
        let task = test.add_task(number, &[]).await;
        live.push(test.run_task(task.id).await);
    }
    let host = ListedHost::start().await;
    while_served(&test, &host, async |socket| {
        let (mut client, mut outside) = open_tunnel(&socket, &live[0], &host).await;
        let mut kept = open_kept(&socket, &live[0]).await;
        let mut others = open_kept(&socket, &live[1]).await;
        // Whoever ends it: here its worker.
        let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
        let attempt = test.attempt_now(&live[0].attempt).await;
        intake::complete_attempt(&test.build_part(), &attempt, end)
            .await
            .unwrap();
        assert!(is_ended(&mut client).await, "the tunnel of the client");
        assert!(is_ended(&mut outside).await, "the tunnel to the host");
        assert!(is_ended(&mut kept).await, "a kept connection");
        let (_, opened) = open_way(&socket, live[0].attempt.id, &live[0].token).await;
        assert!(opened.starts_with("HTTP/1.1 409"), "{opened}");
        // Those of other attempts go on.
        let refused = say(
            &mut others,
            "GET http://other.example/ HTTP/1.1\r\nhost: other.example",
        );
        assert!(refused.await.starts_with("HTTP/1.1 403"));
    })
    .await;
}

/// What a person allows while an agent is at work holds for that agent, on the connection that was refused as well.
#[tokio::test]
async fn a_host_that_a_person_allows_is_let_through_without_a_new_start() {
    let listing = SharedListing::default();
    let egress = SandboxEgress {
        certificates: "".into(),
        host_certificates: "".into(),
        go_proxies: Vec::new(),
        private_modules: Vec::new(),
        listing: listing.clone(),
    };
    let test = TestDeployment::with_parts(|parts| parts.egress = Some(egress)).await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    let host = ListedHost::start().await;
    let control = router_of(&test);
    let allow = async |hosts: &[&str]| {
        allow_entries(&control, &json!({ "hosts": hosts, "versions": [] })).await
    };
    while_listed(&test, &host, listing, async |socket| {
        let name = host.name();
        let request = format!("GET http://{name}/ HTTP/1.1\r\nhost: {name}");
        let mut way = open_kept(&socket, &live).await;
        let refused = say(&mut way, &request).await;
        assert!(
            refused.contains("omoi-egress-reason: host_not_listed"),
            "{refused}"
        );
        read_body(&mut way, &refused).await;

        let (status, _) = allow(&["no host"]).await;
        assert_eq!(status, 422);
        // Of another project.
        let (status, _) = allow(&[&host_line(Some("other"), &name)]).await;
        assert_eq!(status, 200);
        let refused = say(&mut way, &request).await;
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        read_body(&mut way, &refused).await;

        let address = format!("127.0.0.1:{}", host.port);
        let (status, said) = allow(&[&host_line(Some("repo"), &name), &address]).await;
        assert_eq!((status, said.as_str()), (200, r#"{"is_in_force":true}"#));
        let answering = async {
            let (mut outside, _) = host.listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(outside.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            outside.write_all(answer).await.unwrap();
        };
        let store = test.deployment.store.store();
        let told = newest_acts(store, OrgId::PLATFORM, 1).await.remove(0);
        assert_eq!(told.action, AuditAction::EgressAllowed);
        assert_eq!(told.actor, Actor::User(UserId::LOCAL));
        assert!(told.value_after.unwrap().contains(&address));
        let (passed, ()) = tokio::join!(say(&mut way, &request), answering);
        assert!(passed.starts_with("HTTP/1.1 200"), "{passed}");
        open_tunnel(&socket, &live, &host).await;
    })
    .await;
    // A process without a proxy says so.
    let (_other, control) = bench().await;
    let version = json!({ "hosts": [], "versions": ["npm:left-pad@1.3.0"] });
    let (status, said) = allow_entries(&control, &version).await;
    assert_eq!((status, said.as_str()), (200, r#"{"is_in_force":false}"#));
}

/// What the API says when a person allows `entries`.
async fn allow_entries(control: &Router, entries: &Value) -> (u16, String) {
    let body = Body::from(entries.to_string());
    let asked = (&Method::POST, "/api/v1/admin/egress");
    let (status, said) = ask(control, asked, Some(TOKEN), body).await;
    (status.as_u16(), said)
}
