//! What the survey of a commit costs over listing its files with git.
//!
//! Takes a repository and prints one line of `key=value`; `cargo xtask bench` makes the repository, runs
//! this and prints the ratio.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo;
use omoi_git::survey::survey_commit;

const RUNS: usize = 11;
const WARM_UP: usize = 2;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("which repository?")?);
    let folder = tempfile::tempdir()?;
    let git = Git::locate(&search_path()).await?;
    let mirror = Mirror::open_or_create(&git, &folder.path().join("mirror.git")).await?;
    let info = repo::inspect(&git, &path).await?;
    let base = FetchRef {
        commit: info.head.clone(),
        target: RefName::parse("refs/omoios/base/bench")?,
    };
    mirror.fetch_from(&info, &[base]).await?;
    let (mut ours, mut listing) = (Vec::new(), Vec::new());
    let (mut files, mut languages) = (0, 0);
    // In turns, so that whatever else the machine does slows both down alike.
    for round in 0..WARM_UP + RUNS {
        let listed = list(&path)?;
        let began = Instant::now();
        let survey = survey_commit(&mirror, &info.head).await?;
        let surveyed = began.elapsed();
        (files, languages) = (survey.files, survey.languages.len());
        if round >= WARM_UP {
            listing.push(listed);
            ours.push(surveyed);
        }
    }
    let (ours, listing) = (median_ms(ours), median_ms(listing));
    println!(
        "runs={RUNS} warm_up={WARM_UP} ours_ms={ours:.3} baseline_ms={listing:.3} files={files} \
         languages={languages}"
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
fn list(repository: &Path) -> Fallible<Duration> {
    let began = Instant::now();
    let listing = std::process::Command::new("git")
        .args(["ls-tree", "-r", "-l", "-z", "HEAD"])
        .current_dir(repository)
        .output()?;
    let took = began.elapsed();
    if listing.status.success() {
        Ok(took)
    } else {
        Err(format!("git ended with {}", listing.status).into())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no configuration to take it from"
)]
fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
