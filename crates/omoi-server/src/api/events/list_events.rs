//! Lists events.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::event::{EventKind, LoggedEvent};
use omoi_domain::id::{SpecId, TaskId, TicketId};
use omoi_domain::live::event_filter::EventFacts;
use omoi_execution::live::ReaderAccess;
use omoi_protocol::api::{ApiTime, ListPage};
use omoi_protocol::live::EventFrame;
use omoi_store::Tx;
use omoi_store::events::{self, EventSearch};

use super::event_query::{EventFilterParams, EventQuery};
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::find::{self, AskedReference};
use crate::api::list::{page_limit, refuse_cursor, scope_for};
use crate::api::policy::needs;
use crate::api::{Answer, ApiSurface, Surface};
use crate::error::ApiError;

/// Which part of them, and in which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EventListQuery {
    /// Those after this event, by its `seq`.
    #[serde(default)]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    after_seq: u64,
    /// Those of this spec: its row id, or its reference `SPEC-n`.
    #[param(
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(in crate::api) spec_id: Option<String>,
    /// Those of this ticket.
    ticket_id: Option<TicketId>,
    /// Those of this task: its row id, or its reference `TSK-n`.
    #[param(
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Ss][Kk]-0*[1-9][0-9]{0,17})$"
    )]
    task_id: Option<String>,
    /// Those that happened after this.
    created_after: Option<ApiTime>,
    /// Those that happened before this.
    created_before: Option<ApiTime>,
    /// `-seq`, the newest first, or `seq`.
    #[serde(default)]
    #[param(inline)]
    sort: EventOrder,
    /// Events of the page at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the filters and the order of that page.
    cursor: Option<String>,
}

/// What comes first.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
enum EventOrder {
    /// The newest event.
    #[default]
    #[serde(rename = "-seq")]
    NewestFirst,
    /// The oldest event.
    #[serde(rename = "seq")]
    OldestFirst,
}

/// Lists events of the log that the caller may read.
///
/// A page may have fewer events than asked for, or none: it ends after the events that it has looked at. There are more
/// as long as there is a `next_cursor`.
#[utoipa::path(
    get, path = "/events", tag = "events", params(EventFilterParams, EventListQuery),
    responses((status = 200, description = "A page of events.", body = ListPage<EventFrame>))
)]
pub(in crate::api) async fn list_events(
    caller: Allowed<needs::Credential>,
    State(s): Surface,
    query: EventQuery<EventListQuery>,
) -> Answer<ListPage<EventFrame>> {
    answer_events(&s, &caller, &query).await
}

/// The page of events that `query` asks for.
pub(in crate::api) async fn answer_events(
    s: &ApiSurface,
    caller: &ApiCaller,
    query: &EventQuery<EventListQuery>,
) -> Answer<ListPage<EventFrame>> {
    let access = caller.live_access();
    let search = asked_search(s, caller, &access, query)?;
    let page = caller.own_rows().read(async |tx| {
        let rows = query.named_rows(tx).await?;
        let search = EventSearch {
            spec: rows.spec,
            task: rows.task,
            ..search
        };
        let is_wanted = |event: &LoggedEvent| {
            let facts = EventFacts::of_event(event);
            access.may_read(&facts) && query.filter.is_asked(&facts)
        };
        let page = events::read_page(tx, &search, is_wanted).await?;
        Ok::<_, ApiError>(page)
    });
    let page = page.await?;
    let scope = scope_for(caller, &query.scope);
    let sign = |place: i64| s.cursor_keys.sign_place(&scope, &place.to_be_bytes());
    Ok(Json(ListPage {
        next_cursor: page.next.map(sign),
        ..ListPage::whole_list(page.events.iter().map(listed_frame).collect())
    }))
}

/// The event as lists have it.
fn listed_frame(event: &LoggedEvent) -> EventFrame {
    let mut frame = EventFrame::of_event(event);
    frame.bound_payload();
    frame
}

/// What is asked for, but for the rows that people name.
fn asked_search(
    surface: &ApiSurface,
    caller: &ApiCaller,
    access: &ReaderAccess,
    query: &EventQuery<EventListQuery>,
) -> Result<EventSearch, ApiError> {
    let EventQuery { filter, own, scope } = query;
    let kinds = EventKind::ALL.iter().copied();
    let is_told = |kind: &EventKind| {
        kind.is_told() && access.may_read_kind(*kind) && filter.may_ask_kind(*kind)
    };
    let place = own.cursor.as_deref().map(|cursor| {
        let place = surface
            .cursor_keys
            .read_place(&scope_for(caller, scope), cursor);
        let place = place.and_then(|place| place.try_into().ok());
        place.map(i64::from_be_bytes).ok_or_else(refuse_cursor)
    });
    Ok(EventSearch {
        after: own.read_after()?,
        kinds: kinds.filter(is_told).collect(),
        projects: filter.asked_projects().to_vec(),
        spec: None,
        ticket: own.ticket_id,
        task: None,
        occurred_after: own.created_after.map(ApiTime::to_timestamp),
        occurred_before: own.created_before.map(ApiTime::to_timestamp),
        is_newest_first: own.sort == EventOrder::NewestFirst,
        place: place.transpose()?,
        limit: page_limit(own.limit)? as usize,
    })
}

/// The rows that a request names.
struct NamedRows {
    spec: Option<SpecId>,
    task: Option<TaskId>,
}

/// The greatest number that every reader of JSON keeps exactly, 2^53 - 1 (RFC 8259 §6); no log grows as long.
const AFTER_SEQ_MAX: u64 = 9_007_199_254_740_991;

impl EventListQuery {
    fn read_after(&self) -> Result<i64, ApiError> {
        let says = || {
            ApiError::invalid_value(format!("`after_seq` is at most {AFTER_SEQ_MAX}"))
                .with_field("after_seq")
        };
        let after = Some(self.after_seq).filter(|after| *after <= AFTER_SEQ_MAX);
        after
            .and_then(|after| i64::try_from(after).ok())
            .ok_or_else(says)
    }
}

impl EventQuery<EventListQuery> {
    async fn named_rows(&self, tx: &mut Tx) -> Result<NamedRows, ApiError> {
        // The project whose numbers are meant.
        let project = match self.filter.asked_projects() {
            [only] => Some(*only),
            _ => None,
        };
        let mut rows = NamedRows {
            spec: None,
            task: None,
        };
        if let Some(text) = &self.own.spec_id {
            let asked = AskedReference::of_path(text, project);
            rows.spec = Some(find::spec(tx, asked).await?.id);
        }
        if let Some(text) = &self.own.task_id {
            let asked = AskedReference::of_path(text, project);
            rows.task = Some(find::task(tx, asked).await?.id);
        }
        Ok(rows)
    }
}
