//! `omoi sandbox shell`: a clean checkout of `HEAD` in the sandbox that a check would get.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use omoi_execution::copied_files::{lay_copies, read_plain_copies};
use omoi_execution::sandbox_host::SandboxHost;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::setup::add_package_environment;
use omoi_git::clone::{CloneSite, clean_checkout};
use omoi_git::mirror::{BaseStore, FetchRef, Mirror};
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo::{RepoInfo, inspect_repository};
use omoi_git::survey::survey_commit;
use omoi_git::toolchain::resolve_toolchain;
use omoi_protocol::api::CheckSandboxView;
use omoi_runtime::clock::SystemClock;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::options::DataOptions;
use omoi_runtime::rng::Rng;
use omoi_sandbox::options::SandboxOptions;
use omoi_sandbox::policy::{LaunchStreams, inside};
use omoi_sandbox::{
    ProgramEnd, Provider, ReadOnlyMount, SandboxLaunch, WorkspaceContent, WorkspaceOrigin,
    probe_host,
};
use tokio::signal::unix::{SignalKind, signal};

use super::super::command_context::{CommandContext, CommandSettings, ConfigOverrides};
use super::shell_packages::{self, CheckContent};
use crate::composition;
use crate::data_folder::OpenedFolder;

const EXAMPLES: &str = "\
Examples:
  omoi sandbox shell                       look around where checks of this repository run
  omoi sandbox shell -- npm test           run one command there
  omoi sandbox shell --repo ~/src/x

It sees a clean checkout of HEAD, the packages that `omoi setup` installed for it and the plain files of
`sandbox.copy`, within the limits of a check; what else is not committed is not there, and nothing it does comes back.
Ctrl-C ends it, with everything in it; so does the end of the terminal.";

/// Folder of all shells below the data folder.
const SHELLS: &str = "shells";
/// A person looks around for no longer than this.
const WALL: Duration = Duration::from_hours(24);

/// Where, and what to run there.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShellArgs {
    /// The repository
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Opens a shell, or runs a command, in a new sandbox.
pub(super) async fn open_shell(
    context: &CommandContext,
    arguments: ShellArgs,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let folder = OpenedFolder::open(&DataOptions::from_config(&settings.config).folder)?;
    sweep_shells(&settings, &folder).await;
    let git = Git::find_on_path(&context.environment_variable("PATH").unwrap_or_default()).await?;
    let repo = std::path::absolute(&arguments.repo).context("could not name the repository")?;
    let repository = inspect_repository(&git, &repo).await?;
    let id = uuid_v7(&SystemClock, &Rng::from_os()?).to_string();
    let content = shell_packages::find_content(context, &repository, &folder).await?;
    let place = ShellPlace::make(&folder, &id)?;
    let provider = place.find_provider(&settings, &folder).await?;
    let dir = place.checkout();
    let site = ShellSite {
        id: place.id.clone(),
        settings: &settings,
        folder: &folder,
        git: &git,
        repository: &repository,
        content,
    };
    let ended = site.run_inside(&provider, &dir, arguments.command).await;
    provider
        .remove_workspace(&dir)
        .context("could not remove the checkout")?;
    place.remove()?;
    ended
}

/// The folder of one shell. Its lock is held while the shell lives, so that another can tell what a killed one left.
struct ShellPlace {
    root: PathBuf,
    id: String,
    _lock: File,
}

impl ShellPlace {
    fn make(folder: &OpenedFolder, id: &str) -> anyhow::Result<Self> {
        let root = folder.folder_path().join(SHELLS).join(id);
        fs::create_dir_all(&root).context("could not make the folder of the shell")?;
        let found = Self::lock(root, id)?;
        found.context("another shell has this folder")
    }

    /// The place at `root`, unless a live shell has it.
    fn lock(root: PathBuf, id: &str) -> anyhow::Result<Option<Self>> {
        let file = File::create(root.join("lock")).context("could not lock the shell's folder")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                root,
                id: id.to_owned(),
                _lock: file,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).context("could not lock a shell's folder")
            }
        }
    }

    fn checkout(&self) -> PathBuf {
        self.root.join("checkout")
    }

    /// The sandbox that checks get, whose records are this shell's alone.
    async fn find_provider(
        &self,
        settings: &CommandSettings,
        folder: &OpenedFolder,
    ) -> anyhow::Result<Arc<dyn Provider>> {
        let state = format!("{SHELLS}/{}/state", self.id);
        let found = probe_host(&composition::probe_config(
            &settings.config,
            folder,
            &state,
        )?)
        .await;
        let found = found.context("could not look for a sandbox")?;
        composition::select_sandbox(&settings.config, &found).map_err(|refused| {
            let next = refused.next_step();
            anyhow::Error::new(refused).context(crate::ErrorHint(next))
        })
    }

    fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.root).context("could not remove the folder of the shell")
    }
}

/// Ends and removes what shells left that were killed.
async fn sweep_shells(settings: &CommandSettings, folder: &OpenedFolder) {
    let Ok(entries) = fs::read_dir(folder.folder_path().join(SHELLS)) else {
        return;
    };
    for entry in entries.flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().join("lock").exists() {
            continue;
        }
        if let Ok(Some(place)) = ShellPlace::lock(entry.path(), &id)
            && let Err(error) = sweep_one(place, settings, folder).await
        {
            eprintln!("note: could not remove what an earlier shell left: {error:#}");
        }
    }
}

async fn sweep_one(
    place: ShellPlace,
    settings: &CommandSettings,
    folder: &OpenedFolder,
) -> anyhow::Result<()> {
    let provider = place.find_provider(settings, folder).await?;
    for name in provider.list_orphans()? {
        provider.destroy_sandbox(&name)?;
    }
    provider.remove_workspace(&place.checkout())?;
    place.remove()
}

/// Waits for a signal that asks this process to end.
async fn end_asked() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// What a shell is opened over.
struct ShellSite<'a> {
    id: String,
    settings: &'a CommandSettings,
    folder: &'a OpenedFolder,
    git: &'a Git,
    repository: &'a RepoInfo,
    content: CheckContent,
}

/// What a shell looks at.
struct ShellCheckout<'a> {
    base: &'a BaseStore,
    repository: &'a RepoInfo,
    content: &'a CheckContent,
}

impl WorkspaceContent for ShellCheckout<'_> {
    type Error = anyhow::Error;

    /// Prepared checkouts are the owner's of the data folder, who may remove them.
    async fn find_layers(&mut self) -> Result<Vec<PathBuf>, String> {
        Err("a shell has a clone of its own".to_owned())
    }

    async fn write_files(&mut self, dir: &Path, _: WorkspaceOrigin) -> anyhow::Result<()> {
        clean_checkout(CloneSite::new(self.base, dir), &self.repository.head).await?;
        if let Some(packages) = &self.content.packages {
            let copied = packages.copy_into(dir).await;
            copied.context("could not copy the packages")?;
            packages.hide_from_git(dir)?;
        }
        let paths = self.content.sandbox.copies.clone();
        lay_copies(&read_plain_copies(&self.repository.toplevel, paths)?, dir)?;
        Ok(())
    }
}

impl ShellSite<'_> {
    async fn run_inside(
        &self,
        provider: &Arc<dyn Provider>,
        dir: &Path,
        command: Vec<OsString>,
    ) -> anyhow::Result<ExitCode> {
        let base = self.base_store().await?;
        let mut checkout = ShellCheckout {
            base: &base,
            repository: self.repository,
            content: &self.content,
        };
        provider.make_workspace(dir, &mut checkout).await?;
        let name = &self.id;
        let argv = match command.is_empty() {
            true => vec!["/bin/sh".into(), "-i".into()],
            false => command,
        };
        let mut launch = SandboxLaunch::new(format!("omoi-shell-{name}"), dir, argv);
        let options = SandboxOptions::from_config(&self.settings.config);
        let toolchain = self.toolchain(&base).await?;
        let host = SandboxHost {
            provider: None,
            limits: options.limits,
            read_only: options.read_only,
            guarded: composition::guarded_places(&self.settings.sources, self.folder),
            // As a check, it reaches nothing.
            egress: None,
        };
        launch.env = toolchain.toolchain_environment();
        if let Some(packages) = &self.content.packages {
            let work = provider.path_inside(&launch, Path::new(inside::WORK));
            add_package_environment(&mut launch.env, &work, &packages.record().roots);
        }
        launch.read_only = host.sandbox_mounts(&toolchain)?;
        launch
            .read_only
            .push(ReadOnlyMount::at_same_path(base.objects_dir()));
        launch.limits = toolchain.sandbox_limits(host.limits);
        launch.wall_timeout = WALL;
        launch.streams = LaunchStreams::Inherited;
        let running = provider.launch(launch).await?;
        let control = running.control();
        let waiting = running.wait();
        tokio::pin!(waiting);
        // Cancel-safe: the sandbox is followed by the same future to its end.
        let exit = tokio::select! {
            exit = &mut waiting => exit?,
            _ = end_asked() => {
                control.kill_tree();
                waiting.await?
            }
        };
        if let Some(limit) = exit.exhausted {
            eprintln!("stopped: {limit}");
        }
        let code = match exit.ended {
            ProgramEnd::Code(code) => code,
            ProgramEnd::Signal(signal) => 128 + signal,
        };
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
    }

    /// The history that a check would see, in a mirror of its own.
    async fn base_store(&self) -> anyhow::Result<BaseStore> {
        let mirror = self.folder.folder_path().join(SHELLS).join("mirror.git");
        let mirror = Mirror::open_or_create(self.git, &mirror).await?;
        let wanted = FetchRef {
            commit: self.repository.head.clone(),
            target: RefName::from_branch("shell")?,
        };
        mirror.fetch_from(self.repository, &[wanted]).await?;
        Ok(mirror.base_store(&self.repository.head).await?)
    }

    /// What a check of HEAD may read, and within what.
    async fn toolchain(&self, base: &BaseStore) -> anyhow::Result<SandboxToolchain> {
        let survey = survey_commit(base.mirror(), &self.repository.head).await?;
        let host = composition::host_toolchain(&self.settings.sources);
        let found = resolve_toolchain(&survey, &host).await;
        let CheckSandboxView {
            read_only, limits, ..
        } = &self.content.sandbox;
        Ok(SandboxToolchain {
            allowed: read_only.clone(),
            limits: *limits,
            ..SandboxToolchain::of_host(found)
        })
    }
}
