//! `omoi agent`: the worker, started by the platform inside a sandbox.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use omoi_agent::WorkerHost;
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
pub(crate) struct AgentArgs {
    /// File that says what to do
    #[arg(long, value_name = "FILE")]
    context: PathBuf,
}

/// Works on one attempt.
pub(crate) async fn run_agent(
    context: &CommandContext,
    arguments: &AgentArgs,
) -> anyhow::Result<ExitCode> {
    // What it warns of stands with what the platform keeps of its last words.
    let options = LogOptions {
        filter: WORKER_FILTER.to_owned(),
        file_filter: "off".to_owned(),
        format: LogFormat::Text,
        mask: SecretMask::default(),
    };
    ProcessLog::start(&options)?;
    let mut scratch = vec![PathBuf::from("/tmp")];
    scratch.extend(context.home_folder());
    let host = WorkerHost {
        clock: Arc::new(SystemClock),
        rng: Rng::from_os()?,
        path: context.environment_variable("PATH").unwrap_or_default(),
        scratch,
    };
    Ok(omoi_agent::run_worker(host, &arguments.context).await)
}
