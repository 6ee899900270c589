//! Sends a hint through the event bus.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::EventBusProbe;
use omoi_runtime::telemetry::error_chain;

use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{ApiSurface, Surface};

/// Sends a hint through the event bus that nobody follows, and tells whether it came back.
#[utoipa::path(
    post, path = "/admin/event-bus/test-publish", tag = "admin",
    responses((status = 200, description = "What became of it.", body = EventBusProbe))
)]
pub(super) async fn probe_event_bus(
    _: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Json<EventBusProbe> {
    let topic = probe_topic(&s);
    let probed = s.parts.live.probe_bus(topic.clone()).await;
    Json(EventBusProbe {
        topic,
        is_delivered: probed.is_ok(),
        took_ms: probed.as_ref().ok().map(|took| took.as_secs_f64() * 1e3),
        error: probed.err().map(|error| error_chain(&error)),
    })
}

/// A topic of this process and instant, which nobody follows.
pub(super) fn probe_topic(s: &ApiSurface) -> String {
    let now = s.parts.clock.now();
    format!("probe.{}.{}", s.status.pid, now.as_micros())
}
