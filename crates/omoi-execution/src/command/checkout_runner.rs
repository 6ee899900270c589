//! What it takes to run a command in a clean checkout.

use omoi_domain::id::OrgId;
use omoi_domain::secret_mask::SecretMask;
use omoi_llm::brought_keys::BroughtKeyError;
use omoi_llm::llm_client::LlmClient;
use omoi_runtime::clock::Clocked;
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;
use tracing::warn;

use crate::copied_files::CopiedFiles;
use crate::deployment::{DeploymentParts, FromParts};
use crate::disk_room::DiskRoom;
use crate::repository_folders::RepositoryFolders;
use crate::sandbox_host::SandboxHost;
use crate::setup::PackageSetup;
use crate::toolchain_finder::ToolchainFinder;

/// Runs commands in clean checkouts.
#[derive(Clone)]
pub struct CheckoutRunner {
    /// Where the mirrors and the checkouts are.
    pub folders: RepositoryFolders,
    /// What the sandboxes are made with.
    pub host: SandboxHost,
    /// What their specs need of the host.
    pub toolchains: ToolchainFinder,
    /// What installs the packages that a commit needs.
    pub setup: PackageSetup,
    /// Files of people's checkouts that workspaces are given.
    pub copies: CopiedFiles,
    /// Whether a run may begin, and whether a full disk failed it.
    pub disk: DiskRoom,
    /// Time, for the names of checkouts.
    pub clock: Clocked,
    /// Randomness, for the names of checkouts.
    pub rng: Rng,
    /// Takes the secrets of this process out of what a command printed.
    mask: SecretMask,
    /// Knows the keys that organisations brought for models.
    llm: Option<LlmClient>,
}

impl CheckoutRunner {
    /// What hides the secrets of this process and the keys that `org` brought. One that cannot be read is used by nobody, and
    /// is left out.
    ///
    /// # Errors
    /// [`BroughtKeyError`] where the keys cannot be looked up for now.
    pub async fn secrets_of(&self, org: OrgId) -> Result<SecretMask, BroughtKeyError> {
        let Some(llm) = &self.llm else {
            return Ok(self.mask.clone());
        };
        match llm.read_organisation_mask(org).await {
            Ok(brought) => Ok(self.mask.joined_with(&brought)),
            Err(BroughtKeyError::Unavailable(error)) => Err(BroughtKeyError::Unavailable(error)),
            Err(error @ (BroughtKeyError::Unreadable(_) | BroughtKeyError::NoModel(_))) => {
                warn!(org.id = %org, error = %error_chain(&error), "A key that an organisation brought is not searched for");
                let learned = llm.organisation_mask(org).unwrap_or_default();
                Ok(self.mask.joined_with(&learned))
            }
        }
    }
}

impl FromParts for CheckoutRunner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            folders: RepositoryFolders::from_parts(parts),
            host: SandboxHost::from_parts(parts),
            toolchains: ToolchainFinder::from_parts(parts),
            setup: PackageSetup::from_parts(parts),
            copies: CopiedFiles::from_parts(parts),
            disk: DiskRoom::from_parts(parts),
            clock: parts.clock.clone(),
            rng: parts.rng.clone(),
            mask: parts.mask.clone(),
            llm: parts.llm.clone(),
        }
    }
}
