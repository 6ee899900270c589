//! What the agent of a task is told.

use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use omoi_domain::approval::ApprovalState;
use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::discovery::FOUND_WORK_PREFIX;
use omoi_domain::egress::EgressMode;
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::quotation::visible_lines;
use omoi_domain::task::{TaskType, UnmetCode};
use omoi_git::mirror::{Identity, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::work::BUNDLE_BYTES_MAX;
use omoi_protocol::worker::{AgentTool, COMPLETION_SIGNAL, CommitPlan};
use omoi_repository_map::file_ranking::MapQuestion;
use omoi_runtime::BoxError;
use omoi_sandbox::policy::inside;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{
    StoreError, Tx, approvals, attempts, checks, merges, projects, requirements, tickets,
};

use super::Dispatcher;
use crate::attempt::{AttemptBrief, BriefLimits, CreatedAttempt};
use crate::guidance::base_guidance;
use crate::prompt_template::prompt_environment;
use crate::protected;
use crate::repository_map::{MapError, map_of_commit};
use crate::spec_files::{SpecFilesError, SpecRenderer, rendered_files};
use crate::ticket_files;

const SYSTEM: &str = include_str!("../../prompts/system.md");
const TASK: &str = include_str!("../../prompts/task.md");

/// Most characters of one prompt (spec/02 §7); only requirements and a revision may go beyond.
const PROMPT_CHARS_MAX: usize = 60_000;
/// Characters before each line of a quotation.
const QUOTE_CHARS: usize = 2;
/// Ends a request that was cut.
const CUT: &str = "\n[… cut: the prompt would be too long]";

/// What an agent can do without, should the prompt be too long.
struct PromptExtras {
    neighbours: Vec<String>,
    design: String,
    request: String,
}

#[derive(Serialize)]
struct RequirementBrief {
    id: String,
    title: String,
    text: String,
    criteria: Vec<String>,
}

#[derive(Serialize)]
struct AnsweredBrief {
    question: String,
    answer: String,
}

#[derive(Serialize)]
struct ConflictBrief {
    paths: Vec<String>,
    incoming_title: String,
    incoming: String,
    landed: String,
}

/// The orders of one attempt at `task`.
pub(super) async fn of_task(
    dispatcher: &Dispatcher,
    task: &Task,
    spec: &Spec,
    created: &CreatedAttempt,
) -> Result<AttemptBrief, BoxError> {
    let design = design_text(&dispatcher.renderer, spec).await?;
    let mirror = dispatcher.folders.project_mirror(spec.project_id).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    let guidance = base_guidance(&mirror, &base, &task.files.0).await?;
    let facts = PromptFacts {
        task,
        spec,
        created,
        design: &design,
        guidance: &guidance,
    };
    let read_prompt = async |tx: &mut Tx| task_prompt(tx, facts).await;
    let prompt = dispatcher.store.read(read_prompt).await?;
    let limits = spec.work_limits(dispatcher.limits).task;
    let task_ref = HumanRef::task(task.number).to_string();
    let map = match spec.options.0.agents.task_agent(task.task_type).is_native() {
        true => base_map(&mirror, &base, task).await?,
        // Other programs look around by themselves.
        false => String::new(),
    };
    let mode = EgressMode::of_attempt(created.attempt.subject.kind(), &task.files.0);
    let project = spec.project_id;
    let project = dispatcher
        .store
        .read(async |tx| projects::named_project(tx, project).await);
    let network = dispatcher.starter.host.network_words(mode, &project.await?);
    let system = system_prompt(network, &map)?;
    Ok(AttemptBrief {
        subject_ref: task_ref.clone(),
        system,
        prompt,
        tools: vec![
            AgentTool::Read,
            AgentTool::Glob,
            AgentTool::Grep,
            AgentTool::FindSymbol,
            AgentTool::Write,
            AgentTool::Edit,
            AgentTool::Shell,
            AgentTool::Notes,
            AgentTool::Plan,
            AgentTool::ReportDiscovery,
            AgentTool::ReportResult,
            AgentTool::Threads,
            AgentTool::AskPerson,
        ],
        item_schema: None,
        limits: BriefLimits {
            turns_max: limits.turns_max,
            wall_s: u64::try_from(task.timeout_seconds)
                .unwrap_or(0)
                .min(limits.timeout.as_secs()),
            command_s: limits.command_timeout.as_secs(),
        },
        commit: Some(commit_plan(task, spec, created, &task_ref)),
    })
}

/// What stays the same from turn to turn; the map, when there is one, is its end.
fn system_prompt(network: &str, map: &str) -> Result<String, minijinja::Error> {
    prompt_environment().render_str(
        SYSTEM,
        context! { workspace => inside::WORK, signal => COMPLETION_SIGNAL, network, map },
    )
}

/// The map of the spec's base commit for `task`.
async fn base_map(mirror: &Mirror, base: &ObjectId, task: &Task) -> Result<String, MapError> {
    let question = MapQuestion {
        text: format!("{}\n{}", task.title, task.description),
        files: task.files.0.clone(),
    };
    let map = map_of_commit(mirror, base, question).await?;
    // Its paths and names are the repository's.
    Ok(visible_lines(&map.text))
}

fn commit_plan(task: &Task, spec: &Spec, created: &CreatedAttempt, task_ref: &str) -> CommitPlan {
    let verb = match task.task_type {
        TaskType::WriteTests => "test",
        TaskType::FixBug => "fix",
        TaskType::ResolveConflict => "merge",
        TaskType::ImplementFeature => "feat",
    };
    let mut trailers = vec![
        ("OmoiOS-Task".to_owned(), task_ref.to_owned()),
        (
            "OmoiOS-Spec".to_owned(),
            HumanRef::spec(spec.number).to_string(),
        ),
        ("OmoiOS-Attempt".to_owned(), created.attempt.id.to_string()),
    ];
    let served = task.requirements.0.iter();
    trailers.extend(served.map(|r| ("OmoiOS-Requirement".to_owned(), r.clone())));
    let agent = Identity::new("OmoiOS agent", "agent@omoios.localhost");
    CommitPlan {
        branch: task.branch.clone(),
        base_sha: created
            .attempt
            .base_sha
            .clone()
            .unwrap_or_else(|| spec.base_sha.clone()),
        subject: format!("{verb}({}): {}", spec.slug, task.title),
        trailers,
        author_name: agent.name().to_owned(),
        author_email: agent.email().to_owned(),
        protected: protected::protected_paths()
            .map(ToOwned::to_owned)
            .collect(),
        bundle_bytes_max: BUNDLE_BYTES_MAX,
    }
}

/// The design as it is rendered for people.
async fn design_text(renderer: &SpecRenderer, spec: &Spec) -> Result<String, SpecFilesError> {
    let files = rendered_files(renderer, spec).await?;
    let mut designs = files
        .into_iter()
        .filter(|(path, _)| path.contains("/designs/"));
    Ok(designs.next().map(|(_, text)| text).unwrap_or_default())
}

/// What a prompt is written from, besides the rows around its task.
struct PromptFacts<'a> {
    task: &'a Task,
    spec: &'a Spec,
    created: &'a CreatedAttempt,
    design: &'a str,
    guidance: &'a str,
}

async fn task_prompt(tx: &mut Tx, facts: PromptFacts<'_>) -> Result<String, BoxError> {
    let PromptFacts {
        task,
        spec,
        created,
        design,
        guidance,
    } = facts;
    let ticket = tickets::get(tx, task.ticket_id).await?;
    let conflict = match task.resolves_merge_id {
        Some(id) => Some(conflict_facts(tx, id).await?),
        None => None,
    };
    let neighbours: Vec<String> = tasks::standing_of_spec(tx, task.spec_id)
        .await?
        .iter()
        .filter(|other| other.id != task.id)
        .map(|other| {
            format!(
                "{} {} ({})",
                HumanRef::task(other.number),
                other.title,
                other.status
            )
        })
        .collect();
    let checks: Vec<String> = checks::of_task(tx, task.id)
        .await?
        .into_iter()
        .map(|check| check.command)
        .collect();
    let revision = task.revision.as_ref().map(|r| {
        context! {
            iteration => r.0.iteration,
            feedback => r.0.feedback.clone(),
            recommendations => r.0.recommendations.clone(),
            has_landed => r.0.code == UnmetCode::HeadRed,
            is_kept => created.attempt.base_sha != task.base_sha,
            branch_at => created.attempt.base_sha.clone(),
        }
    });
    let values = context! {
        task_ref => HumanRef::task(task.number).to_string(),
        title => task.title.clone(),
        task_type => task.task_type.as_str(),
        priority => task.priority.as_str(),
        ticket_title => ticket.title,
        ticket_files => ticket_files::file_lines(tx, task.ticket_id).await?,
        description => task.description.clone(),
        is_found => task.local_id.starts_with(FOUND_WORK_PREFIX),
        files => task.files.0.clone(),
        requirements => Value::from(Serde(served_requirements(tx, task).await?)),
        checks,
        revision,
        answered => Value::from(Serde(answered_questions(tx, task, created).await?)),
        before => before(tx, task, created).await?,
        conflict => Value::from(Serde(conflict)),
        guidance,
    };
    let extras = PromptExtras {
        neighbours,
        design: design.to_owned(),
        request: spec.original_request.clone(),
    };
    Ok(fit_prompt(&values, extras)?)
}

/// The prompt, without as many extras as make it too long.
fn fit_prompt(values: &Value, mut extras: PromptExtras) -> Result<String, minijinja::Error> {
    let render = |extras: &PromptExtras| {
        let all = context! {
            neighbours => extras.neighbours.clone(),
            design => extras.design.clone(),
            request => extras.request.clone(),
            ..values.clone()
        };
        prompt_environment().render_str(TASK, all)
    };
    let surplus = |text: &str| text.chars().count().saturating_sub(PROMPT_CHARS_MAX);
    let mut text = render(&extras)?;
    if surplus(&text) > 0 {
        extras.neighbours.clear();
        text = render(&extras)?;
    }
    if surplus(&text) > 0 {
        extras.design.clear();
        text = render(&extras)?;
    }
    let surplus = surplus(&text);
    if surplus > 0 {
        let length = extras.request.chars().count();
        let kept = length.saturating_sub(surplus + CUT.chars().count() + QUOTE_CHARS);
        extras.request = extras.request.chars().take(kept).collect::<String>() + CUT;
        text = render(&extras)?;
    }
    Ok(text)
}

/// What people answered while the task was worked on, for an agent that does not go on from the turns that hold it.
async fn answered_questions(
    tx: &mut Tx,
    task: &Task,
    created: &CreatedAttempt,
) -> Result<Vec<AnsweredBrief>, StoreError> {
    if !created.turns.is_empty() {
        return Ok(Vec::new());
    }
    let asked = approvals::of_task(tx, task.id).await?.into_iter();
    let answered = asked.filter(|asked| asked.state == ApprovalState::Answered);
    let answered = answered.filter_map(|asked| {
        Some(AnsweredBrief {
            question: asked.question?,
            answer: asked.comment?,
        })
    });
    Ok(answered.collect())
}

/// How the attempt before this one ended, where this one does not go on from its turns.
async fn before(
    tx: &mut Tx,
    task: &Task,
    created: &CreatedAttempt,
) -> Result<Option<String>, StoreError> {
    if !created.turns.is_empty() {
        return Ok(None);
    }
    let mut all = attempts::of_task(tx, task.id).await?;
    all.retain(|attempt| attempt.id != created.attempt.id && attempt.round == task.round);
    let Some(last) = all.pop() else {
        return Ok(None);
    };
    let how = last.stop_reason.map_or("", AttemptStopReason::as_str);
    let why = last.error_message.map(|why| format!(": {why}"));
    Ok(Some(format!("{how}{}", why.unwrap_or_default())))
}

async fn served_requirements(
    tx: &mut Tx,
    task: &Task,
) -> Result<Vec<RequirementBrief>, StoreError> {
    let criteria = requirements::criteria_of_spec(tx, task.spec_id).await?;
    let all = requirements::of_spec(tx, task.spec_id).await?;
    Ok(all
        .into_iter()
        .filter(|r| task.requirements.0.contains(&r.local_id))
        .map(|r| RequirementBrief {
            text: r
                .body
                .0
                .get("text")
                .and_then(|t| t.as_str())
                .unwrap_or_default()
                .to_owned(),
            criteria: criteria
                .iter()
                .filter(|c| c.requirement_id == r.id)
                .map(|c| c.body.clone())
                .collect(),
            id: r.local_id,
            title: r.title,
        })
        .collect())
}

async fn conflict_facts(
    tx: &mut Tx,
    id: omoi_domain::id::MergeId,
) -> Result<ConflictBrief, StoreError> {
    let merge = merges::get(tx, id).await?;
    let incoming = tasks::get(tx, merge.task_id).await?;
    let mut landed = Vec::new();
    for other in landed_on(tx, &merge).await? {
        let task = tasks::get(tx, other).await?;
        landed.push(format!(
            "{}: {}",
            task.title,
            task.summary.unwrap_or(task.description)
        ));
    }
    Ok(ConflictBrief {
        paths: merge.conflicts.0,
        incoming: incoming
            .summary
            .clone()
            .unwrap_or_else(|| incoming.description.clone()),
        incoming_title: incoming.title,
        landed: if landed.is_empty() {
            "earlier work".to_owned()
        } else {
            landed.join("; ")
        },
    })
}

/// Tasks that landed on the integration branch before `merge` had its turn.
async fn landed_on(tx: &mut Tx, merge: &merges::Merge) -> Result<Vec<TaskId>, StoreError> {
    let all = merges::of_spec(tx, merge.spec_id).await?;
    Ok(all
        .into_iter()
        .filter(|m| m.completed_at.is_some() && m.merged_sha.is_some() && m.id != merge.id)
        .map(|m| m.task_id)
        .collect())
}

#[cfg(test)]
mod injection_tests;
#[cfg(test)]
mod tests;
