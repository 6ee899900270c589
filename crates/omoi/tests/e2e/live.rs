//! Live events over the death of the server: whoever comes back is told what it missed, each event once.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt as _;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, SpecChange};
use omoi_domain::id::{EventId, OrgId, SpecId};
use omoi_domain::spec::SpecStatus;
use omoi_protocol::live::EventFrame;
use omoi_store::{ServerOptions, Store, StoreError, StoreOptions, Tenant, Tx};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::postgres;
use tokio::sync::watch;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use uuid::Uuid;

use crate::binary::Running;
use crate::processes::address;
use crate::world::World;

/// How many events are told, where it is not ten thousand.
const EVENTS_VARIABLE: &str = "OMOI_LIVE_EVENTS";
/// Events in one transaction.
const EVENTS_AT_ONCE: i64 = 50;

/// Events that are told while somebody listens.
struct Flood {
    tenant: Tenant,
    n_events: i64,
}

impl Flood {
    /// For the database of a server that has started.
    async fn new(database: &TestDatabase) -> Self {
        let asked = std::env::var(EVENTS_VARIABLE).ok();
        let store = Store::connect(StoreOptions {
            url: database.url().to_owned(),
            now: None,
            new_uuid: Arc::new(Uuid::now_v7),
            server: ServerOptions::default(),
        });
        Self {
            tenant: store.await.unwrap().tenant(OrgId::LOCAL),
            n_events: asked.map_or(10_000, |asked| asked.parse().unwrap()),
        }
    }

    async fn tell_some(&self) {
        let tell = async |tx: &mut Tx| {
            for number in 0..EVENTS_AT_ONCE {
                let event = Event::SpecCreated(SpecChange {
                    spec_id: SpecId::from_uuid(Uuid::nil()),
                    number,
                    title: "one of many".to_owned(),
                    from: None,
                    to: SpecStatus::Draft,
                    blocked_by: None,
                    reason: None,
                });
                tx.emit(None, None, event);
            }
            Ok::<_, StoreError>(())
        };
        self.tenant
            .write(CrashPoint::SpecCreated, tell)
            .await
            .unwrap();
    }
}

/// One who listens over as many lines as it takes.
struct Listener {
    addresses: watch::Receiver<String>,
    token: String,
    /// The last event that it knows.
    at: i64,
    seen: HashSet<EventId>,
    n_lines: i64,
}

/// Why a line is left.
enum LineEnd {
    /// All was told.
    Done,
    /// It was too slow for this line, and asks for the rest.
    Gap,
    /// Nobody is at the other end any more.
    Broken,
}

impl Listener {
    fn take_frame(&mut self, text: &str) {
        let frame: EventFrame = serde_json::from_str(text).unwrap();
        assert_eq!(frame.seq, self.at + 1, "an event is missing or told again");
        assert!(self.seen.insert(frame.event_id));
        self.at = frame.seq;
    }

    /// Listens up to the event `last`.
    async fn listen(mut self, last: i64, by_socket: bool) -> Self {
        loop {
            self.n_lines += 1;
            let end = match by_socket {
                true => self.read_socket(last).await,
                false => self.read_stream(last).await,
            };
            match end {
                LineEnd::Done => return self,
                LineEnd::Gap => {}
                LineEnd::Broken => self.addresses.changed().await.unwrap(),
            }
        }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        let address = self.addresses.borrow().replace("http://", scheme);
        format!("{address}/api/v1/{path}?after_seq={}", self.at)
    }

    async fn read_socket(&mut self, last: i64) -> LineEnd {
        let mut request = self
            .url("ws://", "ws/events")
            .into_client_request()
            .unwrap();
        let offered = format!("omoios.v1, bearer.{}", self.token);
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offered.parse().unwrap());
        let Ok((mut socket, _)) = connect_async(request).await else {
            return LineEnd::Broken;
        };
        while self.at < last {
            match socket.next().await {
                Some(Ok(Message::Text(text))) if text.contains("\"type\":\"gap\"") => {
                    return LineEnd::Gap;
                }
                Some(Ok(Message::Text(text))) if text.starts_with("{\"type\":") => {
                    assert!(!text.contains("reset"), "{text}");
                }
                Some(Ok(Message::Text(text))) => self.take_frame(&text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return LineEnd::Broken,
                Some(Ok(_)) => {}
            }
        }
        LineEnd::Done
    }

    async fn read_stream(&mut self, last: i64) -> LineEnd {
        let url = self.url("http://", "events/stream");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let Ok(answer) = client.get(url).bearer_auth(&self.token).send().await else {
            return LineEnd::Broken;
        };
        let (mut bytes, mut buffer) = (answer.bytes_stream(), String::new());
        while self.at < last {
            match bytes.next().await {
                Some(Ok(chunk)) => buffer.push_str(std::str::from_utf8(&chunk).unwrap()),
                Some(Err(_)) | None => return LineEnd::Broken,
            }
            while let Some(end) = buffer.find("\n\n") {
                let block: String = buffer.drain(..end + 2).collect();
                if block.contains("event: gap\n") {
                    return LineEnd::Gap;
                }
                assert!(!block.contains("event: reset\n"), "{block}");
                let data = block.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(data) = data {
                    self.take_frame(data);
                }
            }
        }
        LineEnd::Done
    }
}

fn start(world: &World, database: &TestDatabase) -> (Running, String) {
    let mut serve = world.command(&["serve", "--roles", "api", "--json", "--port", "0"]);
    serve.args(["--database", database.url()]);
    let mut server = world.start(serve);
    let address = address(&mut server).expect("no address");
    (server, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_resumed_and_nothing_is_lost_or_told_twice() {
    let world = World::demo("scenario.yaml");
    let database = postgres::database();
    let (mut server, address) = start(&world, &database);
    let flood = Flood::new(&database).await;
    let head = async |tx: &mut Tx| omoi_store::events::head(tx).await;
    let first = flood.tenant.read(head).await.unwrap();
    let last = first + flood.n_events;
    let token = std::fs::read_to_string(world.data().join("token")).unwrap();
    let (told, addresses) = watch::channel(address);
    let listener = || Listener {
        addresses: addresses.clone(),
        token: token.trim().to_owned(),
        at: first,
        seen: HashSet::new(),
        n_lines: 0,
    };
    let (by_socket, by_stream) = (listener(), listener());
    let floods = async {
        let n_rounds = flood.n_events / EVENTS_AT_ONCE;
        for round in 1..=n_rounds {
            flood.tell_some().await;
            if [n_rounds / 3, 2 * n_rounds / 3].contains(&round) {
                server.kill();
                let address;
                (server, address) = start(&world, &database);
                told.send_replace(address);
            }
        }
        server
    };
    let (server, by_socket, by_stream) = tokio::join!(
        floods,
        by_socket.listen(last, true),
        by_stream.listen(last, false)
    );
    for listener in [by_socket, by_stream] {
        assert_eq!(listener.seen.len() as i64, flood.n_events);
        assert!(listener.n_lines > 1, "it noticed no death");
    }
    server.kill();
}
