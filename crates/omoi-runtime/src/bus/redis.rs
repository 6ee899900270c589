//! The bus between processes: Redis publish/subscribe.
//!
//! One connection publishes, one listens; both come back by themselves. Every time the listener
//! (re)connects it hands [`Hint::Resync`] to its subscribers, since Redis keeps nothing for those
//! who were away.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BACKLOG_MAX, Bus, BusError, Hint, Subscription, Unusable, check};
use crate::BoxError;
use crate::clock::{Clocked, timeout};
use crate::lifecycle::{Handle, Kind};
use crate::reconcile::backoff;
use crate::rng::Rng;
use crate::telemetry::chain;

/// How long a publisher waits for the server.
const PUBLISH_LIMIT: Duration = Duration::from_secs(1);
/// How long connecting and subscribing may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// After this much silence the listener asks whether the server is still there.
const PING_PERIOD: Duration = Duration::from_secs(15);

/// Where the server is and which of its channels is ours.
pub struct RedisOptions {
    /// `redis://`, `rediss://` (TLS) or `redis+unix://`, with the password in it.
    pub url: String,
    /// Keeps deployments on one server apart.
    pub key_prefix: String,
    /// Time for limits and pauses.
    pub clock: Clocked,
    /// Spreads the pauses.
    pub rng: Rng,
}

/// Hints among all processes that share a Redis server and a key prefix.
#[derive(Clone)]
pub struct RedisBus {
    hints: broadcast::Sender<Hint>,
    publisher: ConnectionManager,
    channel: String,
    clock: Clocked,
}

impl RedisBus {
    /// A bus whose listener runs under `handle`. Does not wait for the server, and outlives its
    /// absence.
    ///
    /// # Errors
    /// Returns [`BusError::Address`] when the address is malformed.
    pub fn new(options: RedisOptions, handle: &Handle) -> Result<Self, BusError> {
        if options.url.starts_with("rediss:") || options.url.starts_with("valkeys:") {
            // Fails only when a provider is installed already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let client = Client::open(options.url.as_str()).map_err(address)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PUBLISH_LIMIT))
            .set_response_timeout(Some(PUBLISH_LIMIT));
        let publisher = client
            .get_connection_manager_lazy(config)
            .map_err(address)?;
        let hints = broadcast::channel(BACKLOG_MAX).0;
        let bus = Self {
            hints: hints.clone(),
            publisher,
            channel: format!("{}:hints", options.key_prefix),
            clock: options.clock.clone(),
        };
        let listener = Listener {
            client,
            channel: bus.channel.clone(),
            hints,
            clock: options.clock,
            rng: options.rng,
            stop: handle.soft(),
        };
        handle.spawn("bus-listener", Kind::Critical, async move {
            listener.run().await;
            Ok(())
        });
        Ok(bus)
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// Returns [`BusError::Unreachable`] when it does not answer in time.
    pub async fn ping(&self) -> Result<(), BusError> {
        self.ask(redis::cmd("PING")).await
    }

    async fn ask(&self, command: redis::Cmd) -> Result<(), BusError> {
        let mut connection = self.publisher.clone();
        let answer = command.query_async::<redis::Value>(&mut connection);
        match timeout(&*self.clock, PUBLISH_LIMIT, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(BusError::Unreachable(Unusable(chain(&error)))),
            Err(elapsed) => Err(BusError::Unreachable(Unusable(elapsed.to_string()))),
        }
    }
}

impl std::fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's own output would show where the server is and as whom we log in.
        write!(f, "RedisBus({})", self.channel)
    }
}

impl Bus for RedisBus {
    fn publish(&self, hint: Hint) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            check(&hint)?;
            let mut command = redis::cmd("PUBLISH");
            command.arg(&self.channel).arg(encode(&hint));
            self.ask(command).await
        })
    }

    fn subscribe(&self) -> Subscription {
        Subscription(self.hints.subscribe())
    }
}

struct Listener {
    client: Client,
    channel: String,
    hints: broadcast::Sender<Hint>,
    clock: Clocked,
    rng: Rng,
    stop: CancellationToken,
}

impl Listener {
    async fn run(self) {
        // Dropping a half-made connection is safe.
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.listen_for_ever() => {}
        }
    }

    async fn listen_for_ever(&self) {
        let mut failing = 0_u32;
        loop {
            let lost = match self.connect().await {
                Ok((sink, stream)) => {
                    if failing > 1 {
                        info!(failing, "Event bus is back");
                    }
                    failing = 0;
                    // Without a subscriber there is nobody to tell.
                    let _ = self.hints.send(Hint::Resync);
                    self.forward(sink, stream).await
                }
                Err(error) => error,
            };
            failing = failing.saturating_add(1);
            // Once per outage; the polls behind every hint keep things going meanwhile.
            if failing == 1 {
                warn!(error = %chain(&*lost), "Event bus lost its server; readers poll until it is back");
            }
            self.clock.sleep(backoff(failing, self.rng.unit())).await;
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), BoxError> {
        let connected = timeout(&*self.clock, CONNECT_LIMIT, async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&self.channel).await?;
            Ok::<_, RedisError>((sink, stream))
        });
        Ok(connected.await??)
    }

    /// Hands on what arrives until the connection is lost.
    async fn forward(&self, mut sink: PubSubSink, mut stream: PubSubStream) -> BoxError {
        loop {
            // A stream keeps its place when the wait for it is dropped.
            tokio::select! {
                biased;
                message = stream.next() => match message {
                    Some(message) => {
                        let _ = self.hints.send(decode(&message));
                    }
                    None => return "the server closed the connection".into(),
                },
                () = self.clock.sleep(PING_PERIOD) => {
                    let alive = timeout(&*self.clock, CONNECT_LIMIT, sink.ping::<redis::Value>());
                    match alive.await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return error.into(),
                        Err(elapsed) => return elapsed.into(),
                    }
                }
            }
        }
    }
}

/// `<seq> <topic>`, or `resync`.
fn encode(hint: &Hint) -> String {
    match hint {
        Hint::Appended { topic, seq } => format!("{seq} {topic}"),
        Hint::Resync => "resync".to_owned(),
    }
}

/// What cannot be read is still a sign of news.
fn decode(message: &Msg) -> Hint {
    let text = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
    let appended = text.split_once(' ').and_then(|(seq, topic)| {
        let hint = Hint::Appended {
            topic: topic.to_owned(),
            seq: seq.parse().ok()?,
        };
        check(&hint).ok().map(|()| hint)
    });
    appended.unwrap_or(Hint::Resync)
}

fn address(error: RedisError) -> BusError {
    BusError::Address(Unusable(chain(&error)))
}
