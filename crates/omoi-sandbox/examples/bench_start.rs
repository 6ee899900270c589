//! What a sandbox costs over the bare tool around the same program, from call to clean end, on each rung that
//! this host has; how fast a tree of processes ends; and what a live sandbox holds in memory.
//!
//! Prints one line of `key=value`; `cargo xtask bench` runs this and sets the figures beside their target.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::entry::{EntryProgram, run_entry};
use omoi_sandbox::{ProbeConfig, Provider, SandboxLaunch, probe_host};

const RUNS: usize = 41;
const WARM_UP: usize = 5;
const PROGRAM: &str = "/bin/true";
/// The word that makes this file the entry step of its own sandboxes.
const ENTRY: &str = "sandbox-entry";
const TREE_RUNS: usize = 5;
const TREE_PROCESSES: usize = 200;
const LIVE: usize = 8;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == ENTRY) {
        return run_entry(words);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Into::into);
    let figures = runtime.and_then(|runtime| runtime.block_on(measure_all()));
    match figures {
        Ok(figures) => {
            println!("runs={RUNS} warm_up={WARM_UP} {}", figures.join(" "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure_all() -> Fallible<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut config = ProbeConfig::new(folder.path().join("state"));
    config.entry = Some(EntryProgram {
        program: std::env::current_exe()?,
        args: vec![ENTRY.into()],
    });
    let found = probe_host(&config).await?;
    let bubblewrap = found
        .provider_of(SandboxRung::Bubblewrap)
        .ok_or("bubblewrap cannot be used: see `omoi sandbox probe`")?;
    let workspace = folder.path().join("workspace");
    fs::create_dir(&workspace)?;
    bubblewrap.prepare_workspace(&workspace)?;
    let mut figures = Vec::new();
    let program = config.bubblewrap.clone().into_os_string();
    let bare_words = ["--unshare-all", "--ro-bind", "/", "/", PROGRAM].map(OsString::from);
    let bare: Vec<OsString> = std::iter::once(program).chain(bare_words).collect();
    let (ours, baseline) = start_times(bubblewrap, &workspace, &bare).await?;
    figures.push(format!("ours_ms={ours:.3} baseline_ms={baseline:.3}"));
    for (rung, key) in [
        (SandboxRung::Landlock, "landlock"),
        (SandboxRung::Container, "container"),
    ] {
        // A host may lack them; the table then has no such line.
        if let Some(provider) = found.provider_of(rung) {
            let (ours, baseline) = start_times(provider, &workspace, &[PROGRAM.into()]).await?;
            figures.push(format!(
                "{key}_ms={ours:.3} {key}_baseline_ms={baseline:.3}"
            ));
        }
    }
    let ended = tree_end_ms(bubblewrap, &workspace).await?;
    figures.push(format!("tree_end_ms={ended:.3}"));
    let memory = live_memory_kib(bubblewrap, &workspace).await?;
    figures.push(format!("live_kib={memory:.0}"));
    bubblewrap.remove_workspace(&workspace)?;
    Ok(figures)
}

/// Medians of ours and of `bare`, in turns, so that whatever else the machine does slows both down alike.
async fn start_times(
    provider: &dyn Provider,
    workspace: &Path,
    bare: &[OsString],
) -> Fallible<(f64, f64)> {
    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + RUNS {
        let took = (
            start_bare(bare)?,
            start_ours(provider, workspace, round).await?,
        );
        if round >= WARM_UP {
            bare_times.push(took.0);
            our_times.push(took.1);
        }
    }
    Ok((median_ms(our_times), median_ms(bare_times)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the program without us"
)]
fn start_bare(bare: &[OsString]) -> Fallible<Duration> {
    let began = Instant::now();
    let status = std::process::Command::new(&bare[0])
        .args(&bare[1..])
        .status()?;
    let took = began.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(format!("the bare program ended with {status}").into())
    }
}

fn launch_named(word: &str, workspace: &Path, argv: &[&str]) -> SandboxLaunch {
    let name = format!("omoi-bench-{}-{word}", std::process::id());
    SandboxLaunch::new(name, workspace, argv)
}

async fn start_ours(provider: &dyn Provider, workspace: &Path, round: usize) -> Fallible<Duration> {
    let launch = launch_named(&round.to_string(), workspace, &[PROGRAM]);
    let began = Instant::now();
    let exit = provider.launch(launch).await?.wait().await?;
    let took = began.elapsed();
    if exit.has_succeeded() {
        Ok(took)
    } else {
        Err(format!("{PROGRAM} did not succeed: {:?}", exit.ended).into())
    }
}

/// From the kill of a tree of many processes until nothing of it is left.
async fn tree_end_ms(provider: &dyn Provider, workspace: &Path) -> Fallible<f64> {
    let script = format!(
        "rm -f ready; n=0; while [ $n -lt {TREE_PROCESSES} ]; do sleep 1000 & n=$((n+1)); done; \
         echo >ready; wait"
    );
    let mut times = Vec::new();
    for round in 0..TREE_RUNS {
        let launch = launch_named(
            &format!("tree-{round}"),
            workspace,
            &["/bin/sh", "-c", &script],
        );
        let running = provider.launch(launch).await?;
        let control = running.control();
        let (exit, began) = tokio::join!(running.wait(), async {
            wait_for_file(&workspace.join("ready")).await;
            let began = Instant::now();
            control.kill_tree();
            began
        });
        exit?;
        times.push(began.elapsed());
        fs::remove_file(workspace.join("ready"))?;
    }
    Ok(median_ms(times))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file in a sandbox announces itself to nobody"
)]
async fn wait_for_file(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What one live sandbox holds: its own processes, and the growth of this one.
async fn live_memory_kib(provider: &dyn Provider, workspace: &Path) -> Fallible<f64> {
    let before = resident_kib(std::process::id());
    let mut live = Vec::new();
    for n in 0..LIVE {
        let launch = launch_named(&format!("live-{n}"), workspace, &["/bin/sleep", "1000"]);
        live.push(provider.launch(launch).await?);
    }
    let grown = resident_kib(std::process::id()).saturating_sub(before);
    let below: u64 = descendants(std::process::id())
        .into_iter()
        .map(shared_kib)
        .sum();
    drop(live);
    Ok((grown + below) as f64 / LIVE as f64)
}

/// A figure of a file of `/proc`, in KiB.
fn figure_kib(pid: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/{file}"))).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    value.unwrap_or_default()
}

fn resident_kib(pid: u32) -> u64 {
    figure_kib(pid, "status", "VmRSS:")
}

fn shared_kib(pid: u32) -> u64 {
    figure_kib(pid, "smaps_rollup", "Pss:")
}

fn descendants(of: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids
        .map(|pid| (pid, figure_kib(pid, "status", "PPid:") as u32))
        .collect();
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.split_off(1)
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
