//! What the map of a large repository costs at first, and after a few files changed.
//!
//! Takes a repository whose head changed a few files of its parent, and prints one line of `key=value`; `cargo
//! xtask bench` makes the repository, runs this and sets the figures beside their target.

use std::time::Instant;

use omoi_execution::repository_map::map_of_commit;
use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo;
use omoi_repository_map::file_ranking::MapQuestion;

const RUNS: usize = 5;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let repository = std::env::args_os().nth(1).ok_or("which repository?")?;
    let git = Git::find_on_path(&search_path()).await?;
    let info = repo::inspect_repository(&git, repository.as_ref()).await?;
    let question = MapQuestion {
        text: "Let step 7 of unit 12 take a larger value".to_owned(),
        files: Vec::new(),
    };
    let (mut first, mut again, mut files, mut read) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..RUNS {
        let folder = tempfile::tempdir()?;
        let mirror = Mirror::open_or_create(&git, &folder.path().join("mirror.git")).await?;
        let head = FetchRef {
            commit: info.head.clone(),
            target: RefName::parse("refs/omoios/base/bench")?,
        };
        mirror.fetch_from(&info, &[head]).await?;
        let commits = mirror.list_commits(&info.head, None, 2).await?;
        let [_, parent] = commits.as_slice() else {
            return Err("the repository has no parent of its head".into());
        };
        let began = Instant::now();
        // A start reads a share of a large repository; the whole is what counts here.
        while map_of_commit(&mirror, &parent.id, question.clone())
            .await?
            .n_unread
            > 0
        {}
        first.push(began.elapsed());
        let began = Instant::now();
        let map = map_of_commit(&mirror, &info.head, question.clone()).await?;
        again.push(began.elapsed());
        (files, read) = (map.n_files, map.n_read);
    }
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort();
        times[RUNS / 2].as_secs_f64() * 1e3
    };
    let (first, again) = (median(&mut first), median(&mut again));
    println!(
        "runs={RUNS} warm_up=0 ours_ms={again:.3} baseline_ms={first:.3} files={files} read={read}"
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no configuration to take it from"
)]
fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
