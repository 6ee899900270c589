//! `omoi sandbox`: what each kind of sandbox holds on this machine, and a shell in the one that checks get.

mod shell;
mod shell_packages;

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use omoi_domain::sandbox::SandboxRung;
use omoi_runtime::options::DataOptions;
use omoi_sandbox::{Provider, SandboxProbe, TriedRung, probe_host};

use super::command_context::{CommandContext, ConfigOverrides};
use crate::composition;
use crate::data_folder::OpenedFolder;
use crate::view::text_layout::{OutputPage, align_left, clean_line, wrap_text};

const PROBE_EXAMPLES: &str = "\
Examples:
  omoi sandbox probe
  omoi sandbox probe --json

Every rung is tried, best first. Exits 0 only if one meets the floor, `sandbox.floor`.";

/// What to do with sandboxes.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum SandboxCommand {
    /// Show each property of each kind of sandbox, and what a better one needs
    #[command(after_help = PROBE_EXAMPLES)]
    Probe,
    /// Open a shell in the sandbox that a check would get
    Shell(shell::ShellArgs),
}

/// Answers a question about sandboxes.
pub(crate) async fn run_sandbox_command(
    context: &CommandContext,
    command: SandboxCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        SandboxCommand::Probe => probe_sandboxes(context).await,
        SandboxCommand::Shell(arguments) => shell::open_shell(context, arguments).await,
    }
}

async fn probe_sandboxes(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let folder = OpenedFolder::open(&DataOptions::from_config(&settings.config).folder)?;
    // A folder of its own: a running process keeps its sandboxes in another.
    let ask = composition::probe_config(&settings.config, &folder, "probe")?;
    let probe = probe_host(&ask).await;
    let probe = probe.context("could not look for a sandbox")?;
    let chosen = composition::select_sandbox(&settings.config, &probe);
    let used = chosen.as_ref().ok().map(|provider| provider.rung());
    if context.is_json() {
        let refused = chosen.as_ref().err().map(ToString::to_string);
        context.print_json(&probe_json(&probe, used, refused))?;
    } else {
        context.print_lines(&probe_lines(&probe, used, context.stdout_page()))?;
    }
    match chosen {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(refused) => {
            let next = refused.next_step();
            Err(anyhow::Error::new(refused).context(crate::ErrorHint(next)))
        }
    }
}

fn probe_json(probe: &SandboxProbe, used: Option<SandboxRung>, refused: Option<String>) -> Value {
    let rungs: Vec<Value> = probe
        .tried
        .iter()
        .map(|tried| match &tried.outcome {
            Ok(properties) => {
                let properties: Vec<Value> = properties
                    .iter()
                    .map(|(property, status)| {
                        json!({
                            "property": property.as_str(),
                            "held": status.is_yes(),
                            "remark": status.holder_remark(),
                        })
                    })
                    .collect();
                json!({
                    "rung": tried.rung.as_str(),
                    "usable": true,
                    "version": rung_version(probe, tried),
                    "properties": properties,
                })
            }
            Err(unavailable) => json!({
                "rung": tried.rung.as_str(),
                "usable": false,
                "reason": unavailable.reason,
                "remedy": unavailable.remedy,
            }),
        })
        .collect();
    json!({ "used": used.map(SandboxRung::as_str), "refused": refused, "rungs": rungs })
}

fn rung_version<'a>(probe: &'a SandboxProbe, tried: &TriedRung) -> &'a str {
    let provider = probe.provider_of(tried.rung);
    provider.map_or("", Provider::rung_version)
}

fn probe_lines(probe: &SandboxProbe, used: Option<SandboxRung>, page: OutputPage) -> Vec<String> {
    let mut lines = Vec::new();
    for tried in &probe.tried {
        let mark = if used == Some(tried.rung) {
            "  (used)"
        } else {
            ""
        };
        match &tried.outcome {
            Ok(properties) => {
                let version = clean_line(rung_version(probe, tried));
                lines.push(format!("{}{mark}  {version}", tried.rung));
                for (property, status) in properties {
                    let word = match status.is_yes() {
                        true => page.green("held   "),
                        false => page.red("missing"),
                    };
                    let remark = clean_line(&status.holder_remark().unwrap_or_default());
                    let head = format!("  {}{word}  ", align_left(property.as_str(), 17));
                    lines.extend(hang_text(&head, 28, &remark, page));
                }
            }
            Err(unavailable) => {
                lines.push(format!("{}  cannot be used", tried.rung));
                lines.extend(hang_text("  ", 2, &clean_line(&unavailable.reason), page));
                lines.extend(hang_text("  → ", 4, &clean_line(&unavailable.remedy), page));
            }
        }
        lines.push(String::new());
    }
    lines
}

/// `text` behind `head`, which is `indent` columns wide, with further lines below its beginning.
fn hang_text(head: &str, indent: usize, text: &str, page: OutputPage) -> Vec<String> {
    let wrapped = wrap_text(text, page.width.saturating_sub(indent));
    let mut lines: Vec<String> = wrapped
        .iter()
        .enumerate()
        .map(|(index, line)| match index {
            0 => format!("{head}{line}").trim_end().to_owned(),
            _ => format!("{}{line}", " ".repeat(indent)),
        })
        .collect();
    if lines.is_empty() {
        lines.push(head.trim_end().to_owned());
    }
    lines
}
