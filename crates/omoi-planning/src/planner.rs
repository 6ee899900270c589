//! Drives the phases of specs: start, judge, repair, pass or fail, until sync has written the plan.

mod conclude;
mod direct;
mod documents;
mod edited_tasks;
mod files;
mod hold_for_people;
mod phase_change;
mod plan_rows;
mod start;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::{SpecId, TicketId};
use omoi_domain::lifecycle::phase::{FailedStep, StepFailure, judge_failed_step};
use omoi_domain::lifecycle::spec::{ModelChange, adopt_first_model};
use omoi_domain::time::Timestamp;
use omoi_execution::consume::EventConsumer;
use omoi_execution::repository_folders::DataDir;
use omoi_execution::spec_files::SpecRenderer;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, EntityTurn, Next};
use omoi_runtime::telemetry::error_chain;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, tickets};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tracing::{info, trace, warn};

use self::files::RenderedFiles;
pub(crate) use self::phase_change::end_planning;
use self::step::PhaseDriver;
use crate::commands::{TicketBeginner, WakeReason, wake_spent_work};

/// The planner of one process.
pub struct Planner {
    store: Tenant,
    selection: SpecSelection,
    driver: PhaseDriver,
    renderer: SpecRenderer,
    data: DataDir,
    /// How often in a row the step of a spec failed.
    failures: BTreeMap<SpecId, u32>,
    /// Specs left alone, each told of once.
    left_alone: BTreeSet<SpecId>,
    rendered: RenderedFiles,
    /// Begins tickets that are worked on by themselves.
    beginner: TicketBeginner,
    /// The month in whose beginning, or since whose beginning, work was taken up that waited for a budget.
    woken_month: Option<Timestamp>,
}

impl FromParts for Planner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            selection: SpecSelection::from_parts(parts),
            driver: PhaseDriver::from_parts(parts),
            renderer: SpecRenderer::from_parts(parts),
            data: parts.data.clone(),
            failures: BTreeMap::new(),
            left_alone: BTreeSet::new(),
            rendered: RenderedFiles::default(),
            beginner: TicketBeginner::from_parts(parts),
            woken_month: None,
        }
    }
}

impl Planner {
    async fn run_pass(
        &mut self,
        now: Timestamp,
        entities: &mut Entities,
    ) -> Result<Next, BoxError> {
        // With a new month, and once after a start, as a death may have come between a change and what follows from it.
        if self.woken_month != Some(now.month_start()) {
            wake_spent_work(&self.store, WakeReason::NewMonth).await?;
            self.woken_month = Some(now.month_start());
        }
        let found = self.store.read(async |tx| {
            let executing = specs::list_executing(tx).await?;
            Ok::<_, StoreError>((executing, tickets::list_to_begin(tx).await?))
        });
        let (executing, to_begin) = found.await?;
        self.selection.refresh_model(&self.store).await?;
        self.begin_tickets(now, entities, to_begin).await;
        let ids: Vec<SpecId> = executing.iter().map(|spec| spec.id).collect();
        self.failures.retain(|id, _| ids.contains(id));
        let mut next = Next::Idle;
        for spec in executing {
            if !self.selection.works_on(&spec) {
                self.leave_alone(&spec);
                continue;
            }
            let (id, entity) = (spec.id, spec.label());
            let step = async {
                step::planner_step(
                    &self.driver,
                    adopted(&self.store, &self.selection, spec).await?,
                )
                .await
            };
            match entities.give_turn(now, entity, step).await {
                EntityTurn::Done(found) => {
                    self.failures.remove(&id);
                    next = next.sooner(found);
                }
                EntityTurn::Waits => {}
                EntityTurn::Failed(error) => self.failed(id, &error).await,
            }
        }
        let (renderer, data) = (&self.renderer, &self.data);
        self.rendered.refresh(renderer, data, ids).await?;
        Ok(next)
    }

    /// Begins what people want done by itself; the specs that are written for it have their turn in the next pass.
    async fn begin_tickets(
        &self,
        now: Timestamp,
        entities: &mut Entities,
        to_begin: Vec<TicketId>,
    ) {
        if !self.selection.begins_tickets() {
            return;
        }
        for ticket in to_begin {
            let entity = format!("ticket {ticket}");
            let begin = async { Ok(self.beginner.begin_ticket(ticket).await?) };
            entities.give_turn(now, entity, begin).await;
        }
    }

    /// A simulated model must not go on with what a real one began, nor the reverse, nor one script
    /// with what another began. What nobody asked this process for is no news.
    fn leave_alone(&mut self, spec: &Spec) {
        if self.selection.is_of_another_kind(spec) && self.left_alone.insert(spec.id) {
            let (begun, now) = (&spec.model, &self.selection.model.label);
            warn!(
                spec.id = %spec.id, begun = ?spec.scenario, now = ?self.selection.model.scenario,
                "Leaving SPEC-{} alone: it was begun with the model `{begun}`, and this process works with `{now}`",
                spec.number
            );
        }
    }

    /// When the step of a spec goes on failing, its phase does.
    async fn failed(&mut self, id: SpecId, error: &BoxError) {
        let step = FailedStep {
            is_passing: StoreError::is_passing(error.as_ref()),
            earlier: self.failures.get(&id).copied().unwrap_or_default(),
        };
        match judge_failed_step(step) {
            StepFailure::Ignore => trace!(spec.id = %id, "What failed passes by itself"),
            StepFailure::Count(failed) => drop(self.failures.insert(id, failed)),
            StepFailure::GiveUp => self.give_up(id, &error_chain(error.as_ref())).await,
        }
    }

    async fn give_up(&mut self, id: SpecId, why: &str) {
        match step::give_up(&self.driver.writer, id, why).await {
            Ok(()) => {
                warn!(spec.id = %id, error = %why, "Gave up planning `{id}`");
                self.failures.remove(&id);
            }
            Err(error) => {
                warn!(spec.id = %id, error = %error_chain(&error), "Could not fail `{id}`");
            }
        }
    }
}

/// The spec, which gets the model of this process where the one that took the idea had none.
async fn adopted(
    store: &Tenant,
    selection: &SpecSelection,
    mut spec: Spec,
) -> Result<Spec, StoreError> {
    if adopt_first_model(&spec.work_model(), &selection.model) != ModelChange::Adopt {
        return Ok(spec);
    }
    spec.set_work_model(&selection.model);
    let adopted = store.write(CrashPoint::SpecMoved, async |tx| {
        specs::save(tx, &mut spec).await
    });
    adopted.await?;
    info!(spec.id = %spec.id, model = spec.model, "SPEC-{} is planned by this process's model", spec.number);
    Ok(spec)
}

/// What tells one output of a phase from another.
pub(crate) fn output_digest(output: &Value) -> String {
    hex::encode(Sha256::digest(output.to_string()))
}

impl EventConsumer for Planner {
    fn consumer(&self) -> Consumer {
        Consumer::Planner
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}
