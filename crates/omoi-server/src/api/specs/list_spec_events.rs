//! Lists events of a spec.

use axum::extract::State;
use utoipa::IntoParams;

use omoi_protocol::api::{ApiTime, ListPage};
use omoi_protocol::live::EventFrame;

use super::SpecPath;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::events::{EventFilterParams, EventListQuery, EventQuery, answer_events};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which part of them, and in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `EventListQuery` reads of them")]
pub(super) struct SpecEventParams {
    /// Those after this event, by its `seq`.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    after_seq: Option<u64>,
    /// Those that happened after this.
    created_after: Option<ApiTime>,
    /// Those that happened before this.
    created_before: Option<ApiTime>,
    /// `-seq`, the newest first, or `seq`.
    #[param(pattern = "^-?seq$")]
    sort: Option<String>,
    /// Events of the page at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the filters and the order of that page.
    cursor: Option<String>,
}

/// Lists events of a spec and of all that belongs to it, as `GET /events` does.
#[utoipa::path(
    get, path = "/specs/{spec_id}/events", tag = "specs", params(SpecPath, EventFilterParams, SpecEventParams),
    responses((status = 200, description = "A page of events.", body = ListPage<EventFrame>))
)]
pub(super) async fn list_spec_events(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    mut query: EventQuery<EventListQuery>,
) -> Answer<ListPage<EventFrame>> {
    if query.own.spec_id.replace(path.spec_id).is_some() {
        let says = "the spec is the one of the path";
        return Err(ApiError::invalid_value(says).with_field("spec_id"));
    }
    answer_events(&s, &caller, &query).await
}
