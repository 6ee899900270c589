//! Puts a phase's items together and says whether they pass its gate.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::plan::coverage::{Planned, recompute, verdict};
use omoi_domain::plan::evaluate::{Evaluation, Facts, Finding, VERSION, evaluate};
use omoi_domain::plan::outputs::{Item, Phase, SyncOpinion, SyncOutput, TasksOutput, assemble};
use omoi_execution::Platform;
use omoi_execution::integration::output;
use omoi_git::survey::{Survey, ToolchainKind};
use omoi_runtime::BoxError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use serde_json::Value;

use crate::items::journal;
use crate::{proofs, tree};

/// A judged output.
pub(crate) struct Judged {
    /// The output, as far as it could be put together.
    pub(crate) output: Option<Value>,
    /// The evaluator's verdict.
    pub(crate) evaluation: Evaluation,
    /// The computed verdict on the whole plan, in the sync phase.
    pub(crate) sync: Option<SyncOutput>,
}

/// Judges what the items of `phase` make.
pub(crate) async fn judge(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
) -> Result<Judged, BoxError> {
    let read = {
        let mut tx = platform.store.read().await?;
        (
            journal(&mut tx, spec.id, phase).await?,
            phases::of_spec(&mut tx, spec.id).await?,
        )
    };
    judge_items(platform, spec, phase, read).await
}

/// Judges what `items` make, beside the spec's phase runs.
pub(crate) async fn judge_items(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    (items, runs): (Vec<Item>, Vec<PhaseRun>),
) -> Result<Judged, BoxError> {
    let mut facts = facts(platform, spec, &runs).await?;
    let mut assembled = match assembled(phase, &items) {
        Ok(output) => output,
        Err(evaluation) => {
            return Ok(Judged {
                output: None,
                evaluation,
                sync: None,
            });
        }
    };
    let mut sync = None;
    match phase {
        Phase::Tasks => {
            if let Ok(mut tasks) = serde_json::from_value::<TasksOutput>(assembled.clone()) {
                recompute(&mut tasks);
                proofs::set_times(&mut tasks, platform.settings.check_timeout);
                facts.base_exits = proofs::known(spec, &runs, &tasks)?;
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
    let tech = evidence(&tree::survey(spec)?);
    Ok(Facts {
        repo: (*tree::of_spec(platform, spec).await?).clone(),
        tech_evidence: (!tech.is_empty()).then_some(tech),
        explore: output(runs, Phase::Explore)?,
        prd: output(runs, Phase::Prd)?,
        requirements: output(runs, Phase::Requirements)?,
        design: output(runs, Phase::Design)?,
        tasks: output(runs, Phase::Tasks)?,
        base_exits: BTreeMap::new(),
    })
}

/// Every name the survey knows for what the repository is written in, built and tested with.
fn evidence(survey: &Survey) -> BTreeSet<String> {
    let languages = survey
        .languages
        .iter()
        .map(|language| language.name.as_str());
    let programs = survey.toolchains.iter().flat_map(|chain| &chain.programs);
    let commands = survey.build.iter().chain(&survey.test);
    let texts = languages
        .chain(programs.map(String::as_str))
        .chain(commands.map(|hint| hint.command.as_str()))
        .chain(survey.toolchains.iter().map(|chain| usual_name(chain.kind)));
    texts
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// What people call a toolchain, with what comes along with it.
const fn usual_name(kind: ToolchainKind) -> &'static str {
    match kind {
        ToolchainKind::Python => "python",
        ToolchainKind::Rust => "rust cargo",
        ToolchainKind::Node => "node nodejs javascript npm",
        ToolchainKind::Deno => "deno",
        ToolchainKind::Go => "go golang",
        ToolchainKind::Jvm => "jvm java",
        ToolchainKind::Native => "c c++",
        ToolchainKind::Ruby => "ruby",
        ToolchainKind::Php => "php",
        ToolchainKind::Dotnet => "dotnet net",
        ToolchainKind::Elixir => "elixir",
        ToolchainKind::Swift => "swift",
        ToolchainKind::Zig => "zig",
        ToolchainKind::Shell => "shell sh make",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "plain files to be surveyed")]
    fn test_tools_count_as_evidence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        for (file, text) in [
            (
                "pyproject.toml",
                "[project]\nname='x'\nversion='1'\ndependencies=[]\n[tool.pytest.ini_options]\n",
            ),
            ("x.py", "x = 1\n"),
            ("tests/test_x.py", "def test(): pass\n"),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let found = evidence(&omoi_git::survey::survey_dir(folder.path()).unwrap());
        assert!(
            found.contains("python") && found.contains("pytest"),
            "{found:?}"
        );
        assert!(evidence(&Survey::default()).is_empty());
    }
}
