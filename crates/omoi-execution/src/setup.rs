//! Installs the packages that a commit needs, once, in a sandbox of its own; every attempt and every check gets them.

mod book;
mod dependencies;
mod environment;
mod failure;
mod needed_secret;
mod registries;
mod registry_wait;
mod run;
mod subject;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use omoi_domain::id::OrgId;
use omoi_domain::repository_settings::NO_SETUP;
use omoi_domain::secret_mask::SecretMask;
use omoi_git::layer::{LayerFolder, PackageLayer, SetupReference};
use omoi_git::survey::{SetupPlan, setup_of_commit};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::rng::Rng;
use omoi_sandbox::Provider;

use crate::deployment::{DeploymentParts, FromParts};
use crate::repository_folders::RepositoryFolders;
use crate::sandbox_host::SandboxHost;

pub use book::SetupBook;
use book::{CommitKey, KnownPlan};
use dependencies::dependency_facts;
pub use dependencies::{DependencyDiff, dependency_diff};
pub use environment::add_package_environment;
pub use failure::{SetupCause, SetupError, SetupFailure};
pub use needed_secret::NeededSecret;
pub use registries::{OpenRegistries, RegistriesInUse, SetupWay};
use registry_wait::{NEEDED_WAIT, REGISTRY_PAUSE};
use run::{SetupOrder, layer_digest, uncompared_digest};
pub use subject::SetupSubject;

/// What a deployment sets of set-ups and prepared checkouts.
#[derive(Clone, Debug)]
pub struct SetupOptions {
    /// Bytes of prepared checkouts and packages that are kept. Files that several of them share count for each.
    pub layers_bytes: u64,
    /// How long one set-up may take.
    pub timeout: Duration,
    /// Commands for every repository; empty where each repository or the table decides.
    pub commands: Vec<String>,
}

/// Makes layers of packages and finds those made before.
#[derive(Clone)]
pub struct PackageSetup {
    /// Where the mirrors, the layers and the workspaces are.
    pub folders: RepositoryFolders,
    /// What the sandboxes are made with.
    pub host: SandboxHost,
    /// What this deployment sets.
    pub options: SetupOptions,
    /// What is known of set-ups in this process.
    pub book: SetupBook,
    /// Time, for limits and names.
    pub clock: Clocked,
    /// Randomness, for the names of checkouts.
    pub rng: Rng,
    /// Says when the process is to stop.
    pub lifecycle: LifecycleHandle,
    /// Takes the secrets of this process out of what a command printed.
    pub mask: SecretMask,
    /// The `omoi` binary, which carries connections out of a sandbox.
    pub worker: PathBuf,
    /// The way to registries; none in a process without a proxy.
    pub registries: Option<Arc<dyn OpenRegistries>>,
    /// Whose set-ups they are.
    pub org: OrgId,
}

impl FromParts for PackageSetup {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            folders: RepositoryFolders::from_parts(parts),
            host: SandboxHost::from_parts(parts),
            options: parts.setup.clone(),
            book: parts.setups.clone(),
            clock: parts.clock.clone(),
            rng: parts.rng.clone(),
            lifecycle: parts.lifecycle.clone(),
            mask: parts.mask.clone(),
            worker: parts.worker.clone(),
            registries: parts.registries.clone(),
            org: parts.store.org(),
        }
    }
}

/// The packages of a commit.
#[derive(Debug)]
pub enum CommitPackages {
    /// It needs none.
    Unneeded,
    /// They are installed.
    Installed(PackageLayer),
    /// They are not, and work goes on without: nobody wrote the commands down, and the base commit has none either.
    Missing(SetupFailure),
    /// They are not, for what work on the commit did: it has to go on, and nothing that is run there proves anything.
    Refused(SetupFailure),
}

/// The packages of a commit as far as they are there.
#[derive(Debug)]
pub enum FoundPackages {
    /// It needs none.
    Unneeded,
    /// They are installed.
    Installed(PackageLayer),
    /// They are not; this would install them.
    NotInstalled(SetupPlan),
}

/// How packages are installed, and in a checkout of which commit.
struct SetupOrigin<'a> {
    plan: SetupPlan,
    subject: SetupSubject<'a>,
    /// How the base commit is set up, where that is another way.
    base_plan: Option<SetupPlan>,
}

impl<'a> SetupOrigin<'a> {
    fn at_base(subject: SetupSubject<'a>, plan: SetupPlan) -> Self {
        let subject = subject.base_subject();
        Self {
            plan,
            subject,
            base_plan: None,
        }
    }

    /// Whether it is somebody's work that is set up, and not what it is measured by.
    fn is_work(&self) -> bool {
        self.subject.commit != self.subject.base.tip()
    }

    /// What the layer is called that `reference` measured.
    fn layer_digest(&self, provider: &dyn Provider, reference: &SetupReference) -> String {
        let digest = layer_digest(provider, self.subject, &self.plan);
        match reference {
            SetupReference::Missing => uncompared_digest(&digest),
            SetupReference::IsBase | SetupReference::Base { .. } => digest,
        }
    }
}

impl PackageSetup {
    /// The packages of a commit, installed now where they are not yet. A registry that does not answer is waited for.
    ///
    /// # Errors
    /// [`SetupError`] when written commands fail on the base commit, a registry did not answer for ten minutes, or
    /// nothing can be said.
    pub async fn commit_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<CommitPackages, SetupError> {
        let (began_at, soft) = (self.clock.now(), self.lifecycle.soft_token());
        loop {
            let tried = self.try_packages(provider, subject).await;
            let Err(SetupError::RegistryAway(failure)) = &tried else {
                return tried;
            };
            if self.clock.now().since(began_at) >= NEEDED_WAIT {
                return tried;
            }
            let pause_s = REGISTRY_PAUSE.as_secs();
            warn!(%failure, pause_s, "A set-up waits for a registry");
            // Both are cancel-safe: a token and a timer.
            tokio::select! {
                () = soft.cancelled() => return Err(SetupError::Stopped),
                () = self.clock.sleep(REGISTRY_PAUSE) => {}
            }
        }
    }

    /// As [`commit_packages`](Self::commit_packages), without waiting for anybody.
    async fn try_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<CommitPackages, SetupError> {
        let Some(origin) = self.origin_of(subject).await? else {
            return self.unasked_packages(provider, subject).await;
        };
        if !origin.is_work() {
            let measured = SetupReference::IsBase;
            return self.installed_packages(provider, origin, measured).await;
        }
        let digest = layer_digest(provider.as_ref(), origin.subject, &origin.plan);
        if let Some(found) = self.layer_folder().find_packages(&digest).await? {
            return Ok(CommitPackages::Installed(found));
        }
        let reference = self.reference_of(provider, &origin).await?;
        self.installed_packages(provider, origin, reference).await
    }

    /// What becomes of a commit that asks for no packages. Where its base commit has some, somebody's work took away what
    /// asked for them, and no exit code says what was run without.
    async fn unasked_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<CommitPackages, SetupError> {
        let base = subject.base_subject();
        let plan = match subject.commit == base.commit {
            true => None,
            false => self.plan_of(base).await?,
        };
        let Some(plan) = plan else {
            return Ok(CommitPackages::Unneeded);
        };
        let commands = plan.commands.clone();
        let of_base = SetupOrigin::at_base(subject, plan);
        let installed = self.installed_packages(provider, of_base, SetupReference::IsBase);
        let CommitPackages::Installed(_) = installed.await? else {
            return Ok(CommitPackages::Unneeded);
        };
        let mirror = subject.base.mirror();
        let facts = dependency_facts(mirror, base.commit, subject.commit).await?;
        let gone = facts.listed_before.difference(&facts.listed_after);
        Ok(CommitPackages::Refused(SetupFailure {
            commands,
            cause: SetupCause::NamesNothing(gone.cloned().collect()),
            output: String::new(),
        }))
    }

    /// What a set-up of somebody's work is measured by: what is installed for the base commit, and the environments
    /// that the base has none of, made by nobody's work.
    async fn reference_of(
        &self,
        provider: &Arc<dyn Provider>,
        origin: &SetupOrigin<'_>,
    ) -> Result<SetupReference, SetupError> {
        let (subject, base_plan) = (origin.subject, origin.base_plan.as_ref());
        let frame = origin.plan.frame_plan(base_plan);
        let mut layers = Vec::new();
        let plans = base_plan.map(|plan| (plan, false)).into_iter();
        for (plan, is_frame) in plans.chain(frame.as_ref().map(|frame| (frame, true))) {
            let of_base = SetupOrigin::at_base(subject, plan.clone());
            let installed = self.installed_packages(provider, of_base, SetupReference::IsBase);
            match installed.await {
                Ok(CommitPackages::Installed(layer)) => layers.push(layer),
                Ok(CommitPackages::Unneeded) => {}
                // Somebody's work has to explain all that it makes of an environment then.
                Ok(CommitPackages::Missing(_) | CommitPackages::Refused(_)) if is_frame => {}
                // What there is to be measured by comes once the registry answers.
                Ok(CommitPackages::Missing(failure))
                    if matches!(failure.cause, SetupCause::RegistryAway(_)) =>
                {
                    return Err(SetupError::RegistryAway(failure));
                }
                // What is made without it is measured as soon as the base can be set up.
                Ok(CommitPackages::Missing(_) | CommitPackages::Refused(_))
                | Err(SetupError::Failed(_)) => return Ok(SetupReference::Missing),
                Err(error) => return Err(error),
            }
        }
        let mirror = subject.base.mirror();
        let facts = dependency_facts(mirror, subject.base.tip(), subject.commit).await?;
        let facts = Box::new(facts);
        Ok(SetupReference::Base { layers, facts })
    }

    /// The packages of `origin`, installed now where they are not yet, and measured by `reference`.
    async fn installed_packages(
        &self,
        provider: &Arc<dyn Provider>,
        origin: SetupOrigin<'_>,
        reference: SetupReference,
    ) -> Result<CommitPackages, SetupError> {
        let digest = origin.layer_digest(provider.as_ref(), &reference);
        let is_work = origin.is_work();
        let has_base_plan = origin.base_plan.is_some();
        let SetupOrigin { plan, subject, .. } = origin;
        let layers = self.layer_folder();
        if let Some(found) = layers.find_packages(&digest).await? {
            return Ok(CommitPackages::Installed(found));
        }
        // One at a time: who waits finds what the other made.
        let gate = self.book.gate_of(&digest);
        let _alone = gate.lock().await;
        if let Some(found) = layers.find_packages(&digest).await? {
            return Ok(CommitPackages::Installed(found));
        }
        if self.lifecycle.soft_token().is_cancelled() {
            return Err(SetupError::Stopped);
        }
        // Later commits are somebody's work, which may break what installed packages before.
        let base_has_some = has_base_plan && matches!(reference, SetupReference::Base { .. });
        // Who reaches further may have what another could not.
        let tried = format!("{digest} {}", subject.setup_mode());
        let is_needed = plan.is_written || (is_work && base_has_some);
        let known = self.book.known_failure(&tried);
        let known = known.filter(|known| known.still_stands(self.clock.now(), is_needed));
        let known = match known {
            Some(known) => known,
            None => {
                let order = SetupOrder {
                    plan,
                    reference,
                    digest: digest.clone(),
                };
                match self.run_setup(provider, subject, order).await? {
                    Ok(layer) => {
                        self.book.forget_failure(&tried);
                        return Ok(CommitPackages::Installed(layer));
                    }
                    Err(failure) => self.book.note_failure(&tried, failure, self.clock.now()),
                }
            }
        };
        let awaits_registry = known.awaits_registry(is_needed);
        let failure = known.failure;
        if awaits_registry {
            return Err(SetupError::RegistryAway(failure));
        }
        let is_unexplained = matches!(failure.cause, SetupCause::UnexplainedPaths(_));
        match (is_needed || is_unexplained, is_work) {
            (true, false) => Err(SetupError::Failed(failure)),
            (true, true) => Ok(CommitPackages::Refused(failure)),
            (false, _) => Ok(CommitPackages::Missing(failure)),
        }
    }

    /// The packages of a commit as far as they are there; nothing is installed.
    ///
    /// # Errors
    /// [`SetupError`] when nothing can be said.
    pub async fn find_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<FoundPackages, SetupError> {
        let Some(SetupOrigin { plan, subject, .. }) = self.origin_of(subject).await? else {
            return Ok(FoundPackages::Unneeded);
        };
        let digest = layer_digest(provider.as_ref(), subject, &plan);
        let found = self.layer_folder().find_packages(&digest).await?;
        Ok(match found {
            Some(layer) => FoundPackages::Installed(layer),
            None => FoundPackages::NotInstalled(plan),
        })
    }

    /// As [`commit_packages`](Self::commit_packages), though they failed a moment ago.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn retry_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<CommitPackages, SetupError> {
        self.book.forget_failures();
        self.try_packages(provider, subject).await
    }

    /// As [`retry_packages`](Self::retry_packages), though they are there.
    ///
    /// # Errors
    /// [`SetupError`]; [`SetupError::InUse`] while something runs with them.
    pub async fn reinstall_packages(
        &self,
        provider: &Arc<dyn Provider>,
        subject: SetupSubject<'_>,
    ) -> Result<CommitPackages, SetupError> {
        if let Some(SetupOrigin { plan, subject, .. }) = self.origin_of(subject).await? {
            let digest = layer_digest(provider.as_ref(), subject, &plan);
            let layers = self.layer_folder();
            let is_there = layers.find_packages(&digest).await?.is_some();
            let removed = self.lifecycle.run_blocking("remove packages", move || {
                layers.remove_packages(&uncompared_digest(&digest))?;
                layers.remove_packages(&digest)
            });
            if is_there && !removed.await.map_err(io::Error::other)?? {
                return Err(SetupError::InUse);
            }
        }
        self.retry_packages(provider, subject).await
    }

    /// How the packages of a commit are installed, and in a checkout of which commit: of the base where that asks for
    /// the same ones, since what installs them may itself be somebody's work.
    async fn origin_of<'a>(
        &self,
        subject: SetupSubject<'a>,
    ) -> Result<Option<SetupOrigin<'a>>, SetupError> {
        let Some(plan) = self.plan_of(subject).await? else {
            return Ok(None);
        };
        let of_base = self.plan_of(subject.base_subject()).await?;
        let origin = match of_base.as_ref() == Some(&plan) {
            true => SetupOrigin::at_base(subject, plan),
            false => SetupOrigin {
                plan,
                subject,
                base_plan: of_base,
            },
        };
        Ok(Some(origin))
    }

    /// How a commit is set up: by the person's commands, the repository's own or the table; none for nothing to do.
    async fn plan_of(&self, subject: SetupSubject<'_>) -> Result<Option<SetupPlan>, SetupError> {
        let own = [&self.options.commands, &subject.toolbox.setup];
        let written = own.into_iter().find(|commands| !commands.is_empty());
        if written.is_some_and(|commands| *commands == [NO_SETUP]) {
            return Ok(None);
        }
        let mirror = subject.base.mirror();
        let key = CommitKey {
            mirror: mirror.dir().to_path_buf(),
            commit: subject.commit.clone(),
            written: written.cloned(),
        };
        if let Some(KnownPlan(known)) = self.book.known_plan(&key) {
            return Ok(known);
        }
        let plan = setup_of_commit(mirror, subject.commit, written.map(Vec::as_slice)).await?;
        self.book.note_plan(key, KnownPlan(plan.clone()));
        Ok(plan)
    }

    pub(crate) fn layer_folder(&self) -> LayerFolder {
        LayerFolder::new(self.folders.data.layers_folder())
    }
}
