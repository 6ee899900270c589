//! What load balancers and metrics collectors ask, without a credential.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use omoi_domain::machine::Machine as _;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::Platform;
use omoi_runtime::reconcile::StatusReader;
use omoi_store::{StoreError, events, specs, tasks};

/// What the probes read.
#[derive(Clone)]
pub struct Probes {
    /// The platform.
    pub platform: Platform,
    /// The reconcilers of this process.
    pub reconcilers: Vec<StatusReader>,
}

/// The routes of the probes.
pub fn router(probes: Probes) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

async fn ready(State(probes): State<Probes>) -> (StatusCode, String) {
    match head(&probes.platform).await {
        Ok(_) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

async fn head(platform: &Platform) -> Result<i64, StoreError> {
    let mut tx = platform.store.read().await?;
    events::head(&mut tx).await
}

async fn metrics(State(probes): State<Probes>) -> (StatusCode, String) {
    match rendered(&probes).await {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("# {error}\n")),
    }
}

async fn rendered(probes: &Probes) -> Result<String, StoreError> {
    let mut out = String::new();
    let mut tx = probes.platform.store.read().await?;
    let _ = writeln!(out, "# TYPE omoi_events_total counter");
    let _ = writeln!(out, "omoi_events_total {}", events::head(&mut tx).await?);
    let _ = writeln!(out, "# TYPE omoi_tasks gauge");
    for status in TaskStatus::ALL {
        let n = tasks::with_status(&mut tx, *status).await?.len();
        let _ = writeln!(out, "omoi_tasks{{status=\"{status}\"}} {n}");
    }
    let _ = writeln!(out, "# TYPE omoi_specs gauge");
    for status in SpecStatus::ALL {
        let n = specs::with_status(&mut tx, *status).await?.len();
        let _ = writeln!(out, "omoi_specs{{status=\"{status}\"}} {n}");
    }
    let _ = writeln!(out, "# TYPE omoi_sandboxes_running gauge");
    let _ = writeln!(
        out,
        "omoi_sandboxes_running {}",
        probes.platform.running.ids().len()
    );
    let _ = writeln!(out, "# TYPE omoi_reconciler_ticks_total counter");
    for reader in &probes.reconcilers {
        let status = reader.read();
        let _ = writeln!(
            out,
            "omoi_reconciler_ticks_total{{name=\"{}\"}} {}",
            status.name, status.ticks
        );
        let _ = writeln!(
            out,
            "omoi_reconciler_failures_total{{name=\"{}\"}} {}",
            status.name, status.failures
        );
    }
    Ok(out)
}
