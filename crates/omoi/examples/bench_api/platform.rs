//! The processes that are measured: `omoi up`, and the bare server.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use omoi_testkit::database::TestDatabase;
use omoi_testkit::postgres;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::Fallible;
use crate::load::KeptLine;

/// Who signs in.
pub(crate) const MAIL: &str = "ada@example.org";
pub(crate) const PASSWORD: &str = "Opal-Harbour-7";

/// `omoi up` on a data folder and a database of its own.
pub(crate) struct BenchedServer {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) database_url: String,
    /// A key that may read tickets and nothing else.
    pub(crate) key: String,
    /// The token of the data folder.
    pub(crate) token: String,
    _process: Child,
    _data: Arc<BenchedData>,
}

/// What several servers share.
#[derive(Clone, Default)]
pub(crate) struct ServeOptions {
    /// Address of Redis, and what keys begin with.
    pub(crate) redis: Option<(String, String)>,
}

/// The folder and the database of a server, or of several.
struct BenchedData {
    folder: TempDir,
    database: Option<TestDatabase>,
    url: String,
}

impl BenchedData {
    fn new(backend: &str) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let database = (backend == "postgres").then(postgres::database);
        let file = folder.path().join("data/omoios.db");
        let url = match &database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite://{}", file.display()),
        };
        Ok(Self {
            folder,
            database,
            url,
        })
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut omoi = Command::new(program);
        omoi.args(words).env_clear().kill_on_drop(true);
        omoi.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        omoi.env("HOME", self.folder.path());
        omoi.env("OMOI_DATA_DIR", self.folder.path().join("data"));
        // Who signs in comes from many addresses, which a proxy tells; a load is more than one caller may ask.
        omoi.env("SERVER_TRUSTED_PROXIES", "127.0.0.1");
        omoi.env("SERVER_REQUEST_LIMITS", "false");
        if let Some(database) = &self.database {
            omoi.env("DATABASE_URL", database.url());
        }
        omoi
    }
}

impl BenchedServer {
    /// `omoi up`, on a folder and a database of its own.
    pub(crate) async fn start(program: &Path, backend: &str) -> Fallible<Self> {
        let data = Arc::new(BenchedData::new(backend)?);
        run_to_end(data.command(program, &["db", "migrate"]), "").await?;
        run_to_end(
            data.command(program, &["admin", "add-user", MAIL]),
            PASSWORD,
        )
        .await?;
        let up = data.command(program, &["up", "--port", "0", "--json"]);
        Self::serve(up, data).await
    }

    /// Two processes that answer, on one folder and one database of PostgreSQL.
    pub(crate) async fn start_pair(program: &Path, options: &ServeOptions) -> Fallible<[Self; 2]> {
        let data = Arc::new(BenchedData::new("postgres")?);
        run_to_end(data.command(program, &["db", "migrate"]), "").await?;
        let serve = || {
            let words = ["serve", "--roles", "api", "--port", "0", "--json"];
            let mut serve = data.command(program, &words);
            if let Some((url, prefix)) = &options.redis {
                serve.env("REDIS_URL", url).env("REDIS_KEY_PREFIX", prefix);
            }
            Self::serve(serve, Arc::clone(&data))
        };
        Ok([serve().await?, serve().await?])
    }

    async fn serve(mut command: Command, data: Arc<BenchedData>) -> Fallible<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let started: Value = serde_json::from_str(&first_line(&mut process).await?)?;
        let address = started["address"].as_str().ok_or("no address")?;
        let token = std::fs::read_to_string(data.folder.path().join("data/token"))?;
        let mut server = Self {
            address: address.trim_start_matches("http://").to_owned(),
            database_url: data.url.clone(),
            key: String::new(),
            token: token.trim().to_owned(),
            _process: process,
            _data: data,
        };
        let new = json!({ "name": "bench", "scopes": ["ticket:read"] });
        let made = server.post_json("/auth/api-keys", &new).await?;
        server.key = made["key"].as_str().ok_or("no key")?.to_owned();
        Ok(server)
    }

    /// What the API answers to the person whose folder it is.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Fallible<Value> {
        let mut line = KeptLine::open(&self.address).await?;
        let request = self.post_request(path, body);
        let status = line.ask_once(request.as_bytes()).await?;
        let told: Value = serde_json::from_slice(&line.body)?;
        match status {
            200..300 => Ok(told),
            _ => Err(format!("{path} is answered {status}: {told}").into()),
        }
    }

    /// The text of such a request.
    pub(crate) fn post_request(&self, path: &str, body: &Value) -> String {
        let body = body.to_string();
        format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
    }
}

/// The bare server, in a process of its own as ours is.
pub(crate) struct BarePlatform {
    /// Host and port.
    pub(crate) address: String,
    _process: Child,
}

impl BarePlatform {
    /// One that lists the tickets of `project`.
    pub(crate) async fn start(database_url: &str, project: &str) -> Fallible<Self> {
        let mut bare = Command::new(std::env::current_exe()?);
        bare.args(["bare", database_url, project]);
        let mut process = bare.kill_on_drop(true).stdout(Stdio::piped()).spawn()?;
        Ok(Self {
            address: first_line(&mut process).await?.trim().to_owned(),
            _process: process,
        })
    }
}

async fn first_line(process: &mut Child) -> Fallible<String> {
    let out: ChildStdout = process.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).await?;
    match line.is_empty() {
        true => Err("a process ended before it served".into()),
        false => Ok(line),
    }
}

async fn run_to_end(mut command: Command, typed: &str) -> Fallible<()> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn()?;
    if let Some(mut input) = process.stdin.take() {
        input.write_all(typed.as_bytes()).await?;
    }
    let said = process.wait_with_output().await?;
    match said.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&said.stderr).into_owned().into()),
    }
}
