//! Puts a phase's items together and says whether they pass its gate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use omoi_domain::plan::coverage::{Planned, recompute, verdict};
use omoi_domain::plan::evaluate::{Evaluation, Facts, Finding, VERSION, evaluate};
use omoi_domain::plan::outputs::tasks::CheckKind;
use omoi_domain::plan::outputs::{
    Item, Phase, RepoPaths, SyncOpinion, SyncOutput, TasksOutput, assemble,
};
use omoi_domain::plan::sync::CHECK_TIMEOUT_S;
use omoi_execution::Platform;
use omoi_execution::command::{self, Command, CommandError};
use omoi_execution::integration::output;
use omoi_execution::toolbox::Toolbox;
use omoi_git::object::ObjectId;
use omoi_git::survey::Survey;
use omoi_runtime::BoxError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use serde_json::Value;

use crate::items::journal;

/// Checks run on the base commit at once.
const BASE_RUNS: usize = 3;

/// A judged output.
pub(crate) struct Judged {
    /// The output, as far as it could be put together.
    pub(crate) output: Option<Value>,
    /// The evaluator's verdict.
    pub(crate) evaluation: Evaluation,
    /// The computed verdict on the whole plan, in the sync phase.
    pub(crate) sync: Option<SyncOutput>,
    /// How proof checks ended on the base commit, in the tasks phase.
    pub(crate) base_exits: BTreeMap<(String, usize), i32>,
}

/// Judges what the items of `phase` make.
pub(crate) async fn judge(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
) -> Result<Judged, BoxError> {
    let (items, runs) = {
        let mut tx = platform.store.read().await?;
        (
            journal(&mut tx, spec.id, phase).await?,
            phases::of_spec(&mut tx, spec.id).await?,
        )
    };
    let mut facts = facts(platform, spec, &runs).await?;
    let mut assembled = match assembled(phase, &items) {
        Ok(output) => output,
        Err(evaluation) => {
            return Ok(Judged {
                output: None,
                evaluation,
                sync: None,
                base_exits: BTreeMap::new(),
            });
        }
    };
    let mut sync = None;
    match phase {
        Phase::Tasks => {
            if let Ok(mut tasks) = serde_json::from_value::<TasksOutput>(assembled.clone()) {
                recompute(&mut tasks);
                facts.base_exits = base_exits(platform, spec, &tasks).await?;
                assembled = serde_json::to_value(&tasks)?;
            }
        }
        Phase::Sync => {
            let opinion: SyncOpinion = serde_json::from_value(assembled.clone())?;
            let (Some(requirements), Some(design), Some(tasks)) =
                (&facts.requirements, &facts.design, &facts.tasks)
            else {
                return Err("sync was reached before its inputs passed".into());
            };
            let computed = verdict(
                Planned {
                    requirements,
                    design,
                    tasks,
                },
                &opinion,
            );
            assembled = serde_json::to_value(&computed)?;
            sync = Some(computed);
        }
        _ => {}
    }
    let evaluation = evaluate(phase, &assembled, &facts);
    Ok(Judged {
        output: Some(assembled),
        evaluation,
        sync,
        base_exits: facts.base_exits,
    })
}

/// The whole output, or a verdict that names what is missing.
fn assembled(phase: Phase, items: &[Item]) -> Result<Value, Evaluation> {
    assemble(phase, items).map_err(|missing| {
        let blockers: Vec<Finding> = missing
            .into_iter()
            .map(|m| Finding {
                code: "invalid_output".to_owned(),
                message: format!(
                    "`{}` needs {} item(s), {} came",
                    m.section, m.needed, m.present
                ),
                path: m.section,
            })
            .collect();
        let lines: Vec<String> = blockers.iter().map(|b| b.message.clone()).collect();
        Evaluation {
            score: 0.0,
            passed: false,
            feedback: format!("The output is not complete:\n- {}", lines.join("\n- ")),
            details: BTreeMap::new(),
            blockers,
            warnings: Vec::new(),
            version: VERSION,
        }
    })
}

async fn facts(platform: &Platform, spec: &Spec, runs: &[PhaseRun]) -> Result<Facts, BoxError> {
    let mirror = platform.mirror(spec.project_id).await?;
    let entries = mirror.list_tree(&ObjectId::parse(&spec.base_sha)?).await?;
    let survey = spec.survey.0.get("survey").cloned().unwrap_or_default();
    let survey: Survey = serde_json::from_value(survey).unwrap_or_default();
    let tech: BTreeSet<String> = survey
        .languages
        .iter()
        .map(|language| language.name.to_lowercase())
        .collect();
    Ok(Facts {
        repo: RepoPaths::new(entries.iter().map(|entry| entry.path.to_string())),
        tech_evidence: (!tech.is_empty()).then_some(tech),
        explore: output(runs, Phase::Explore),
        prd: output(runs, Phase::Prd),
        requirements: output(runs, Phase::Requirements),
        design: output(runs, Phase::Design),
        tasks: output(runs, Phase::Tasks),
        base_exits: BTreeMap::new(),
    })
}

/// Runs every proof check on the spec's base commit: one that passes there proves nothing.
async fn base_exits(
    platform: &Platform,
    spec: &Spec,
    tasks: &TasksOutput,
) -> Result<BTreeMap<(String, usize), i32>, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolbox = Toolbox::of_survey(&spec.survey.0);
    let mut runs: Vec<BoxFuture<'_, Result<Option<BaseExit>, CommandError>>> = Vec::new();
    for task in &tasks.tasks {
        for (n, check) in task
            .checks
            .iter()
            .enumerate()
            .filter(|(_, c)| c.kind == CheckKind::Proof)
        {
            let key = (task.id.clone(), n);
            let command = Command {
                project: spec.project_id,
                commit: &base,
                command: &check.command,
                files: &check.files,
                timeout: Duration::from_secs(u64::from(check.timeout_s.unwrap_or(CHECK_TIMEOUT_S))),
                toolbox: &toolbox,
            };
            runs.push(Box::pin(base_exit(platform, key, command)));
        }
    }
    let exits: Vec<Option<BaseExit>> = stream::iter(runs)
        .buffer_unordered(BASE_RUNS)
        .try_collect()
        .await?;
    Ok(exits.into_iter().flatten().collect())
}

/// A check, by task and index, and its exit code.
type BaseExit = ((String, usize), i32);

async fn base_exit(
    platform: &Platform,
    key: (String, usize),
    command: Command<'_>,
) -> Result<Option<BaseExit>, CommandError> {
    match command::run(platform, command).await {
        Ok(ran) => Ok(ran.exit_code.map(|code| (key, code))),
        // A check whose files leave the checkout proves nothing.
        Err(CommandError::Escapes { .. }) => Ok(Some((key, 0))),
        Err(other) => Err(other),
    }
}
