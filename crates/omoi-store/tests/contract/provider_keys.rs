//! Keys that organisations bring for providers of models.

use omoi_domain::id::OrgId;
use omoi_store::provider_keys::{self, ProviderKeyRow};
use omoi_store::{StoreError, deployment};

use crate::bench::{Bench, POINT, START, commit};

both!(
    a_key_takes_the_place_of_the_one_before,
    asked_providers_are_kept
);

fn key(org: OrgId, provider: &str, sealed: u8) -> ProviderKeyRow {
    ProviderKeyRow {
        org_id: org,
        provider_name: provider.to_owned(),
        ring_key: "k1".to_owned(),
        wrapped_key: vec![0, 255, 7],
        sealed_key: vec![sealed, 0],
        last_four: "x4f9".to_owned(),
        set_at: START,
    }
}

async fn a_key_takes_the_place_of_the_one_before(bench: Bench) -> Result<(), StoreError> {
    let (local, foreign) = (&bench.local, bench.foreign().await);
    let (first, second) = (key(local.org(), "openai", 1), key(local.org(), "openai", 2));
    let own = key(foreign.org(), "openai", 3);
    commit(&foreign, async |tx| provider_keys::replace(tx, &own).await).await?;
    commit(local, async |tx| {
        provider_keys::replace(tx, &first).await?;
        provider_keys::replace(tx, &key(tx.org(), "anthropic", 4)).await?;
        provider_keys::replace(tx, &second).await?;
        let all = provider_keys::list_all(tx).await?;
        assert_eq!(all, [key(tx.org(), "anthropic", 4), second.clone()]);
        assert_eq!(provider_keys::find(tx, "rack").await?, None);
        // The first one is gone, and wrapped no more.
        let wrapped = |of: &ProviderKeyRow| ProviderKeyRow {
            ring_key: "k2".to_owned(),
            wrapped_key: vec![9],
            ..of.clone()
        };
        assert!(!provider_keys::rewrap_key(tx, &wrapped(&first)).await?);
        assert!(provider_keys::rewrap_key(tx, &wrapped(&second)).await?);
        let found = provider_keys::find(tx, "openai").await?;
        assert_eq!(found, Some(wrapped(&second)));
        let taken = provider_keys::take_key(tx, "openai").await?;
        assert_eq!(taken, wrapped(&second));
        let gone = provider_keys::take_key(tx, "openai").await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })));
        Ok(())
    })
    .await?;
    let theirs = foreign.read(async |tx| provider_keys::list_all(tx).await);
    assert_eq!(theirs.await?, [own]);
    Ok(())
}

async fn asked_providers_are_kept(bench: Bench) -> Result<(), StoreError> {
    let system = bench.store.system();
    let known = async || {
        let read = async |tx: &mut omoi_store::Tx| deployment::key_providers(tx).await;
        bench.store.system().read(read).await
    };
    assert!(known().await?.is_empty());
    let names = ["anthropic".to_owned(), "rack".to_owned()];
    for names in [&names[..], &names[1..]] {
        let keep = async |tx: &mut omoi_store::Tx| deployment::keep_key_providers(tx, names).await;
        system.write(POINT, keep).await?;
        assert_eq!(known().await?, names);
    }
    // Whoever brings a key reads them within its organisation.
    let read = bench
        .local
        .read(async |tx| deployment::key_providers(tx).await);
    assert_eq!(read.await?, ["rack"]);
    Ok(())
}
