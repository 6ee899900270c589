//! A repository of this machine and a server that does not see it: commits are sent there, and branches fetched.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use omoi_domain::id::{ProjectId, SpecId};
use omoi_domain::spec::SpecStatus;
use omoi_git::import::{ImportHold, ImportLimits, ImportRequest, import_bundle};
use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::{Git, GitError};
use omoi_git::push::{PushedBranch, push_branch};
use omoi_git::refname::RefName;
use omoi_git::repo::{RepoInfo, expect_writable};
use omoi_git::work::BUNDLE_BYTES_MAX;
use omoi_protocol::api::{CreateProject, MISSING_COMMITS_MAX, SpecView};
use omoi_protocol::shell_word::shell_word;

use super::command_context::CommandContext;
use super::error_report::UsageError;
use super::owner_access::OwnerAccess;
use super::terminal::print_for_people;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::view::text_layout::{clean_line, count_noun};

/// Commits of HEAD that the server is asked about, newest first.
const ASKED_COMMITS_MAX: usize = 20_000;

/// A repository of this machine as a server is told of it.
#[derive(Clone, Copy)]
pub(super) struct RemoteRepository<'a> {
    pub(super) context: &'a CommandContext,
    pub(super) git: &'a Git,
    pub(super) info: &'a RepoInfo,
}

impl RemoteRepository<'_> {
    /// Sends what the server does not have of HEAD; gives the project, which is made where there is none of that name.
    pub(super) async fn send_head(
        &self,
        access: &OwnerAccess,
        named: Option<&str>,
    ) -> anyhow::Result<ProjectId> {
        let info = self.info;
        expect_writable(info)?;
        let folder = info.toplevel.file_name().unwrap_or_default();
        let folder = folder.to_string_lossy();
        let name = named.unwrap_or(&folder);
        let place = access.place_text();
        let found = access.client.find_project(name).await;
        let found = found.with_context(|| format!("could not look for the project `{name}`"))?;
        let project = match found {
            Some(project) => project,
            None => {
                let new = CreateProject {
                    name: Some(name.to_owned()),
                    autonomous_execution_enabled: Some(true),
                    ..CreateProject::default()
                };
                let made = access.client.create_project(&new).await;
                made.with_context(|| {
                    format!("there is no project `{name}` at {place}, and it could not be made")
                })?
            }
        };
        let have = self.commits_there(access, project.id, name).await?;
        if info.shallow && !have.contains(&info.head) {
            let says = format!("the history of `{}` is cut off", info.toplevel.display());
            let hint = "fetch all of it first: git fetch --unshallow";
            return Err(anyhow::Error::new(UsageError(says)).context(ErrorHint(hint.to_owned())));
        }
        let packed = info.bundle_head(self.git, &have, BUNDLE_BYTES_MAX).await;
        let packed = packed.map_err(|error| match error {
            GitError::OutputTooLarge { .. } => anyhow!(
                "what {place} does not have of `{}` is more than {} MiB",
                info.toplevel.display(),
                BUNDLE_BYTES_MAX >> 20
            ),
            other => anyhow::Error::new(other).context("could not pack the commits to send"),
        })?;
        let n_commits = count_noun(packed.n_commits as u64, "commit");
        let Some(bundle) = packed.bytes else {
            self.tell(&format!("Sent {n_commits} to {place}: all of it is there"));
            return Ok(project.id);
        };
        let size = bundle.len().div_ceil(1 << 10);
        self.tell(&format!("Sending {n_commits} ({size} KiB) to {place} …"));
        let sent = access.client.upload_bundle(project.id, &info.head, bundle);
        sent.await
            .with_context(|| format!("the commits of `{name}` could not be sent"))?;
        self.tell(&format!("Sent {n_commits} to {place}"));
        Ok(project.id)
    }

    /// The newest commits of HEAD that the project has.
    async fn commits_there(
        &self,
        access: &OwnerAccess,
        project: ProjectId,
        name: &str,
    ) -> anyhow::Result<Vec<ObjectId>> {
        let newest = self
            .info
            .newest_commits(self.git, ASKED_COMMITS_MAX)
            .await?;
        let mut is_empty = true;
        for asked in newest.chunks(MISSING_COMMITS_MAX) {
            let known = access.client.find_missing_commits(project, asked).await;
            let known = known.with_context(|| format!("the project `{name}` takes no commits"))?;
            is_empty = known.is_empty;
            let have = known.have.iter().map(|id| ObjectId::parse(id));
            let have: Vec<ObjectId> = have.collect::<Result<_, _>>()?;
            if is_empty || !have.is_empty() {
                return Ok(have);
            }
        }
        match is_empty {
            true => Ok(Vec::new()),
            false => {
                let says = format!(
                    "the project `{name}` at {} has no commit of `{}`: it is another repository's",
                    access.place_text(),
                    self.info.toplevel.display()
                );
                let hint = "name a project for this one: omoi run \"…\" --project NAME";
                Err(anyhow::Error::new(UsageError(says)).context(ErrorHint(hint.to_owned())))
            }
        }
    }

    /// Fetches the delivered branch of `spec` into the repository, as a branch that was not there before.
    pub(super) async fn fetch_branch(
        &self,
        client: &ApiClient,
        spec: &SpecView,
    ) -> anyhow::Result<FetchedBranch> {
        let info = self.info;
        let base = ObjectId::parse(&spec.base_sha)?;
        if !info.has_commit(self.git, &base).await? {
            let says = format!(
                "`{}` does not have commit {:.10}, on which {} was begun",
                info.toplevel.display(),
                spec.base_sha,
                spec.spec_ref
            );
            let hint = format!(
                "name the repository it was begun in: omoi spec fetch {} --repo PATH",
                shell_word(&spec.name)
            );
            return Err(anyhow::Error::new(UsageError(says)).context(ErrorHint(hint)));
        }
        expect_writable(info)?;
        let bundle = client.get_spec_bundle(spec.id, &base).await?;
        // What a server sends is checked apart from the repository, as what agents send is.
        let folder = self
            .context
            .cache_folder()?
            .join(format!("fetch-{}", spec.id));
        let fetched = self.take_in(&folder, spec, &bundle).await;
        let removed = fs::remove_dir_all(&folder);
        let fetched = fetched?;
        removed.with_context(|| format!("could not remove `{}`", folder.display()))?;
        Ok(fetched)
    }

    async fn take_in(
        &self,
        folder: &Path,
        spec: &SpecView,
        bundle: &[u8],
    ) -> anyhow::Result<FetchedBranch> {
        let base = ObjectId::parse(&spec.base_sha)?;
        let mirror = Mirror::open_or_create(self.git, folder).await?;
        let fetch = FetchRef {
            commit: base.clone(),
            target: RefName::parse(&format!("refs/omoios/base/{base}"))?,
        };
        mirror.fetch_from(self.info, &[fetch]).await?;
        let request = ImportRequest {
            hold: ImportHold::Import("fetched"),
            bundle,
            base: &base,
            limits: &ImportLimits::of_history(),
        };
        let imported = import_bundle(&mirror, request).await?;
        let tip = imported.tips.first();
        let commit = &tip.context("the server sent no commit")?.commit;
        let pushed = push_branch(&mirror, &self.info.toplevel, commit, &spec.branch).await?;
        Ok(FetchedBranch {
            commit: commit.clone(),
            pushed,
        })
    }

    /// Fetches the branch of the spec `id` and says so, if it is delivered by now; else there is none to fetch.
    ///
    /// # Errors
    /// As [`Self::fetch_branch`], with the command that tries again.
    pub(super) async fn fetch_if_delivered(
        &self,
        client: &ApiClient,
        id: SpecId,
    ) -> anyhow::Result<()> {
        let spec = client.get_spec_to_act(&id.to_string()).await?;
        if spec.status != SpecStatus::Delivered {
            return Ok(());
        }
        let fetched = self.fetch_branch(client, &spec).await.map_err(|error| {
            let again = self.context.data_flags();
            let hint = format!(
                "fetch it later: omoi spec fetch {}{again}",
                shell_word(&spec.name)
            );
            let says = format!(
                "{} is delivered, and its branch could not be fetched",
                spec.spec_ref
            );
            match error.downcast_ref::<ErrorHint>().is_some() {
                true => error,
                false => error.context(says).context(ErrorHint(hint)),
            }
        })?;
        self.tell_fetched(&spec, &fetched);
        Ok(())
    }

    /// Says where the branch of `spec` is now.
    pub(super) fn tell_fetched(&self, spec: &SpecView, fetched: &FetchedBranch) {
        let branch = &fetched.pushed.branch;
        let place = self.info.toplevel.display();
        let how = match (fetched.pushed.existed, fetched.pushed.renamed) {
            (true, _) => "was there already",
            (false, Some(_)) => "is there, as the name wanted was taken",
            (false, None) => "is there",
        };
        self.tell(&format!(
            "Fetched {}: `{branch}` {how}, in {place}",
            spec.spec_ref
        ));
    }

    fn tell(&self, line: &str) {
        print_for_people(self.context, &[clean_line(line)]);
    }
}

/// A delivered branch in the repository of this machine.
pub(super) struct FetchedBranch {
    pub(super) commit: ObjectId,
    pub(super) pushed: PushedBranch,
}
