//! Runs one command at the root of a clean checkout of one commit, out of any agent's reach.

mod check_files;
mod checkout_runner;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tracing::{Instrument as _, debug, info_span, warn};

use omoi_domain::copied_file::CopyAudience;
use omoi_domain::egress::EgressMode;
use omoi_domain::sandbox::{SandboxRung, StartStep, StartStepKind};
use omoi_domain::secret_mask::SecretMask;
use omoi_domain::suite::fault::missing_packages_line;
use omoi_git::mirror::{BaseStore, BaseStoreError, EntryKind, Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_llm::brought_keys::BroughtKeyError;
use omoi_runtime::ids::uuid_v7;
use omoi_sandbox::files_read::{FilesRead, ReadWatch};
use omoi_sandbox::{
    GuardRefusal, LaunchError, ProgramEnd, Provider, ReadOnlyMount, SandboxEnd, SandboxLaunch,
    WaitError, WorkspaceAccess,
};
use omoi_store::specs::Spec;

pub use crate::commit_content::ContentError;
use crate::commit_content::{CommitContent, CommitTree};
use crate::commit_workspace::CommitWorkspace;
use crate::copied_files::{CopyError, withheld_line};
use crate::sandbox_host::remove_workspace;
use crate::sandbox_toolchain::SandboxToolchain;
use crate::setup::{SetupError, SetupSubject};
use crate::toolchain_finder::ToolchainError;

pub use check_files::CheckFileError;
pub(crate) use check_files::{lay_over, stays_inside};
pub use checkout_runner::CheckoutRunner;

/// Bytes of output kept with a receipt, half from its head, half from its tail.
pub const OUTPUT_BYTES: usize = 32 << 10;

/// Runs of one command, each of which ends on a disk without room.
const RUNS_MAX: u32 = 3;

/// One command.
#[derive(Clone, Debug)]
pub struct CheckoutCommand<'a> {
    /// Whose repository, and whose history it may read.
    pub spec: &'a Spec,
    /// Where it runs.
    pub commit: &'a ObjectId,
    /// Run by `sh -c`.
    pub command: &'a str,
    /// Files laid over the checkout first, by path from its root.
    pub files: &'a BTreeMap<String, String>,
    /// Wall time it may take.
    pub timeout: Duration,
    /// What it may read.
    pub toolbox: &'a SandboxToolchain,
    /// How far a set-up of the commit reaches, where that is not the base; the command itself reaches nothing.
    pub setup_mode: EgressMode,
}

impl<'a> CheckoutCommand<'a> {
    fn setup_subject(&self, base: &'a BaseStore) -> SetupSubject<'a> {
        SetupSubject {
            base,
            commit: self.commit,
            toolbox: self.toolbox,
            work_mode: self.setup_mode,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRun {
    /// Its exit code; none when a signal or its time limit ended it.
    pub exit_code: Option<i32>,
    /// Head and tail of its output.
    pub output: String,
    /// SHA-256 of the kept output.
    pub output_digest: String,
    /// Tracked files it read; none when the file system would not say.
    pub exercised: Option<Vec<String>>,
    /// The sandbox rung.
    pub rung: SandboxRung,
    /// Each property of the sandbox, and what holds it or why it is missing; none when it just holds.
    pub held: Vec<(String, Option<String>)>,
    /// Host paths it could read.
    pub mounts: Vec<String>,
    /// What its workspace was made of, and why not of something faster.
    pub workspace: String,
    /// How its start went.
    pub start_steps: Vec<StartStep>,
    /// The packages it was given, by their digest.
    pub packages_layer: Option<String>,
    /// Wall time.
    pub took: Duration,
}

impl CommandRun {
    /// Whether it exited 0.
    pub fn passed(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// The command could not be run; says nothing about what it would have found.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What the sandbox may read is not known.
    #[error("the sandbox could not be equipped")]
    Toolbox(#[from] ToolchainError),
    /// The process stops while the disk has no room.
    #[error("this process stopped while the disk below its data folder was full")]
    Stopped,
    /// This process runs no sandboxes.
    #[error("this process runs no sandboxes")]
    NoProvider,
    /// The file system would not say what is read.
    #[error("could not watch `{path}`")]
    Io {
        /// Where.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The mirror could not be workspace.
    #[error("could not open the mirror")]
    Mirror(#[from] MirrorError),
    /// The spec's row names no commit.
    #[error("the spec's base commit cannot be read")]
    Base(#[from] BadObjectId),
    /// The history that the sandbox may read could not be set apart.
    #[error("could not set the base commit's history apart")]
    BaseStore(#[from] BaseStoreError),
    /// The checkout failed.
    #[error("could not check the commit out")]
    Content(#[from] ContentError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// A file of the person's checkout could not be copied.
    #[error(transparent)]
    Copies(#[from] CopyError),
    /// Packages could not be installed.
    #[error("could not install packages")]
    Setup(#[from] SetupError),
    /// A listed folder must not be shown.
    #[error("a folder on the list cannot be shown")]
    Guarded(#[from] GuardRefusal),
    /// The sandbox did not start.
    #[error("could not start the sandbox")]
    Launch(#[from] LaunchError),
    /// The sandbox fell apart.
    #[error("could not follow the sandbox")]
    Wait(#[from] WaitError),
    /// What must not be kept of the output is not known.
    #[error("the secrets that the output may hold are not known")]
    Secrets(#[from] BroughtKeyError),
}

/// Runs `command` and says what came of it.
///
/// # Errors
/// [`CommandError`] when it could not be run at all; a command that fails is no error.
pub async fn run_in_checkout(
    checkouts: &CheckoutRunner,
    command: CheckoutCommand<'_>,
) -> Result<CommandRun, CommandError> {
    let provider = checkouts
        .host
        .provider
        .as_ref()
        .ok_or(CommandError::NoProvider)?;
    let mut n_runs = 0;
    while checkouts.disk.has_disk_room().await {
        let id = uuid_v7(checkouts.clock.as_ref(), &checkouts.rng);
        let dir = checkouts
            .folders
            .data
            .work_folder()
            .join(format!("check-{id}"));
        let span = info_span!("check", run.id = %id, commit = %command.commit);
        let run = in_checkout(checkouts, &command, &dir, format!("omoi-check-{id}"));
        let ran = run.instrument(span).await;
        // Asked before the workspace gives its space back.
        let was_low = checkouts.disk.disk_shortage().is_some();
        remove_workspace(&checkouts.setup.lifecycle, provider, &dir).await;
        n_runs += 1;
        // On a disk that filled up meanwhile anything fails; that says nothing of the command, unless it
        // fills the disk itself.
        let has_passed = matches!(&ran, Ok(ran) if ran.passed());
        if was_low && !has_passed {
            warn!(run.id = %id, n_runs, "The disk was full during a check, which says nothing of it");
        }
        if has_passed || !was_low || n_runs == RUNS_MAX {
            return ran;
        }
    }
    Err(CommandError::Stopped)
}

/// What stands before the output of a check that is red: what it may lack.
fn lacking_lines(workspace: &CommitWorkspace, withheld: &[String]) -> String {
    let missing = workspace.missing_packages();
    let missing = missing.map(|why| missing_packages_line(&why));
    let lines = [missing, withheld_line(withheld)];
    lines.into_iter().flatten().collect()
}

async fn in_checkout(
    checkouts: &CheckoutRunner,
    command: &CheckoutCommand<'_>,
    dir: &Path,
    name: String,
) -> Result<CommandRun, CommandError> {
    let provider = checkouts
        .host
        .provider
        .as_ref()
        .ok_or(CommandError::NoProvider)?;
    let mirror = checkouts
        .folders
        .project_mirror(command.spec.project_id)
        .await?;
    let base = ObjectId::parse(&command.spec.base_sha)?;
    let base = mirror.base_store(&base).await?;
    let subject = command.setup_subject(&base);
    let workspace = CommitWorkspace::with_packages(&checkouts.setup, provider, subject);
    let mut workspace = workspace.await?;
    if let Some(why) = workspace.refusal_text() {
        warn!(why, "A check is not run");
        return Ok(refused_run(provider.as_ref(), &workspace, &why));
    }
    let tracked = tracked(&mirror, command).await?;
    let copies = &checkouts.copies;
    let copies = copies.read_copies(command.spec.project_id, CopyAudience::Check);
    let mut content = CommitContent {
        setup: &checkouts.setup,
        base: &base,
        tree: CommitTree::Detached {
            commit: command.commit,
            files: command.files,
        },
        copies: copies.await?,
        workspace: &mut workspace,
    };
    provider.make_workspace(dir, &mut content).await?;
    let withheld = content.copies.withheld;
    let watch = watch_reads(provider.as_ref(), dir, &tracked)?;
    workspace.end_step(StartStepKind::Owner, "handed over");
    let mut launch = check_launch(checkouts, command, dir, name)?;
    launch.env = workspace.launch_environment(command.toolbox, provider.as_ref(), &launch);
    launch
        .read_only
        .push(ReadOnlyMount::at_same_path(base.objects_dir()));
    let mounts = shown(&launch.read_only);
    debug!(command = command.command, "Running a check");
    let mask = checkouts.secrets_of(command.spec.org_id).await?;
    let running = provider.launch(launch).await?;
    workspace.end_step(StartStepKind::Sandbox, "started");
    let exit = running.wait().await?;
    let exercised = exercised_files(watch);
    let (exit_code, took) = (exit_code(&exit), exit.took);
    log_check_end(command.command, &exit);
    let mut output = told(exit, &mask);
    if exit_code != Some(0) {
        output.insert_str(0, &lacking_lines(&workspace, &withheld));
    }
    Ok(CommandRun {
        exit_code,
        output_digest: digest(&output),
        output,
        exercised,
        rung: provider.rung(),
        held: held(provider.as_ref()),
        mounts,
        workspace: workspace.origin_text(),
        start_steps: workspace.start_steps(),
        packages_layer: workspace.packages_layer().map(str::to_owned),
        took,
    })
}

/// What of the sandbox of a check follows from its command alone.
fn check_launch(
    checkouts: &CheckoutRunner,
    command: &CheckoutCommand<'_>,
    dir: &Path,
    name: String,
) -> Result<SandboxLaunch, CommandError> {
    let mut launch = SandboxLaunch::new(name, dir, ["/bin/sh", "-c", command.command]);
    launch.access = WorkspaceAccess::ReadWrite;
    launch.read_only = checkouts.host.sandbox_mounts(command.toolbox)?;
    launch.limits = command.toolbox.sandbox_limits(checkouts.host.limits);
    launch.wall_timeout = command.timeout;
    launch.output_bytes_max = OUTPUT_BYTES;
    Ok(launch)
}

/// The record of a command that may not run on its commit.
fn refused_run(provider: &dyn Provider, workspace: &CommitWorkspace, why: &str) -> CommandRun {
    let output = format!("[not run: {why}]\n");
    CommandRun {
        exit_code: None,
        output_digest: digest(&output),
        output,
        exercised: None,
        rung: provider.rung(),
        held: held(provider),
        mounts: Vec::new(),
        workspace: workspace.origin_text(),
        packages_layer: workspace.packages_layer().map(str::to_owned),
        start_steps: workspace.start_steps(),
        took: Duration::ZERO,
    }
}

/// Notes which of the files `tracked` of a workspace are read from now on.
fn watch_reads<'a>(
    provider: &dyn Provider,
    dir: &'a Path,
    tracked: &'a [PathBuf],
) -> Result<ReadWatch<'a>, CommandError> {
    let watch = ReadWatch::start(dir, tracked, provider.changed_files(dir));
    watch.map_err(|source| CommandError::Io {
        path: dir.to_path_buf(),
        source,
    })
}

/// The files that were read, as receipts name them; none when that is not known.
fn exercised_files(watch: ReadWatch<'_>) -> Option<Vec<String>> {
    match watch.finish() {
        FilesRead::Known(paths) => {
            let named = paths.iter().map(|p| p.to_string_lossy().into_owned());
            Some(named.collect())
        }
        FilesRead::Unknown(why) => {
            warn!(why, "Which files a check read is not known");
            None
        }
    }
}

/// Logs how a check ended, and how long it took.
fn log_check_end(command: &str, exit: &SandboxEnd) {
    let (exit_code, ms) = (exit_code(exit), exit.took.as_millis() as u64);
    let timed_out = exit.timed_out;
    debug!(command, exit_code, ms, timed_out, "A check ended");
}

/// What a provider holds, for the record.
pub(crate) fn held(provider: &dyn Provider) -> Vec<(String, Option<String>)> {
    let all = provider.held_properties().iter();
    all.map(|(property, held)| (property.to_string(), held.holder_remark()))
        .collect()
}

/// The host paths of `mounts`, for the record.
pub(crate) fn shown(mounts: &[ReadOnlyMount]) -> Vec<String> {
    mounts
        .iter()
        .map(|m| m.host.display().to_string())
        .collect()
}

/// The digest of kept output.
pub fn digest(output: &str) -> String {
    hex::encode(Sha256::digest(output.as_bytes()))
}

/// Its exit code, where it ended by itself.
const fn exit_code(exit: &SandboxEnd) -> Option<i32> {
    match exit.ended {
        ProgramEnd::Code(code) if !exit.timed_out && exit.exhausted.is_none() => Some(code),
        ProgramEnd::Code(_) | ProgramEnd::Signal(_) => None,
    }
}

/// What it printed, and why it was stopped, where it was.
fn told(exit: SandboxEnd, mask: &SecretMask) -> String {
    let mut output = exit.stdout.to_text();
    let stderr = exit.stderr.to_text();
    if !output.is_empty() && !stderr.is_empty() && !output.ends_with('\n') {
        output.push('\n');
    }
    output.push_str(&stderr);
    if exit.timed_out {
        output.push_str("\n[stopped: it ran out of time]\n");
    }
    if let Some(limit) = exit.exhausted {
        output.push_str(&format!("\n[stopped: {limit}]\n"));
    }
    if exit.out_of_memory {
        output.push_str("\n[stopped: it ran out of memory]\n");
    }
    // PostgreSQL text cannot hold a zero character.
    mask.mask_text(&output).replace('\0', "\u{fffd}")
}

/// Files that are watched for being read: tracked ones and those laid over.
async fn tracked(
    mirror: &Mirror,
    command: &CheckoutCommand<'_>,
) -> Result<Vec<PathBuf>, CommandError> {
    let entries = mirror.list_tree(command.commit).await?;
    let mut paths: Vec<PathBuf> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
        .map(|entry| entry.path.as_path().to_path_buf())
        .collect();
    paths.extend(command.files.keys().map(PathBuf::from));
    paths.sort();
    paths.dedup();
    Ok(paths)
}
