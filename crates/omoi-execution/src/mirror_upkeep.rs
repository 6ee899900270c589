//! Clears mirrors of objects that no ref reaches any more.

use tracing::{debug, warn};

use omoi_domain::time::Timestamp;
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_runtime::BoxError;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{Tenant, projects};

use crate::repository_folders::RepositoryFolders;

/// Clears the mirrors of one organisation in which there is something to clear, each at most once a day. One that fails is left
/// for the next time.
///
/// # Errors
/// When the database or the folder of mirrors cannot be read.
pub(crate) async fn clear_mirrors(
    tenant: &Tenant,
    folders: &RepositoryFolders,
    now: Timestamp,
) -> Result<(), BoxError> {
    let own = tenant.read(async |tx| projects::project_ids(tx).await);
    let own = own.await?;
    for project in folders.data.mirrored_projects()? {
        if own.contains(&project) {
            let mirror = folders.project_mirror(project).await?;
            if let Err(error) = clear_if_due(&mirror, now).await {
                let dir = mirror.dir().display();
                warn!(%project, error = %error_chain(&error), "Could not clear the mirror `{dir}`");
            }
        }
    }
    Ok(())
}

async fn clear_if_due(mirror: &Mirror, now: Timestamp) -> Result<(), MirrorError> {
    if !mirror.look_at_objects().await?.is_clearing_due(now) {
        return Ok(());
    }
    // Held until git is done: nobody finds a commit that goes before a ref holds it.
    let Some(removal) = mirror.begin_ref_removal()? else {
        debug!(mirror = %mirror.dir().display(), "A spec is being begun: no object is removed now");
        return Ok(());
    };
    mirror.clear_objects(&removal, now).await
}
