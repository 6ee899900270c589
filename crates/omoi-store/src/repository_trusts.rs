//! What a person allowed the file of a repository to ask for.

use omoi_domain::id::{OrgId, ProjectId, UserId};

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A person's yes to one text of a repository's file.
    RepositoryTrust in "repository_trusts" as "trust" {
        /// Its organisation.
        org_id: OrgId,
        /// Who said yes.
        user_id: UserId,
        /// The repository.
        project_id: ProjectId,
        /// The text they saw.
        file_digest: String,
    }
}

/// The text that `user` allowed last in `project`.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
) -> Result<Option<RepositoryTrust>, StoreError> {
    tx.find("user_id = $2 and project_id = $3", args![user, project])
        .await
}

/// Keeps the yes of `user` to the text with that digest, in place of an earlier one.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    file_digest: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "delete from repository_trusts where org_id = $1 and user_id = $2 and project_id = $3",
        args![user, project],
    )
    .await?;
    let trust = RepositoryTrust {
        org_id: tx.org(),
        user_id: user,
        project_id: project,
        file_digest: file_digest.to_owned(),
    };
    tx.insert(&trust).await
}
