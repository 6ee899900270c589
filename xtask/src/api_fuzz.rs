//! `cargo xtask fuzz api`: schemathesis asks a running server everything that its OpenAPI file allows, and more.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use xtask::host::temporary_folder;
use xtask::process::{self, command};
use xtask::registry_tools::schemathesis_folder;

use crate::running_server::RunningServer;
use crate::test_servers::{NeededServers, TestServers};
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
/// What no schema can say is no failure: a body that fits its schema names rows that are not there, a version that is not the
/// newest, fields that do not go together, a path without a repository. A stream of events ends where nothing is left to tell,
/// a socket begins with an upgrade, whoever asks a provider too often is told so before anything else, a graph is drawn as
/// text for those who ask for `format=dot`, and workers once sent their events to a path that lists them now. An address that
/// is too long is refused before what it says is looked at, and an account locks after many wrong passwords.
///
/// `ignored_auth` tries a wrong token on every operation, more of them than one address may try a minute. The tests of
/// `omoi-server` try 20 bad credentials on each operation instead.
const CONFIG: &str = r#"[headers]
Authorization = "Bearer ${OMOI_FUZZ_TOKEN}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 422, 423, 428, 429, "5xx"]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 414, 415, 422, 428, 429, "5xx"]

[checks.ignored_auth]
enabled = false

[[operations]]
include-path = "/api/v1/events/stream"
max-stream-events = 1
parameters = { once = true }

[[operations]]
include-path = "/api/v1/ws/events"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 422, 426, 428, 429, "5xx"]

[[operations]]
include-path-regex = "/auth/oauth/"

[operations.checks.missing_required_header]
expected-statuses = [401, 403, 406, 422, 429]

[[operations]]
include-path-regex = "/graph/dependency-graph/"

[operations.checks.content_type_conformance]
enabled = false

[[operations]]
include-path = "/api/v1/sandboxes/{sandbox_id}/events"

[operations.checks.unsupported_method]
enabled = false
"#;

/// The OpenID provider that stands for Google, and nothing else.
const PROVIDER: NeededServers = NeededServers {
    openid: true,
    ..NeededServers::NONE
};

/// What a test run pays for: 20 cases an operation, the same ones each time.
const TEST_RUN: ApiFuzz = ApiFuzz {
    examples: 20,
    minutes: None,
    seed: 1,
};

/// Asks the program that the tests were built with.
///
/// # Errors
/// When something is answered otherwise than described, and when a server's log tells of a failure.
pub(crate) fn check_built() -> Result<()> {
    match ask_program(TEST_RUN)? {
        Outcome::Done => Ok(()),
        Outcome::Refused => bail!("see above"),
    }
}

/// Builds the program and asks it.
pub(crate) fn run(fuzz: ApiFuzz) -> Result<Outcome> {
    setup::program()?;
    process::run(
        command("cargo")
            .args(["build", "--locked", "--package", "omoi"])
            .current_dir(root()),
    )?;
    ask_program(fuzz)
}

/// What is asked by one process, which has one core: what the description says, and what chance makes of it.
const HALVES: [(&str, &str); 2] = [
    ("described", "examples,coverage"),
    ("random", "fuzzing,stateful"),
];

/// Asks a server for each half, on a data folder of its own, in which a demo has left rows to find.
fn ask_program(fuzz: ApiFuzz) -> Result<Outcome> {
    setup::schemathesis()?;
    setup::servers(PROVIDER)?;
    let servers = TestServers::start(PROVIDER)?;
    let site = site_variables(&servers)?;
    let folder = temporary_folder().join(format!("omoios-fuzz-{}", std::process::id()));
    let asked: Vec<Result<()>> = std::thread::scope(|scope| {
        let (site, folder) = (&site, &folder);
        let halves = HALVES.map(|(name, phases)| {
            scope.spawn(move || FuzzHalf::new(folder, name, phases)?.ask_server(fuzz, site))
        });
        let asked = halves.into_iter().map(std::thread::ScopedJoinHandle::join);
        asked
            .map(|asked| asked.unwrap_or_else(|_| bail!("a half ended early")))
            .collect()
    });
    let mut outcome = Outcome::Done;
    for ((name, _), asked) in HALVES.into_iter().zip(asked) {
        if let Err(error) = asked {
            eprintln!("error: {name}: {error:#}");
            outcome = Outcome::Refused;
        }
    }
    match outcome {
        Outcome::Done => fs::remove_dir_all(&folder)
            .with_context(|| format!("could not remove {}", folder.display()))?,
        // What it said is read after a failure.
        Outcome::Refused => eprintln!("kept: {}", folder.display()),
    }
    Ok(outcome)
}

/// Where the data and the logs of one half lie.
struct FuzzHalf {
    program: PathBuf,
    folder: PathBuf,
    phases: &'static str,
}

impl FuzzHalf {
    fn new(all: &Path, name: &str, phases: &'static str) -> Result<Self> {
        // Cargo puts both programs of the workspace into the same folder.
        let own = std::env::current_exe().context("could not find the build folder")?;
        let folder = all.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        Ok(Self {
            program: own.with_file_name("omoi"),
            folder,
            phases,
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

    /// Asks one server all of this half.
    ///
    /// # Errors
    /// When something is answered otherwise than described, and when the server's log tells of a failure.
    fn ask_server(&self, fuzz: ApiFuzz, site: &[(&str, String)]) -> Result<()> {
        process::output(self.omoi().args(["demo", "--json"]).stdin(Stdio::null()))
            .context("there is nothing to ask about without the demo")?;
        let log = self.folder.join("server.log");
        let mut omoi = self.omoi();
        omoi.envs(site.iter().map(|(name, value)| (*name, value)));
        let server = RunningServer::start(omoi, &log)?;
        let token = fs::read_to_string(self.data().join("token"))
            .context("could not read the token of the data folder")?;
        let asked = self.ask(&server, token.trim(), fuzz);
        drop(server);
        let found = read_log(&log)?;
        for line in &found {
            eprintln!("{line}");
        }
        asked?;
        match found.len() {
            0 => Ok(()),
            n => bail!("the server told of {n} failures"),
        }
    }

    fn ask(&self, server: &RunningServer, token: &str, fuzz: ApiFuzz) -> Result<()> {
        let modules = schemathesis_folder()?;
        self.write_config()?;
        let told = self.folder.join("schemathesis.log");
        let mut ask = command("python3");
        ask.current_dir(&self.folder)
            .env("PYTHONPATH", &modules)
            .env("OMOI_FUZZ_TOKEN", token)
            .stdout(File::create(&told)?)
            .arg(modules.join("bin/schemathesis"))
            .args(["run", "--no-color", "--phases", self.phases, "--seed"])
            .arg(fuzz.seed.to_string())
            .args(["--max-examples", &fuzz.examples.to_string()])
            .args(["--generation-database", "none", "--request-timeout", "20"]);
        if let Some(minutes) = fuzz.minutes {
            ask.args(["--max-time", &(minutes * 60).to_string()]);
        }
        let asked = process::run(ask.arg(format!("http://{}/openapi.json", server.address)));
        let told = fs::read_to_string(told)?;
        match (&asked, told.find("= SUMMARY =")) {
            (Ok(()), Some(summary)) => println!("{}", &told[summary..]),
            _ => println!("{told}"),
        }
        asked.context("the API does not answer as its description says")
    }

    #[expect(clippy::disallowed_methods, reason = "a file in a folder of this run")]
    fn write_config(&self) -> Result<()> {
        let file = self.folder.join("schemathesis.toml");
        fs::write(&file, CONFIG).with_context(|| format!("could not write {}", file.display()))
    }
}

/// What a server has to know so that no operation answers that it is not set up: a mail server and GitHub, at a port where
/// nobody listens, and a provider that answers in place of Google.
fn site_variables(servers: &TestServers) -> Result<Vec<(&'static str, String)>> {
    let openid = servers.openid_url().context("no OpenID provider runs")?;
    let told = openid.strip_prefix("http://");
    let parts = told.and_then(|told| told.split_once('@'));
    let (client, address) = parts.context("the OpenID provider has no client")?;
    let (id, secret) = client.split_once(':').context("its client has no secret")?;
    Ok(vec![
        // The listener's bare answer to a head that is too large comes before the API.
        ("SERVER_HEAD_BYTES", "256KiB".to_owned()),
        ("SERVER_PUBLIC_URL", "http://127.0.0.1:9".to_owned()),
        ("OMOI_MAIL_HOST", "127.0.0.1".to_owned()),
        ("OMOI_MAIL_PORT", "9".to_owned()),
        ("OMOI_MAIL_TLS", "none".to_owned()),
        ("OMOI_MAIL_FROM", "omoi@example.org".to_owned()),
        ("OAUTH_GITHUB_CLIENT_ID", "omoi".to_owned()),
        ("OAUTH_GITHUB_CLIENT_SECRET", "omoi".to_owned()),
        ("OAUTH_GITHUB_TOKEN_URL", "http://127.0.0.1:9/".to_owned()),
        ("OAUTH_GITHUB_API_URL", "http://127.0.0.1:9/".to_owned()),
        ("OAUTH_GOOGLE_CLIENT_ID", id.to_owned()),
        ("OAUTH_GOOGLE_CLIENT_SECRET", secret.to_owned()),
        ("OAUTH_GOOGLE_ISSUER", format!("http://{address}")),
    ])
}

/// Lines of the server's log that no request may cause.
fn read_log(log: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(log).with_context(|| format!("could not read {}", log.display()))?;
    let is_failure = |line: &&str| line.contains("panicked at") || line.contains(" ERROR ");
    Ok(text.lines().filter(is_failure).map(str::to_owned).collect())
}
