//! Looks every five minutes for tickets of which nothing goes on, in every organisation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tracing::{debug, trace};

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next, Reconciler};
use omoi_store::{Store, Tenant, organisations};

use crate::commands::{StallSearch, detect_blocking, has_tickets_at_work};
use crate::deployment::{DeploymentParts, FromParts};
use crate::disk_room::DiskRoom;
use crate::spec_selection::SpecSelection;

/// How often tickets are looked at.
pub const SWEEP_PERIOD: Duration = Duration::from_mins(5);

/// Holds up tickets of which nothing goes on, and lets them go on again once the cause is gone; writes nothing where there is
/// neither. Organisations without tickets at work are not looked at until something happens there.
///
/// Only what this process has watched counts: after a night in which nothing ran, no ticket is stalled.
pub struct BlockerSweep {
    store: Store,
    selection: SpecSelection,
    disk: DiskRoom,
    /// Since when work could go on, as far as this process saw.
    watching_since: Option<Timestamp>,
    swept_at: Option<Timestamp>,
    /// Organisations without tickets at work, with the last event that they had then.
    at_rest: BTreeMap<OrgId, i64>,
}

impl fmt::Debug for BlockerSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockerSweep").finish_non_exhaustive()
    }
}

impl FromParts for BlockerSweep {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.store().clone(),
            selection: SpecSelection::from_parts(parts),
            disk: DiskRoom::from_parts(parts),
            watching_since: None,
            swept_at: None,
            at_rest: BTreeMap::new(),
        }
    }
}

impl BlockerSweep {
    async fn run_pass(&mut self, now: Timestamp, entities: &mut Entities) -> Result<(), BoxError> {
        let has_model =
            self.selection.begins_tickets() || !self.selection.brought_models.is_empty();
        let can_go_on = has_model && self.disk.lasting_shortage().await.is_none();
        let Some(watched_for) = self.watch(now, can_go_on) else {
            return Ok(());
        };
        let system = self.store.system();
        let heads = system.read(async |tx| organisations::event_heads(tx).await);
        for (org, head) in heads.await? {
            if self.at_rest.get(&org) == Some(&head) {
                continue;
            }
            let tenant = self.store.tenant(org);
            let mut selection = self.selection.clone();
            selection.refresh_model(&tenant).await?;
            if !selection.begins_tickets() {
                continue;
            }
            let turn = sweep_tickets(&tenant, watched_for);
            let label = format!("organisation {org}");
            match entities.give_turn(now, label, turn).await.done_value() {
                Some(false) => self.at_rest.insert(org, head),
                Some(true) | None => self.at_rest.remove(&org),
            };
        }
        Ok(())
    }

    /// For how long work could go on; none where it cannot. A pause of this process, as of a machine that slept, begins anew.
    fn watch(&mut self, now: Timestamp, can_go_on: bool) -> Option<Duration> {
        let last = self.swept_at.replace(now);
        let has_slept = last.is_some_and(|at| now < at || now.since(at) > 2 * SWEEP_PERIOD);
        if has_slept || !can_go_on {
            self.watching_since = None;
        }
        if !can_go_on {
            return None;
        }
        let since = *self.watching_since.get_or_insert(now);
        Some(now.since(since))
    }
}

/// Looks at the tickets of one organisation; false where none is at work.
async fn sweep_tickets(tenant: &Tenant, watched_for: Duration) -> Result<bool, BoxError> {
    if !has_tickets_at_work(tenant).await? {
        trace!("No ticket is at work");
        return Ok(false);
    }
    let search = StallSearch {
        projects: Vec::new(),
        watched_for,
    };
    let found = detect_blocking(tenant, &search).await?;
    let (n_blocked, n_released) = (found.blocked.len(), found.released.len());
    if n_blocked + n_released > 0 {
        debug!(n_blocked, n_released, "Looked for stalled tickets");
    }
    Ok(true)
}

impl Reconciler for BlockerSweep {
    fn name(&self) -> &'static str {
        "blockers"
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        async move {
            self.run_pass(now, entities).await?;
            Ok(Next::Idle)
        }
        .boxed()
    }
}
