//! The folder that a sandbox works in, before its files are there: laid over a prepared checkout of the base commit
//! where this machine can, empty for a clone elsewhere; with the packages that its commit needs.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};

use omoi_git::clone::CloneSite;
use omoi_git::layer::{CheckoutLayer, LayerFolder, PackageLayer};
use omoi_git::mirror::BaseStore;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::policy::inside;
use omoi_sandbox::{Provider, SandboxLaunch, WorkspaceError};

use crate::sandbox_toolchain::SandboxToolchain;
use crate::setup::{
    CommitPackages, PackageSetup, SetupError, SetupSubject, add_package_environment,
};

/// A workspace without a repository; what it is laid over stays while this value lives.
pub(crate) struct OpenedWorkspace {
    layer: Option<CheckoutLayer>,
    packages: Option<PackageLayer>,
    missing: Option<String>,
    origin: String,
}

impl OpenedWorkspace {
    /// Makes the folder `dir` for the commit of `subject`, whatever was there.
    pub(crate) async fn open(
        setup: &PackageSetup,
        provider: &dyn Provider,
        subject: SetupSubject<'_>,
        dir: &Path,
    ) -> Result<Self, SetupError> {
        let packages = setup.commit_packages(provider, subject).await?;
        let (packages, missing) = match packages {
            CommitPackages::Unneeded => (None, None),
            CommitPackages::Installed(layer) => (Some(layer), None),
            CommitPackages::Missing(failure) => (None, Some(failure.whole_text())),
        };
        let remark = match (&packages, &missing) {
            (None, None) => String::new(),
            (Some(layer), _) => {
                let commands = layer.record().plan.commands_line();
                format!(", with the packages of `{commands}`")
            }
            (None, Some(failure)) => format!(", without packages: {failure}"),
        };
        let layout = WorkspaceLayout {
            setup,
            provider,
            base: subject.base,
            packages,
        };
        let mut opened = layout.lay_out(dir).await?;
        opened.origin.push_str(&remark);
        opened.missing = missing;
        Ok(opened)
    }

    /// Makes the folder `dir`, whatever was there, for a checkout without packages.
    pub(crate) async fn open_checkout(
        setup: &PackageSetup,
        provider: &dyn Provider,
        base: &BaseStore,
        dir: &Path,
    ) -> Result<Self, WorkspaceError> {
        let layout = WorkspaceLayout {
            setup,
            provider,
            base,
            packages: None,
        };
        layout.lay_out(dir).await
    }

    /// Where git is to put the files of `dest` that are not there yet.
    pub(crate) fn clone_site<'a>(&'a self, base: &'a BaseStore, dest: &'a Path) -> CloneSite<'a> {
        CloneSite {
            base,
            dest,
            layer: self.layer.as_ref(),
        }
    }

    /// Adds the packages to the work tree `dest`, which git has filled and nobody else has touched.
    pub(crate) async fn add_packages(&self, dest: &Path) -> Result<(), WorkspaceError> {
        let Some(packages) = &self.packages else {
            return Ok(());
        };
        let failed = |action| {
            move |source| WorkspaceError::Path {
                action,
                path: dest.to_path_buf(),
                source,
            }
        };
        if self.layer.is_none() {
            let copied = packages.copy_into(dest).await;
            copied.map_err(failed("copy packages into"))?;
        }
        packages
            .hide_from_git(dest)
            .map_err(failed("list packages in"))
    }

    /// The environment of `launch`: what its toolchain needs, and what programs need to find the packages.
    pub(crate) fn launch_environment(
        &self,
        toolbox: &SandboxToolchain,
        provider: &dyn Provider,
        launch: &SandboxLaunch,
    ) -> Vec<(OsString, OsString)> {
        let mut env = toolbox.toolchain_environment();
        if let Some(packages) = &self.packages {
            let work = provider.path_inside(launch, Path::new(inside::WORK));
            add_package_environment(&mut env, &work, &packages.record().roots);
        }
        env
    }

    /// Why packages that the commit needs are not there.
    pub(crate) fn missing_packages(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// What the files are made of, and why not of something faster; for the record.
    pub(crate) fn origin_text(&self) -> &str {
        &self.origin
    }
}

/// What a workspace is made of.
struct WorkspaceLayout<'a> {
    setup: &'a PackageSetup,
    provider: &'a dyn Provider,
    base: &'a BaseStore,
    packages: Option<PackageLayer>,
}

impl WorkspaceLayout<'_> {
    async fn lay_out(self, dir: &Path) -> Result<OpenedWorkspace, WorkspaceError> {
        self.provider.remove_workspace(dir)?;
        std::fs::create_dir_all(dir).map_err(|source| WorkspaceError::Path {
            action: "make",
            path: dir.to_path_buf(),
            source,
        })?;
        let (layer, origin) = match self.lay_over_layers(dir).await {
            Ok(layer) => (Some(layer), "overlay on a prepared checkout".to_owned()),
            Err(reason) => {
                debug!(reason, "A workspace is cloned");
                (None, format!("clone: {reason}"))
            }
        };
        Ok(OpenedWorkspace {
            layer,
            packages: self.packages,
            missing: None,
            origin,
        })
    }

    /// Lays `dir` over the checkout of the base commit, and over packages below that, or says why not: then `dir` is
    /// empty. The checkout is on top, so that a file of the commit is never another one of the packages.
    async fn lay_over_layers(&self, dir: &Path) -> Result<CheckoutLayer, String> {
        let reason = |error: &(dyn std::error::Error + 'static)| error_chain(error);
        let supported = self.provider.overlay_support();
        supported.map_err(|error| reason(&error))?;
        let layers = self.setup.layer_folder();
        let layer = layers.prepared_checkout(self.base).await;
        let layer = layer.map_err(|error| {
            let why = reason(&error);
            warn!(error = why, "There is no prepared checkout");
            why
        })?;
        if let Err(error) = layers.remove_oldest(self.setup.options.layers_bytes).await {
            warn!(error = %error, "Could not remove old checkouts");
        }
        let packages = self.packages.as_ref().map(PackageLayer::files_dir);
        let places = [Some(layer.files_dir()), packages];
        let lowers: Vec<&Path> = places.iter().flatten().map(PathBuf::as_path).collect();
        let laid = self.provider.lay_workspace(dir, &lowers);
        laid.map_err(|error| reason(&error))?;
        Ok(layer)
    }
}

/// Removes layers that an earlier life of this process was making.
pub(crate) fn clear_layers(folder: &Path) -> io::Result<()> {
    LayerFolder::new(folder.to_path_buf()).clear_leftovers()
}
