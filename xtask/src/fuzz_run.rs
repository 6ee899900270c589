//! `cargo xtask fuzz`: the parsers held against changed inputs for minutes.

use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use xtask::fuzz::{SECONDS_VARIABLE, SEED_VARIABLE};
use xtask::process::{self, command};

use crate::api_fuzz::{self, ApiFuzz};
use crate::{Outcome, root};

/// Crates with targets: tests of modules named `fuzz`, whose inputs lie in `tests/inputs` of the crate.
const CRATES: [&str; 7] = [
    "omoi-agent",
    "omoi-egress",
    "omoi-git",
    "omoi-llm",
    "omoi-programs",
    "omoi-repository-map",
    "omoi-sandbox",
];
const MINUTES: u64 = 1;
/// The target that is no parser.
const API: &str = "api";
/// Cases per operation of the API.
const API_EXAMPLES: u32 = 1_000;

/// What `cargo xtask fuzz` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FuzzOptions {
    /// As long as [`MINUTES`] when none are named, but for the API, which has an end of its own.
    minutes: Option<u64>,
    seed: Option<u64>,
    target: Option<String>,
}

impl FuzzOptions {
    /// Reads the arguments after `fuzz`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            minutes: None,
            seed: None,
            target: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let value = arguments.next().and_then(|value| value.parse().ok());
                value.ok_or_else(|| format!("`{argument}` needs a number"))
            };
            match argument.as_str() {
                "--minutes" => options.minutes = Some(number()?),
                "--seed" => options.seed = Some(number()?),
                flag if flag.starts_with('-') => {
                    return Err(format!("`fuzz` has no option `{flag}`"));
                }
                _ if options.target.is_some() => return Err("`fuzz` takes one target".to_owned()),
                target => options.target = Some(target.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Runs the targets, also after one failed.
pub(crate) fn run(options: &FuzzOptions) -> Result<Outcome> {
    let seed = options.seed.map_or_else(seed_of_now, Ok)?;
    let target = options.target.as_deref();
    if target == Some(API) {
        return api_fuzz::run(ApiFuzz {
            examples: API_EXAMPLES,
            minutes: options.minutes,
            seed,
        });
    }
    let minutes = options.minutes.unwrap_or(MINUTES);
    eprintln!("each target goes on for {minutes} min from seed {seed}");
    let filter = format!("fuzz::{}", target.unwrap_or_default());
    let mut cargo = command("cargo");
    cargo.args(["test", "--locked", "--no-fail-fast", "--all-features"]);
    for name in CRATES {
        cargo.args(["--package", name]);
    }
    cargo
        // One at a time: what an input takes of memory is measured of the process.
        .args(["--lib", "--tests", "--", "--nocapture", "--test-threads=1"])
        .arg(filter)
        .env(SECONDS_VARIABLE, (minutes * 60).to_string())
        .env(SEED_VARIABLE, seed.to_string())
        .current_dir(root());
    process::run(&mut cargo)
        .context("a target failed; what it failed on is kept among its inputs")?;
    Ok(Outcome::Done)
}

/// Another number for every run, which the run prints.
#[expect(clippy::disallowed_methods, reason = "each run takes other changes")]
fn seed_of_now() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(now.context("the clock stands before 1970")?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let parse = |line: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
            FuzzOptions::parse(&arguments)
        };
        let options = FuzzOptions {
            minutes: Some(5),
            seed: Some(7),
            target: Some("edit_text".to_owned()),
        };
        assert_eq!(parse("--minutes 5 edit_text --seed 7"), Ok(options));
        assert_eq!(parse("").map(|options| options.minutes), Ok(None));
        for wrong in ["--minutes", "--minutes x", "--long", "a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
