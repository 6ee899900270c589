//! The gate of a phase as a pure rule: from items and facts to a verdict.
//!
//! The planner and the corpus of outputs (`cargo xtask gates`) go through these functions, so that
//! what is measured there is what a spec meets.

use omoi_domain::phase::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use omoi_git::survey::{RepositoryTexts, Survey, ToolchainKind};
use omoi_plan::coverage::Planned;
use omoi_plan::coverage::recompute;
use omoi_plan::coverage::verdict;
use omoi_plan::evaluate::Evaluation;
use omoi_plan::evaluate::Facts;
use omoi_plan::evaluate::VERSION;
use omoi_plan::evaluate::evaluate;
use omoi_plan::finding::Finding;
use omoi_plan::items::Item;
use omoi_plan::items::assemble;
use omoi_plan::outputs::SyncOpinion;
use omoi_plan::outputs::SyncOutput;
use omoi_plan::outputs::TasksOutput;
use omoi_plan::repository::NameIndex;
use omoi_plan::repository::RepoPaths;
use omoi_plan::repository::RepositoryFacts;
use omoi_runtime::BoxError;
use serde_json::Value;

pub use crate::prompt::guidance;
use crate::proofs;

/// The code of a blocker that says that an output could not be put together.
pub(crate) const INVALID_OUTPUT: &str = "invalid_output";

/// A judged output.
#[derive(Debug)]
pub struct Judged {
    /// The output, as far as it could be put together.
    pub output: Option<Value>,
    /// The evaluator's verdict.
    pub evaluation: Evaluation,
    /// The computed verdict on the whole plan, in the sync phase.
    pub sync: Option<SyncOutput>,
}

impl Judged {
    /// What could not even be put together.
    pub(crate) const fn incomplete(evaluation: Evaluation) -> Self {
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
    items: &[Item],
    check_timeout: Duration,
) -> Result<Value, Box<Evaluation>> {
    let output = assemble(phase, items).map_err(|missing| {
        let blockers: Vec<Finding> = missing
            .into_iter()
            .map(|m| Finding {
                code: INVALID_OUTPUT.to_owned(),
                message: format!(
                    "`{}` needs {} item(s), {} came",
                    m.section, m.needed, m.present
                ),
                path: m.section,
            })
            .collect();
        let lines: Vec<String> = blockers.iter().map(|b| b.message.clone()).collect();
        Box::new(Evaluation {
            score: 0.0,
            passed: false,
            feedback: format!("The output is not complete:\n- {}", lines.join("\n- ")),
            details: BTreeMap::new(),
            blockers,
            warnings: Vec::new(),
            version: VERSION,
        })
    })?;
    if phase != Phase::Tasks {
        return Ok(output);
    }
    // What does not fit the type is told by the evaluator.
    let Ok(mut tasks) = serde_json::from_value::<TasksOutput>(output.clone()) else {
        return Ok(output);
    };
    recompute(&mut tasks);
    proofs::set_times(&mut tasks, check_timeout);
    Ok(serde_json::to_value(&tasks).unwrap_or(output))
}

/// Judges what [`assembled`] put together.
///
/// # Errors
/// When sync is reached before its inputs passed.
pub fn judge_output(phase: Phase, output: Value, facts: &Facts) -> Result<Judged, BoxError> {
    let sync = match phase {
        Phase::Sync => Some(computed_sync(&output, facts)?),
        _ => None,
    };
    let output = match &sync {
        Some(sync) => serde_json::to_value(sync)?,
        None => output,
    };
    Ok(Judged {
        evaluation: evaluate(phase, &output, facts),
        output: Some(output),
        sync,
    })
}

fn computed_sync(opinion: &Value, facts: &Facts) -> Result<SyncOutput, BoxError> {
    let opinion: SyncOpinion = serde_json::from_value(opinion.clone())?;
    let (Some(requirements), Some(design), Some(tasks)) =
        (&facts.requirements, &facts.design, &facts.tasks)
    else {
        return Err("sync was reached before its inputs passed".into());
    };
    let planned = Planned {
        requirements,
        design,
        tasks,
    };
    Ok(verdict(planned, &opinion))
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
