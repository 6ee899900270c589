//! What a shell shows beside the commit: what a check at HEAD would get.

use omoi_git::layer::{LayerFolder, PackageLayer};
use omoi_git::repo::RepoInfo;
use omoi_protocol::api::{CheckSandboxView, SetUpRepository, SetupView};

use super::super::command_context::{CommandContext, ConfigOverrides};
use super::super::owner_access::{AccessPurpose, reach_owner};
use crate::data_folder::OpenedFolder;
use crate::view::text_layout::clean_line;

/// Folder of prepared layers below the data folder.
const LAYERS: &str = "layers";

/// What a check at HEAD gets beside its commit.
#[derive(Default)]
pub(super) struct CheckContent {
    /// Its packages.
    pub(super) packages: Option<PackageLayer>,
    /// Its copies, mounts and limits.
    pub(super) sandbox: CheckSandboxView,
}

/// Finds what a check at HEAD gets, and tells a person when packages are not there.
pub(super) async fn find_content(
    context: &CommandContext,
    repository: &RepoInfo,
    folder: &OpenedFolder,
) -> anyhow::Result<CheckContent> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    let access = reach_owner(context, settings, AccessPurpose::SetUp).await?;
    let asked = SetUpRepository {
        repo_path: repository.toplevel.to_string_lossy().into_owned(),
        rebuild: false,
        only_find: true,
    };
    let answer = access.client.set_up_repository(&asked).await;
    access.close(futures::stream::pending()).await?;
    let view = match answer {
        Ok(view) => view,
        // Such as a file that waits for a person's yes: the checkout can be looked at all the same.
        Err(error) => {
            eprintln!(
                "note: neither packages nor `sandbox.copy` nor what the repository's file sets are shown: {}",
                clean_line(&error.to_string())
            );
            return Ok(CheckContent::default());
        }
    };
    let packages = match &view.packages_layer {
        Some(digest) => {
            let layers = LayerFolder::new(folder.folder_path().join(LAYERS));
            layers.find_packages(digest).await?
        }
        None => None,
    };
    if packages.is_none()
        && let Some(line) = missing_line(&view)
    {
        eprintln!("{line}");
    }
    Ok(CheckContent {
        packages,
        sandbox: view.checks,
    })
}

/// What is said where packages are needed and not there.
fn missing_line(view: &SetupView) -> Option<String> {
    let commands = view.commands.join("; ");
    (!view.commands.is_empty()).then(|| {
        format!(
            "note: its packages are not installed (`{}`): `omoi setup` installs them",
            clean_line(&commands)
        )
    })
}
