//! What a workspace over a prepared checkout costs over git's own shared clone, and its removal over `rm -rf`.
//!
//! Takes a repository and a number of rounds, and prints one line of `key=value`; `cargo xtask bench` makes the
//! repository, runs this and sets the figures beside their targets. A user without overlays gets a checkout of its own.

#[expect(dead_code, reason = "the survey times in turns, this does not")]
#[path = "../../omoi-git/examples/bench/mod.rs"]
mod bench;

use std::path::Path;
use std::time::{Duration, Instant};

use omoi_git::clone::{CloneSite, clean_checkout};
use omoi_git::layer::LayerFolder;
use omoi_sandbox::{ProbeConfig, SandboxFloor, probe_host};

use bench::{Fallible, fetch, median_ms, plain_git};

/// Removes a checkout as a person would and times it.
#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
fn remove_plainly(dir: &Path) -> Fallible<Duration> {
    let began = Instant::now();
    let ended = std::process::Command::new("rm")
        .arg("-rf")
        .arg(dir)
        .status()?;
    let took = began.elapsed();
    match ended.success() {
        true => Ok(took),
        false => Err(format!("rm ended with {ended}").into()),
    }
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let rounds: usize = std::env::args().nth(2).ok_or("how many rounds?")?.parse()?;
    let it = fetch().await?;
    let folder = tempfile::tempdir()?;
    let probe = probe_host(&ProbeConfig::new(folder.path().join("state"))).await?;
    let provider = probe
        .select_provider(&SandboxFloor::none(), None)
        .map_err(|error| error.next_step())?;
    let is_laid = provider.overlay_support().is_ok();
    let layers = LayerFolder::new(folder.path().join("layers"));
    let base = it.mirror.base_store(&it.head).await?;
    let began = Instant::now();
    if is_laid {
        layers.prepared_checkout(&base).await?;
    }
    let first = began.elapsed();
    let (plain, ours) = (folder.path().join("plain"), folder.path().join("ours"));
    let [mut clones, mut removals, mut opened, mut removed] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let [clone, quiet, shared] = ["clone", "--quiet", "--shared"].map(AsRef::as_ref);
        let from = it.repository.as_os_str();
        let words = [clone, quiet, shared, from, plain.as_os_str()];
        clones.push(plain_git(folder.path(), &words)?);
        removals.push(remove_plainly(&plain)?);
        let began = Instant::now();
        let base = it.mirror.base_store(&it.head).await?;
        let layer = match is_laid {
            true => Some(layers.prepared_checkout(&base).await?),
            false => None,
        };
        std::fs::create_dir(&ours)?;
        if let Some(layer) = &layer {
            provider.lay_workspace(&ours, &[&layer.files_dir()])?;
        }
        let site = CloneSite {
            layer: layer.as_ref(),
            ..CloneSite::new(&base, &ours)
        };
        clean_checkout(site, &it.head).await?;
        provider.prepare_workspace(&ours)?;
        opened.push(began.elapsed());
        let began = Instant::now();
        provider.remove_workspace(&ours)?;
        removed.push(began.elapsed());
    }
    println!(
        "runs={rounds} warm_up=0 first_ms={:.3} ours_ms={:.3} baseline_ms={:.3} removal_ms={:.3} removal_baseline_ms={:.3}",
        first.as_secs_f64() * 1e3,
        median_ms(opened),
        median_ms(clones),
        median_ms(removed),
        median_ms(removals)
    );
    Ok(())
}
