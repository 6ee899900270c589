//! `omoi doctor`: what this machine offers and what a run would need. Needs no running process.

mod agents;
mod checks;
mod model_age;
mod model_checks;
mod overlay;

use std::process::ExitCode;

use serde::Serialize;

use super::ModelArgs;
use super::command_context::{CommandContext, ConfigOverrides};
use crate::view::text_layout::{OutputPage, align_left, wrap_text};

const EXAMPLES: &str = "\
Examples:
  omoi doctor
  omoi doctor --offline      ask no model
  omoi doctor --json

Exits 0 only if a run could start.";

/// What to check, and with which model.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Ask no model
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DoctorFinding {
    /// `model`, `agents`, `sandbox`, `database`, `git`, `disk`, `files`, `loops`.
    pub(crate) area: &'static str,
    /// Whether a run could start.
    pub(crate) mark: FindingMark,
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) next: Option<String>,
}

/// How a finding bears on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FindingMark {
    /// As it should be.
    Ok,
    /// Could be better; a run can start.
    Note,
    /// No run can start.
    Missing,
}

impl DoctorFinding {
    fn new(area: &'static str, mark: FindingMark, text: impl Into<String>) -> Self {
        Self {
            area,
            mark,
            text: text.into(),
            next: None,
        }
    }

    fn with_next_step(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Checks everything that a run needs and prints the findings.
pub(crate) async fn run_doctor(
    context: &CommandContext,
    arguments: DoctorArgs,
) -> anyhow::Result<ExitCode> {
    let DoctorArgs { offline, model } = arguments;
    let overrides = ConfigOverrides { model, port: None };
    let settings = context.load_settings(&overrides)?;
    context.start_log(&settings.config, true);
    let findings = checks::check_all(context, &settings, offline).await;
    let ready = findings
        .iter()
        .all(|finding| finding.mark != FindingMark::Missing);
    if context.is_json() {
        context.print_json(&serde_json::json!({ "ready": ready, "findings": findings }))?;
    } else {
        context.print_lines(&render_findings(&findings, ready, context.stdout_page()))?;
    }
    Ok(if ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn render_findings(findings: &[DoctorFinding], ready: bool, page: OutputPage) -> Vec<String> {
    let mut lines = Vec::new();
    let mut area = "";
    for finding in findings {
        let name = if finding.area == area {
            ""
        } else {
            finding.area
        };
        area = finding.area;
        let mark = match finding.mark {
            FindingMark::Ok => page.green("ok     "),
            FindingMark::Note => "-      ".to_owned(),
            FindingMark::Missing => page.red("missing"),
        };
        for (index, line) in wrap_text(&finding.text, page.width - 21)
            .into_iter()
            .enumerate()
        {
            lines.push(match index {
                0 => format!("  {}{mark}  {line}", align_left(name, 10)),
                _ => format!("{}{line}", " ".repeat(21)),
            });
        }
        for line in finding
            .next
            .iter()
            .flat_map(|next| wrap_text(next, page.width - 24))
        {
            lines.push(format!("{}→ {line}", " ".repeat(21)));
        }
    }
    lines.push(String::new());
    lines.push(match ready {
        true => "  A run can start: omoi run \"what you want\" --repo .".to_owned(),
        false => "  A run cannot start yet: see what is missing above.".to_owned(),
    });
    lines
}
