//! What both benches share: a repository fetched into a mirror, and times taken in turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo;

const RUNS: usize = 11;
const WARM_UP: usize = 2;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// The repository named on the command line, and its head in a mirror.
pub(crate) struct Fetched {
    pub(crate) repository: PathBuf,
    pub(crate) mirror: Mirror,
    pub(crate) head: ObjectId,
    _folder: TempDir,
}

pub(crate) async fn fetch() -> Fallible<Fetched> {
    let repository = PathBuf::from(std::env::args_os().nth(1).ok_or("which repository?")?);
    let folder = tempfile::tempdir()?;
    let git = Git::find_on_path(&search_path()).await?;
    let mirror = Mirror::open_or_create(&git, &folder.path().join("mirror.git")).await?;
    let info = repo::inspect_repository(&git, &repository).await?;
    let base = FetchRef {
        commit: info.head.clone(),
        target: RefName::parse("refs/omoios/base/bench")?,
    };
    mirror.fetch_from(&info, &[base]).await?;
    Ok(Fetched {
        repository,
        mirror,
        head: info.head,
        _folder: folder,
    })
}

/// Times both in turns, so that whatever else the machine does slows both down alike, and gives
/// `key=value` with the medians.
pub(crate) async fn in_turns(
    mut baseline: impl FnMut() -> Fallible<Duration>,
    mut ours: impl AsyncFnMut() -> Fallible<Duration>,
) -> Fallible<String> {
    let (mut theirs, mut times) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + RUNS {
        let (baseline, ours) = (baseline()?, ours().await?);
        if round >= WARM_UP {
            theirs.push(baseline);
            times.push(ours);
        }
    }
    let (ours, theirs) = (median_ms(times), median_ms(theirs));
    Ok(format!(
        "runs={RUNS} warm_up={WARM_UP} ours_ms={ours:.3} baseline_ms={theirs:.3}"
    ))
}

/// Runs plain git in `dir` and times it.
#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
pub(crate) fn plain_git(dir: &Path, args: &[&std::ffi::OsStr]) -> Fallible<Duration> {
    let began = Instant::now();
    let output = std::process::Command::new("git")
        .args(args)
        .current_dir(dir)
        .output()?;
    let took = began.elapsed();
    if output.status.success() {
        Ok(took)
    } else {
        Err(format!("git ended with {}", output.status).into())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no configuration to take it from"
)]
fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

pub(crate) fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
