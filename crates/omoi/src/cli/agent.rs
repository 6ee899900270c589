//! `omoi agent`: the worker, started by the platform inside a sandbox.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use omoi_agent::{PackageProgram, WorkerHost};
use omoi_domain::secret_mask::SecretMask;
use omoi_runtime::clock::SystemClock;
use omoi_runtime::options::LogFormat;
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::{LogOptions, ProcessLog};

use super::CommandContext;

/// What a worker logs.
const WORKER_FILTER: &str = "warn";

/// What the platform starts it with.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AgentArgs {
    /// File that says what to do
    #[arg(long, value_name = "FILE", required = true)]
    context: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<AgentCommand>,
}

/// What runs inside a sandbox beside the worker.
#[derive(clap::Subcommand, Debug)]
enum AgentCommand {
    /// Offer the platform's tools to an agent program, which starts this
    Tools {
        /// Socket of the worker
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
    /// Run a program that installs packages, with a way to their registries
    Packages {
        /// Socket of the platform
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// Certificate that the registries are trusted by
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// The program and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        argv: Vec<OsString>,
    },
}

/// Works on one attempt.
pub(crate) async fn run_agent(
    context: &CommandContext,
    arguments: &AgentArgs,
) -> anyhow::Result<ExitCode> {
    let context_file = match (&arguments.command, &arguments.context) {
        (Some(AgentCommand::Tools { socket }), _) => {
            omoi_agent::copy_tool_streams(socket).context("could not reach the worker")?;
            return Ok(ExitCode::SUCCESS);
        }
        (
            Some(AgentCommand::Packages {
                socket,
                certificate,
                argv,
            }),
            _,
        ) => {
            let program = PackageProgram {
                socket: socket.clone(),
                certificate: certificate.clone(),
                argv: argv.clone(),
            };
            let code = program.run_with_way().await;
            return Ok(ExitCode::from(code.context("could not install packages")?));
        }
        (None, Some(file)) => file,
        // The arguments are read so that one of them is there.
        (None, None) => return Ok(ExitCode::FAILURE),
    };
    // What it warns of stands with what the platform keeps of its last words.
    let options = LogOptions {
        filter: WORKER_FILTER.to_owned(),
        file_filter: "off".to_owned(),
        format: LogFormat::Text,
        mask: SecretMask::default(),
    };
    ProcessLog::start(&options)?;
    let home = context.home_folder();
    let mut scratch = vec![PathBuf::from("/tmp")];
    scratch.extend(home.clone());
    let host = WorkerHost {
        clock: Arc::new(SystemClock),
        rng: Rng::from_os()?,
        path: context.environment_variable("PATH").unwrap_or_default(),
        scratch,
        executable: std::env::current_exe().context("could not find this program's own file")?,
        home: home.unwrap_or_else(std::env::temp_dir),
    };
    Ok(omoi_agent::run_worker(host, context_file).await)
}
