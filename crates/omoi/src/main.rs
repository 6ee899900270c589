//! The `omoi` binary: from a feature idea to proven, merged code.

mod client;
mod folder;
mod root;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use futures::StreamExt as _;
use omoi_protocol::control::CreateSpec;
use omoi_runtime::config::{Sources, keys, load};

/// Context of an error that tells the next step.
#[derive(Debug)]
pub(crate) struct Hint(pub(crate) String);

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if args[1] == "agent" {
        return runtime.block_on(omoi_agent::run(&PathBuf::from(&args[3])));
    }
    let _ = omoi_runtime::telemetry::init(&omoi_runtime::telemetry::Options { filter: std::env::var("OMOI_LOG").unwrap_or("warn,omoi=info".into()), format: omoi_runtime::config::keys::LogFormat::Text });
    runtime.block_on(async {
        let sources = Sources::from_process();
        let config = load(&keys::TABLE, &sources).unwrap();
        let process = root::start(root::Start { config, sources, roles: root::Roles::ALL, http: false, scenario: None }).await.unwrap();
        let client = process.client.clone();
        let handle = process.lifecycle.handle();
        let work = async {
            let spec = client.create_spec(&CreateSpec { idea: std::fs::read_to_string(&args[2]).unwrap(), repo: args[3].clone(), auto_start: true, spec_files: true }).await.unwrap();
            let name = spec.id.to_string();
            let mut events = Box::pin(client.events(0, Some(&name), false).await.unwrap());
            while let Some(event) = events.next().await {
                let event = event.unwrap();
                println!("{}", serde_json::to_string(&event).unwrap());
                std::io::stdout().flush().unwrap();
                let kind = event.event.kind().as_str();
                if ["spec.delivered", "spec.blocked", "spec.work_failed", "spec.execution_failed", "spec.cancelled"].contains(&kind) { break; }
            }
            let summary = client.get_spec_summary(&name).await.unwrap();
            println!("{}", serde_json::to_string(&summary).unwrap());
            handle.stop();
        };
        let (exit, ()) = tokio::join!(process.lifecycle.run_until_signal(), work);
        eprintln!("{:?} {:?} {:?}", exit, process.status, process.folder);
    });
    ExitCode::SUCCESS
}
