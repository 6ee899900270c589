//! `omoi demo`: an ordinary run on a bundled repository, answered by a bundled script.
//!
//! Nothing else knows about it: the repository and the script are unpacked, and `omoi run` does the
//! rest.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use rust_embed::RustEmbed;

use omoi_runtime::rng::Rng;

use super::command_context::CommandContext;
use super::{AgentChoice, ModelArgs, SuiteArgs, run};
use crate::ErrorHint;
use crate::process::run_git;

const EXAMPLES: &str = "\
Examples:
  omoi demo                 watch it
  omoi demo --json          one event per line, a summary last
  omoi demo --agent claude-code
                            with Claude Code as the agent, once it is installed

Every answer of the model is scripted, so it needs no key and costs nothing. Everything else is
real: the agents, their sandboxes, the checks, the merges and the branch at the end.";

/// What of the demo can be chosen.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    agent: AgentChoice,
}

/// What is bundled: the idea, the repository, and the script with its parts.
#[derive(RustEmbed)]
#[folder = "assets/demo"]
struct DemoAssets;

/// Unpacks the example and runs it.
pub(crate) async fn run_demo(context: &CommandContext, demo: DemoArgs) -> anyhow::Result<ExitCode> {
    let cache = context.cache_folder()?;
    let repo = make_run_folder(&cache)?;
    let script = repo.with_extension("script");
    unpack_assets(&repo, &script).context("could not unpack the example")?;
    let path = context.environment_variable("PATH").unwrap_or_default();
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=Start"],
    ] {
        run_git(&path, &repo, arguments)?;
    }
    let arguments = run::RunArgs {
        idea: None,
        idea_file: Some(script.join("idea.txt")),
        repo,
        project: None,
        model: ModelArgs {
            model: Some("simulated".to_owned()),
            scenario: Some(script.join("scenario.yaml")),
        },
        agent: demo.agent,
        suite: SuiteArgs::default(),
        gates: false,
        yes: true,
        no_spec_files: false,
    };
    run::run_idea(context, arguments).await
}

/// A folder of its own for this run.
fn make_run_folder(cache: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("could not make `{}`", cache.display()))?;
    let rng = Rng::from_os()?;
    for _ in 0..64 {
        let folder = cache.join(format!("demo-{:04x}", rng.number_below(1 << 16)));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("could not make `{}`", folder.display()));
            }
        }
    }
    let full = anyhow!("`{}` is full of earlier examples", cache.display());
    Err(full.context(ErrorHint(format!(
        "remove them: rm -r {}/demo-*",
        cache.display()
    ))))
}

/// The repository into one folder, everything else into another: agents see only the first.
fn unpack_assets(repo: &Path, script: &Path) -> anyhow::Result<()> {
    for name in DemoAssets::iter() {
        let Some(file) = DemoAssets::get(&name) else {
            continue;
        };
        let path = match name.strip_prefix("repo/") {
            Some(below) => repo.join(below),
            None => script.join(name.as_ref()),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create(&path)?.write_all(&file.data)?;
    }
    Ok(())
}
