//! Specs as people see them.

use std::collections::BTreeMap;

use omoi_delivery::trace;
use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::graph::{Edge, Graph};
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::spec_selection::{SpecSelection, WorkScope};
use omoi_planning::commands;
use omoi_planning::spec_policy::SpecPolicy;
use omoi_planning::sync::computed_summary;
use omoi_protocol::api::{
    GuardedCost, OverlapView, PhaseView, PlanEstimate, SpecDetail, SpecTicketView, SpecView,
    SpecWaits, UsdText,
};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::projects::ProjectNames;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, opinions, projects, requirements, tickets};

use super::task_view::task_views;

/// Specs as people see them.
pub(super) async fn spec_views(
    tx: &mut Tx,
    policy: &SpecPolicy,
    specs: Vec<Spec>,
) -> Result<Vec<SpecView>, StoreError> {
    let names = projects::names(tx).await?;
    let specs = specs.into_iter();
    Ok(specs.map(|spec| view_of(&names, policy, spec)).collect())
}

/// A spec as people see it.
pub(super) async fn spec_view(
    tx: &mut Tx,
    policy: &SpecPolicy,
    spec: Spec,
) -> Result<SpecView, StoreError> {
    Ok(view_of(&projects::names(tx).await?, policy, spec))
}

fn view_of(names: &ProjectNames, policy: &SpecPolicy, spec: Spec) -> SpecView {
    let number = HumanRef::spec(spec.number);
    let name = names.reference(spec.project_id, number);
    // Nothing starts with a toolbox that cannot be read, so nothing is shown to it.
    let mounts = SandboxToolchain::of_spec(&spec)
        .map(|toolbox| toolbox.toolchain_mounts(&policy.read_only))
        .unwrap_or_default();
    let mounts = mounts.iter().map(|mount| mount.host.display().to_string());
    let mounts = mounts.collect();
    SpecView {
        waits: waits(&policy.selection, &name, &spec),
        name,
        scenario: spec.scenario,
        agents: spec.options.0.agents.distinct_agents(),
        id: spec.id,
        spec_ref: number.to_string(),
        title: spec.title,
        status: spec.status,
        current_phase: spec.current_phase,
        model: spec.model,
        model_kind: spec.model_kind,
        repo: names.repo(spec.project_id).to_owned(),
        base_sha: spec.base_sha,
        base_branch: spec.base_branch,
        branch: spec.integration_branch,
        last_error: spec.last_error,
        created_at: spec.created_at.into(),
        ended_at: spec.ended_at.map(Into::into),
        archived_at: spec.archived_at.map(Into::into),
        mounts,
        notes: spec.options.0.notes,
        survey: spec.survey.0,
    }
}

/// A spec with its phases, tickets and tasks.
pub(super) async fn spec_detail(
    tx: &mut Tx,
    policy: &SpecPolicy,
    sight: CostSight,
    spec: Spec,
) -> Result<SpecDetail, StoreError> {
    let cap = spec.work_limits(policy.limits).spec_budget;
    let cap = GuardedCost::seen_by(sight, cap);
    let runs = phases::of_spec(tx, spec.id).await?;
    let all = tickets::of_spec(tx, spec.id).await?.into_iter();
    let all = all.map(|ticket| SpecTicketView {
        ticket_ref: HumanRef::ticket(ticket.number).to_string(),
        title: ticket.title,
        status: ticket.status,
    });
    let opinion = opinions::find(tx, spec.id).await?;
    let planned = tasks::of_spec(tx, spec.id).await?;
    Ok(SpecDetail {
        original_request: spec.original_request.clone(),
        phases: phase_views(&runs),
        tickets: all.collect(),
        tasks: task_views(tx, &planned).await?,
        estimate: estimate(tx, cap, &spec, &runs).await?,
        overlaps: overlaps(tx, &spec).await?,
        opinion: opinion.map(trace::opinion_view),
        spec: spec_view(tx, policy, spec).await?,
    })
}

/// Why this process does not go on with a spec that is not over.
fn waits(selection: &SpecSelection, name: &str, spec: &Spec) -> Option<SpecWaits> {
    let is_under_way = matches!(spec.status, SpecStatus::Executing | SpecStatus::Working);
    let runs_agents = !matches!(selection.scope, WorkScope::Nothing);
    let waits = is_under_way && runs_agents && selection.is_of_another_kind(spec);
    waits.then(|| SpecWaits {
        begun: spec.model.clone(),
        resume: commands::resume_command(name, spec),
    })
}

fn phase_views(runs: &[PhaseRun]) -> Vec<PhaseView> {
    let in_order = Phase::ALL_WORKING.iter();
    in_order
        .filter_map(|phase| runs.iter().find(|run| run.phase == *phase))
        .map(|run| PhaseView {
            phase: run.phase,
            state: run.state,
            attempts: run.attempts,
            score: run.score,
            feedback: run.feedback.clone(),
            rejected_output: run.rejected_output.as_ref().map(|output| output.0.clone()),
            rejected_score: run.rejected_score,
            took_ms: run
                .started_at
                .zip(run.ended_at)
                .map(|(a, b)| (b.as_micros() - a.as_micros()) / 1000),
        })
        .collect()
}

/// What the plan will take, once sync has computed it.
async fn estimate(
    tx: &mut Tx,
    cap: GuardedCost<UsdText>,
    spec: &Spec,
    runs: &[PhaseRun],
) -> Result<Option<PlanEstimate>, StoreError> {
    let Some(summary) = computed_summary(runs)? else {
        return Ok(None);
    };
    let planned = tasks::of_spec(tx, spec.id).await?;
    let mut per_level = BTreeMap::new();
    for task in &planned {
        *per_level.entry(task.level).or_insert(0_u32) += 1;
    }
    Ok(Some(PlanEstimate {
        tickets: tickets::of_spec(tx, spec.id).await?.len() as u32,
        tasks: planned.len() as u32,
        criteria: requirements::criteria_of_spec(tx, spec.id).await?.len() as u32,
        longest_chain: per_level.len() as u32,
        width: per_level.values().copied().max().unwrap_or(0),
        hours: summary.total_estimated_hours,
        cost_cap_usd: cap,
        coverage_percent: summary.requirement_coverage_percent,
    }))
}

/// Where merges to come may conflict, by the files that unfinished tasks say they change.
async fn overlaps(tx: &mut Tx, spec: &Spec) -> Result<Vec<OverlapView>, StoreError> {
    let mut open = tasks::of_spec(tx, spec.id).await?;
    open.retain(|task| {
        let is_over = matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled);
        let is_done = task.integration_state == IntegrationState::Merged;
        !is_over && !is_done && task.resolves_merge_id.is_none()
    });
    let by_id: BTreeMap<TaskId, &Task> = open.iter().map(|task| (task.id, task)).collect();
    let edges = tasks::dependencies(tx, spec.id).await?;
    let edges = edges
        .into_iter()
        .map(|(after, before)| Edge::new(before, after));
    // Edges to tasks that are over name nodes which are not there, and order nothing any more.
    let (graph, _) = Graph::build(by_id.keys().copied(), edges);
    let named = |id: TaskId| HumanRef::task(by_id[&id].number).to_string();
    let found = graph.file_overlaps(|id| &by_id[id].files.0);
    Ok(found
        .into_iter()
        .map(|overlap| OverlapView {
            task_refs: [named(overlap.first), named(overlap.second)],
            files: overlap.files,
        })
        .collect())
}
