//! A socket of events: what its receiver asks for, what it is told, and how it ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::SinkExt as _;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::live::event_filter::{LiveFilter, SubscribeMode};
use omoi_domain::live::live_cursor::LiveCursor;
use omoi_execution::live::LiveItem;
use omoi_protocol::live::socket_message::{
    SocketClose, SocketNotice, SocketRequest, SubscribeRequest, SubscriptionAnswer,
    SubscriptionStatus, WrittenCursor,
};
use omoi_runtime::clock::Clocked;
use omoi_runtime::telemetry::error_chain;
use omoi_store::StoreError;

use super::access_watch::{AccessStep, AccessWatch};
use super::socket_feed::{FeedItem, SocketFeed, organisations_of};
use super::socket_rules::{
    HEARTBEAT, Heartbeat, HeartbeatStep, MESSAGE_BYTES_MAX, MessageAllowance,
};
use crate::api::ApiSurface;
use crate::error::ApiError;

/// Frames that are written before a look at anything else.
const WRITTEN_AT_ONCE_MAX: usize = 64;
/// How long the receiver has for the last frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What a receiver asks for when it connects.
pub(crate) struct SocketStart {
    /// What it may read, and for how long.
    pub(crate) watch: AccessWatch,
    /// Which events.
    pub(crate) filter: LiveFilter,
    /// The last events that it knows.
    pub(crate) positions: BTreeMap<OrgId, i64>,
    /// Names the connection.
    pub(crate) id: Uuid,
}

/// Why a socket ends.
enum SocketEnd {
    /// We close it.
    Closed(SocketClose),
    /// The receiver is gone.
    Gone,
}

impl From<SocketClose> for SocketEnd {
    fn from(close: SocketClose) -> Self {
        Self::Closed(close)
    }
}

/// A socket with its receiver at the other end.
struct EventSocket {
    socket: WebSocket,
    feed: SocketFeed,
    watch: AccessWatch,
    clock: Clocked,
    soft: CancellationToken,
    allowance: MessageAllowance,
    heartbeat: Heartbeat,
}

/// The next thing that happens.
enum SocketStep {
    Stop,
    Access(AccessStep),
    Message(Option<Result<Message, axum::Error>>),
    Heartbeat,
    Item(FeedItem),
}

/// Tells the receiver of `socket` events until one of both ends it.
pub(crate) async fn serve_socket(surface: ApiSurface, mut socket: WebSocket, start: SocketStart) {
    let SocketStart {
        watch,
        filter,
        positions,
        id,
    } = start;
    let clock = surface.parts.clock.clone();
    let soft = surface.parts.lifecycle.soft_token();
    let opened = SocketFeed::open(surface, &watch, filter, &positions).await;
    let feed = match opened {
        Ok(feed) => feed,
        Err(error) => {
            let close = close_of_failure(&error);
            return close_socket(&mut socket, &clock, close).await;
        }
    };
    let mut socket = EventSocket {
        socket,
        feed,
        watch,
        heartbeat: Heartbeat::new(clock.now()),
        soft,
        clock: clock.clone(),
        allowance: MessageAllowance::default(),
    };
    debug!(connection.id = %id, "Telling events over socket `{id}`");
    let Err(end) = socket.serve(id).await;
    match end {
        SocketEnd::Closed(close) => {
            debug!(connection.id = %id, close = close.as_str(), "Closing socket `{id}`");
            close_socket(&mut socket.socket, &clock, close).await;
        }
        SocketEnd::Gone => debug!(connection.id = %id, "The receiver of socket `{id}` is gone"),
    }
}

/// Says why a socket ends.
pub(crate) async fn close_socket(socket: &mut WebSocket, clock: &Clocked, close: SocketClose) {
    let frame = CloseFrame {
        code: close.close_code(),
        reason: close.as_str().into(),
    };
    // Whoever does not take it finds the connection ended. Cancel-safe: nothing is sent after it.
    tokio::select! {
        _ = socket.send(Message::Close(Some(frame))) => {}
        () = clock.sleep(CLOSE_WAIT) => {}
    }
}

fn close_of_failure(error: &StoreError) -> SocketClose {
    warn!(error = %error_chain(error), "Could not read the events of a socket: it ends");
    SocketClose::NotReady
}

impl EventSocket {
    async fn serve(&mut self, id: Uuid) -> Result<Infallible, SocketEnd> {
        let seqs = self.feed.begin_seqs();
        let seq = match seqs.len() {
            1 => seqs.values().next().copied(),
            _ => None,
        };
        let heartbeat = HEARTBEAT.as_secs();
        self.tell(&SocketNotice::Welcome {
            seq,
            seqs,
            connection_id: id,
            heartbeat,
        })
        .await?;
        loop {
            let until_ping = self.heartbeat.due_at().since(self.clock.now());
            // Cancel-safe: a token, a watch, a socket and a feed that keep their places, and a timer. Who may read no
            // more comes before what is told, and a receiver's answer before the look whether it came.
            let step = tokio::select! {
                biased;
                () = self.soft.cancelled() => SocketStep::Stop,
                step = self.watch.next_step() => SocketStep::Access(step),
                message = self.socket.recv() => SocketStep::Message(message),
                () = self.clock.sleep(until_ping) => SocketStep::Heartbeat,
                item = self.feed.next_item() => SocketStep::Item(item),
            };
            match step {
                SocketStep::Stop => return Err(SocketClose::GoingAway.into()),
                SocketStep::Access(step) => self.follow_access(step).await?,
                SocketStep::Message(message) => self.take_message(message).await?,
                SocketStep::Heartbeat => self.beat().await?,
                SocketStep::Item(item) => self.tell_items(item).await?,
            }
        }
    }

    /// Tells `first` and what else is there.
    async fn tell_items(&mut self, first: FeedItem) -> Result<(), SocketEnd> {
        let mut messages = vec![item_message(first)?];
        while messages.len() < WRITTEN_AT_ONCE_MAX
            && let Some(next) = self.feed.take_ready()
        {
            match item_message(next) {
                Ok(message) => messages.push(message),
                // What comes before the end is told.
                Err(end) => {
                    self.write(messages).await?;
                    return Err(end);
                }
            }
        }
        self.write(messages).await
    }

    async fn follow_access(&mut self, step: AccessStep) -> Result<(), SocketEnd> {
        match step {
            AccessStep::Expired => Err(SocketClose::Unauthenticated.into()),
            AccessStep::Expiring(left) => {
                let left = left.as_secs();
                self.tell(&SocketNotice::TokenExpiring { left }).await
            }
            AccessStep::Look => match self.watch.look_again().await {
                Ok(false) => Ok(()),
                Ok(true) => {
                    let changed = self.feed.change_access(&self.watch).await;
                    match changed.map_err(|error| close_of_failure(&error))? {
                        true => Ok(()),
                        false => Err(SocketClose::Forbidden.into()),
                    }
                }
                Err(refused) => Err(close_of_refusal(&refused).into()),
            },
        }
    }

    async fn beat(&mut self) -> Result<(), SocketEnd> {
        match self.heartbeat.next_step(self.clock.now()) {
            HeartbeatStep::Silent => Err(SocketClose::Silent.into()),
            HeartbeatStep::Ping => {
                let cursor = self.feed.settled_cursor();
                let cursor = cursor.map(|cursor| cursor.to_string());
                self.tell(&SocketNotice::Ping { cursor }).await
            }
        }
    }

    async fn take_message(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), SocketEnd> {
        let text = match message {
            Some(Ok(Message::Text(text))) => Some(text),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => None,
            Some(Ok(Message::Close(_))) => return Err(SocketClose::Normal.into()),
            // A frame larger than is read at all; where the line broke, nobody reads why.
            Some(Err(_)) => return Err(SocketClose::TooLarge.into()),
            None => return Err(SocketEnd::Gone),
        };
        if text
            .as_ref()
            .is_some_and(|text| text.len() > MESSAGE_BYTES_MAX)
        {
            return Err(SocketClose::TooLarge.into());
        }
        let request = text
            .as_ref()
            .map(|text| serde_json::from_str(text.as_str()));
        let is_answer = matches!(request, Some(Ok(SocketRequest::Pong {})));
        if is_answer && self.heartbeat.take_pong() {
            return Ok(());
        }
        if !self.allowance.take_message(self.clock.now()) {
            return Err(SocketClose::TooMany.into());
        }
        match request {
            // What keeps the line alive below us.
            None => Ok(()),
            Some(Ok(request)) => self.follow_request(request).await,
            Some(Err(error)) => {
                let code = match error.classify() {
                    serde_json::error::Category::Data => ErrorCode::ValidationFailed,
                    _ => ErrorCode::MalformedJson,
                };
                self.refuse(code, error.to_string()).await
            }
        }
    }

    async fn follow_request(&mut self, request: SocketRequest) -> Result<(), SocketEnd> {
        match request {
            SocketRequest::Pong {} => Ok(()),
            SocketRequest::Auth { token } => {
                let renewed = self.watch.renew(SecretString::from(token.0)).await;
                match renewed {
                    Ok(()) => Ok(()),
                    Err(refused) if close_of_refusal(&refused) == SocketClose::NotReady => {
                        Err(SocketClose::NotReady.into())
                    }
                    Err(refused) => {
                        let says = "the token is not good, or not of whoever listens";
                        self.refuse(refused.error_code(), says.to_owned()).await
                    }
                }
            }
            SocketRequest::Subscribe(asked) => self.subscribe(asked).await,
            SocketRequest::Unsubscribe(asked) => {
                let filter = self
                    .feed
                    .asked_filter()
                    .with_unsubscribed(&asked.filter_lists());
                match filter {
                    Ok(filter) => {
                        self.change_filter(filter, SubscriptionStatus::Unsubscribed)
                            .await
                    }
                    Err(error) => {
                        self.refuse(ErrorCode::ValidationFailed, error.to_string())
                            .await
                    }
                }
            }
        }
    }

    async fn subscribe(&mut self, asked: SubscribeRequest) -> Result<(), SocketEnd> {
        let mode = asked.mode.unwrap_or(SubscribeMode::Merge);
        let filter = self
            .feed
            .asked_filter()
            .with_subscribed(&asked.filter_lists(), mode);
        let filter = match filter {
            Ok(filter) => filter,
            Err(error) => {
                return self
                    .refuse(ErrorCode::ValidationFailed, error.to_string())
                    .await;
            }
        };
        let Some(cursor) = asked.after_seq.map(WrittenCursor::into_text) else {
            return self
                .change_filter(filter, SubscriptionStatus::Subscribed)
                .await;
        };
        let cursor: Result<LiveCursor, _> = cursor.parse();
        let organisations = organisations_of(&self.watch);
        match cursor.and_then(|cursor| cursor.positions_in(&organisations)) {
            Err(error) => {
                self.refuse(ErrorCode::InvalidCursor, error.to_string())
                    .await
            }
            Ok(positions) => {
                self.change_filter(filter, SubscriptionStatus::Subscribed)
                    .await?;
                let begun = self.feed.begin_after(&self.watch, &positions).await;
                begun.map_err(|error| close_of_failure(&error).into())
            }
        }
    }

    async fn change_filter(
        &mut self,
        filter: LiveFilter,
        status: SubscriptionStatus,
    ) -> Result<(), SocketEnd> {
        let filters = filter.filter_lists().into();
        self.feed.change_filter(filter);
        self.tell(&SubscriptionAnswer { status, filters }).await
    }

    async fn refuse(&mut self, error: ErrorCode, message: String) -> Result<(), SocketEnd> {
        self.tell(&SocketNotice::Error { error, message }).await
    }

    async fn tell<T: Serialize>(&mut self, told: &T) -> Result<(), SocketEnd> {
        self.write(vec![text_message(&json!(told).to_string())])
            .await
    }

    /// Writes `messages`; a receiver that takes none of them for as long as it may be silent is gone. One who may do less
    /// meanwhile comes back for what they may read: what is on its way cannot be called back.
    async fn write(&mut self, messages: Vec<Message>) -> Result<(), SocketEnd> {
        let socket = &mut self.socket;
        let written = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        let mut written = pin!(written);
        let mut silence = pin!(self.clock.sleep(HEARTBEAT));
        let mut is_notice_due = false;
        loop {
            // What is written and the silence go on where they were; whatever else ends the wait ends the socket.
            let step = tokio::select! {
                biased;
                written = &mut written => {
                    if is_notice_due {
                        self.watch.put_off_notice();
                    }
                    return written.map_err(|_| SocketEnd::Gone);
                }
                () = self.soft.cancelled() => return Err(SocketClose::GoingAway.into()),
                step = self.watch.next_step() => step,
                () = &mut silence => return Err(SocketClose::Silent.into()),
            };
            match step {
                AccessStep::Expired => return Err(SocketClose::Unauthenticated.into()),
                // It is told when it reads again.
                AccessStep::Expiring(_) => is_notice_due = true,
                AccessStep::Look => match self.watch.look_again().await {
                    Ok(false) => {}
                    Ok(true) => return Err(SocketClose::GoingAway.into()),
                    Err(refused) => return Err(close_of_refusal(&refused).into()),
                },
            }
        }
    }
}

/// Why a socket ends whose credential was refused like that.
pub(crate) fn close_of_refusal(refused: &ApiError) -> SocketClose {
    match refused.error_code().http_status() {
        400 | 422 => SocketClose::BadRequest,
        401 => SocketClose::Unauthenticated,
        403 => SocketClose::Forbidden,
        429 => SocketClose::TooMany,
        _ => SocketClose::NotReady,
    }
}

fn text_message(text: &str) -> Message {
    Message::Text(text.into())
}

/// The item as it is sent; an end in its place.
fn item_message(FeedItem { org, item }: FeedItem) -> Result<Message, SocketEnd> {
    let item = item.map_err(|error| close_of_failure(&error))?;
    let notice = match item {
        LiveItem::Frame(frame) => return Ok(text_message(&frame.text)),
        LiveItem::Gap(gap) => SocketNotice::Gap {
            org_id: org,
            from_seq: gap.first,
            to_seq: gap.last,
        },
        LiveItem::Reset(seq) => SocketNotice::Reset { org_id: org, seq },
        LiveItem::Over => return Err(SocketClose::GoingAway.into()),
    };
    Ok(text_message(&json!(notice).to_string()))
}
