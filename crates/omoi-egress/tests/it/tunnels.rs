//! Tunnels and plain requests to other hosts: who gets through, to where and with what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_egress::host::HostRules;
use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::sites::{PrivateRegistry, RegistrySites};
use omoi_testkit::invariant::InvariantProof;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::fixture::{Fixture, ProxiedAttempt};
use crate::samples::publish_greeter;
use crate::upstream::StubAnswer;

pub(crate) fn listed(allow: &[&str]) -> EgressPolicy {
    EgressPolicy::listed_hosts(HostRules::parse(allow, &[]).unwrap())
}

/// Asks for a tunnel and gives the head of the answer with the connection.
async fn ask_tunnel(attempt: &ProxiedAttempt, target: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(attempt.address).await.unwrap();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    (String::from_utf8(head).unwrap(), stream)
}

fn client_config(root: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// What a client of TLS says first.
fn greeting(fixture: &Fixture, name: &'static str) -> Vec<u8> {
    let config = client_config(&fixture.upstream.root);
    let mut connection =
        ClientConnection::new(config, ServerName::try_from(name).unwrap()).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// A host that counts connections and bytes, and ends when its client does.
#[derive(Clone, Default)]
struct CountingHost {
    connections: Arc<AtomicUsize>,
    bytes: Arc<AtomicU64>,
}

impl CountingHost {
    async fn serve(fixture: &mut Fixture, name: &str) -> Self {
        let host = Self::default();
        let counted = host.clone();
        let answer = move |mut stream: TcpStream| {
            let host = counted.clone();
            async move {
                host.connections.fetch_add(1, Ordering::SeqCst);
                let mut chunk = vec![0; 64 << 10];
                while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
                    host.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
                }
            }
        };
        fixture.serve_host(name, answer).await;
        host
    }
}

/// Waits until the session has refused something.
async fn first_reason(attempt: &ProxiedAttempt, mut stream: TcpStream) -> RefusalReason {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    attempt.reasons()[0]
}

#[tokio::test]
async fn a_listed_host_is_reached_with_its_own_certificate() {
    // The stub is started for the hosts of registries: a private one of nobody lends it this name.
    let mut fixture = Fixture::with_private(vec![PrivateRegistry {
        host: "api.example.com".to_owned(),
        site: RegistrySite::Npm,
        organisation: "nobody".to_owned(),
        credential: None,
        index: None,
        modules: Vec::new(),
        simple_path: None,
    }])
    .await;
    let address = fixture.upstream.address;
    fixture.names.put("api.example.com", address);
    fixture
        .upstream
        .put("api.example.com", "/x", StubAnswer::text(b"hello".to_vec()));
    let attempt = fixture
        .attempt(listed(&["api.example.com", "127.0.0.1"]))
        .await;
    let (head, stream) = ask_tunnel(&attempt, "api.example.com:443").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let connector = TlsConnector::from(client_config(&fixture.upstream.root));
    let name = ServerName::try_from("api.example.com").unwrap();
    let mut tls = connector.connect(name, stream).await.unwrap();
    tls.write_all(b"GET /x HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer).await;
    assert!(
        answer.ends_with(b"hello"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(fixture.names.lookups(), ["api.example.com"]);
    assert!(attempt.reasons().is_empty());
}

#[tokio::test]
async fn what_is_not_listed_is_refused_with_the_line_to_add() {
    let mut fixture = Fixture::start().await;
    for (policy, target, reason, line) in [
        (
            EgressPolicy::default(),
            "api.example.com:443",
            "egress_off",
            Some("egress.hosts: [\"api.example.com\"]"),
        ),
        (
            EgressPolicy::default(),
            "registry.npmjs.org:443",
            "egress_off",
            None,
        ),
        (
            EgressPolicy::cache_only(),
            "api.example.com:443",
            "host_not_listed",
            Some("egress.hosts: [\"api.example.com\"]"),
        ),
        (
            EgressPolicy::all_registries(),
            "github.com:443",
            "host_not_listed",
            None,
        ),
        (
            listed(&["api.example.com"]),
            "api.example.com:8443",
            "port_not_listed",
            Some("egress.hosts: [\"api.example.com:8443\"]"),
        ),
        (
            listed(&["api.example.com"]),
            "registry.npmjs.org:443",
            "host_not_listed",
            None,
        ),
        (
            listed(&["**.example.com"]),
            "nowhere.example.com:443",
            "name_not_resolved",
            None,
        ),
        (
            EgressPolicy::all_registries(),
            "registry.npmjs.org:80",
            "registry_without_tls",
            None,
        ),
    ] {
        let attempt = fixture.attempt(policy).await;
        let (head, mut stream) = ask_tunnel(&attempt, target).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{target}: {head}");
        assert!(
            head.contains(&format!("omoi-egress-reason: {reason}\r\n")),
            "{target}: {head}"
        );
        stream.shutdown().await.unwrap();
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        assert!(
            line.is_none_or(|line| body.contains(line)),
            "{target}: {body}"
        );
    }
}

/// Each spelling of an address inside, of the metadata of clouds, and of what is no host at all.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "00000177.1",
    "127.000.000.001",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "10.0.0.1",
    "10.1",
    "0xa000001",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "255.255.255.255",
    "localhost",
    "LOCALHOST.",
    "localhost.localdomain",
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "inside.example.com",
    "INSIDE.example.com.",
    "１２７.0.0.1",
    "127。0。0。1",
    "user@127.0.0.1",
    "api.example.com@127.0.0.1",
    "api.example.com:443@127.0.0.1",
    "127.0.0.1%00.example.com",
    "api.example.com#@127.0.0.1",
    "api.example.com\\@127.0.0.1",
    "1.2.3.4.5",
    "256.0.0.1",
];

#[tokio::test]
async fn s8_no_spelling_of_an_address_inside_gets_a_connection() {
    assert!(INSIDE.len() >= 60, "{}", INSIDE.len());
    let proof = InvariantProof {
        id: "S8",
        counted: "connections inside and answers from there",
        // Once by a tunnel and once plainly.
        n_cases: 2 * INSIDE.len(),
        bug: PlantedBug::PublicAddress,
    };
    proof.check(count_inside).await;
}

/// How often a spelling of an address inside gets a connection or an answer.
async fn count_inside() -> usize {
    let mut n_answered = 0;
    let mut fixture = Fixture::start().await;
    let host = CountingHost::default();
    let counted = host.clone();
    let inside = fixture
        .serve_host("inside.example.com", move |_| {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            async {}
        })
        .await;
    for name in [
        "localhost",
        "localhost.localdomain",
        "metadata",
        "metadata.google.internal",
        "instance-data",
    ] {
        fixture.names.put(name, inside);
    }
    // Every name is listed, but no address.
    let names = [
        "**.com",
        "**.internal",
        "**.localdomain",
        "localhost",
        "metadata",
        "instance-data",
    ];
    // With the bug a connection to any other address would be waited for.
    let is_near = |form: &&&str| !is_planted(PlantedBug::PublicAddress) || form.contains("inside");
    for form in INSIDE.iter().filter(is_near) {
        let attempt = fixture.attempt(listed(&names)).await;
        let (head, _) = ask_tunnel(&attempt, &format!("{form}:443")).await;
        let is_refused = |head: &str| head.is_empty() || head.starts_with("HTTP/1.1 40");
        n_answered += usize::from(!is_refused(&head));
        let mut stream = TcpStream::connect(attempt.address).await.unwrap();
        let plain = format!(
            "GET http://{form}:{}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            inside.port()
        );
        stream.write_all(plain.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        n_answered += usize::from(!is_refused(&answer));
    }
    n_answered + host.connections.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection() {
    let mut fixture = Fixture::start().await;
    let host = CountingHost::serve(&mut fixture, "api.example.com").await;
    let attempt = fixture
        .attempt(listed(&["api.example.com", "127.0.0.1"]))
        .await;
    let (head, _stream) = ask_tunnel(&attempt, "API.example.com.:443").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(fixture.names.lookups(), ["api.example.com"]);
    // The same name leads inside a moment later: the next tunnel is judged by what it answers then.
    let without_address = fixture.attempt(listed(&["api.example.com"])).await;
    let (head, _) = ask_tunnel(&without_address, "api.example.com:443").await;
    assert!(
        head.contains("omoi-egress-reason: address_not_public"),
        "{head}"
    );
    while host.connections.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(host.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_tunnel_for_something_else_than_tls_is_cut_before_a_byte_leaves() {
    let mut fixture = Fixture::start().await;
    let host = CountingHost::serve(&mut fixture, "api.example.com").await;
    let other = greeting(&fixture, "other.example.com");
    for (says, expected) in [
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), RefusalReason::NotTls),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), RefusalReason::NotTls),
        (other, RefusalReason::ServerNameDiffers),
    ] {
        let attempt = fixture
            .attempt(listed(&["api.example.com", "127.0.0.1"]))
            .await;
        let (head, mut stream) = ask_tunnel(&attempt, "api.example.com:443").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        stream.write_all(&says).await.unwrap();
        assert_eq!(first_reason(&attempt, stream).await, expected);
    }
    assert_eq!(host.bytes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn sixty_mebibytes_up_are_cut_at_fifty() {
    let mut fixture = Fixture::start().await;
    let host = CountingHost::serve(&mut fixture, "api.example.com").await;
    let says = greeting(&fixture, "api.example.com");
    let attempt = fixture
        .attempt(listed(&["api.example.com", "127.0.0.1"]))
        .await;
    let (_, mut stream) = ask_tunnel(&attempt, "api.example.com:443").await;
    stream.write_all(&says).await.unwrap();
    let chunk = vec![0; 1 << 20];
    let mut n_sent = 0;
    while n_sent < 60 && stream.write_all(&chunk).await.is_ok() {
        n_sent += 1;
    }
    assert_eq!(
        first_reason(&attempt, stream).await,
        RefusalReason::UploadCap
    );
    assert!(host.bytes.load(Ordering::SeqCst) <= 50 << 20);
    // What is spent is spent for every other tunnel too.
    let (_, mut stream) = ask_tunnel(&attempt, "api.example.com:443").await;
    stream.write_all(&says).await.unwrap();
    stream.write_all(&chunk).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(host.bytes.load(Ordering::SeqCst) <= 50 << 20);
}

#[tokio::test]
async fn the_sixty_fifth_connection_is_refused() {
    let mut fixture = Fixture::start().await;
    CountingHost::serve(&mut fixture, "api.example.com").await;
    let attempt = fixture
        .attempt(listed(&["api.example.com", "127.0.0.1"]))
        .await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let (head, stream) = ask_tunnel(&attempt, "api.example.com:443").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        open.push(stream);
    }
    let (head, mut refused) = ask_tunnel(&attempt, "api.example.com:443").await;
    assert!(
        head.contains("omoi-egress-reason: connection_cap"),
        "{head}"
    );
    // It is closed, so that nobody holds what is not counted.
    let mut rest = Vec::new();
    refused.read_to_end(&mut rest).await.unwrap();
    assert_eq!(attempt.reasons(), [RefusalReason::ConnectionCap]);
}

#[tokio::test]
async fn a_client_that_pins_certificates_is_refused_by_name() {
    let mut fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let (head, stream) = ask_tunnel(&attempt, "registry.npmjs.org:443").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // It trusts the registry's own certificate, and nobody else's.
    let connector = TlsConnector::from(client_config(&fixture.upstream.root));
    let name = ServerName::try_from("registry.npmjs.org").unwrap();
    assert!(connector.connect(name, stream).await.is_err());
    while attempt.reasons().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(attempt.reasons(), [RefusalReason::CertificateRefused]);
    // And one that does not speak TLS at all.
    let (_, mut stream) = ask_tunnel(&attempt, "registry.npmjs.org:443").await;
    stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(
        attempt.reasons().contains(&RefusalReason::NotTls),
        "{:?}",
        attempt.reasons()
    );
    assert!(fixture.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_host_that_is_silent_does_not_hold_a_tunnel_for_ever() {
    let mut fixture = Fixture::start().await;
    CountingHost::serve(&mut fixture, "api.example.com").await;
    let attempt = fixture
        .attempt(listed(&["api.example.com", "127.0.0.1"]))
        .await;
    let (head, mut stream) = ask_tunnel(&attempt, "api.example.com:443").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // The client says nothing: after its time the tunnel is gone.
    let ended = Arc::new(Notify::new());
    let read = async {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        ended.notify_one();
    };
    let advance = async {
        loop {
            tokio::select! {
                () = ended.notified() => break,
                () = tokio::task::yield_now() => fixture.clock.advance(Duration::from_secs(1)),
            }
        }
    };
    tokio::join!(read, advance);
    assert_eq!(attempt.reasons(), [RefusalReason::NotTls]);
}

#[test]
fn every_public_site_is_known() {
    let sites = RegistrySite::ALL.iter();
    let mut hosts: Vec<_> = sites.flat_map(|site| site.public_hosts()).collect();
    hosts.sort_unstable();
    assert_eq!(RegistrySites::default().registry_hosts("any"), hosts);
}
