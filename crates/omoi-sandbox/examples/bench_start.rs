//! What a sandbox costs over bare bubblewrap around the same program, from call to clean end.
//!
//! Prints one line of `key=value`; `cargo xtask bench` runs this and sets the figures beside their target.

use std::path::Path;
use std::time::{Duration, Instant};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{ProbeConfig, Provider, SandboxFloor, SandboxLaunch, probe_host};

const RUNS: usize = 41;
const WARM_UP: usize = 5;
const PROGRAM: &str = "/bin/true";

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let config = ProbeConfig::new(folder.path().join("state"));
    let found = probe_host(&config).await?;
    let provider = found
        .select_provider(&SandboxFloor::default(), Some(SandboxRung::Bubblewrap))
        .map_err(|refused| format!("{refused}; {}", refused.next_step()))?;
    let workspace = folder.path().join("workspace");
    std::fs::create_dir(&workspace)?;
    provider.prepare_workspace(&workspace)?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does slows both down alike.
    for round in 0..WARM_UP + RUNS {
        let took = (
            start_bare(&config.bubblewrap)?,
            start_ours(provider.as_ref(), &workspace, round).await?,
        );
        if round >= WARM_UP {
            bare.push(took.0);
            ours.push(took.1);
        }
    }
    provider.remove_workspace(&workspace)?;
    let (bare, ours) = (median_ms(bare), median_ms(ours));
    println!("runs={RUNS} warm_up={WARM_UP} ours_ms={ours:.3} baseline_ms={bare:.3}");
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
fn start_bare(bubblewrap: &Path) -> Fallible<Duration> {
    let began = Instant::now();
    let status = std::process::Command::new(bubblewrap)
        .args(["--unshare-all", "--ro-bind", "/", "/", PROGRAM])
        .status()?;
    let took = began.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(format!("bare bubblewrap ended with {status}").into())
    }
}

async fn start_ours(provider: &dyn Provider, workspace: &Path, round: usize) -> Fallible<Duration> {
    let name = format!("omoi-bench-{}-{round}", std::process::id());
    let launch = SandboxLaunch::new(name, workspace, [PROGRAM]);
    let began = Instant::now();
    let exit = provider.launch(launch).await?.wait().await?;
    let took = began.elapsed();
    if exit.has_succeeded() {
        Ok(took)
    } else {
        Err(format!("{PROGRAM} did not succeed: {:?}", exit.ended).into())
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
