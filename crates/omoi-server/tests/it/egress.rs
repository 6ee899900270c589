//! The way out of a sandbox: who gets one, what it refuses, and what is kept of it.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::event::EventKind;
use omoi_domain::id::AttemptId;
use omoi_egress::authority::EgressAuthority;
use omoi_egress::cache::RegistryCache;
use omoi_egress::proxy::{EgressProxy, ProxyParts};
use omoi_egress::resolve::{CheckedResolver, SystemLookup};
use omoi_egress::service::RegistryService;
use omoi_egress::sites::RegistrySites;
use omoi_egress::upstream::{UpstreamRegistries, UpstreamSettings};
use omoi_runtime::clock::Clocked;
use omoi_server::egress::{EgressDoor, EgressLists};
use omoi_server::worker::{WorkerSurface, serve_workers};
use omoi_store::{egress_entries, events};
use omoi_testkit::deployment::TestDeployment;

/// A door of a proxy whose registries nobody asks.
fn door(test: &TestDeployment, folder: &std::path::Path) -> EgressDoor {
    let clock: Clocked = Arc::new(test.clock.clone());
    let sites = RegistrySites::default();
    let resolver = CheckedResolver::new(Arc::new(SystemLookup), clock.clone());
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
    EgressDoor::new(proxy, EgressLists::default(), clock)
}

/// Asks for the way out of `attempt`, then for a tunnel through it; returns both heads.
async fn ask(socket: &std::path::Path, attempt: AttemptId, token: &str) -> (String, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "GET /api/v1/sandboxes/{attempt}/egress HTTP/1.1\r\nhost: omoi\r\n\
         authorization: Bearer {token}\r\nconnection: upgrade\r\nupgrade: omoi-egress\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let opened = read_head(&mut stream).await;
    if !opened.starts_with("HTTP/1.1 101") {
        return (opened, String::new());
    }
    let tunnel = "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n";
    stream.write_all(tunnel.as_bytes()).await.unwrap();
    (opened, read_head(&mut stream).await)
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
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("worker.sock");
    let surface = WorkerSurface {
        parts: test.build_part(),
        gateway: Err("none".to_owned()),
        egress: Some(door(&test, folder.path())),
    };
    let listener = UnixListener::bind(&socket).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve_workers(listener, surface, async {
        stopped.await.unwrap();
    });
    let asking = async {
        let id = live.attempt.id;
        let (opened, _) = ask(&socket, id, "made up").await;
        assert!(opened.starts_with("HTTP/1.1 401"), "{opened}");
        let (opened, refused) = ask(&socket, id, &live.token).await;
        assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        assert!(
            refused.contains("omoi-egress-reason: host_not_listed"),
            "{refused}"
        );
        // What came of the connection is written down when it ends.
        loop {
            let spec = live.attempt.spec_id;
            let kept = egress_entries::of_spec(&mut test.read_tx().await, spec).await;
            let kept = kept.unwrap();
            if let [entry] = &kept[..] {
                assert_eq!(entry.outcome, EgressOutcome::Refused);
                assert_eq!(entry.target, "example.com:443");
                assert_eq!(entry.reason.as_deref(), Some("host_not_listed"));
                let remedy = entry.remedy.as_deref();
                assert_eq!(remedy, Some("egress.hosts: [\"example.com\"]"));
                assert_eq!(entry.attempt_id, id);
                break;
            }
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
    let (mut tx, kind) = (test.read_tx().await, EventKind::SandboxEgressDenied);
    let told = events::of_kind(&mut tx, live.attempt.spec_id, kind).await;
    assert_eq!(told.unwrap().len(), 1);
}
