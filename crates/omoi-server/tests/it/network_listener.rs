//! The TCP door, by raw sockets: whoever is slow, large or many finds it closed, and all others find it open.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::clock::ManualClock;
use omoi_server::ApiDoor;
use omoi_server::network_listener::NetworkListener;
use omoi_server::options::{ConnectionOptions, ServerMode, SiteOptions};
use omoi_server::site::Site;
use omoi_testkit::deployment::TestDeployment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::router_behind;

const HEAD_TIME: Duration = Duration::from_secs(10);
/// Looks for an answer of one turn, as nothing tells when a place became free.
const TRIES_MAX: usize = 10_000;
/// A request that is answered 404.
pub(crate) const ASKED: &str = "GET /api/v1/nothing HTTP/1.1\r\nhost: omoi.example.org\r\n\r\n";
/// A proxy of the server's.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A server that listens.
pub(crate) struct OpenDoor {
    test: TestDeployment,
    clock: ManualClock,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

pub(crate) const fn limits(
    connections_max: usize,
    address_connections_max: usize,
) -> ConnectionOptions {
    ConnectionOptions {
        head_time: HEAD_TIME,
        head_bytes: 16 << 10,
        connections_max,
        address_connections_max,
    }
}

impl OpenDoor {
    pub(crate) async fn open(options: ConnectionOptions) -> Self {
        let test = TestDeployment::new().await;
        let clock = ManualClock::new(Timestamp::default());
        let site = SiteOptions {
            mode: ServerMode::Local,
            public_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: vec![PROXY.to_string()],
        };
        let network = NetworkListener {
            clock: Arc::new(clock.clone()),
            lifecycle: test.deployment.lifecycle.clone(),
            site: Site::of_options(&site).unwrap(),
            options,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router_behind(&test, ApiDoor::Network);
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        let stopped = stop.clone().cancelled_owned();
        serving.spawn(network.serve_connections(listener, router, stopped));
        Self {
            test,
            clock,
            address,
            stop,
            serving,
        }
    }

    /// A connection from `from`, which is one of loopback's addresses.
    pub(crate) async fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// A connection from loopback's first address.
    async fn dial(&self) -> TcpStream {
        self.connect(Ipv4Addr::LOCALHOST).await
    }
}

/// What comes until the other end closes.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset is closed, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// The first piece of an answer to `asked`, which tells its status.
pub(crate) async fn answer_to(stream: &mut TcpStream, asked: &str) -> String {
    // Whoever is refused may find the connection closed already.
    let _ = stream.write_all(asked.as_bytes()).await;
    let mut bytes = vec![0; 4 << 10];
    let n = stream.read(&mut bytes).await.unwrap_or(0);
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_its_connection() {
    for begin in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let door = OpenDoor::open(limits(8, 8)).await;
        let mut stream = door.dial().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        door.clock.wait_for_sleepers(1).await;
        // A byte now and then is no progress.
        for _ in 0..3 {
            door.clock.advance(HEAD_TIME / 4);
            if !begin.is_empty() {
                stream.write_all(b"a").await.unwrap();
            }
        }
        door.clock.advance(HEAD_TIME / 4);
        let told = rest_of(&mut stream).await;
        assert!(!told.contains(" 200 "), "{begin}: {told}");
        // The next one is answered.
        let mut stream = door.dial().await;
        let told = answer_to(&mut stream, ASKED).await;
        assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
        drop(stream);
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_more_ends() {
    let door = OpenDoor::open(limits(8, 8)).await;
    let mut stream = door.dial().await;
    for _ in 0..2 {
        let told = answer_to(&mut stream, ASKED).await;
        assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
    }
    door.clock.wait_for_sleepers(1).await;
    door.clock.advance(HEAD_TIME);
    assert_eq!(rest_of(&mut stream).await, "");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let door = OpenDoor::open(limits(8, 8)).await;
    let mut stream = door.dial().await;
    let asked = "POST /api/v1/auth/login HTTP/1.1\r\nhost: omoi.example.org\r\ncontent-type: application/json\r\n\
                 content-length: 50\r\n\r\n{";
    stream.write_all(asked.as_bytes()).await.unwrap();
    door.test.clock.wait_for_sleepers(1).await;
    door.test.clock.advance(Duration::from_mins(1));
    let told = answer_to(&mut stream, "").await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    assert!(told.contains("\"error\":\"slow_request\""), "{told}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let door = OpenDoor::open(limits(8, 8)).await;
    let long = format!("x-long: {}\r\n", "a".repeat(17 << 10));
    let many: String = (0..101).map(|n| format!("x-{n}: a\r\n")).collect();
    for headers in [long, many] {
        let asked = ASKED.replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));
        let mut stream = door.dial().await;
        let told = answer_to(&mut stream, &asked).await;
        assert!(told.starts_with("HTTP/1.1 431 "), "{told}");
        assert!(!rest_of(&mut stream).await.contains(" 404 "));
    }
    let url = format!("/api/v1/nothing?a={}", "a".repeat(8 << 10));
    let mut stream = door.dial().await;
    let told = answer_to(&mut stream, &ASKED.replace("/api/v1/nothing", &url)).await;
    assert!(told.starts_with("HTTP/1.1 414 "), "{told}");
    assert!(told.contains("\"error\":\"url_too_long\""), "{told}");
    let mut stream = door.dial().await;
    let told = answer_to(&mut stream, ASKED).await;
    assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
}

/// Connections from `from` that are answered, until one is not; what that was told.
async fn fill(door: &OpenDoor, from: Ipv4Addr, held: &mut Vec<TcpStream>) -> (usize, String) {
    for n in 0.. {
        let mut stream = door.connect(from).await;
        let told = answer_to(&mut stream, ASKED).await;
        if !told.starts_with("HTTP/1.1 404 ") {
            return (n, told);
        }
        held.push(stream);
    }
    unreachable!("a door holds a number of connections")
}

#[tokio::test]
async fn an_address_holds_so_many_connections_and_all_hold_so_many() {
    let door = OpenDoor::open(limits(5, 2)).await;
    let mut held = Vec::new();
    let (first, second, third) = (
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 0, 0, 2),
        Ipv4Addr::new(127, 0, 0, 3),
    );
    for from in [first, second] {
        let (n, told) = fill(&door, from, &mut held).await;
        assert_eq!(n, 2, "{told}");
        assert!(told.starts_with("HTTP/1.1 429 "), "{told}");
        assert!(
            told.contains("\"error\":\"too_many_connections\""),
            "{told}"
        );
        assert!(told.contains("retry-after: 1"), "{told}");
    }
    let (n, told) = fill(&door, third, &mut held).await;
    assert_eq!(n, 1, "{told}");
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.contains("\"error\":\"not_ready\""), "{told}");
    // Whoever goes leaves a place.
    held.clear();
    for _ in 0..TRIES_MAX {
        let mut stream = door.connect(third).await;
        if answer_to(&mut stream, ASKED).await.contains(" 404 ") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("no place became free");
}

#[tokio::test]
async fn a_proxy_brings_the_connections_of_many() {
    let door = OpenDoor::open(limits(4, 1)).await;
    let (n, told) = fill(&door, PROXY, &mut Vec::new()).await;
    assert_eq!(n, 4, "{told}");
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}

#[tokio::test]
async fn a_stop_ends_what_says_nothing_and_answers_what_is_asked() {
    let mut door = OpenDoor::open(limits(8, 8)).await;
    let mut silent = door.dial().await;
    door.clock.wait_for_sleepers(1).await;
    let mut answered = door.dial().await;
    assert!(answer_to(&mut answered, ASKED).await.contains(" 404 "));
    let mut asking = door.dial().await;
    let body = "{\"email\":\"a@example.org\",\"password\":\"Opal-Harbour-7\"}";
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: omoi.example.org\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    asking.write_all(head.as_bytes()).await.unwrap();
    // The handler waits for the body.
    door.test.clock.wait_for_sleepers(1).await;
    door.stop.cancel();
    assert_eq!(rest_of(&mut silent).await, "");
    assert_eq!(rest_of(&mut answered).await, "");
    let told = answer_to(&mut asking, body).await;
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
    door.serving.join_next().await.unwrap().unwrap();
}
