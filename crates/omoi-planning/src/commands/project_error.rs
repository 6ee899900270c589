//! Why a command on a project was refused.

use omoi_domain::plain_title::BadGivenName;
use omoi_domain::ticket_text::BadDeployCheck;
use omoi_store::StoreError;
use omoi_store::projects::Project;

/// Why something asked of a project was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum ProjectCommandError {
    /// That is no name.
    #[error(transparent)]
    Name(#[from] BadGivenName),
    /// That shows no deployment.
    #[error(transparent)]
    DeployCheck(#[from] BadDeployCheck),
    /// Another project of the organisation is called so.
    #[error("another project is called `{name}`")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// It was put away, and whoever asks may not take it back.
    #[error("the project is archived, and taking it back is for who may archive it")]
    Archived,
    /// It was changed after the version that the change is meant for.
    #[error("the project was changed meanwhile")]
    StaleVersion(Box<Project>),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

impl ProjectCommandError {
    /// What a write of a project called `name` failed with.
    pub(super) fn of_write(error: StoreError, name: &str) -> Self {
        match error {
            StoreError::Exists { .. } => Self::NameTaken {
                name: name.to_owned(),
            },
            other => Self::Store(other),
        }
    }
}
