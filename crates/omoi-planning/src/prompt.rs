//! What the agent of a phase is told.

use minijinja::{Environment, UndefinedBehavior, Value, context};

use omoi_domain::lifecycle::ticket::{DocumentPlace, document_demands, document_place};
use omoi_domain::phase::Phase;
use omoi_execution::attempt::{AttemptBrief, BriefLimits};
use omoi_execution::guidance::base_guidance;
use omoi_execution::integration::phase_output;
use omoi_execution::prompt_template::prompt_environment;
use omoi_execution::ticket_documents::documents_of;
use omoi_git::object::ObjectId;
use omoi_plan::coverage::{PlannedOutputs, sync_verdict};
use omoi_plan::evaluate::score_criteria;
use omoi_plan::outputs::{DesignOutput, RequirementsOutput, SyncOpinion, TasksOutput};
use omoi_plan::sections::{section_schema, submit_item_schema};
use omoi_protocol::worker::AgentTool;
use omoi_runtime::BoxError;
use omoi_sandbox::policy::inside;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, phase_definitions, tickets};

use crate::items::journal;
use crate::open_questions::answers_of;
use crate::plan_gate::PlanGate;

/// Goes up whenever a prompt says something else; part of every input digest.
pub(crate) const PROMPT_VERSION: u32 = 5;

const SYSTEM: &str = include_str!("../prompts/system.md");
const PHASE: &str = include_str!("../prompts/phase.md");
const DOCUMENT: &str = include_str!("../prompts/document.md");

/// What `phase` must make the model do.
pub const fn guidance(phase: Phase) -> &'static str {
    match phase {
        Phase::Explore => include_str!("../prompts/explore.md"),
        Phase::Prd => include_str!("../prompts/prd.md"),
        Phase::Requirements => include_str!("../prompts/requirements.md"),
        Phase::Design => include_str!("../prompts/design.md"),
        Phase::Tasks => include_str!("../prompts/tasks.md"),
        Phase::Sync => include_str!("../prompts/sync.md"),
        Phase::Complete => "",
        Phase::TicketRequirements => include_str!("../prompts/ticket_requirements.md"),
        Phase::TicketDesign => include_str!("../prompts/ticket_design.md"),
    }
}

/// The orders of the `attempt`th attempt at a phase.
pub(crate) async fn phase_brief(
    gate: &PlanGate,
    spec: &Spec,
    run: &PhaseRun,
    attempt: u32,
) -> Result<AttemptBrief, BoxError> {
    let phase = run.phase;
    let limits = spec.work_limits(gate.limits).phase;
    let system = strict().render_str(SYSTEM, context! { workspace => inside::WORK })?;
    Ok(AttemptBrief {
        subject_ref: phase.as_str().to_owned(),
        system,
        prompt: match document_place(phase) {
            Some(place) => document_prompt(gate, spec, run, place).await?,
            None => prompt(gate, spec, run, attempt).await?,
        },
        tools: vec![
            AgentTool::Read,
            AgentTool::Glob,
            AgentTool::Grep,
            AgentTool::FindSymbol,
            AgentTool::Notes,
            AgentTool::SubmitItem,
            AgentTool::SubmitDone,
        ],
        item_schema: Some(submit_item_schema(phase)),
        limits: BriefLimits {
            turns_max: limits.turns_max,
            wall_s: limits.timeout.as_secs(),
            command_s: 0,
        },
        commit: None,
    })
}

/// Templates that name something they were not given are a mistake, not an empty place.
pub(crate) fn strict() -> Environment<'static> {
    let mut environment = prompt_environment();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

async fn prompt(
    gate: &PlanGate,
    spec: &Spec,
    run: &PhaseRun,
    attempt: u32,
) -> Result<String, BoxError> {
    let phase = run.phase;
    let mirror = gate.folders.project_mirror(spec.project_id).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    let habits = base_guidance(&mirror, &base, &[]).await?;
    let read = gate.store.read(async |tx| {
        let runs = phases::of_spec(tx, spec.id).await?;
        let answers = answers_of(tx, spec).await?;
        Ok::<_, StoreError>((runs, journal(tx, spec.id, phase).await?, answers))
    });
    let (runs, items, answers) = read.await?;
    let mut inputs = Vec::new();
    for input in phase.inputs() {
        let stored = runs
            .iter()
            .find(|r| r.phase == *input)
            .and_then(|r| r.output.as_ref());
        if let Some(stored) = stored {
            inputs.push(context! {
                phase => input.as_str(),
                json => serde_json::to_string_pretty(&stored.0)?,
            });
        }
    }
    let criteria: Vec<Value> = score_criteria(phase)
        .iter()
        .map(|c| context! { name => c.name, weight => c.weight, asks => c.asks })
        .collect();
    let survey = match phase {
        Phase::Explore => Some(serde_json::to_string_pretty(&spec.survey.0)?),
        _ => None,
    };
    let present = if items.is_empty() {
        None
    } else {
        Some(serde_json::to_string_pretty(&items)?)
    };
    let values = context! {
        phase => phase.as_str(),
        title => spec.title.clone(),
        request => spec.original_request.clone(),
        guidance => guidance(phase),
        criteria,
        survey,
        habits,
        inputs,
        answers => answers.read_beside(phase, &runs),
        computed => computed(phase, &runs)?,
        present,
        attempt,
        feedback => run.feedback.clone(),
        version => PROMPT_VERSION,
        schema => serde_json::to_string(&section_schema(phase))?,
    };
    Ok(strict().render_str(PHASE, values)?)
}

/// What the run is told that writes a document about a ticket.
async fn document_prompt(
    gate: &PlanGate,
    spec: &Spec,
    run: &PhaseRun,
    place: DocumentPlace,
) -> Result<String, BoxError> {
    let mirror = gate.folders.project_mirror(spec.project_id).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    let habits = base_guidance(&mirror, &base, &[]).await?;
    let read = gate.store.read(async |tx| {
        let ticket = tickets::of_direct_spec(tx, spec.id).await?;
        let phases = phase_definitions::of_project(tx, spec.project_id).await?;
        let items = journal(tx, spec.id, run.phase).await?;
        Ok::<_, StoreError>((documents_of(tx, &ticket).await?, phases, items))
    });
    let (documents, phases, items) = read.await?;
    let earlier = documents.iter().filter(|document| document.place != place);
    let earlier: Vec<Value> = earlier
        .map(|document| {
            let name = document.place.title.to_lowercase();
            context! { name, text => document.text.clone() }
        })
        .collect();
    let present = items.last().and_then(|item| item.value.as_str());
    let values = context! {
        name => place.title.to_lowercase(),
        title => spec.title.clone(),
        request => spec.original_request.clone(),
        guidance => guidance(run.phase),
        demands => document_demands(&phases, place),
        habits,
        documents => earlier,
        present,
        attempt => run.attempts,
        feedback => run.feedback.clone(),
    };
    Ok(strict().render_str(DOCUMENT, values)?)
}

/// The traceability verdict code has reached, for the sync phase.
fn computed(phase: Phase, runs: &[PhaseRun]) -> Result<Option<String>, BoxError> {
    if phase != Phase::Sync {
        return Ok(None);
    }
    let (Some(requirements), Some(design), Some(tasks)) = (
        phase_output::<RequirementsOutput>(runs, Phase::Requirements)?,
        phase_output::<DesignOutput>(runs, Phase::Design)?,
        phase_output::<TasksOutput>(runs, Phase::Tasks)?,
    ) else {
        return Ok(None);
    };
    let planned = PlannedOutputs {
        requirements: &requirements,
        design: &design,
        tasks: &tasks,
    };
    let verdict = sync_verdict(planned, &SyncOpinion::default());
    Ok(Some(serde_json::to_string_pretty(&verdict)?))
}

#[cfg(test)]
mod injection_tests;
