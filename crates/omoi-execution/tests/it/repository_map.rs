//! The map of a commit: what is read again, what is kept, what it says.

use omoi_execution::repository_map::{RepositoryMap, map_of_commit};
use omoi_git::object::ObjectId;
use omoi_repository_map::file_ranking::MapQuestion;
use omoi_testkit::deployment::TestDeployment;

async fn map_at(it: &TestDeployment, commit: &ObjectId, text: &str) -> RepositoryMap {
    let question = MapQuestion {
        text: text.to_owned(),
        files: Vec::new(),
    };
    let mirror = it.project_mirror().await;
    map_of_commit(&mirror, commit, question).await.unwrap()
}

#[tokio::test]
async fn a_map_reads_only_what_changed_and_says_the_same_again() {
    let it = TestDeployment::new().await;
    let mut commit = it.base.clone();
    for (path, source) in [
        (
            "src/header.py",
            "def parse_header(text):\n    return text\n",
        ),
        (
            "src/server.py",
            "import header\n\ndef serve():\n    header.parse_header('')\n",
        ),
        ("src/twin.py", "def parse_header(text):\n    return text\n"),
        ("notes.md", "parse_header"),
        ("src/torn.py", "def ("),
    ] {
        commit = it.commit_on(&commit, path, Some(source)).await;
    }
    let first = map_at(&it, &commit, "Parse empty headers").await;
    let first_paths: Vec<&str> = first
        .text
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(
        first_paths[..3],
        ["src/header.py", "src/twin.py", "src/server.py"],
        "{}",
        first.text
    );
    assert!(
        first.text.contains("src/header.py: 1 fn parse_header\n"),
        "{}",
        first.text
    );
    assert!(!first.text.contains("notes.md"), "{}", first.text);
    let equal_contents = 1;
    assert_eq!(
        first.n_read,
        first.n_files - equal_contents,
        "each content is read once"
    );
    assert_eq!(first.n_unread, 0);

    let again = map_at(&it, &commit, "Parse empty headers").await;
    assert_eq!(
        (again.text.as_str(), again.n_read),
        (first.text.as_str(), 0)
    );

    let moved = it
        .commit_on(
            &commit,
            "src/server.py",
            Some("\n\ndef serve_all(): pass\n"),
        )
        .await;
    let after = map_at(&it, &moved, "Parse empty headers").await;
    assert_eq!(after.n_read, 1);
    assert!(
        after.text.contains("src/server.py: 3 fn serve_all\n"),
        "{}",
        after.text
    );
    let back = map_at(&it, &commit, "Parse empty headers").await;
    assert_eq!(
        (back.text, back.n_read),
        (first.text, 0),
        "the older tree is kept too"
    );
}

#[tokio::test]
async fn a_torn_cache_is_read_anew() {
    let it = TestDeployment::new().await;
    let commit = it
        .commit_on(&it.base, "a.py", Some("def a(): pass\n"))
        .await;
    let first = map_at(&it, &commit, "a").await;
    let cache = it.project_mirror().await.dir().join("omoi-tags");
    let bytes = std::fs::read(&cache).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(&cache)
        .unwrap()
        .set_len(bytes.len() as u64 / 2)
        .unwrap();
    assert_eq!(map_at(&it, &commit, "a").await, first);
    assert_eq!(std::fs::read(&cache).unwrap(), bytes);
}
