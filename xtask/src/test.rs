//! `cargo xtask test`: formats, lints and runs every test on every backend.

mod closing;
mod disk_room;
mod one_crate;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, bail};
use xtask::host::temporary_folder;
use xtask::invariants;
use xtask::process::{self, command};

use crate::test_servers::{NeededServers, TestServers};
use crate::{Outcome, api_fuzz, root, routes, setup, snapshots, tidy, web};
use closing::{Closing, Count};
use one_crate::OneCrate;

/// What `cargo clippy` tells its driver of `-- -D warnings`.
const CLIPPY_ARGUMENTS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

/// What the command line asks for.
pub(crate) struct Options {
    /// Only format, tidy and tests.
    fast: bool,
    /// Only the tests of this crate, and nothing but tests.
    package: Option<String>,
    /// Only tests whose name contains one of these; all if empty.
    filters: Vec<String>,
}

impl Options {
    /// Reads the arguments after `test`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            fast: false,
            package: None,
            filters: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--fast" => options.fast = true,
                "-p" | "--package" => {
                    let name = arguments.next().ok_or("`test -p` needs a crate")?;
                    options.package = Some(name.clone());
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("`test` has no option `{flag}`"));
                }
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Runs every step, also after one failed, so that one run tells everything; none where tests would hang.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut closing = Closing::default();
    check(&mut closing, "disk room", disk_room::expect_room);
    if !closing.is_green() {
        return ended(&closing);
    }
    if let Some(name) = &options.package {
        return run_one_crate(closing, name, options);
    }
    check(&mut closing, "format", || cargo("fmt --all --check"));
    check(&mut closing, "tidy", tidy);
    check(&mut closing, "routes", routes);
    if !options.fast {
        check(&mut closing, "set up checks", setup::checks);
        check(&mut closing, "dependencies", || {
            cargo("deny --locked check --hide-inclusion-graph bans licenses sources")
        });
        check(&mut closing, "unused dependencies", || cargo("machete"));
        check(&mut closing, "clippy", || {
            cargo("clippy --locked --workspace --all-targets --all-features -- -D warnings")
        });
        check(&mut closing, "rustdoc", || {
            let mut doc = cargo_command("doc --locked --workspace --all-features --no-deps");
            read_as_clippy(&mut doc)?;
            process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        });
    }
    if !options.fast {
        check(&mut closing, "web", web);
        check(&mut closing, "set up schemathesis", setup::schemathesis);
    }
    check(&mut closing, "set up tests", setup::tests);
    closing.step("tests", || tests(options));
    if !options.fast {
        closing.step("doc tests", doc_tests);
        check(&mut closing, "schemathesis", api_fuzz::check_built);
    }
    match invariants::read_rows(&invariants::rows_file(&root())) {
        Ok(rows) => println!("\n{}", rows.join("\n")),
        Err(error) => eprintln!("error: {error:#}"),
    }
    ended(&closing)
}

/// Runs the tests of one crate and nothing else.
fn run_one_crate(mut closing: Closing, name: &str, options: &Options) -> Outcome {
    closing.step("tests", || {
        let located = OneCrate::locate(name).and_then(|one_crate| {
            one_crate.set_up()?;
            Ok(one_crate)
        });
        match located {
            Ok(one_crate) => counted(|| one_crate.run(options)),
            Err(error) => (Count::of_check(false), Err(error)),
        }
    });
    ended(&closing)
}

fn ended(closing: &Closing) -> Outcome {
    println!("{closing}");
    if closing.is_green() {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}

fn check(closing: &mut Closing, name: &'static str, run: impl FnOnce() -> Result<()>) {
    closing.step(name, || {
        let result = run();
        (Count::of_check(result.is_ok()), result)
    });
}

fn tidy() -> Result<()> {
    match tidy::run(&tidy::TidyMode::Check)? {
        Outcome::Done => Ok(()),
        Outcome::Refused => bail!("see above"),
    }
}

fn routes() -> Result<()> {
    match routes::run()? {
        Outcome::Done => Ok(()),
        Outcome::Refused => bail!("see above"),
    }
}

fn web() -> Result<()> {
    match web::run(web::WebMode::Check)? {
        Outcome::Done => Ok(()),
        Outcome::Refused => bail!("see above"),
    }
}

fn tests(options: &Options) -> (Count, Result<()>) {
    counted(|| run_tests(options))
}

/// Runs the runner of the tests and reads from its report how many there were.
fn counted(run: impl FnOnce() -> Result<()>) -> (Count, Result<()>) {
    // Where the runner's configuration says that its report goes.
    let report = root().join("target/nextest/default/junit.xml");
    let _ = fs::remove_file(&report);
    let result = run();
    let report = fs::read_to_string(&report).unwrap_or_default();
    let count = Count::of_report(&report).unwrap_or_default();
    (count.or_one_failure(result.is_err()), result)
}

fn run_tests(options: &Options) -> Result<()> {
    let servers = TestServers::start(NeededServers::ALL)?;
    let references = Scratch::new("snapshots");
    let rows = invariants::rows_file(&root());
    // Cargo's own folder may be elsewhere. Each proof adds its rows.
    fs::create_dir_all(root().join("target"))?;
    let _ = fs::remove_file(&rows);
    // Clippy has looked at the examples, and no test runs one.
    let mut nextest =
        cargo_command("nextest run --locked --workspace --all-features --lib --bins --tests");
    nextest.args(&options.filters);
    nextest.args(["--test-threads", &test_threads().to_string()]);
    nextest
        .env("INSTA_UPDATE", "no")
        .env(snapshots::REFERENCES_VARIABLE, &references.0)
        .env(invariants::ROWS_VARIABLE, &rows);
    process::run(servers.announce_to(&mut nextest))?;
    if options.filters.is_empty() {
        invariants::expect_all(&invariants::read_rows(&rows)?)?;
        let unused = snapshots::unreferenced(&root(), &references.0)?;
        for snapshot in &unused {
            eprintln!(
                "{}: no test compares with this snapshot: remove it",
                snapshot.display()
            );
        }
        if !unused.is_empty() {
            bail!("{} unreferenced snapshots", unused.len());
        }
    }
    Ok(())
}

/// Tests at once: two for each core, as most of them wait for a server, a timer or another process.
fn test_threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Has `cargo doc` take what Clippy made of the crates that it only reads, and not check each of them a second time. Where
/// Cargo knows nothing of that it checks them, and all is as well.
fn read_as_clippy(doc: &mut Command) -> Result<()> {
    let printed = process::output(command("rustc").args(["--print", "sysroot"]))?;
    let sysroot = String::from_utf8(printed.stdout)?;
    let driver = Path::new(sysroot.trim()).join("bin/clippy-driver");
    doc.env("RUSTC_WORKSPACE_WRAPPER", driver);
    doc.env("CLIPPY_ARGS", CLIPPY_ARGUMENTS);
    Ok(())
}

/// Asks every operation of the API as every kind of caller, and prints the table.
///
/// # Errors
/// When somebody got what is not theirs.
pub(crate) fn run_matrix() -> Result<Outcome> {
    setup::tests()?;
    let servers = TestServers::start(NeededServers::ALL)?;
    let mut nextest = cargo_command("nextest run --locked --workspace --all-features");
    nextest.args([
        "--no-capture",
        "-E",
        "package(omoi-server) & test(/^matrix::/)",
    ]);
    process::run(servers.announce_to(&mut nextest))?;
    Ok(Outcome::Done)
}

/// A temporary file that others write; dropping it removes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(temporary_folder().join(format!("omoios-{name}-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn doc_tests() -> (Count, Result<()>) {
    // With the features of the other tests: nothing is compiled a second time.
    let mut doc_tests =
        cargo_command("test --locked --workspace --all-features --doc --quiet --no-fail-fast");
    let output = match doc_tests.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(error) => return (Count::of_check(false), Err(error.into())),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let count = Count::of_doc_tests(&said);
    if output.status.success() {
        return (count, Ok(()));
    }
    print!("{said}");
    let error = anyhow!("`cargo test --doc` ended with {}", output.status);
    (count.or_one_failure(true), Err(error))
}

fn cargo(arguments: &str) -> Result<()> {
    process::run(&mut cargo_command(arguments))
}

/// Cargo in the top folder; no argument holds a space.
fn cargo_command(arguments: &str) -> Command {
    let mut cargo = command("cargo");
    cargo.args(arguments.split(' ')).current_dir(root());
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let parse = |line: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Options::parse(&arguments)
        };
        let read = |line: &str| {
            let options = parse(line)?;
            Ok::<_, String>((options.fast, options.package, options.filters))
        };
        let store = Some("omoi-store".to_owned());
        assert_eq!(read(""), Ok((false, None, vec![])));
        assert_eq!(
            read("--fast a b"),
            Ok((true, None, vec!["a".into(), "b".into()]))
        );
        assert_eq!(
            read("-p omoi-store claim"),
            Ok((false, store, vec!["claim".into()]))
        );
        assert!(parse("-p").is_err() && parse("--quick").is_err());
    }
}
