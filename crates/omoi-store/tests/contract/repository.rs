//! What is kept of a repository: which bases are in use, and what a person trusts its file with.

use omoi_domain::id::{OrgId, UserId};
use omoi_domain::spec::SpecStatus;
use omoi_store::{StoreError, repository_trusts, specs};

use crate::bench::{Bench, commit};
use crate::samples::World;

both!(
    the_bases_of_specs_that_ended_are_not_open,
    a_later_yes_to_a_repositorys_file_replaces_the_earlier,
);

async fn the_bases_of_specs_that_ended_are_not_open(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    for status in SpecStatus::ALL {
        let open = commit(&bench.local, async |tx| {
            let mut spec = specs::get(tx, world.spec.id).await?;
            spec.status = *status;
            specs::save(tx, &mut spec).await?;
            specs::open_bases(tx).await
        })
        .await?;
        let base = (world.project.id, world.spec.base_sha.clone());
        let over = [
            SpecStatus::Delivered,
            SpecStatus::Failed,
            SpecStatus::Cancelled,
        ];
        assert_eq!(open.contains(&base), !over.contains(status), "{status}");
    }
    Ok(())
}

async fn a_later_yes_to_a_repositorys_file_replaces_the_earlier(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let project = world.project.id;
    let mut tx = bench.local.begin_write().await?;
    let kept = repository_trusts::find(&mut tx, UserId::LOCAL, project).await?;
    assert_eq!(kept, None);
    for digest in ["a", "b", "b"] {
        repository_trusts::keep(&mut tx, UserId::LOCAL, project, digest).await?;
        let kept = repository_trusts::find(&mut tx, UserId::LOCAL, project).await?;
        let kept = kept.map(|trust| (trust.org_id, trust.file_digest));
        assert_eq!(kept, Some((OrgId::LOCAL, digest.to_owned())));
    }
    // It is nobody else's yes.
    let somebody: UserId = tx.new_id();
    let kept = repository_trusts::find(&mut tx, somebody, project).await?;
    assert_eq!(kept, None);
    // Another project's file is another text.
    let other = omoi_store::projects::ensure(&mut tx, "other", "/other").await?;
    let kept = repository_trusts::find(&mut tx, UserId::LOCAL, other.id).await?;
    assert_eq!(kept, None);
    Ok(())
}
