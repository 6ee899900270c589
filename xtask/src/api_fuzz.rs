//! `cargo xtask fuzz api`: schemathesis asks a running server everything that its OpenAPI file allows, and more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use xtask::host::temporary_folder;
use xtask::process::{self, command};
use xtask::registry_tools::schemathesis_folder;

use crate::running_server::RunningServer;
use crate::{Outcome, root, setup};

/// How long and how hard is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiFuzz {
    /// Cases per operation and phase.
    pub(crate) examples: u32,
    /// Goes on for this long; until the cases are used up without it.
    pub(crate) minutes: Option<u64>,
    /// The same cases for the same number.
    pub(crate) seed: u64,
}

/// Read by schemathesis in its folder. The token comes by a variable: arguments are there for every user to see.
///
/// What no schema can say is no failure: a cursor is one that a page gave, a path leads to a repository of this machine, a
/// host pattern is one, and a reference to a task is none to a spec.
const CONFIG: &str = r#"[headers]
Authorization = "Bearer ${OMOI_FUZZ_TOKEN}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 429, "5xx"]

[[operations]]
include-path-regex = "/(trust|setup|launch|resolve|admin/egress|messages)$"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 422, 429, "5xx"]
"#;

/// Asks a server on a data folder of its own, in which a demo has left rows to find.
pub(crate) fn run(fuzz: ApiFuzz) -> Result<Outcome> {
    setup::program()?;
    setup::schemathesis()?;
    process::run(
        command("cargo")
            .args(["build", "--locked", "--package", "omoi"])
            .current_dir(root()),
    )?;
    let scratch = FuzzFolder::new()?;
    let asked = scratch.ask_server(fuzz);
    match &asked {
        Ok(Outcome::Done) => fs::remove_dir_all(&scratch.folder)
            .with_context(|| format!("could not remove {}", scratch.folder.display()))?,
        // What it said is read after a failure.
        _ => eprintln!("kept: {}", scratch.folder.display()),
    }
    asked
}

/// Where the data and the logs of one run lie.
struct FuzzFolder {
    program: PathBuf,
    folder: PathBuf,
}

impl FuzzFolder {
    fn new() -> Result<Self> {
        // Cargo puts both programs of the workspace into the same folder.
        let own = std::env::current_exe().context("could not find the build folder")?;
        let folder = temporary_folder().join(format!("omoios-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        Ok(Self {
            program: own.with_file_name("omoi"),
            folder,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn omoi(&self) -> std::process::Command {
        let mut omoi = command(&self.program);
        omoi.env("OMOI_DATA_DIR", self.data());
        omoi
    }

    fn ask_server(&self, fuzz: ApiFuzz) -> Result<Outcome> {
        process::output(self.omoi().args(["demo", "--json"]).stdin(Stdio::null()))
            .context("there is nothing to ask about without the demo")?;
        let log = self.folder.join("server.log");
        let server = RunningServer::start(self.omoi(), &log)?;
        let token = fs::read_to_string(self.data().join("token"))
            .context("could not read the token of the data folder")?;
        let asked = self.ask(&server, token.trim(), fuzz);
        drop(server);
        let found = read_log(&log)?;
        for line in &found {
            eprintln!("{line}");
        }
        match asked {
            Ok(()) if found.is_empty() => Ok(Outcome::Done),
            Ok(()) => bail!("the server told of {} failures", found.len()),
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(Outcome::Refused)
            }
        }
    }

    fn ask(&self, server: &RunningServer, token: &str, fuzz: ApiFuzz) -> Result<()> {
        let modules = schemathesis_folder()?;
        self.write_config()?;
        let mut ask = command("python3");
        ask.current_dir(&self.folder)
            .env("PYTHONPATH", &modules)
            .env("OMOI_FUZZ_TOKEN", token)
            .arg(modules.join("bin/schemathesis"))
            .args(["run", "--checks", "all", "--no-color", "--seed"])
            .arg(fuzz.seed.to_string())
            .args(["--max-examples", &fuzz.examples.to_string()])
            .args(["--generation-database", "none", "--request-timeout", "20"]);
        if let Some(minutes) = fuzz.minutes {
            ask.args(["--max-time", &(minutes * 60).to_string()]);
        }
        process::run(ask.arg(format!("http://{}/openapi.json", server.address)))
            .context("the API does not answer as its description says")
    }

    #[expect(clippy::disallowed_methods, reason = "a file in a folder of this run")]
    fn write_config(&self) -> Result<()> {
        let file = self.folder.join("schemathesis.toml");
        fs::write(&file, CONFIG).with_context(|| format!("could not write {}", file.display()))
    }
}

/// Lines of the server's log that no request may cause.
fn read_log(log: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(log).with_context(|| format!("could not read {}", log.display()))?;
    let is_failure = |line: &&str| line.contains("panicked at") || line.contains(" ERROR ");
    Ok(text.lines().filter(is_failure).map(str::to_owned).collect())
}
