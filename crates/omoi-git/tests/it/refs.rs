use omoi_domain::crash::CrashPoint::RefMoved;
use omoi_git::mirror::UpdateRefError;
use omoi_git::refname::RefName;

use crate::fixture::{Fixture, meta};

#[tokio::test]
async fn refs_move_only_from_where_they_are_expected() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let m = &f.mirror;
    let next = f.commit_on(&f.base, &[("a", "2\n")]).await;
    let name = RefName::from_branch("omoi/x").unwrap();

    assert_eq!(m.read_ref(&name).await.unwrap(), None);
    m.create_ref(&name, &f.base, RefMoved).await.unwrap();
    let again = m.create_ref(&name, &next, RefMoved).await.unwrap_err();
    assert!(matches!(again, UpdateRefError::Moved { actual: Some(at), .. } if at == f.base));
    m.update_ref_cas(&name, &next, Some(&f.base), RefMoved)
        .await
        .unwrap();
    let late = m
        .update_ref_cas(&name, &f.base, Some(&f.base), RefMoved)
        .await
        .unwrap_err();
    assert!(matches!(late, UpdateRefError::Moved { actual: Some(at), .. } if at == next));

    let below = RefName::parse("refs/heads/omoi").unwrap();
    assert_eq!(
        m.list_refs(&below).await.unwrap(),
        [(name.clone(), next.clone())]
    );
    assert!(m.delete_ref(&name, &f.base, RefMoved).await.is_err());
    m.delete_ref(&name, &next, RefMoved).await.unwrap();
    assert_eq!(m.list_refs(&below).await.unwrap(), []);

    // A name that cannot exist beside another is git's failure, not a moved ref.
    m.create_ref(&name, &next, RefMoved).await.unwrap();
    let nested = RefName::from_branch("omoi/x/y").unwrap();
    let error = m.create_ref(&nested, &next, RefMoved).await.unwrap_err();
    assert!(matches!(error, UpdateRefError::Git { .. }));
}

#[tokio::test]
async fn of_sixteen_racers_exactly_one_wins() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let name = RefName::from_branch("integration").unwrap();
    f.mirror.create_ref(&name, &f.base, RefMoved).await.unwrap();
    for round in 0..3 {
        let start = f.mirror.read_ref(&name).await.unwrap().unwrap();
        let mut racers = tokio::task::JoinSet::new();
        for n in 0..16 {
            let tree = f.mirror.tree_of(&start).await.unwrap();
            let meta = meta(&format!("Racer {n} of round {round}"));
            let new = f
                .mirror
                .commit_tree(&tree, std::slice::from_ref(&start), &meta)
                .await
                .unwrap();
            let (mirror, name, start) = (f.mirror.clone(), name.clone(), start.clone());
            racers.spawn(async move {
                let moved = mirror
                    .update_ref_cas(&name, &new, Some(&start), RefMoved)
                    .await;
                (new, moved)
            });
        }
        let mut winners = Vec::new();
        while let Some(done) = racers.join_next().await {
            let (new, moved) = done.unwrap();
            match moved {
                Ok(()) => winners.push(new),
                Err(UpdateRefError::Moved { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(
            f.mirror.read_ref(&name).await.unwrap().as_ref(),
            winners.first()
        );
    }
}

/// A process that died holding a ref's lock does not stop the project for good.
#[tokio::test]
async fn locks_of_the_dead_are_removed() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let name = RefName::from_branch("x").unwrap();
    std::fs::create_dir_all(f.mirror.dir().join("refs/heads")).unwrap();
    let lock = f.mirror.dir().join("refs/heads/x.lock");
    std::fs::write(&lock, "").unwrap();
    f.mirror.create_ref(&name, &f.base, RefMoved).await.unwrap();
    assert_eq!(
        f.mirror.read_ref(&name).await.unwrap(),
        Some(f.base.clone())
    );
    assert!(!lock.exists());
}

#[tokio::test]
async fn paths_of_a_commit_are_found_as_files_and_as_folders() {
    let files = [
        ("opencode.json", "{}"),
        (".qwen/settings.json", "{}"),
        ("src/.opencode/a", ""),
    ];
    let f = Fixture::new(&files).await;
    let asked = ["opencode.json", ".opencode", ".qwen", "*"];
    let found = f.mirror.present_paths(&f.base, &asked).await.unwrap();
    assert_eq!(found, [".qwen", "opencode.json"]);
}
