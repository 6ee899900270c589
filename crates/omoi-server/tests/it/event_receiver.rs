//! A served API whose events are listened to, and the other end of its sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use omoi_accounts::context::AccountContext;
use omoi_domain::event::Event;
use omoi_execution::consume::publish_commits;
use omoi_execution::live::LiveEvents;
use omoi_runtime::bus::{Bus, LocalBus};
use omoi_server::ApiDoor;
use omoi_server::api::router;
use omoi_testkit::deployment::TestDeployment;

use crate::api::{site_behind, surface_with};
use crate::event_pages::cost_recorded;
use crate::live_stream::spec_created;

/// The API of `test` behind `door`, which hears of commits at once.
pub(crate) fn live_router(
    test: &TestDeployment,
    accounts: &AccountContext,
    door: ApiDoor,
) -> Router {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    let parts = &test.deployment;
    publish_commits(parts.store.store(), &parts.lifecycle, &bus);
    let mut surface = surface_with(test, accounts.clone());
    surface.site = site_behind(door);
    surface.parts.live = LiveEvents::new(bus, parts.clock.clone(), parts.lifecycle.clone());
    router(surface, door)
}

/// A router that answers on a port of loopback.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// The same without a line.
    pub(crate) router: Router,
    _serving: JoinSet<()>,
}

impl Served {
    /// The API of `test` behind `door`, which hears of commits at once.
    pub(crate) async fn new(
        test: &TestDeployment,
        accounts: &AccountContext,
        door: ApiDoor,
    ) -> Self {
        let router = live_router(test, accounts, door);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        let served = router.clone();
        serving.spawn(async move { axum::serve(listener, served).await.unwrap() });
        Self {
            address,
            router,
            _serving: serving,
        }
    }

    pub(crate) fn request(&self, query: &str, token: Option<&str>) -> Request {
        let url = format!("ws://{}/api/v1/ws/events?{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        let offered = match token {
            Some(token) => format!("omoios.v1, bearer.{token}"),
            None => "omoios.v1".to_owned(),
        };
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offered.parse().unwrap());
        request
    }

    /// A socket over a line that holds little.
    pub(crate) async fn connect_narrowly(&self, token: &str) -> Receiver {
        let line = TcpSocket::new_v4().unwrap();
        line.set_recv_buffer_size(4_096).unwrap();
        let line = line.connect(self.address).await.unwrap();
        let request = self.request("", Some(token));
        let (socket, _) = client_async(request, MaybeTlsStream::Plain(line))
            .await
            .unwrap();
        Receiver(socket)
    }

    /// A socket of whoever has `token`.
    pub(crate) async fn connect(&self, query: &str, token: Option<&str>) -> Receiver {
        let request = self.request(query, token);
        let (socket, answer) = connect_async(request).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "omoios.v1");
        Receiver(socket)
    }

    /// One that was welcomed.
    pub(crate) async fn enter(&self, query: &str, token: &str) -> Receiver {
        let mut receiver = self.connect(query, Some(token)).await;
        assert_eq!(receiver.told().await["type"], "welcome");
        receiver
    }
}

/// The other end of a socket.
pub(crate) struct Receiver(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Receiver {
    /// What is told next, or the code of its end.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => return Err(frame.unwrap().code.into()),
                _ => {}
            }
        }
    }

    pub(crate) async fn told(&mut self) -> Value {
        self.next().await.unwrap()
    }

    pub(crate) async fn closed(&mut self) -> u16 {
        self.next().await.unwrap_err()
    }

    pub(crate) async fn write(&mut self, message: &Value) {
        let message = Message::Text(message.to_string().into());
        self.0.send(message).await.unwrap();
    }

    /// What is told until the next ping, which is answered.
    pub(crate) async fn beat(&mut self) -> Result<Vec<Value>, u16> {
        let mut told = Vec::new();
        loop {
            let next = self.next().await?;
            if next["type"] == "ping" {
                self.write(&json!({ "type": "pong" })).await;
                // Whatever comes before a message that is answered was read.
                self.settle().await;
                return Ok(told);
            }
            told.push(next);
        }
    }

    /// Waits until what was written is read.
    pub(crate) async fn settle(&mut self) {
        let answer = self.ask(json!({ "type": "subscribe" })).await;
        assert_eq!(answer["status"], "subscribed", "{answer}");
    }

    /// What the answer to `message` is.
    pub(crate) async fn ask(&mut self, message: Value) -> Value {
        self.write(&message).await;
        self.told().await
    }
}

pub(crate) async fn tell(test: &TestDeployment, event: Event) {
    let told = test.commit(async |tx| {
        tx.emit(Some(test.spec.project_id), Some(test.spec.id), event);
        Ok(())
    });
    told.await.unwrap();
}

pub(crate) async fn tell_cost(test: &TestDeployment) {
    tell(test, serde_json::from_value(cost_recorded()).unwrap()).await;
}

pub(crate) async fn tell_spec(test: &TestDeployment) {
    tell(test, Event::SpecCreated(spec_created(test))).await;
}
