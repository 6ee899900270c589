//! What a clean checkout of a commit costs over git's own shared clone.
//!
//! Takes a repository and prints one line of `key=value`; `cargo xtask bench` makes the repository, runs
//! this and sets the figures beside their target.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use omoi_git::clone::clean_checkout;
use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo;

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
    let (mut ours, mut clones) = (Vec::new(), Vec::new());
    let dest = folder.path().join("checkout");
    // In turns, so that whatever else the machine does slows both down alike.
    for round in 0..WARM_UP + RUNS {
        let cloned = clone(&path, &dest)?;
        std::fs::remove_dir_all(&dest)?;
        let checked_out = check_out(&mirror, &dest, &info.head).await?;
        std::fs::remove_dir_all(&dest)?;
        if round >= WARM_UP {
            clones.push(cloned);
            ours.push(checked_out);
        }
    }
    let (ours, clones) = (median_ms(ours), median_ms(clones));
    println!("runs={RUNS} warm_up={WARM_UP} ours_ms={ours:.3} baseline_ms={clones:.3}");
    Ok(())
}

async fn check_out(mirror: &Mirror, dest: &Path, commit: &ObjectId) -> Fallible<Duration> {
    let began = Instant::now();
    clean_checkout(mirror, dest, commit).await?;
    Ok(began.elapsed())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
fn clone(repository: &Path, dest: &Path) -> Fallible<Duration> {
    let began = Instant::now();
    let status = std::process::Command::new("git")
        .args(["clone", "--quiet", "--shared"])
        .args([repository, dest])
        .status()?;
    let took = began.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(format!("git ended with {status}").into())
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
