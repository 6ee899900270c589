//! What came in, kept before it is given out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use omoi_runtime::BoxError;
use omoi_runtime::telemetry::error_chain;
use tracing::{info, warn};

use super::ENTRIES_MAX;
use crate::package::PackageVersion;
use crate::refusal::{Refusal, RefusalReason};

/// Arrivals that are kept at once.
const BATCH_MAX: usize = 100;

/// A file of a package that was given to an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageArrival {
    /// The version.
    pub version: PackageVersion,
    /// The last part of the file's path.
    pub file: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
}

/// Keeps what comes in where it outlives this process.
pub trait KeepArrivals: fmt::Debug + Send + Sync {
    /// Keeps `arrivals`. Some of them may be kept already, where an earlier call was given up half-way.
    fn keep_arrivals(&self, arrivals: Vec<PackageArrival>) -> BoxFuture<'_, Result<(), BoxError>>;
}

/// The arrivals of one attempt.
#[derive(Debug, Default)]
pub(super) struct ArrivalLog {
    keeper: Option<Arc<dyn KeepArrivals>>,
    known: Mutex<KnownArrivals>,
    /// Held by the one who keeps what all are waiting for.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct KnownArrivals {
    kept: BTreeSet<PackageArrival>,
    waiting: BTreeSet<PackageArrival>,
}

/// An arrival that somebody waits for.
struct WaitingArrival<'a> {
    log: &'a ArrivalLog,
    arrival: PackageArrival,
}

impl Drop for WaitingArrival<'_> {
    fn drop(&mut self) {
        self.log.known().waiting.remove(&self.arrival);
    }
}

impl ArrivalLog {
    pub(super) fn with_keeper(keeper: Arc<dyn KeepArrivals>) -> Self {
        Self {
            keeper: Some(keeper),
            ..Self::default()
        }
    }

    /// Keeps `arrival`, with whatever else waits to be kept.
    pub(super) async fn keep_arrival(&self, arrival: PackageArrival) -> Result<(), Refusal> {
        let Some(waiting) = self.begin_waiting(arrival)? else {
            return Ok(());
        };
        let _turn = self.turn.lock().await;
        let batch = {
            let known = self.known();
            if known.kept.contains(&waiting.arrival) {
                return Ok(());
            }
            let others = known.waiting.iter().filter(|one| **one != waiting.arrival);
            let others = others.take(BATCH_MAX - 1).cloned();
            others.chain([waiting.arrival.clone()]).collect::<Vec<_>>()
        };
        if let Some(keeper) = &self.keeper {
            keeper.keep_arrivals(batch.clone()).await.map_err(|error| {
                let error = error_chain(error.as_ref());
                warn!(error, "What came into a sandbox could not be written down");
                let PackageArrival { version, file, .. } = &waiting.arrival;
                Refusal::new(RefusalReason::ArrivalNotKept, version).with_detail(file)
            })?;
        }
        let mut known = self.known();
        for arrival in batch {
            info!(version = %arrival.version, digest = arrival.digest, "Gave `{}` to a sandbox", arrival.file);
            known.waiting.remove(&arrival);
            known.kept.insert(arrival);
        }
        Ok(())
    }

    /// None for one that is kept already.
    fn begin_waiting(
        &self,
        arrival: PackageArrival,
    ) -> Result<Option<WaitingArrival<'_>>, Refusal> {
        let mut known = self.known();
        if known.kept.contains(&arrival) {
            return Ok(None);
        }
        if known.kept.len() + known.waiting.len() >= ENTRIES_MAX
            && !known.waiting.contains(&arrival)
        {
            return Err(Refusal::new(RefusalReason::ArrivalCap, &arrival.version)
                .with_detail(format_args!("{}, after {ENTRIES_MAX} files", arrival.file)));
        }
        known.waiting.insert(arrival.clone());
        drop(known);
        Ok(Some(WaitingArrival { log: self, arrival }))
    }

    /// Every arrival that is kept.
    pub(super) fn list_kept(&self) -> Vec<PackageArrival> {
        self.known().kept.iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, KnownArrivals> {
        // Every step leaves it whole, so that a panic elsewhere says nothing about it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
