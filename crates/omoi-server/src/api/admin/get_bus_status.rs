//! Tells how the event bus does.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::EventBusStatus;
use omoi_runtime::telemetry::error_chain;

use super::probe_bus::probe_topic;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::probes::count_everywhere;

/// Tells whether hints come through the event bus, and how many events there are: they are in the database, and a bus only
/// shortens the wait of who reads them.
#[utoipa::path(
    get, path = "/admin/event-bus/status", tag = "admin",
    responses((status = 200, description = "How it does.", body = EventBusStatus))
)]
pub(super) async fn get_bus_status(
    _: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<EventBusStatus> {
    let counts = count_everywhere(s.parts.store.store()).await?;
    let probed = s.parts.live.probe_bus(probe_topic(&s)).await;
    Ok(Json(EventBusStatus {
        bus: s.status.bus.clone(),
        is_connected: probed.is_ok(),
        error: probed.err().map(|error| error_chain(&error)),
        n_events: counts.n_events,
    }))
}
