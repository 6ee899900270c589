//! The bus between processes: Redis publish/subscribe.
//!
//! One connection publishes, one listens; both come back by themselves. Every time the listener
//! (re)connects it hands [`BusHint::Resync`] to its subscribers, since Redis keeps nothing for those
//! who were away.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BACKLOG_MAX, Bus, BusError, BusFailure, BusHint, HintSubscription, check_topic};
use crate::BoxError;
use crate::clock::{Clocked, with_deadline};
use crate::lifecycle::{LifecycleHandle, SpawnKind};
use crate::options::RedisOptions;
use crate::reconcile::backoff_pause;
use crate::rng::Rng;
use crate::telemetry::error_chain;

/// How long a publisher waits for the server.
const PUBLISH_LIMIT: Duration = Duration::from_secs(1);
/// How long connecting and subscribing may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// After this much silence the listener asks whether the server is still there.
const PING_PERIOD: Duration = Duration::from_secs(15);

/// Hints among all processes that share a Redis server and a key prefix.
#[derive(Clone)]
pub struct RedisBus {
    hints: broadcast::Sender<BusHint>,
    publisher: ConnectionManager,
    channel: String,
    clock: Clocked,
}

impl RedisBus {
    /// A bus whose listener runs under `handle`; `rng` spreads its pauses between attempts to
    /// reconnect. Does not wait for the server, and outlives its absence.
    ///
    /// # Errors
    /// Returns [`BusError::Address`] when the address is malformed.
    pub fn new(
        options: &RedisOptions,
        clock: Clocked,
        rng: Rng,
        handle: &LifecycleHandle,
    ) -> Result<Self, BusError> {
        let client = client_of(options)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PUBLISH_LIMIT))
            .set_response_timeout(Some(PUBLISH_LIMIT));
        let publisher = client
            .get_connection_manager_lazy(config)
            .map_err(address_error)?;
        let hints = broadcast::channel(BACKLOG_MAX).0;
        let bus = Self {
            hints: hints.clone(),
            publisher,
            channel: format!("{}:hints", options.key_prefix),
            clock: clock.clone(),
        };
        let listener = RedisListener {
            client,
            channel: bus.channel.clone(),
            hints,
            clock,
            rng,
            stop: handle.soft_token(),
        };
        handle.spawn("bus-listener", SpawnKind::Critical, async move {
            listener.run_until_stop().await;
            Ok(())
        });
        Ok(bus)
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// Returns [`BusError::Unreachable`] when it does not answer in time.
    pub async fn ping_server(&self) -> Result<(), BusError> {
        self.send_command(redis::cmd("PING")).await
    }

    async fn send_command(&self, command: redis::Cmd) -> Result<(), BusError> {
        let mut connection = self.publisher.clone();
        let answer = command.query_async::<redis::Value>(&mut connection);
        match with_deadline(&*self.clock, PUBLISH_LIMIT, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(BusError::Unreachable(BusFailure(error_chain(&error)))),
            Err(elapsed) => Err(BusError::Unreachable(BusFailure(elapsed.to_string()))),
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
    fn publish_hint(&self, hint: BusHint) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            check_topic(&hint)?;
            let mut command = redis::cmd("PUBLISH");
            command.arg(&self.channel).arg(encode_hint(&hint));
            self.send_command(command).await
        })
    }

    fn subscribe_hints(&self) -> HintSubscription {
        HintSubscription(self.hints.subscribe())
    }
}

struct RedisListener {
    client: Client,
    channel: String,
    hints: broadcast::Sender<BusHint>,
    clock: Clocked,
    rng: Rng,
    stop: CancellationToken,
}

impl RedisListener {
    async fn run_until_stop(self) {
        // Dropping a half-made connection is safe.
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.listen_for_ever() => {}
        }
    }

    async fn listen_for_ever(&self) {
        let mut failing = 0_u32;
        loop {
            let lost = match self.connect_listener().await {
                Ok((sink, stream)) => {
                    if failing > 1 {
                        info!(failing, "Event bus is back");
                    }
                    failing = 0;
                    // Without a subscriber there is nobody to tell.
                    let _ = self.hints.send(BusHint::Resync);
                    self.forward_hints(sink, stream).await
                }
                Err(error) => error,
            };
            failing = failing.saturating_add(1);
            // Once per outage; the polls behind every hint keep things going meanwhile.
            if failing == 1 {
                warn!(error = %error_chain(&*lost), "Event bus lost its server; readers poll until it is back");
            }
            self.clock
                .sleep(backoff_pause(failing, self.rng.unit_fraction()))
                .await;
        }
    }

    async fn connect_listener(&self) -> Result<(PubSubSink, PubSubStream), BoxError> {
        let connected = with_deadline(&*self.clock, CONNECT_LIMIT, async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&self.channel).await?;
            Ok::<_, RedisError>((sink, stream))
        });
        Ok(connected.await??)
    }

    /// Hands on what arrives until the connection is lost.
    async fn forward_hints(&self, mut sink: PubSubSink, mut stream: PubSubStream) -> BoxError {
        loop {
            // A stream keeps its place when the wait for it is dropped.
            tokio::select! {
                biased;
                message = stream.next() => match message {
                    Some(message) => {
                        let _ = self.hints.send(decode_message(&message));
                    }
                    None => return "the server closed the connection".into(),
                },
                () = self.clock.sleep(PING_PERIOD) => {
                    let alive = with_deadline(&*self.clock, CONNECT_LIMIT, sink.ping::<redis::Value>());
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
fn encode_hint(hint: &BusHint) -> String {
    match hint {
        BusHint::Appended { topic, seq } => format!("{seq} {topic}"),
        BusHint::Resync => "resync".to_owned(),
    }
}

/// Decodes a message; one that cannot be decoded still means that something is new.
fn decode_message(message: &Msg) -> BusHint {
    let text = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
    let appended = text.split_once(' ').and_then(|(seq, topic)| {
        let hint = BusHint::Appended {
            topic: topic.to_owned(),
            seq: seq.parse().ok()?,
        };
        check_topic(&hint).ok().map(|()| hint)
    });
    appended.unwrap_or(BusHint::Resync)
}

fn client_of(options: &RedisOptions) -> Result<Client, BusError> {
    if options.url.starts_with("rediss:") || options.url.starts_with("valkeys:") {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    Client::open(options.url.as_str()).map_err(address_error)
}

/// A connection that comes back by itself, and is not waited for.
pub(crate) fn open_client(
    options: &RedisOptions,
    config: ConnectionManagerConfig,
) -> Result<ConnectionManager, BusError> {
    let client = client_of(options)?;
    client
        .get_connection_manager_lazy(config)
        .map_err(address_error)
}

fn address_error(error: RedisError) -> BusError {
    BusError::Address(BusFailure(error_chain(&error)))
}
