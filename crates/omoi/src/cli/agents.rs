//! `omoi agents`: which agent programs there are, installing and removing them. Needs no running process.

mod install;

use std::process::ExitCode;

use serde::Serialize;

use omoi_domain::acp_agent_row::AcpAgentRow;
use omoi_domain::agent_program::AgentProgram;
use omoi_programs::agent_folder::InstalledProgram;
use omoi_programs::catalogue::ProgramCatalogue;
use omoi_programs::error::AgentProgramError;
use omoi_programs::node::NODE_NAME;
use omoi_programs::options::ProgramOptions;
use omoi_programs::pinned_list::{MachinePlatform, PinnedProgram, ProgramRuntime};

use super::command_context::{CommandContext, ConfigOverrides};
use super::terminal::print_done;
use crate::ErrorHint;
use crate::view::text_layout::{OutputPage, align_left, clean_line, wrap_text};

/// What is said of a program of another list that no worker can drive.
pub(crate) const UNDRIVEN: &str = "no run uses it in this version";

/// What to do with agent programs.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AgentsCommand {
    /// List the programs that can be installed, each in one pinned version
    #[command(after_help = "Examples:\n  omoi agents available\n  omoi agents available --json")]
    Available,
    /// Install programs: download, check against the pinned digest, unpack
    #[command(
        after_help = "Examples:\n  omoi agents install claude-code\n  omoi agents install codex opencode\n\nNothing of a package runs while it is installed. npm_config_registry names another registry."
    )]
    Install(install::InstallArgs),
    /// List the installed programs, and whether each can be used
    #[command(after_help = "Examples:\n  omoi agents list\n  omoi agents list --json")]
    List,
    /// Remove every version of a program
    #[command(after_help = "Examples:\n  omoi agents remove codex")]
    Remove(RemoveArgs),
}

/// What to remove.
#[derive(clap::Args, Debug)]
pub(crate) struct RemoveArgs {
    /// The program
    #[arg(value_name = "NAME")]
    name: String,
}

/// An installed program or a declared agent, for people and scripts.
#[derive(Debug, Serialize)]
struct InstalledLine {
    name: String,
    agent: String,
    version: String,
    /// Of the content of an installed program.
    digest: Option<String>,
    folder: String,
    /// Of the files of an installed program.
    bytes: Option<u64>,
    usable: bool,
    /// Why it cannot be used.
    problem: Option<String>,
    /// What to do about it.
    next: Option<String>,
}

/// A program that can be installed, for people and scripts.
#[derive(Debug, Serialize)]
struct AvailableLine<'a> {
    name: &'a str,
    agent: &'a str,
    about: &'a str,
    version: &'a str,
    licence: &'a str,
    dialect: &'a str,
    runtime: ProgramRuntime,
    download_bytes: Option<u64>,
    unpacked_bytes: Option<u64>,
    installed: bool,
    /// Why it cannot be installed here.
    problem: Option<String>,
}

/// Does what was asked with agent programs.
pub(crate) async fn run_agents_command(
    context: &CommandContext,
    command: AgentsCommand,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let options = ProgramOptions::from_config(&settings.config);
    let catalogue = ProgramCatalogue::open(&options).map_err(with_hint)?;
    match command {
        AgentsCommand::Available => print_available(context, &catalogue),
        AgentsCommand::Install(arguments) => {
            install::install_programs(context, &catalogue, &arguments).await
        }
        AgentsCommand::List => print_installed(context, &catalogue).await,
        AgentsCommand::Remove(arguments) => remove_program(context, &catalogue, &arguments.name),
    }
}

/// The error with what to do about it.
pub(crate) fn with_hint(error: AgentProgramError) -> anyhow::Error {
    match error.next_step() {
        Some(next) => anyhow::Error::new(error).context(ErrorHint(next)),
        None => error.into(),
    }
}

fn print_available(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
) -> anyhow::Result<ExitCode> {
    let programs = catalogue.list.programs.iter();
    let lines = programs.map(|program| available_line(catalogue, program));
    let lines: Vec<AvailableLine<'_>> = lines.collect::<Result<_, _>>().map_err(with_hint)?;
    if context.is_json() {
        context.print_json(&serde_json::json!({ "agents": lines }))?;
    } else {
        let page = context.stdout_page();
        let texts = lines.iter().flat_map(|line| render_available(line, page));
        context.print_lines(&texts.collect::<Vec<_>>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn available_line<'a>(
    catalogue: &ProgramCatalogue,
    program: &'a PinnedProgram,
) -> Result<AvailableLine<'a>, AgentProgramError> {
    let build = program.build_for(MachinePlatform::of_this_machine());
    let checked = build.and_then(|build| build.check_loader().map(|()| build));
    let installed = match &checked {
        Ok(build) => catalogue.folder.find_build(*build)?.is_some(),
        Err(_) => false,
    };
    Ok(AvailableLine {
        name: &program.name,
        agent: &program.agent,
        about: &program.about,
        version: &program.version,
        licence: &program.licence,
        dialect: &program.dialect,
        runtime: program.runtime,
        download_bytes: checked.as_ref().ok().map(|b| b.build.download_bytes),
        unpacked_bytes: checked.as_ref().ok().map(|b| b.build.unpacked_bytes),
        installed,
        problem: checked.err().map(|error| error.to_string()),
    })
}

fn render_available(line: &AvailableLine<'_>, page: OutputPage) -> Vec<String> {
    let head = format!(
        "{} {}{}",
        align_left(line.name, 18),
        align_left(line.version, 10),
        if line.installed { "  installed" } else { "" }
    );
    let mut lines = vec![page.bold(head.trim_end())];
    let size = match (&line.problem, line.download_bytes, line.unpacked_bytes) {
        (None, Some(download), Some(unpacked)) => format!(
            "{} MB to download, {} MB on disk",
            in_megabytes(download),
            in_megabytes(unpacked)
        ),
        (problem, _, _) => problem.clone().unwrap_or_default(),
    };
    let node = match line.runtime {
        ProgramRuntime::Native => "",
        ProgramRuntime::Node => ", needs Node from 22.12 on",
    };
    let choice = match AgentProgram::is_driven(line.agent) {
        true => format!("choose it as {}", line.agent),
        false => UNDRIVEN.to_owned(),
    };
    let rest = [
        line.about.to_owned(),
        format!("{choice}; speaks {}{node}", line.dialect),
        format!("licence: {}", line.licence),
        size,
    ];
    let wrapped = rest
        .iter()
        .flat_map(|text| wrap_text(&clean_line(text), page.width - 4));
    lines.extend(wrapped.map(|text| format!("    {text}")));
    lines
}

/// Megabytes, as downloads are told in.
fn in_megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

async fn print_installed(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
) -> anyhow::Result<ExitCode> {
    let mut lines = Vec::new();
    for program in catalogue.folder.list().map_err(with_hint)? {
        lines.push(installed_line(context, catalogue, program).await);
    }
    for row in catalogue.declared.declared_rows() {
        lines.push(declared_line(context, catalogue, row).await);
    }
    if context.is_json() {
        let folder = catalogue.folder.folder_path();
        context.print_json(&serde_json::json!({ "folder": folder, "agents": lines }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if lines.is_empty() {
        print_done("No agent program is installed. See which there are: omoi agents available");
        return Ok(ExitCode::SUCCESS);
    }
    let page = context.stdout_page();
    for line in &lines {
        context.print_lines(&render_installed(line, page))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn installed_line(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    program: InstalledProgram,
) -> InstalledLine {
    let problem = find_problem(context, catalogue, &program).await;
    let (problem, next) = problem.map_or((None, None), |(problem, next)| (Some(problem), next));
    InstalledLine {
        usable: problem.is_none(),
        problem,
        next,
        folder: program.content.display().to_string(),
        name: program.manifest.name,
        agent: program.manifest.agent,
        version: program.manifest.version,
        digest: Some(program.digest),
        bytes: Some(program.manifest.bytes),
    }
}

async fn declared_line(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    row: &AcpAgentRow,
) -> InstalledLine {
    let path = context.environment_variable("PATH").unwrap_or_default();
    let error = catalogue.prepare_declared(row, &path).await.err();
    InstalledLine {
        usable: error.is_none(),
        next: error.as_ref().and_then(AgentProgramError::next_step),
        problem: error.map(|error| error.to_string()),
        folder: row.folder.display().to_string(),
        name: row.agent_program().to_string(),
        agent: row.agent_program().to_string(),
        version: row.version.clone(),
        digest: None,
        bytes: None,
    }
}

/// Why an installed program cannot be used, and what to do about it.
async fn find_problem(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    program: &InstalledProgram,
) -> Option<(String, Option<String>)> {
    let name = &program.manifest.name;
    if name == NODE_NAME {
        let damage = program.find_damage()?;
        return Some((damage, Some(format!("omoi agents install {name}"))));
    }
    if !AgentProgram::is_driven(&program.manifest.agent) {
        return Some((UNDRIVEN.to_owned(), None));
    }
    let usable = match catalogue.find_usable(name) {
        Ok(pinned) if pinned.digest != program.digest => {
            let text = format!("replaced by {}", pinned.manifest.version);
            return Some((text, None));
        }
        Ok(pinned) if pinned.manifest.runtime == ProgramRuntime::Node => {
            let path = context.environment_variable("PATH").unwrap_or_default();
            catalogue.find_node(&path).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(AgentProgramError::Missing { version, .. }) => {
            let text = format!("another version than the pinned one, {version}");
            return Some((text, Some(format!("omoi agents install {name}"))));
        }
        Err(error) => Err(error),
    };
    let error = usable.err()?;
    Some((error.to_string(), error.next_step()))
}

fn render_installed(line: &InstalledLine, page: OutputPage) -> Vec<String> {
    let state = match line.usable {
        true => page.green("usable"),
        false => page.red("not usable"),
    };
    let mut lines = vec![format!(
        "{} {} {state}",
        align_left(&clean_line(&line.name), 18),
        align_left(&clean_line(&line.version), 10)
    )];
    let folder = clean_line(&line.folder);
    let mut rest = vec![match line.bytes {
        Some(bytes) => format!("{folder}, {} MB", in_megabytes(bytes)),
        None => format!("{folder}, declared in agents.acp"),
    }];
    rest.extend(line.problem.as_deref().map(clean_line));
    rest.extend(
        line.next
            .as_ref()
            .map(|next| format!("→ {}", clean_line(next))),
    );
    let wrapped = rest.iter().flat_map(|text| wrap_text(text, page.width - 4));
    lines.extend(wrapped.map(|text| format!("    {text}")));
    lines
}

fn remove_program(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    name: &str,
) -> anyhow::Result<ExitCode> {
    let removed = catalogue.folder.remove(name).map_err(with_hint)?;
    if context.is_json() {
        let removed: Vec<_> = removed
            .iter()
            .map(|program| {
                serde_json::json!({
                    "name": program.manifest.name, "version": program.manifest.version,
                    "digest": program.digest,
                })
            })
            .collect();
        context.print_json(&serde_json::json!({ "removed": removed }))?;
    } else {
        for program in &removed {
            let manifest = &program.manifest;
            print_done(&format!("Removed {} {}", manifest.name, manifest.version));
        }
    }
    Ok(ExitCode::SUCCESS)
}
