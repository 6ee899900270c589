//! What `cargo xtask` asks this crate for.
//!
//! `install FOLDER NAME…` installs programs as `omoi agents install` does, and prints where each lies below it.
//! `locks` prints `NAME PACKAGE VERSION` of each program whose packages come from a lock of npm.
//! `pin SCRATCH` prints `agents.json` anew; the locks are `SCRATCH/NAME/package-lock.json`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use omoi_programs::agent_folder::AgentFolder;
use omoi_programs::install::{ProgramInstaller, ProgressSink};
use omoi_programs::node::{NODE_NAME, find_node};
use omoi_programs::pin::{apply_lock, pin_list};
use omoi_programs::pinned_list::{MachinePlatform, PinnedList, ProgramRuntime};
use omoi_programs::registry::PackageRegistry;

/// Says every tenth of a download.
struct Tenths {
    name: String,
    said: AtomicU64,
}

impl ProgressSink for Tenths {
    fn bytes_came(&self, done: u64, total: u64) {
        let tenth = done * 10 / total.max(1);
        if self.said.fetch_max(tenth, Ordering::Relaxed) < tenth {
            eprintln!(
                "{}: {} of {} MB",
                self.name,
                done / 1_000_000,
                total / 1_000_000
            );
        }
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["install", folder, names @ ..] => install(Path::new(folder), names).await,
        ["locks"] => print_locks(),
        ["pin", scratch] => print_pinned(Path::new(scratch)).await,
        _ => Err("expected: install FOLDER NAME… | locks | pin SCRATCH".into()),
    }
}

async fn install(folder: &Path, names: &[&str]) -> Result<(), Box<dyn Error>> {
    let list = PinnedList::load_embedded()?;
    let folder = AgentFolder::new(folder);
    let registry = PackageRegistry::from_environment(variable)?;
    let path = variable("PATH").unwrap_or_default();
    for name in names {
        let began = Instant::now();
        let progress = Tenths {
            name: (*name).to_owned(),
            said: AtomicU64::new(0),
        };
        let installer = ProgramInstaller {
            folder: &folder,
            registry: &registry,
            progress: &progress,
        };
        let installed = match *name {
            NODE_NAME => {
                let found = find_node(&list.node, &folder, path.as_ref()).await?.found;
                if let Some(found) = found.filter(|found| !found.is_ours) {
                    eprintln!("node: {} at {}", found.version, found.program.display());
                    continue;
                }
                installer.install_node(&list.node).await
            }
            name => {
                let program = list.find_program(name)?;
                let build = program.build_for(MachinePlatform::of_this_machine())?;
                installer.install(build).await
            }
        };
        let installed = installed.map_err(|error| match error.next_step() {
            Some(next) => format!("{}\nhint: {next}", with_causes(&error)),
            None => with_causes(&error),
        })?;
        println!("{}", installed.program.digest);
        if !installed.was_there {
            eprintln!(
                "installed {name} {} in {:.1} s",
                installed.program.manifest.version,
                began.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn print_locks() -> Result<(), Box<dyn Error>> {
    let list = PinnedList::load_embedded()?;
    for program in &list.programs {
        let is_main = |folder: &str| program.builds.iter().all(|b| b.program.starts_with(folder));
        let main = program
            .packages
            .iter()
            .find(|package| is_main(&format!("{}/", package.folder)));
        if let (ProgramRuntime::Node, Some(main)) = (program.runtime, main) {
            println!("{} {} {}", program.name, main.name, program.version);
        }
    }
    Ok(())
}

async fn print_pinned(scratch: &Path) -> Result<(), Box<dyn Error>> {
    let mut list = PinnedList::load_embedded()?;
    for program in &mut list.programs {
        if program.runtime == ProgramRuntime::Node {
            let lock = scratch.join(&program.name).join("package-lock.json");
            apply_lock(program, &std::fs::read_to_string(lock)?)?;
        }
    }
    let registry = PackageRegistry::from_environment(variable)?;
    pin_list(&mut list, &registry, scratch).await?;
    println!("{}", serde_json::to_string_pretty(&list)?);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the automation's own process; the binary takes it from its configuration"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
