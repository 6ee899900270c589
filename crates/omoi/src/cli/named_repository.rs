//! The repository that an argument of a command names.

use std::path::Path;

use anyhow::Context as _;

use omoi_git::process::Git;
use omoi_git::repo::{RepoInfo, inspect_repository};

use super::command_context::CommandContext;
use super::error_report::UsageError;

/// A repository with its top folder as requests name it.
pub(super) struct NamedRepository {
    pub(super) path: String,
    pub(super) git: Git,
    pub(super) info: RepoInfo,
}

impl NamedRepository {
    /// The repository around `given`.
    ///
    /// # Errors
    /// When there is none, or its path is not UTF-8.
    pub(super) async fn inspect_given(
        context: &CommandContext,
        given: &Path,
    ) -> anyhow::Result<Self> {
        let given = std::path::absolute(given).context("could not name the repository")?;
        let programs = context.environment_variable("PATH").unwrap_or_default();
        let git = Git::find_on_path(&programs).await?;
        let info = inspect_repository(&git, &given).await?;
        let path = info.toplevel.to_str().map(ToOwned::to_owned);
        let path =
            path.ok_or_else(|| UsageError("the repository's path is not UTF-8".to_owned()))?;
        Ok(Self { path, git, info })
    }
}
