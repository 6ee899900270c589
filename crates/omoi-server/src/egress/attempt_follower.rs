//! Ends the way out of attempts that are over, whoever ended them: one look at the rows for all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{debug, warn};

use omoi_domain::id::{AttemptId, OrgId};
use omoi_runtime::BoxError;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{Tenant, attempts};

use super::AttemptEgress;
use crate::worker::WorkerParts;

/// How often the rows are looked at where no commit of this process gives reason to.
const LOOK: Duration = Duration::from_secs(3);

/// The attempts that have a way out, followed while there is one. Clones are the same.
#[derive(Clone)]
pub(super) struct FollowedAttempts {
    state: Arc<Mutex<FollowState>>,
    /// An attempt came: it may be over already, by a commit that was seen before.
    begun: Arc<Notify>,
    clock: Clocked,
}

#[derive(Default)]
struct FollowState {
    attempts: HashMap<AttemptId, Arc<AttemptEgress>>,
    /// Whether a task looks after them.
    is_followed: bool,
}

impl FollowedAttempts {
    pub(super) fn new(clock: Clocked) -> Self {
        Self {
            state: Arc::default(),
            begun: Arc::default(),
            clock,
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, FollowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `attempt` uses, if it has used any.
    pub(super) fn find(&self, attempt: AttemptId) -> Option<Arc<AttemptEgress>> {
        self.lock_state().attempts.get(&attempt).cloned()
    }

    /// What `attempt` uses, begun by `begin` where it has used nothing yet.
    pub(super) fn find_or_begin(
        &self,
        parts: &WorkerParts,
        attempt: AttemptId,
        begin: impl FnOnce() -> AttemptEgress,
    ) -> Arc<AttemptEgress> {
        let mut state = self.lock_state();
        if let Some(known) = state.attempts.get(&attempt) {
            return known.clone();
        }
        let egress = Arc::new(begin());
        state.attempts.insert(attempt, egress.clone());
        let is_followed = std::mem::replace(&mut state.is_followed, true);
        drop(state);
        if is_followed {
            self.begun.notify_one();
        } else {
            let following = self.clone().follow_attempts(parts.clone());
            parts
                .lifecycle
                .spawn("egress ends", SpawnKind::Work, following);
        }
        egress
    }

    /// Ends the connections of each attempt when it is over, until none is left.
    async fn follow_attempts(self, parts: WorkerParts) -> Result<(), BoxError> {
        let store = parts.intake.store.store();
        let mut commits = store.commits();
        while let Some(followed) = self.followed_ids() {
            // Seen before the look, so that none in between is missed.
            commits.borrow_and_update();
            for (org, ids) in followed {
                self.end_those_over(&store.tenant(org), ids).await;
            }
            // All are cancel-safe: a watch, a timer, a permit that is kept, and a wait that changes nothing.
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { break },
                () = self.clock.sleep(LOOK) => {}
                () = self.begun.notified() => {}
                () = parts.running.work_ended(&parts.lifecycle) => break,
            }
        }
        while let Some(left) = self.followed_ids() {
            for id in left.into_values().flatten() {
                self.end_egress(id).await;
            }
        }
        Ok(())
    }

    /// Ends the connections of those among `followed` that are over, which are all of one organisation.
    async fn end_those_over(&self, tenant: &Tenant, followed: Vec<AttemptId>) {
        let live = tenant.read(async |tx| attempts::live_ids(tx).await).await;
        match live {
            Ok(live) => {
                let live = BTreeSet::from_iter(live);
                for id in followed.into_iter().filter(|id| !live.contains(id)) {
                    debug!(attempt.id = %id, "The way out of `{id}` ends with it");
                    self.end_egress(id).await;
                }
            }
            Err(error) => {
                let (org, error) = (tenant.org(), error_chain(&error));
                warn!(org.id = %org, error, "Which attempts with a way out are live is not known");
            }
        }
    }

    /// The attempts that are followed, by their organisations. Where there are none, the next one needs another
    /// follower.
    fn followed_ids(&self) -> Option<BTreeMap<OrgId, Vec<AttemptId>>> {
        let mut state = self.lock_state();
        state.is_followed = !state.attempts.is_empty();
        let mut ids = BTreeMap::<_, Vec<_>>::new();
        for (id, egress) in &state.attempts {
            ids.entry(egress.org).or_default().push(*id);
        }
        state.is_followed.then_some(ids)
    }

    async fn end_egress(&self, id: AttemptId) {
        let egress = self.lock_state().attempts.get(&id).cloned();
        if let Some(egress) = egress {
            egress.ended.cancel();
            egress.recorded.record_refusals().await;
        }
        self.lock_state().attempts.remove(&id);
    }
}
