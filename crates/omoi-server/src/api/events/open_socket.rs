//! Events as they happen, over a WebSocket.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use tokio::sync::oneshot;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::live::live_cursor::LiveCursor;
use omoi_execution::live::ListenerSeat;
use omoi_protocol::live::socket_message::SocketClose;
use omoi_runtime::lifecycle::SpawnKind;

use super::event_query::EventFilterParams;
use super::follow_events::{refuse_cursor, seat_of};
use super::socket_caller::{FoundCaller, SocketCaller, SocketQuery};
use crate::api::{ApiSurface, Surface};
use crate::error::ApiError;
use crate::live::access_watch::AccessWatch;
use crate::live::event_socket::{SocketStart, close_of_refusal, close_socket, serve_socket};

/// The subprotocol of these sockets.
const PROTOCOL: &str = "omoios.v1";
/// Bytes of a message that are read at most, of one that is too large anyway.
const READ_BYTES_MAX: usize = 64 << 10;
/// Bytes that wait to be sent at most.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// Opens a WebSocket that tells events as they happen, in all organisations that the caller belongs to.
///
/// The credential comes as the `ticket` of `POST /auth/ws-ticket`, as a subprotocol beside `omoios.v1`, `bearer.TOKEN`, by the
/// cookie of our own pages, as `token`, or by the header of other requests. Whoever is refused is told by the code that the socket is closed with; `docs/api.md` has the messages and
/// the codes.
#[utoipa::path(
    get, path = "/ws/events", tag = "events", params(EventFilterParams, SocketQuery),
    responses((status = 101, description = "A WebSocket."))
)]
pub(in crate::api) async fn open_socket(
    caller: SocketCaller,
    State(s): Surface,
) -> Result<Response, ApiError> {
    let SocketCaller { upgrade, found } = caller;
    let Some(upgrade) = upgrade else {
        let says =
            "this is a WebSocket: ask for one by `Connection: Upgrade` and `Upgrade: websocket`";
        return Err(ApiError::new(ErrorCode::UpgradeRequired, says)
            .hint("`GET /api/v1/events/stream` tells the same over plain HTTP"));
    };
    let begun = found.and_then(|found| begin_socket(&s, found));
    let (start, seat) = match begun {
        Ok(begun) => begun,
        Err(refused) => return Ok(close_at_once(&s, upgrade, close_of_refusal(&refused))),
    };
    let surface = s.clone();
    Ok(answer_upgrade(&s, upgrade, move |socket| async move {
        serve_socket(surface, socket, start).await;
        drop(seat);
    }))
}

/// What a socket begins with; whoever belongs to nothing is told nothing.
fn begin_socket(
    s: &ApiSurface,
    found: FoundCaller,
) -> Result<(SocketStart, Option<ListenerSeat>), ApiError> {
    let FoundCaller {
        credential,
        holder,
        query,
    } = found;
    let organisations: BTreeSet<OrgId> = holder.reaches.iter().map(|reach| reach.org).collect();
    let listened: Vec<OrgId> = organisations.iter().copied().collect();
    let seat = seat_of(&s.parts.live, &holder, &listened)?;
    if organisations.is_empty() {
        let says = "this credential belongs to no organisation";
        return Err(ApiError::forbidden_act(says));
    }
    let positions = known_positions(query.own.after_seq.as_deref(), &organisations)?;
    let start = SocketStart {
        watch: AccessWatch::new(s.clone(), credential, holder),
        filter: query.filter,
        positions,
        id: s.parts.request_ids.new_id(),
    };
    Ok((start, seat))
}

/// The last events that the caller knows.
fn known_positions(
    cursor: Option<&str>,
    organisations: &BTreeSet<OrgId>,
) -> Result<BTreeMap<OrgId, i64>, ApiError> {
    let Some(text) = cursor else {
        return Ok(BTreeMap::new());
    };
    let cursor: Result<LiveCursor, _> = text.parse();
    let positions = cursor.and_then(|cursor| cursor.positions_in(organisations));
    positions.map_err(refuse_cursor)
}

fn close_at_once(surface: &ApiSurface, upgrade: WebSocketUpgrade, close: SocketClose) -> Response {
    let clock = surface.parts.clock.clone();
    answer_upgrade(surface, upgrade, move |mut socket| async move {
        close_socket(&mut socket, &clock, close).await;
    })
}

/// Has a task of this process serve the socket, so that the process waits for it when it stops.
fn answer_upgrade<F>(
    surface: &ApiSurface,
    upgrade: WebSocketUpgrade,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (given, taken) = oneshot::channel();
    let serving = async move {
        // None comes where the caller left before the answer.
        if let Ok(socket) = taken.await {
            serve(socket).await;
        }
        Ok(())
    };
    let lifecycle = &surface.parts.lifecycle;
    lifecycle.spawn_detached("event socket", SpawnKind::Work, serving);
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(READ_BYTES_MAX)
        .max_frame_size(READ_BYTES_MAX)
        .max_write_buffer_size(UNSENT_BYTES_MAX);
    upgrade.on_upgrade(|socket| async move {
        let _ = given.send(socket);
    })
}
