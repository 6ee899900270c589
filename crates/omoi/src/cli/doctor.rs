//! `omoi doctor`: what this machine offers and what a run would need. Needs no running process.

mod checks;
mod model_age;

use std::process::ExitCode;

use serde::Serialize;

use super::ModelArgs;
use super::context::{Context, Overrides};
use crate::view::text::{Page, left, wrap};

const EXAMPLES: &str = "\
Examples:
  omoi doctor
  omoi doctor --offline      ask no model
  omoi doctor --json

Exits 0 only if a run could start.";

/// How to look.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Ask no model
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// `model`, `agents`, `sandbox`, `database`, `git`, `disk`, `loops`.
    pub(crate) area: &'static str,
    /// How it is.
    pub(crate) mark: Mark,
    /// What was seen.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) next: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mark {
    /// As it should be.
    Ok,
    /// Could be better; a run can start.
    Note,
    /// No run can start.
    Missing,
}

impl Finding {
    fn new(area: &'static str, mark: Mark, text: impl Into<String>) -> Self {
        Self {
            area,
            mark,
            text: text.into(),
            next: None,
        }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Looks at everything.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { offline, model } = arguments;
    let overrides = Overrides { model, port: None };
    let settings = context.settings(&overrides)?;
    context.log(&settings.config, true);
    let findings = checks::all(context, &settings, offline).await;
    let ready = findings.iter().all(|finding| finding.mark != Mark::Missing);
    if context.json() {
        context.print_json(&serde_json::json!({ "ready": ready, "findings": findings }))?;
    } else {
        context.print(&render(&findings, ready, context.page()))?;
    }
    Ok(if ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn render(findings: &[Finding], ready: bool, page: Page) -> Vec<String> {
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
            Mark::Ok => page.green("ok     "),
            Mark::Note => "-      ".to_owned(),
            Mark::Missing => page.red("missing"),
        };
        for (index, line) in wrap(&finding.text, page.width - 21).into_iter().enumerate() {
            lines.push(match index {
                0 => format!("  {}{mark}  {line}", left(name, 10)),
                _ => format!("{}{line}", " ".repeat(21)),
            });
        }
        for line in finding
            .next
            .iter()
            .flat_map(|next| wrap(next, page.width - 24))
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
