use omoi_domain::merge::ConflictSide;
use omoi_git::mirror::{ChangeKind, FileChange, MergedCommits, SCORE_ERROR, conflict_score};
use omoi_git::object::RepoPath;
use omoi_git::trailers::{self, Trailer};

use crate::fixture::{Fixture, commit, fetch, git, id, meta, write};

#[tokio::test]
async fn forecasts_and_merges_without_a_work_tree() {
    let f = Fixture::new(&[
        ("a", "1\n2\n3\n4\n5\n"),
        ("b", "1\n"),
        ("c", "1\n"),
        ("odd\n\"name", "1\n"),
    ])
    .await;
    let m = &f.mirror;
    let ours = f
        .commit_on(&f.base, &[("a", "ONE\n2\n3\n4\n5\n"), ("b", "ours\n")])
        .await;
    let clean = f
        .commit_on(&f.base, &[("a", "1\n2\n3\n4\nFIVE\n"), ("new", "n\n")])
        .await;
    let clash = f
        .commit_on(&f.base, &[("b", "theirs\n"), ("c", "theirs\n")])
        .await;

    let forecast = m.merge_tree(&ours, &clean).await;
    assert_eq!(conflict_score(&forecast), 0);
    let merged = forecast.unwrap();
    let parents = [ours.clone(), clean.clone()];
    let meta = omoi_git::mirror::CommitMeta {
        trailers: vec![Trailer::new(trailers::TASK, "TSK-2")],
        ..meta("Merge")
    };
    let result = m.commit_tree(&merged.tree, &parents, &meta).await.unwrap();
    assert_eq!(
        m.commit_tree(&merged.tree, &parents, &meta).await.unwrap(),
        result
    );
    for side in &parents {
        assert!(m.is_ancestor(side, &result).await.unwrap());
    }
    assert_eq!(
        m.merge_base(&ours, &clean).await.unwrap(),
        Some(f.base.clone())
    );
    assert_eq!(m.tree_of(&result).await.unwrap(), merged.tree);
    let path = RepoPath::new("a").unwrap();
    let text = m.read_blob(&result, &path, 100).await.unwrap().unwrap();
    assert_eq!(text, b"ONE\n2\n3\n4\nFIVE\n");
    assert!(
        m.read_blob(&result, &path, 3).await.is_err(),
        "too long is an error, not a part"
    );
    let absent = RepoPath::new("no such 12 file").unwrap();
    assert_eq!(m.read_blob(&result, &absent, 100).await.unwrap(), None);
    let several = [absent.clone(), path.clone(), absent.clone()];
    let read = m.read_files(&result, &several, 1_000).await.unwrap();
    assert_eq!(read, [None, Some(text.clone()), None]);

    let forecast = m.merge_tree(&ours, &clash).await;
    assert_eq!(conflict_score(&forecast), 1);
    let conflict = forecast.unwrap().conflicts.remove(0);
    assert_eq!(conflict.path.to_string(), "b");
    assert!(
        conflict.messages[0].contains("Merge conflict in b"),
        "{conflict:?}"
    );

    let missing = id(&"1".repeat(40));
    assert_eq!(
        conflict_score(&m.merge_tree(&ours, &missing).await),
        SCORE_ERROR
    );
}

#[tokio::test]
async fn conflicts_of_every_kind_name_their_paths() {
    let f = Fixture::new(&[("keep", "1\n"), ("gone", "1\n2\n3\n"), ("odd\nname", "1\n")]).await;
    let m = &f.mirror;
    git(&f.user, &["checkout", "-q", "-b", "one"]);
    git(&f.user, &["rm", "-q", "gone"]);
    write(
        &f.user,
        &[
            ("both", "one\n"),
            ("odd\nname", "one\n"),
            ("spot", "file\n"),
        ],
    );
    commit(&f.user, "one");
    let one = fetch(&f.git, m, &f.user).await;
    git(&f.user, &["checkout", "-q", "-b", "two", f.base.as_str()]);
    write(
        &f.user,
        &[
            ("gone", "1\n2\nthree\n"),
            ("both", "two\n"),
            ("odd\nname", "two\n"),
            ("spot/in", "x\n"),
        ],
    );
    commit(&f.user, "two");
    let two = fetch(&f.git, m, &f.user).await;

    let merge = m.merge_tree(&one, &two).await.unwrap();
    let paths: Vec<String> = merge.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(&paths[..3], ["both", "gone", r#""odd\012name""#]);
    assert!(paths[3].starts_with("spot"), "{paths:?}");
    assert!(
        merge.conflicts.iter().all(|c| !c.messages.is_empty()),
        "{:?}",
        merge.conflicts
    );

    // All that differs conflicts: with one side taken, the tree is that of the side.
    let commits = MergedCommits {
        ours: &one,
        theirs: &two,
    };
    for (side, taken) in [(ConflictSide::Ours, &one), (ConflictSide::Theirs, &two)] {
        let sides = vec![side; merge.conflicts.len()];
        let tree = m.take_sides(&merge, commits, &sides).await.unwrap();
        assert_eq!(tree, Some(m.tree_of(taken).await.unwrap()));
    }

    // A bare name is all a path is; nothing in it is taken for an option or a pattern.
    let changed = m.changed_files(&f.base, &one).await.unwrap();
    let changed: Vec<_> = changed
        .iter()
        .map(|c| (c.path.to_string(), c.kind))
        .collect();
    assert_eq!(
        changed,
        [
            ("both".to_owned(), ChangeKind::Added),
            ("gone".to_owned(), ChangeKind::Deleted),
            (r#""odd\012name""#.to_owned(), ChangeKind::Modified),
            ("spot".to_owned(), ChangeKind::Added),
        ]
    );
    let patches = m.new_patches(&f.base, &one, 10_000).await.unwrap();
    assert!(patches.text.contains("+one") && !patches.truncated);
    // A file that goes is named; its text does not leave.
    let is_of_deleted = |line: &str| line.starts_with('-') && !line.starts_with("---");
    let taken: Vec<&str> = patches
        .text
        .lines()
        .filter(|line| is_of_deleted(line))
        .collect();
    assert_eq!(taken, ["-1"], "{}", patches.text);
    let patches = m.new_patches(&f.base, &one, 40).await.unwrap();
    assert!(patches.text.len() <= 40 && patches.truncated);
}

#[tokio::test]
async fn each_conflict_may_be_settled_by_another_side() {
    let long = "1\n2\n3\n4\n5\n6\n7\n8\n";
    let f = Fixture::new(&[
        ("gone", "1\n2\n3\n"),
        ("kept", "1\n2\n3\n"),
        ("named", long),
        ("text", "1\n"),
    ])
    .await;
    let m = &f.mirror;
    let bytes = |name: u8| vec![0, 255, name, 10];
    git(&f.user, &["checkout", "-q", "-b", "one"]);
    git(&f.user, &["rm", "-q", "gone", "kept"]);
    git(&f.user, &["mv", "named", "renamed"]);
    let own = long.replace('4', "ours");
    write(&f.user, &[("renamed", &own), ("text", "ours\n")]);
    std::fs::write(f.user.join("binary"), bytes(b'o')).unwrap();
    commit(&f.user, "one");
    let ours = fetch(&f.git, m, &f.user).await;
    git(&f.user, &["checkout", "-q", "-b", "two", f.base.as_str()]);
    let changed = "1\n2\nthree\n";
    let own = long.replace('4', "theirs");
    let texts = [
        ("gone", changed),
        ("kept", changed),
        ("named", &own),
        ("text", "theirs\n"),
    ];
    write(&f.user, &texts);
    std::fs::write(f.user.join("binary"), bytes(b't')).unwrap();
    commit(&f.user, "two");
    let theirs = fetch(&f.git, m, &f.user).await;

    let merge = m.merge_tree(&ours, &theirs).await.unwrap();
    let paths: Vec<String> = merge.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["binary", "gone", "kept", "renamed", "text"]);
    let commits = MergedCommits {
        ours: &ours,
        theirs: &theirs,
    };
    let (o, t) = (ConflictSide::Ours, ConflictSide::Theirs);
    let taken = [t, o, t, t, o];
    let tree = m.take_sides(&merge, commits, &taken).await.unwrap();
    let mut files = Vec::new();
    for entry in m.list_tree(&tree.unwrap()).await.unwrap() {
        let blob = m.read_blobs(&[&entry.id], 1_000).await.unwrap().remove(0);
        files.push((entry.path.to_string(), blob));
    }
    let expected = [
        ("binary", bytes(b't')),
        ("kept", changed.into()),
        // Under the name that the other side gave it.
        ("renamed", own.into()),
        ("text", b"ours\n".to_vec()),
    ];
    assert_eq!(files, expected.map(|(path, text)| (path.to_owned(), text)));
}

#[tokio::test]
async fn a_file_and_a_folder_of_one_name_are_not_taken_together() {
    let f = Fixture::new(&[("keep", "1\n"), ("spot/old", "1\n")]).await;
    let m = &f.mirror;
    git(&f.user, &["checkout", "-q", "-b", "one"]);
    git(&f.user, &["rm", "-q", "-r", "spot"]);
    write(&f.user, &[("spot", "file\n")]);
    commit(&f.user, "one");
    let ours = fetch(&f.git, m, &f.user).await;
    git(&f.user, &["checkout", "-q", "-b", "two", f.base.as_str()]);
    write(&f.user, &[("spot/old", "2\n")]);
    commit(&f.user, "two");
    let theirs = fetch(&f.git, m, &f.user).await;
    let merge = m.merge_tree(&ours, &theirs).await.unwrap();
    let paths: Vec<String> = merge.conflicts.iter().map(|c| c.path.to_string()).collect();
    let at_file = paths
        .iter()
        .position(|path| path.starts_with("spot~"))
        .unwrap();
    let commits = MergedCommits {
        ours: &ours,
        theirs: &theirs,
    };
    let mut taken = vec![ConflictSide::Theirs; paths.len()];
    taken[at_file] = ConflictSide::Ours;
    assert_eq!(paths.len(), 2, "{paths:?}");
    let tree = m.take_sides(&merge, commits, &taken).await.unwrap();
    assert_eq!(tree, None, "{paths:?}");
}

#[tokio::test]
async fn files_are_committed_without_touching_others() {
    let f = Fixture::new(&[("a", "1\n"), ("docs/x", "1\n"), ("run.sh", "#!/bin/sh\n")]).await;
    let file = |path: &str, content: Option<&[u8]>| FileChange {
        path: RepoPath::new(path).unwrap(),
        content: content.map(<[u8]>::to_vec),
    };
    let files = [
        file(".omoi_os/specs/one.md", Some(b"# One\n")),
        file(".omoi_os/raw", Some(&[0, 255, 10])),
        file("docs", Some(b"now a file\n")),
        file("a", None),
    ];
    let made = f
        .mirror
        .commit_files(&f.base, &files, &meta("Add plans"))
        .await
        .unwrap();
    let listed = f.mirror.list_tree(&made).await.unwrap();
    let paths: Vec<_> = listed
        .iter()
        .map(|e| (e.path.to_string(), e.bytes))
        .collect();
    let want = [
        (".omoi_os/raw", 3),
        (".omoi_os/specs/one.md", 6),
        ("docs", 11),
        ("run.sh", 10),
    ];
    assert_eq!(paths, want.map(|(path, bytes)| (path.to_owned(), bytes)));
    let raw = RepoPath::new(".omoi_os/raw").unwrap();
    assert_eq!(
        f.mirror.read_blob(&made, &raw, 10).await.unwrap().unwrap(),
        [0, 255, 10]
    );
    let ids: Vec<_> = listed.iter().map(|e| &e.id).collect();
    let blobs = f.mirror.read_blobs(&ids, 1_000).await.unwrap();
    assert_eq!(blobs[2], b"now a file\n");
    assert_eq!(
        f.mirror.write_blob(&[0, 255, 10]).await.unwrap(),
        listed[0].id
    );
    assert_eq!(
        f.mirror
            .list_commits(&made, Some(&f.base), 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn conflict_marker_lines_are_found_in_any_file() {
    let long = format!("{}||||||| left over\r\n", "x\n".repeat(3 << 20));
    let f = Fixture::new(&[
        ("plain", "<<<<<<< ours\n a\n>>>>>>> theirs"),
        ("long", &long),
        ("odd \"name", "\0=======\n=======\n======= \n"),
        ("harmless", " <<<<<<< a\n<<<<<<<<\n>>>>>>>x\n||||||\n"),
        ("not asked", "<<<<<<< a\n"),
    ])
    .await;
    let paths = ["plain", "long", "odd \"name", "harmless", "absent"];
    let paths: Vec<RepoPath> = paths.iter().map(|p| RepoPath::new(p).unwrap()).collect();
    let paths: Vec<&RepoPath> = paths.iter().collect();
    let found = f
        .mirror
        .conflict_marker_lines(&f.base, &paths)
        .await
        .unwrap();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|line| (line.path.as_str(), line.text.as_str()))
        .collect();
    let want = [
        ("long", "||||||| left over"),
        (r#""odd \"name""#, "======="),
        (r#""odd \"name""#, "======="),
        ("plain", "<<<<<<< ours"),
        ("plain", ">>>>>>> theirs"),
    ];
    assert_eq!(found, want);
}

#[tokio::test]
async fn a_commit_is_taken_back_from_what_came_after_it() {
    let f = Fixture::new(&[("a", "1\n2\n3\n4\n5\n"), ("b", "1\n")]).await;
    let m = &f.mirror;
    let one = f
        .commit_on(&f.base, &[("a", "ONE\n2\n3\n4\n5\n"), ("own", "x\n")])
        .await;
    let two = f.commit_on(&one, &[("a", "ONE\n2\n3\n4\nFIVE\n")]).await;
    let three = f.commit_on(&two, &[("b", "three\n")]).await;
    let chain = m.first_parents(&f.base, &three).await.unwrap();
    assert_eq!(chain, [one.clone(), two.clone(), three.clone()]);
    assert_eq!(m.first_parents(&three, &three).await.unwrap(), []);

    let read = async |tree: &omoi_git::object::ObjectId, path: &str| {
        let path = RepoPath::new(path).unwrap();
        let found = m.read_blob(tree, &path, 100).await.unwrap();
        found.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let without = m.merge_trees(&one, &three, &f.base).await.unwrap();
    assert_eq!(without.conflicts, []);
    let tree = &without.tree;
    assert_eq!(read(tree, "a").await.unwrap(), "1\n2\n3\n4\nFIVE\n");
    assert_eq!(read(tree, "b").await.unwrap(), "three\n");
    assert_eq!(read(tree, "own").await, None);
    // The next step starts from a tree, which no commit names.
    let none = m.merge_trees(&two, tree, &one).await.unwrap();
    assert_eq!(read(&none.tree, "a").await.unwrap(), "1\n2\n3\n4\n5\n");

    // What was changed since cannot be taken back.
    let over = f.commit_on(&three, &[("a", "Uno\n2\n3\n4\n5\n")]).await;
    let clash = m.merge_trees(&one, &over, &f.base).await.unwrap();
    assert_eq!(clash.conflicts[0].path.to_string(), "a");
}
