//! Events: what happened, and what happens.

mod event_query;
mod follow_events;
mod get_event;
mod list_events;
mod open_socket;
mod socket_caller;

pub(super) use self::event_query::{EventFilterParams, EventQuery};
pub(super) use self::list_events::{EventListQuery, answer_events};
use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_events::list_events,
            Forbidden,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            follow_events::follow_events,
            Forbidden,
            NotFound,
            InvalidCursor,
            TooManyConnections
        ))
        .add(operation!(
            open_socket::open_socket,
            Forbidden,
            InvalidCursor,
            UpgradeRequired
        ))
        .add(operation!(get_event::get_event, Forbidden, NotFound))
}
