//! `omoi agents install`: shows how a download goes on.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use omoi_programs::catalogue::ProgramCatalogue;
use omoi_programs::error::AgentProgramError;
use omoi_programs::install::{InstallOutcome, ProgramInstaller, ProgressSink};
use omoi_programs::node::NODE_NAME;
use omoi_programs::pinned_list::ProgramRuntime;
use omoi_programs::registry::PackageRegistry;
use omoi_runtime::clock::{Clock as _, SystemClock};

use super::super::CommandContext;
use super::super::terminal::print_done;
use super::{in_megabytes, with_hint};
use crate::view::text_layout::format_duration;

/// What to install.
#[derive(clap::Args, Debug)]
pub(crate) struct InstallArgs {
    /// Programs, or `node`
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// How a download is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressForm {
    /// One object per line.
    Json,
    /// One line that changes.
    Terminal,
    /// Nothing until it is done.
    Silent,
}

/// Tells each hundredth once.
struct DownloadProgress {
    name: String,
    form: ProgressForm,
    told: AtomicU64,
}

impl ProgressSink for DownloadProgress {
    fn bytes_came(&self, done: u64, total: u64) {
        let percent = done * 100 / total.max(1);
        if self.told.fetch_max(percent, Ordering::Relaxed) >= percent {
            return;
        }
        // Whoever reads no more needs no progress.
        let _ = match self.form {
            ProgressForm::Json => {
                let line = json!({ "type": "progress", "name": self.name, "done_bytes": done, "total_bytes": total });
                writeln!(io::stdout().lock(), "{line}")
            }
            ProgressForm::Terminal => {
                let total = in_megabytes(total);
                write!(io::stderr(), "\r{} {percent:>3} % of {total} MB", self.name)
            }
            ProgressForm::Silent => Ok(()),
        };
    }
}

impl DownloadProgress {
    /// Ends the line that changed.
    fn finish(&self) {
        if self.form == ProgressForm::Terminal && self.told.load(Ordering::Relaxed) > 0 {
            eprintln!();
        }
    }
}

/// Installs every program that was named, and Node where one of them needs it and there is none.
pub(super) async fn install_programs(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    arguments: &InstallArgs,
) -> anyhow::Result<ExitCode> {
    // A name that is wrong is told before anything is downloaded.
    let mut needs_node = false;
    for name in arguments.names.iter().filter(|name| *name != NODE_NAME) {
        let build = catalogue.find_build(name).map_err(with_hint)?;
        needs_node |= build.program.runtime == ProgramRuntime::Node;
    }
    let variable = |name: &str| context.environment_variable(name)?.into_string().ok();
    let registry = PackageRegistry::from_environment(variable).map_err(with_hint)?;
    for name in &arguments.names {
        install_one(context, catalogue, &registry, name).await?;
    }
    let path = context.environment_variable("PATH").unwrap_or_default();
    if needs_node && catalogue.find_node(&path).await.is_err() {
        install_one(context, catalogue, &registry, NODE_NAME).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn install_one(
    context: &CommandContext,
    catalogue: &ProgramCatalogue,
    registry: &PackageRegistry,
    name: &str,
) -> anyhow::Result<()> {
    let form = match context.is_json() {
        true => ProgressForm::Json,
        false if io::stderr().is_terminal() => ProgressForm::Terminal,
        false => ProgressForm::Silent,
    };
    let progress = DownloadProgress {
        name: name.to_owned(),
        form,
        told: AtomicU64::new(0),
    };
    let installer = ProgramInstaller {
        folder: &catalogue.folder,
        registry,
        progress: &progress,
    };
    let began = SystemClock.now();
    let installed = match name {
        NODE_NAME => installer.install_node(&catalogue.list.node).await,
        name => install_program(catalogue, installer, name).await,
    };
    progress.finish();
    let InstallOutcome { program, was_there } = installed.map_err(with_hint)?;
    let took_ms = SystemClock.now().since(began).as_millis() as i64;
    let manifest = &program.manifest;
    if context.is_json() {
        context.print_json(&json!({
            "type": "installed", "name": manifest.name, "version": manifest.version,
            "digest": program.digest, "folder": program.content, "was_there": was_there, "took_ms": took_ms,
        }))?;
        return Ok(());
    }
    print_done(&match was_there {
        true => format!(
            "{} {} is installed already",
            manifest.name, manifest.version
        ),
        false => format!(
            "Installed {} {} in {}",
            manifest.name,
            manifest.version,
            format_duration(took_ms)
        ),
    });
    Ok(())
}

async fn install_program(
    catalogue: &ProgramCatalogue,
    installer: ProgramInstaller<'_>,
    name: &str,
) -> Result<InstallOutcome, AgentProgramError> {
    installer.install(catalogue.find_build(name)?).await
}
