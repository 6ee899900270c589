//! The gate of a phase as a pure rule: from items and facts to a verdict.
//!
//! The planner and the corpus of outputs (`cargo xtask gates`) go through these functions, so that
//! what is measured there is what a spec meets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use omoi_domain::phase::Phase;
use omoi_git::survey::{RepositoryTexts, Survey, ToolchainKind};
use omoi_plan::coverage::{PlannedOutputs, recompute_totals, sync_verdict};
use omoi_plan::evaluate::{EVALUATOR_VERSION, EvaluationFacts, PhaseEvaluation, evaluate_output};
use omoi_plan::finding::RuleFinding;
use omoi_plan::items::{OutputItem, assemble_output};
use omoi_plan::outputs::{SyncOpinion, SyncOutput, TasksOutput};
use omoi_plan::repository::{NameIndex, RepoPaths, RepositoryFacts};
use omoi_runtime::BoxError;

use crate::proofs;

pub use crate::prompt::guidance;

/// The code of a blocker that says that an output could not be put together.
pub(crate) const INVALID_OUTPUT: &str = "invalid_output";

/// A judged output.
#[derive(Debug)]
pub struct JudgedOutput {
    /// The output, as far as it could be put together.
    pub output: Option<Value>,
    /// The evaluator's verdict.
    pub evaluation: PhaseEvaluation,
    /// The computed verdict on the whole plan, in the sync phase.
    pub sync: Option<SyncOutput>,
}

impl JudgedOutput {
    /// What could not even be put together.
    pub(crate) const fn incomplete(evaluation: PhaseEvaluation) -> Self {
        Self {
            output: None,
            evaluation,
            sync: None,
        }
    }
}

/// The whole output with what code computes in it, or a verdict that names what is missing.
///
/// # Errors
/// The verdict, when an item that must be there is not.
pub fn assembled(
    phase: Phase,
    items: &[OutputItem],
    check_timeout: Duration,
) -> Result<Value, Box<PhaseEvaluation>> {
    let output = assemble_output(phase, items).map_err(|missing| {
        let blockers: Vec<RuleFinding> = missing
            .into_iter()
            .map(|m| RuleFinding {
                code: INVALID_OUTPUT.to_owned(),
                message: format!(
                    "`{}` needs {} item(s), {} came",
                    m.section, m.needed, m.present
                ),
                path: m.section,
            })
            .collect();
        let lines: Vec<String> = blockers.iter().map(|b| b.message.clone()).collect();
        Box::new(PhaseEvaluation {
            score: 0.0,
            passed: false,
            feedback: format!("The output is not complete:\n- {}", lines.join("\n- ")),
            details: BTreeMap::new(),
            blockers,
            warnings: Vec::new(),
            version: EVALUATOR_VERSION,
        })
    })?;
    if phase != Phase::Tasks {
        return Ok(output);
    }
    // What does not fit the type is told by the evaluator.
    let Ok(mut tasks) = serde_json::from_value::<TasksOutput>(output.clone()) else {
        return Ok(output);
    };
    recompute_totals(&mut tasks);
    proofs::set_times(&mut tasks, check_timeout);
    Ok(serde_json::to_value(&tasks).unwrap_or(output))
}

/// Judges what [`assembled`] put together.
///
/// # Errors
/// When sync is reached before its inputs passed.
pub fn check_phase_gate(
    phase: Phase,
    output: Value,
    facts: &EvaluationFacts,
) -> Result<JudgedOutput, BoxError> {
    let sync = match phase {
        Phase::Sync => Some(computed_sync(&output, facts)?),
        _ => None,
    };
    let output = match &sync {
        Some(sync) => serde_json::to_value(sync)?,
        None => output,
    };
    Ok(JudgedOutput {
        evaluation: evaluate_output(phase, &output, facts),
        output: Some(output),
        sync,
    })
}

fn computed_sync(opinion: &Value, facts: &EvaluationFacts) -> Result<SyncOutput, BoxError> {
    let opinion: SyncOpinion = serde_json::from_value(opinion.clone())?;
    let (Some(requirements), Some(design), Some(tasks)) =
        (&facts.requirements, &facts.design, &facts.tasks)
    else {
        return Err("sync was reached before its inputs passed".into());
    };
    let planned = PlannedOutputs {
        requirements,
        design,
        tasks,
    };
    Ok(sync_verdict(planned, &opinion))
}

/// What the gates know of a repository: its files, the names in their texts, and its survey.
pub fn repository_facts(
    paths: RepoPaths,
    texts: &RepositoryTexts,
    survey: &Survey,
) -> RepositoryFacts {
    let files = texts.files.iter();
    let files = files.map(|(path, text)| (path.as_str(), text.as_str()));
    let tech = evidence(survey);
    RepositoryFacts {
        paths,
        names: NameIndex::new(files, texts.is_complete),
        tech: (!tech.is_empty()).then_some(tech),
        test_commands: survey
            .test
            .iter()
            .map(|hint| hint.command.clone())
            .collect(),
    }
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
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
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
