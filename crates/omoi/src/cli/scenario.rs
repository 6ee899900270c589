//! `omoi scenario`: a script to begin with, and the page about what scripts may say.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rust_embed::RustEmbed;
use serde_json::Value;

use omoi_domain::attempt::AgentRole;
use omoi_domain::phase::Phase;
use omoi_plan::evaluate::PASS_THRESHOLD;
use omoi_plan::sections::{SectionKind, item_schema, phase_sections};
use omoi_protocol::shell_word::shell_word;

use super::CommandContext;
use super::error_report::UsageError;
use super::terminal::print_done;
use crate::ErrorHint;
use crate::process::run_git;

/// What to do with scripts.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ScenarioCommand {
    /// Write a small repository and a script that plans and builds it, to change into your own
    #[command(
        after_help = "Examples:\n  omoi scenario new trial\n  omoi run \"say goodbye\" --repo trial/repo --model simulated --scenario trial/scenario.yaml --yes"
    )]
    New(NewScenario),
    /// Print the page about roles, phases, sections and fields, as Markdown
    #[command(after_help = "Examples:\n  omoi scenario reference")]
    Reference,
}

/// Where to write it.
#[derive(clap::Args, Debug)]
pub(crate) struct NewScenario {
    /// A folder that does not exist yet
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The same files that the end-to-end tests run.
#[derive(RustEmbed)]
#[folder = "tests/assets/two-tasks"]
struct ScenarioSkeleton;

/// Writes an example scenario, or prints the reference page.
pub(crate) fn run_scenario_command(
    context: &CommandContext,
    command: ScenarioCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        ScenarioCommand::Reference => {
            context.print_lines(&[scenario_reference().trim_end().to_owned()])?;
        }
        ScenarioCommand::New(NewScenario { folder }) => write_skeleton(context, &folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_skeleton(context: &CommandContext, folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        let error = UsageError(format!("`{}` is there already", folder.display()));
        let hint = ErrorHint("name a folder that does not exist yet".to_owned());
        return Err(anyhow::Error::new(error).context(hint));
    }
    // The other files there are variations of the tests.
    let is_part = |name: &str| name == "scenario.yaml" || name.starts_with("repo/");
    for name in ScenarioSkeleton::iter().filter(|name| is_part(name)) {
        let Some(file) = ScenarioSkeleton::get(&name) else {
            continue;
        };
        let path = folder.join(name.as_ref());
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| File::create(&path)?.write_all(&file.data))
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    let repo = folder.join("repo");
    let search = context.environment_variable("PATH").unwrap_or_default();
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=Start"],
    ] {
        run_git(&search, &repo, arguments)?;
    }
    let script = folder.join("scenario.yaml");
    if context.is_json() {
        let made = serde_json::json!({ "scenario": script, "repo": repo });
        return Ok(context.print_json(&made)?);
    }
    print_done(&format!(
        "Wrote {} for {}. Run it: omoi run \"say goodbye\" --repo {} --model simulated --scenario {} --yes{}",
        script.display(),
        repo.display(),
        shell_word(&repo.display().to_string()),
        shell_word(&script.display().to_string()),
        context.data_flags()
    ));
    Ok(())
}

/// Roles, phases, their sections and the fields of these, from the types that take them in.
fn scenario_reference() -> String {
    let mut page = String::from("### Roles\n\n| Role | Asks |\n|---|---|\n");
    for (name, asks) in [
        (
            AgentRole::Planner,
            "for one phase of a plan; `phase` says which",
        ),
        (
            AgentRole::Implementer,
            "for the work of a task; `task` and `title` say which",
        ),
        (
            AgentRole::Resolver,
            "for the resolution of a conflict, as a task of its own",
        ),
        (AgentRole::Judge, "for a second opinion on a plan"),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{name}` | {asks} |");
    }
    let _ = write!(
        page,
        "\n### Phases\n\nThe output of each phase is submitted section by section. Its gate passes at a score of \
         {PASS_THRESHOLD:.2}\nand no blocker; what it refuses is told in full to the model, and by `omoi spec show \
         --rejected`.\n"
    );
    for phase in Phase::ALL_WORKING {
        let _ = write!(
            page,
            "\n#### `{phase}`\n\n| Section | Takes | |\n|---|---|---|\n",
            phase = phase.as_str()
        );
        for section in phase_sections(phase) {
            let takes = describe_schema(&item_schema(section));
            let takes = match section.kind {
                SectionKind::Single => takes,
                SectionKind::List { .. } => format!("items with {takes}"),
            };
            let need = match section.required {
                true => "required",
                false => "may be left out",
            };
            let _ = writeln!(page, "| `{}` | {takes} | {need} |", section.name);
        }
    }
    page
}

/// What a value must be, in a few words.
fn describe_schema(schema: &Value) -> String {
    let of = schema.get("properties").and_then(Value::as_object);
    match (of, schema.get("type").and_then(Value::as_str)) {
        (Some(fields), _) => {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        }
        (None, Some("array")) => "a list".to_owned(),
        (None, Some("object")) => "a mapping".to_owned(),
        (None, Some(kind)) => format!("a {kind}"),
        (None, None) => "a value".to_owned(),
    }
}
