//! Which agent programs can be used: each is started in a sandbox without network, as a run would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use omoi_domain::agent_program::AgentProgram;
use omoi_programs::catalogue::{PreparedProgram, ProgramCatalogue};
use omoi_programs::error::AgentProgramError;
use omoi_programs::node::find_node;
use omoi_programs::options::ProgramOptions;
use omoi_programs::pinned_list::{PinnedProgram, ProgramRuntime};
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{Provider, ReadOnlyMount, SandboxLaunch};

use super::{DoctorFinding, FindingMark};
use crate::cli::agents::UNDRIVEN;
use crate::cli::command_context::{CommandContext, CommandSettings};
use crate::view::text_layout::clean_line;

/// How long a program may take to say its version.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Where programs are tried.
pub(super) struct ProgramTrial<'a> {
    /// How a run would start them.
    pub(super) provider: &'a dyn Provider,
    /// A folder of the doctor.
    pub(super) folder: &'a Path,
}

/// What can be said about every agent. Without a sandbox nothing is tried.
pub(super) async fn check_agents(
    context: &CommandContext,
    settings: &CommandSettings,
    trial: Option<ProgramTrial<'_>>,
) -> Vec<DoctorFinding> {
    let mut findings = vec![finding(FindingMark::Ok, "native (built in)")];
    let options = ProgramOptions::from_config(&settings.config);
    let catalogue = match ProgramCatalogue::open(&options) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            findings.push(problem_finding("", &error));
            return findings;
        }
    };
    let path = context.environment_variable("PATH").unwrap_or_default();
    let mut needs_node = false;
    for program in &catalogue.list.programs {
        if !AgentProgram::is_driven(&program.agent) {
            let text = format!("{}: {UNDRIVEN}", program.agent);
            findings.push(finding(FindingMark::Note, text));
            continue;
        }
        let prepared = catalogue.prepare_program(&program.name, &path).await;
        needs_node |= program.runtime == ProgramRuntime::Node
            && !matches!(prepared, Err(AgentProgramError::Missing { .. }));
        findings.push(match prepared {
            Ok(prepared) => try_program(program, &prepared, trial.as_ref()).await,
            Err(error) => problem_finding(&program.agent, &error),
        });
    }
    for row in catalogue.declared.declared_rows() {
        let prepared = catalogue.prepare_declared(row, &path).await;
        findings.push(match prepared {
            Ok(_) => finding(
                FindingMark::Ok,
                format!(
                    "{}: declared as {}, in {}",
                    row.agent_program(),
                    row.version,
                    row.folder.display()
                ),
            ),
            Err(error) => problem_finding(row.agent_program().as_str(), &error),
        });
    }
    findings.push(check_node(&catalogue, &path, needs_node).await);
    findings
}

fn finding(mark: FindingMark, text: impl AsRef<str>) -> DoctorFinding {
    DoctorFinding::new("agents", mark, clean_line(text.as_ref()))
}

fn problem_finding(agent: &str, error: &AgentProgramError) -> DoctorFinding {
    let text = match agent {
        "" => error_chain(error),
        agent => format!("{agent}: {}", error_chain(error)),
    };
    let finding = finding(FindingMark::Note, text);
    match error.next_step() {
        Some(next) => finding.with_next_step(next),
        None => finding,
    }
}

/// Starts a program for its version, and says what came of it.
async fn try_program(
    program: &PinnedProgram,
    prepared: &PreparedProgram,
    trial: Option<&ProgramTrial<'_>>,
) -> DoctorFinding {
    let name = format!("{}: {} {}", program.agent, program.name, program.version);
    let Some(trial) = trial else {
        let text = format!("{name} is installed; not tried, because no sandbox can be had");
        return finding(FindingMark::Note, text);
    };
    match ask_version(trial.provider, prepared, trial.folder).await {
        Ok(said) if said.contains(&program.version) => finding(
            FindingMark::Ok,
            format!("{name} starts in a sandbox without network and says `{said}`"),
        ),
        Ok(said) => unusable(program, &format!("{name} says it is `{said}`")),
        Err(reason) => unusable(
            program,
            &format!("{name} does not start in a sandbox: {reason}"),
        ),
    }
}

fn unusable(program: &PinnedProgram, text: &str) -> DoctorFinding {
    finding(FindingMark::Note, text).with_next_step(format!(
        "omoi agents remove {0}, then omoi agents install {0}",
        program.name
    ))
}

async fn ask_version(
    provider: &dyn Provider,
    prepared: &PreparedProgram,
    folder: &Path,
) -> Result<String, String> {
    let workspace = folder.join(format!("agent-{}", prepared.name));
    let asked = ask_in_workspace(provider, prepared, &workspace).await;
    provider
        .remove_workspace(&workspace)
        .map_err(|error| error_chain(&error))?;
    asked
}

async fn ask_in_workspace(
    provider: &dyn Provider,
    prepared: &PreparedProgram,
    workspace: &Path,
) -> Result<String, String> {
    std::fs::create_dir_all(workspace).map_err(|error| error.to_string())?;
    provider
        .prepare_workspace(workspace)
        .map_err(|error| error_chain(&error))?;
    let name = format!("doctor-{}-{}", std::process::id(), prepared.name);
    let mut launch = SandboxLaunch::new(name, workspace, Vec::<PathBuf>::new());
    launch.read_only = prepared
        .mounts
        .iter()
        .map(|mount| ReadOnlyMount {
            host: mount.host.clone(),
            inside: mount.inside.clone(),
        })
        .collect();
    launch.wall_timeout = ANSWER_WAIT;
    let mut argv: Vec<_> = prepared
        .command
        .iter()
        .map(|path| provider.path_inside(&launch, path).into_os_string())
        .collect();
    argv.push("--version".into());
    launch.argv = argv;
    let running = provider.launch(launch).await;
    let running = running.map_err(|error| error_chain(&error))?;
    let ended = running.wait().await.map_err(|error| error_chain(&error))?;
    let said = ended.stdout.to_text();
    if ended.has_succeeded() {
        return Ok(said.lines().next().unwrap_or_default().trim().to_owned());
    }
    if ended.timed_out {
        return Err(format!("no answer within {} s", ANSWER_WAIT.as_secs()));
    }
    let why = ended.stderr.to_text();
    let why = why.lines().find(|line| !line.trim().is_empty());
    Err(why.unwrap_or("it ended without a word").to_owned())
}

async fn check_node(
    catalogue: &ProgramCatalogue,
    path: &std::ffi::OsStr,
    is_needed: bool,
) -> DoctorFinding {
    let search = match find_node(&catalogue.list.node, &catalogue.folder, path).await {
        Ok(search) => search,
        Err(error) => return problem_finding("node", &error),
    };
    if let Some(node) = &search.found {
        let text = format!("node {} at {}", node.version, node.program.display());
        return finding(FindingMark::Ok, text);
    }
    let old = search
        .too_old
        .as_ref()
        .map_or(String::new(), |(path, version)| {
            format!("; {version} at {} is too old", path.display())
        });
    let text = format!("no Node from 22.12 on, which some agents need{old}");
    let finding = finding(FindingMark::Note, text);
    match is_needed {
        true => finding.with_next_step("omoi agents install node"),
        false => finding,
    }
}
