//! Heartbeats: tell the platform that the worker is alive, and learn that the attempt was superseded.

use std::time::Duration;

use omoi_protocol::worker::{HeartbeatAck, ReportHeartbeat};
use omoi_runtime::clock::Clocked;

use crate::platform_client::{CallError, PlatformClient};
use crate::stop_signal::{AgentStopCause, StopSignal};

/// Sends a heartbeat every `every` until the platform says that the attempt is over.
pub(crate) async fn send_heartbeats(
    platform: PlatformClient,
    clock: Clocked,
    every: Duration,
    stop_signal: StopSignal,
) {
    for sequence_number in 1.. {
        let body = ReportHeartbeat {
            sequence_number,
            status: "running".to_owned(),
        };
        match platform
            .post_json::<HeartbeatAck>("/heartbeat", &body)
            .await
        {
            Ok(ack) if ack.commands.iter().any(|c| c == "abort") => {
                return stop_signal.request_stop(AgentStopCause::Superseded);
            }
            Err(CallError::Superseded) => {
                return stop_signal.request_stop(AgentStopCause::Superseded);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "A heartbeat was not taken"),
        }
        clock.sleep(every).await;
    }
}
