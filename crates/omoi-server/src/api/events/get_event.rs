//! Gets an event.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::EventId;
use omoi_domain::live::event_filter::EventFacts;
use omoi_protocol::api::EXAMPLE_EVENT;
use omoi_protocol::live::EventFrame;
use omoi_store::{StoreError, events};

use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Which event.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::api) struct EventPath {
    /// The `event_id` that the event bears.
    #[param(example = json!(EXAMPLE_EVENT))]
    event_id: EventId,
}

/// Gets an event with all of its payload, also where that has no room in a frame.
#[utoipa::path(
    get, path = "/events/{event_id}", tag = "events", params(EventPath),
    responses((status = 200, description = "The event.", body = EventFrame))
)]
pub(in crate::api) async fn get_event(
    caller: Allowed<needs::Credential>,
    ApiPath(path): ApiPath<EventPath>,
) -> Answer<EventFrame> {
    let id = path.event_id;
    let access = caller.live_access();
    let found = caller
        .own_rows()
        .read(async |tx| events::get_logged(tx, id).await);
    let event = found.await?;
    let is_told = event.stored.event.kind().is_told();
    if !is_told || !access.may_read(&EventFacts::of_event(&event)) {
        // As for an event that is not there.
        let missing = StoreError::NotFound {
            what: "event",
            key: id.to_string(),
        };
        return Err(ApiError::from(missing));
    }
    Ok(Json(EventFrame::of_event(&event)))
}
