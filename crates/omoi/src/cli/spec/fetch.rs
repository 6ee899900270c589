//! `omoi spec fetch`: a delivered branch from a server into a repository of this machine.

use std::path::{Path, PathBuf};

use omoi_domain::id::SpecId;
use omoi_git::object::ObjectId;
use serde_json::json;

use crate::api_client::ApiClient;
use crate::cli::CommandContext;
use crate::cli::named_repository::NamedRepository;
use crate::cli::owner_access::OwnerAccess;
use crate::cli::remote_repository::RemoteRepository;

/// Which spec, and where to.
#[derive(clap::Args, Debug)]
pub(crate) struct FetchArgs {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// The git repository that gets the branch
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
}

/// Fetches the branch and says where it is.
pub(super) async fn fetch_spec(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: FetchArgs,
) -> anyhow::Result<()> {
    let repository = NamedRepository::inspect_given(context, &arguments.repo).await?;
    let spec = access.client.get_spec_detail(&arguments.spec).await?.spec;
    let remote = RemoteRepository {
        context,
        git: &repository.git,
        info: &repository.info,
    };
    let fetched = remote.fetch_branch(&access.client, &spec).await?;
    if context.is_json() {
        return Ok(context.print_json(&json!({
            "spec": spec.name,
            "repo": repository.path,
            "branch": fetched.pushed.branch,
            "commit": fetched.commit.as_str(),
            "existed": fetched.pushed.existed,
        }))?);
    }
    remote.tell_fetched(&spec, &fetched);
    Ok(())
}

/// Fetches the branch of the spec `id`, once it is delivered, into the repository that the command was typed in, if the
/// spec was begun in it.
pub(super) async fn fetch_here(
    context: &CommandContext,
    client: &ApiClient,
    id: SpecId,
    here: &Path,
) -> anyhow::Result<()> {
    // Where there is no commit yet, the spec was not begun.
    let Ok(repository) = NamedRepository::inspect_given(context, here).await else {
        return Ok(());
    };
    let remote = RemoteRepository {
        context,
        git: &repository.git,
        info: &repository.info,
    };
    let spec = client.get_spec_to_act(&id.to_string()).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    match repository.info.has_commit(&repository.git, &base).await? {
        true => remote.fetch_if_delivered(client, id).await,
        false => Ok(()),
    }
}
