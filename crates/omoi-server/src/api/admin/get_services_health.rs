//! Tells how the parts of this process do.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{LoopStatus, ServiceHealth, ServiceState, ServicesHealth};
use omoi_runtime::telemetry::error_chain;
use omoi_store::events;

use super::get_status::{disk_stall, loop_status};
use super::probe_bus::probe_topic;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{ApiSurface, Surface};

/// Tells how the parts of the process that answers do, and the worst of them.
#[utoipa::path(
    get, path = "/admin/health", tag = "admin",
    responses((status = 200, description = "How they do.", body = ServicesHealth))
)]
pub(super) async fn get_services_health(
    _: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Json<ServicesHealth> {
    let mut services = BTreeMap::from([
        ("database".to_owned(), database_health(&s).await),
        ("event_bus".to_owned(), bus_health(&s).await),
        ("disk".to_owned(), disk_health(&s)),
        ("sandbox".to_owned(), sandbox_health(&s)),
        ("model".to_owned(), model_health(&s)),
    ]);
    let loops = s.reconcilers.iter().map(loop_status);
    services.extend(loops.map(|status| (status.name.clone(), loop_health(&status))));
    let states = services.values().map(|service| service.status);
    Json(ServicesHealth {
        status: states.max().unwrap_or(ServiceState::Ok),
        services,
    })
}

fn service(status: ServiceState, detail: impl Into<String>) -> ServiceHealth {
    ServiceHealth {
        status,
        detail: detail.into(),
    }
}

async fn database_health(s: &ApiSurface) -> ServiceHealth {
    let head = s.parts.store.read(async |tx| events::head(tx).await).await;
    match head {
        Ok(_) => service(ServiceState::Ok, s.status.database.clone()),
        Err(error) => service(ServiceState::Down, error_chain(&error)),
    }
}

/// Without a bus readers find news by themselves, later.
async fn bus_health(s: &ApiSurface) -> ServiceHealth {
    match s.parts.live.probe_bus(probe_topic(s)).await {
        Ok(_) => service(ServiceState::Ok, s.status.bus.clone()),
        Err(error) => service(ServiceState::Degraded, error_chain(&error)),
    }
}

fn disk_health(s: &ApiSurface) -> ServiceHealth {
    match disk_stall(&s.parts) {
        Some(stall) => service(ServiceState::Down, stall.reason),
        None => service(ServiceState::Ok, "there is room for work"),
    }
}

/// A process without agents needs none.
fn sandbox_health(s: &ApiSurface) -> ServiceHealth {
    match &s.status.sandbox {
        Some(rung) => service(ServiceState::Ok, rung.clone()),
        None => service(ServiceState::Ok, "this process has no agents work"),
    }
}

fn model_health(s: &ApiSurface) -> ServiceHealth {
    match &s.status.model_missing {
        Some(missing) => service(ServiceState::Degraded, missing.clone()),
        None => service(ServiceState::Ok, s.status.model.clone()),
    }
}

fn loop_health(status: &LoopStatus) -> ServiceHealth {
    match (status.failing, status.entities.len()) {
        (0, 0) => service(ServiceState::Ok, "it goes on"),
        (0, n) => service(
            ServiceState::Degraded,
            format!("it cannot go on with {n} of its rows"),
        ),
        (n, _) => {
            let why = status.error.as_deref().unwrap_or("for no known reason");
            service(
                ServiceState::Down,
                format!("{n} passes failed in a row: {why}"),
            )
        }
    }
}
