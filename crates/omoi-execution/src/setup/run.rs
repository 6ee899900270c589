//! One run of a set-up, in a sandbox over a clean checkout.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use omoi_egress::refusal::{ClosedRegistry, Refusal, RefusalReason};
use omoi_git::layer::{FinishedSetup, KeptPackages, PackageLayer, SetupReference, TrackedFiles};
use omoi_git::survey::SetupPlan;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::policy::inside;
use omoi_sandbox::{ProgramEnd, Provider, ReadOnlyMount, SandboxEnd, SandboxLaunch};

use super::environment::add_setup_environment;
use super::failure::SetupCause;
use super::{PackageSetup, RegistriesInUse, SetupError, SetupFailure, SetupSubject, SetupWay};
use crate::attempt::show_certificates;
use crate::commit_content::{CommitContent, CommitTree};
use crate::commit_workspace::CommitWorkspace;
use crate::copied_files::WorkspaceCopies;
use crate::egress::read_lock_files;
use crate::repository_folders::DataDir;
use crate::sandbox_host::remove_workspace;

/// Bytes kept of each output stream.
const OUTPUT_BYTES: usize = 32 << 10;
/// Why what the cache lacks did not come in.
const CACHE_ONLY: &str =
    "\n[packages come from the cache alone, for the plan of the task names no lock file]";
/// Time between the request to stop and the kill.
const GRACE: Duration = Duration::from_secs(2);

/// A name for packages: equal where the same commands install the same things with the same tools. What is installed
/// in a checkout of somebody's work is for that commit alone.
pub(super) fn layer_digest(
    provider: &dyn Provider,
    subject: SetupSubject<'_>,
    plan: &SetupPlan,
) -> String {
    let (toolbox, project) = (subject.toolbox, subject.base.mirror().dir());
    let is_base = subject.commit == subject.base.tip();
    let key = json!({
        "commit": (!is_base).then_some(subject.commit),
        "base": (!is_base).then_some(subject.base.tip()),
        "project": project.file_name().unwrap_or_default().to_string_lossy(),
        "plan": plan.plan_digest(),
        "rung": provider.rung(),
        "roots": toolbox.roots,
        "path": toolbox.path,
        "env": toolbox.env,
        "rung_version": provider.rung_version(),
        "versions": toolbox.versions,
    });
    hex::encode(Sha256::digest(key.to_string()))
}

/// A name for the packages `digest` while nothing is there to compare them with: once the base commit can be set up,
/// nobody looks for it any more, and they are made anew and compared.
pub(super) fn uncompared_digest(digest: &str) -> String {
    hex::encode(Sha256::digest(format!("{digest}\nuncompared\n")))
}

impl PackageSetup {
    /// Runs the commands of a plan and keeps what they install as a layer.
    pub(super) async fn run_setup(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
        order: SetupOrder,
    ) -> Result<Result<PackageLayer, SetupFailure>, SetupError> {
        let id = uuid_v7(self.clock.as_ref(), &self.rng);
        let dir = self.folders.data.work_folder().join(format!("setup-{id}"));
        let digest = order.digest.clone();
        let run = SetupRun {
            setup: self,
            provider,
            subject,
            dir: &dir,
            name: format!("omoi-setup-{id}"),
            digest: &digest,
        };
        info!(commit = %subject.commit, commands = order.plan.commands_line(), "Installing packages");
        let ran = run.install(order).await;
        remove_workspace(&self.lifecycle, provider, &dir).await;
        match &ran {
            Ok(Ok(layer)) => info!(ms = layer.record().took_ms, "Installed packages"),
            Ok(Err(failure)) => {
                warn!(%failure, output = failure.last_line(), "Installed no packages");
            }
            Err(error) => warn!(error = %error_chain(error), "Could not install packages"),
        }
        let layers = self.layer_folder();
        if let Err(error) = layers.remove_oldest(self.options.layers_bytes).await {
            warn!(%error, "Could not remove old checkouts");
        }
        ran
    }
}

/// What one run is to do.
pub(super) struct SetupOrder {
    /// How.
    pub(super) plan: SetupPlan,
    /// What the layer is called.
    pub(super) digest: String,
    /// What it is measured by.
    pub(super) reference: SetupReference,
}

/// One run.
struct SetupRun<'a> {
    setup: &'a PackageSetup,
    provider: &'a Arc<dyn Provider>,
    subject: SetupSubject<'a>,
    dir: &'a Path,
    name: String,
    /// Of what it installs.
    digest: &'a str,
}

impl SetupRun<'_> {
    async fn install(
        self,
        order: SetupOrder,
    ) -> Result<Result<PackageLayer, SetupFailure>, SetupError> {
        let SetupOrder {
            plan,
            digest,
            reference,
        } = order;
        let Self {
            setup,
            provider,
            subject,
            dir,
            ..
        } = &self;
        let base = subject.base;
        // Kept until the sandbox has ended.
        let mut workspace = CommitWorkspace::without_packages();
        let mut content = CommitContent {
            setup,
            base,
            tree: CommitTree::Detached {
                commit: subject.commit,
                files: &BTreeMap::new(),
            },
            copies: WorkspaceCopies::default(),
            workspace: &mut workspace,
        };
        provider.make_workspace(dir, &mut content).await?;
        let entries = base.mirror().list_tree(subject.commit).await?;
        let place = dir.to_path_buf();
        let noted = setup.lifecycle.run_blocking("note tracked files", move || {
            TrackedFiles::note_files(&place, &entries)
        });
        let tracked = noted.await.map_err(std::io::Error::other)??;
        let end = self.run_commands(&plan).await?;
        let failed = |cause, output| SetupFailure {
            commands: plan.commands.clone(),
            cause,
            output,
        };
        if let Some(cause) = self.cause_of(&end) {
            let printed = self.printed(&end);
            // What the commands of somebody's work print is their word alone.
            let is_work = self.subject.commit != self.subject.base.tip();
            let told = if is_work { "" } else { &printed };
            let cause = cause.or_secret_needed(&end.closed_registries(), told);
            let cause = cause.or_no_way(provider.rung());
            return Ok(Err(failed(cause, printed)));
        }
        let finished = FinishedSetup {
            dir,
            tracked,
            plan: plan.clone(),
            packages: end.packages.clone(),
            work: end.work.clone(),
            took: end.sandbox.took,
            reference,
        };
        let project = project_name(base.mirror().dir());
        let layers = setup.layer_folder();
        let kept = layers.keep_packages(&digest, &project, finished).await?;
        let cause = match kept {
            KeptPackages::Kept(layer) => return Ok(Ok(layer)),
            KeptPackages::Changed(names) => SetupCause::ChangedFiles(names),
            KeptPackages::Unexplained(paths) => SetupCause::UnexplainedPaths(paths),
        };
        Ok(Err(failed(cause, self.printed(&end))))
    }

    /// Runs the commands to their end, or until the process is to stop.
    async fn run_commands(&self, plan: &SetupPlan) -> Result<SetupEnd, SetupError> {
        let mut launch = self.commands_launch(plan)?;
        let work = self.provider.path_inside(&launch, Path::new(inside::WORK));
        let work = work.to_string_lossy().into_owned();
        let way = self.open_way(&mut launch).await?;
        let running = self.provider.launch(launch).await?;
        let (control, soft) = (running.control(), self.setup.lifecycle.soft_token());
        let mut wait = std::pin::pin!(running.wait());
        // Both are cancel-safe: a token, and a future that is polled on.
        tokio::select! {
            end = &mut wait => {
                let way = way.as_ref();
                return Ok(SetupEnd {
                    sandbox: end?,
                    work,
                    packages: way.map(|way| way.packages_in()).unwrap_or_default(),
                    refusals: way.map(|way| way.refusals()).unwrap_or_default(),
                });
            }
            () = soft.cancelled() => control.kill_tree(),
        }
        wait.await?;
        Err(SetupError::Stopped)
    }

    /// The sandbox of the commands.
    fn commands_launch(&self, plan: &SetupPlan) -> Result<SandboxLaunch, SetupError> {
        let (setup, toolbox) = (self.setup, self.subject.toolbox);
        let script = plan.shell_script();
        let mut launch =
            SandboxLaunch::new(&*self.name, self.dir, ["/bin/sh", "-c", script.as_str()]);
        let work = self.provider.path_inside(&launch, Path::new(inside::WORK));
        launch.env = toolbox.toolchain_environment();
        add_setup_environment(&mut launch.env, &work);
        launch.read_only = setup.host.sandbox_mounts(toolbox)?;
        let objects = self.subject.base.objects_dir();
        launch.read_only.push(ReadOnlyMount::at_same_path(objects));
        launch.limits = toolbox.sandbox_limits(setup.host.limits);
        launch.wall_timeout = toolbox.setup_time(setup.options.timeout);
        launch.grace = GRACE;
        launch.output_bytes_max = OUTPUT_BYTES;
        Ok(launch)
    }

    /// Has `launch` run its program below one that carries connections to the registries, where there is a way.
    async fn open_way(
        &self,
        launch: &mut SandboxLaunch,
    ) -> Result<Option<Box<dyn RegistriesInUse>>, SetupError> {
        let setup = self.setup;
        let is_usable = self.provider.rung().has_own_loopback();
        let (Some(registries), Some(egress), true) =
            (&setup.registries, &setup.host.egress, is_usable)
        else {
            return Ok(None);
        };
        let socket = setup.folders.data.setup_socket(&self.name);
        let base = &self.subject.base;
        let lock_files = read_lock_files(base.mirror(), base.tip()).await?;
        let project = DataDir::mirrored_project(base.mirror().dir());
        let project = project.ok_or_else(|| std::io::Error::from(ErrorKind::InvalidFilename))?;
        let way = SetupWay {
            socket: &socket,
            mode: self.subject.setup_mode(),
            lock_files: &lock_files,
            org: setup.org,
            project,
            packages_layer: self.digest,
        };
        let way = registries.open_registries(way).await?;
        launch.socket = Some(socket);
        launch.worker = Some(setup.worker.clone());
        let certificate = show_certificates(launch, egress.trusted_certificates(way.lists_hosts()));
        let shown = |path: &Path| self.provider.path_inside(launch, path).into_os_string();
        let (socket, certificate) = (shown(Path::new(inside::SOCKET)), shown(&certificate));
        let mut argv: Vec<OsString> = [inside::WORKER, "agent", "packages"]
            .map(OsString::from)
            .into();
        argv.extend([OsString::from("--socket"), socket]);
        argv.extend([
            OsString::from("--certificate"),
            certificate,
            OsString::from("--"),
        ]);
        argv.append(&mut launch.argv);
        launch.argv = argv;
        Ok(Some(way))
    }

    fn cause_of(&self, end: &SetupEnd) -> Option<SetupCause> {
        let wants_secret = !end.closed_registries().is_empty();
        let away = end.registry_away().filter(|_| !wants_secret);
        let end = &end.sandbox;
        if let Some(limit) = &end.exhausted {
            return Some(SetupCause::Exhausted {
                limit: limit.to_string(),
            });
        }
        if end.timed_out {
            let own = self.setup.options.timeout;
            let seconds = self.subject.toolbox.setup_time(own).as_secs();
            return Some(SetupCause::TimeLimit { seconds });
        }
        match end.ended {
            ProgramEnd::Code(0) => None,
            ProgramEnd::Code(code) => Some(away.unwrap_or(SetupCause::Exited(Some(code)))),
            ProgramEnd::Signal(_) => Some(away.unwrap_or(SetupCause::Exited(None))),
        }
    }

    /// What it printed and was refused, without secrets.
    fn printed(&self, end: &SetupEnd) -> String {
        let (stdout, stderr) = (end.sandbox.stdout.to_text(), end.sandbox.stderr.to_text());
        let mut printed = format!("{stdout}{stderr}");
        for refusal in &end.refusals {
            printed.push_str(&format!("\n[refused: {refusal}]"));
        }
        let is_uncached = |refusal: &Refusal| refusal.reason == RefusalReason::NotCached;
        if end.refusals.iter().any(is_uncached) {
            printed.push_str(CACHE_ONLY);
        }
        self.setup.mask.mask_text(&printed).into_owned()
    }
}

/// How the commands ended.
struct SetupEnd {
    sandbox: SandboxEnd,
    /// What the commands called the checkout.
    work: String,
    /// Packages that came in.
    packages: Vec<String>,
    /// What they asked for in vain.
    refusals: Vec<Refusal>,
}

impl SetupEnd {
    /// The registry that did not answer, if one did not.
    fn registry_away(&self) -> Option<SetupCause> {
        use RefusalReason::{RegistrySlow, RegistryUnreachable};
        let is_away =
            |refusal: &&Refusal| matches!(refusal.reason, RegistrySlow | RegistryUnreachable);
        let refusal = self.refusals.iter().find(is_away)?;
        Some(SetupCause::RegistryAway(refusal.to_string()))
    }

    /// The registries that wanted a credential.
    fn closed_registries(&self) -> Vec<ClosedRegistry> {
        let closed = self.refusals.iter().map(|refusal| refusal.closed.clone());
        closed.flatten().collect()
    }
}

fn project_name(mirror: &Path) -> String {
    mirror
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
