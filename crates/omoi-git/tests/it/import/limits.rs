//! Bundles that hold more than an import may bring.

use super::*;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn amounts_above_the_limits_are_refused() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    let deep = format!("{}x", "d/".repeat(12));
    write(
        &dir,
        &[
            ("b", &"long ".repeat(1_000)),
            ("c", "c"),
            ("e", "e"),
            (&deep, "x"),
        ],
    );
    commit(&dir, "One");
    commit(&dir, "Two");
    commit(&dir, "Three");
    let refs = ["refs/heads/r1", "refs/heads/r2", "refs/heads/r3"];
    for name in refs {
        git(&dir, &["update-ref", name, "HEAD"]);
    }
    let file = bundle(&dir, &refs, &f.base);
    let all = ImportLimits::default();
    assert!(import(&f, &file, &all).await.is_ok());
    // Known objects are not counted, so each case starts from a mirror without them.
    let cases: Vec<(&str, ImportLimits)> = vec![
        (
            "bytes of the bundle",
            ImportLimits {
                bundle_bytes_max: 500,
                ..all.clone()
            },
        ),
        (
            "refs",
            ImportLimits {
                refs_max: 2,
                ..all.clone()
            },
        ),
        (
            "objects",
            ImportLimits {
                objects_max: 5,
                ..all.clone()
            },
        ),
        (
            "new commits",
            ImportLimits {
                commits_max: 2,
                ..all.clone()
            },
        ),
        (
            "bytes of one file",
            ImportLimits {
                blob_bytes_max: 4_999,
                ..all.clone()
            },
        ),
        (
            "files of one commit",
            ImportLimits {
                files_max: 3,
                ..all.clone()
            },
        ),
        (
            "folders within folders",
            ImportLimits {
                depth_max: 12,
                ..all.clone()
            },
        ),
        (
            "bytes of folders and commits",
            ImportLimits {
                structure_bytes_max: 1_000,
                ..all.clone()
            },
        ),
    ];
    for (want, limits) in cases {
        let f2 = Fixture::new(&[("z", "z")]).await;
        let base = fixture::fetch(&f2.git, &f2.mirror, &f.user).await;
        let f2 = Fixture { base, ..f2 };
        match import(&f2, &file, &limits).await {
            Err(ImportError::Refused(ImportRefusal::TooMuch { what, value, limit })) => {
                assert_eq!(what, want);
                assert!(value > limit);
            }
            Err(ImportError::Refused(ImportRefusal::FileTooLarge { path, bytes, .. })) => {
                assert_eq!((want, bytes), ("bytes of one file", 5_000));
                assert!(dir.join(path.as_path()).is_file(), "{path}");
            }
            other => panic!("{want}: {other:?}"),
        }
    }
}

/// Ten folders within ten folders, twelve times: more files than there are atoms in a cell.
#[tokio::test]
async fn a_tree_that_unfolds_without_end_is_counted_not_walked() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    let blob = object(&dir, "blob", b"x");
    let mut below = object(&dir, "tree", &tree_entry("100644", b"x", &blob));
    for _ in 0..12 {
        let entries: Vec<_> = (0..10)
            .map(|n| tree_entry("40000", format!("{n}").as_bytes(), &below))
            .collect();
        below = object(&dir, "tree", &entries.concat());
    }
    let file = planted(&f, &dir, &[tree_entry("40000", b"all", &below)]);
    let refused = import(&f, &file, &ImportLimits::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            ImportError::Refused(ImportRefusal::TooMuch {
                what: "files of one commit",
                ..
            })
        ),
        "{refused:?}"
    );
}
