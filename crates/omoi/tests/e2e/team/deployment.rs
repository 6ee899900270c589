//! A team's deployment: two processes that answer people and one that does the work, on PostgreSQL, Redis and a mail server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use omoi_testkit::mail_sink::mail_sink;
use omoi_testkit::{postgres, redis};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::binary::{Running, Said, omoi, start_reading};
use crate::processes::{address, started};
use crate::remote::git;
use crate::sign_in::ask_with_headers;
use crate::world::World;

pub(crate) const PASSWORD: &str = "Opal-Harbour-7";
/// Time between two looks at what comes by itself.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// Looks at one thing.
pub(crate) const LOOKS_MAX: usize = 900;

/// The processes of a deployment, and the folder of the people who use it.
pub(crate) struct TeamDeployment {
    pub(crate) world: World,
    /// Ports of the two processes that answer people.
    pub(crate) ports: [String; 2],
    /// Port at which the one that does the work answers probes.
    pub(crate) probe_port: String,
    _processes: [Running; 3],
    password: PathBuf,
    mail_marker: String,
}

/// Somebody with an address, a machine and a clone of the repository.
pub(crate) struct TeamPerson {
    pub(crate) name: &'static str,
    pub(crate) mail: String,
    home: PathBuf,
    pub(crate) clone: PathBuf,
    /// Where their requests come from, as the proxy says.
    address: &'static str,
}

impl TeamDeployment {
    /// Starts it with a new database, on one data folder.
    pub(crate) fn start() -> Self {
        Self::start_with("true")
    }

    /// The same, where somebody types faster than any person does.
    pub(crate) fn start_without_request_limits() -> Self {
        Self::start_with("false")
    }

    fn start_with(request_limits: &str) -> Self {
        let world = World::two_tasks("scenario.yaml");
        world.move_to(postgres::database());
        let password = world.beside("password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let prefix = redis::key_prefix();
        let serve = |roles: &str| {
            let mut serve = world.command(&["serve", "--roles", roles, "--json"]);
            set_up_team(&mut serve, &prefix);
            serve.env("SERVER_REQUEST_LIMITS", request_limits);
            serve
        };
        let mut doors = [0, 1].map(|_| {
            let mut serve = serve("api");
            serve.args(["--port", "0"]);
            world.start(serve)
        });
        let ports = doors.each_mut().map(|door| {
            let address = address(door).expect("no address");
            address.rsplit(':').next().unwrap().to_owned()
        });
        let mut work = world.start(world.simulated(serve("orchestrator")));
        let work_started = started(&mut work);
        assert_eq!(work_started["address"], Value::Null, "it answers no people");
        let probes = work_started["probes"].as_str().unwrap();
        let probe_port = probes.rsplit(':').next().unwrap().to_owned();
        let [one, two] = doors;
        Self {
            ports,
            probe_port,
            _processes: [one, two, work],
            password,
            mail_marker: Uuid::now_v7().simple().to_string(),
            world,
        }
    }

    /// Somebody new, with a machine and a clone of the repository of their own.
    pub(crate) fn person(&self, name: &'static str, address: &'static str) -> TeamPerson {
        let home = self.world.beside(&format!("home-{name}"));
        fs::create_dir(&home).unwrap();
        let clone = self.world.beside(&format!("clones-{name}/todo"));
        let from = self.world.repo.path().to_str().unwrap();
        let mut cloned = Command::new("git");
        cloned.args(["clone", "--quiet", from]).arg(&clone);
        assert!(cloned.status().unwrap().success());
        TeamPerson {
            name,
            // All tests share the server of mails.
            mail: format!("{name}-{}@example.org", self.mail_marker),
            home,
            clone,
            address,
        }
    }

    /// What one of the two processes answers to a person, or to nobody that it knows.
    pub(crate) fn ask(
        &self,
        (door, person): (usize, &TeamPerson),
        route: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut headers = format!("x-forwarded-for: {}\r\n", person.address);
        if let Some(token) = token {
            headers.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        ask_with_headers(&self.ports[door], route, &headers, body)
    }

    /// The token of the newest link to `page` that came to a person by mail.
    pub(crate) fn mailed_token(&self, person: &TeamPerson, page: &str) -> String {
        let mark = format!("https://omoi.example.org/{page}#");
        for _ in 0..LOOKS_MAX {
            let mails = mail_sink().mails_to(&person.mail);
            // Long lines of a mail are folded.
            let unfolded = mails.iter().rev().map(|mail| mail.replace("=\n", ""));
            let mut found = unfolded.filter_map(|mail| {
                let (_, rest) = mail.split_once(&mark)?;
                let is_token = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
                Some(rest.chars().take_while(is_token).collect::<String>())
            });
            if let Some(token) = found.next() {
                return token;
            }
            std::thread::sleep(LOOK);
        }
        panic!("no mail with a link to {page} came to {}", person.mail);
    }

    /// Registers somebody, who shows by the link of the mail that the address is theirs.
    pub(crate) fn register(&self, person: &TeamPerson) {
        let body = json!({ "email": person.mail, "password": PASSWORD, "full_name": person.name });
        let (status, told) = self.ask((0, person), "POST /api/v1/auth/register", None, Some(&body));
        assert_eq!(status, 202, "{told}");
        let body = json!({ "token": self.mailed_token(person, "verify") });
        let verify = "POST /api/v1/auth/verify-email";
        let (status, told) = self.ask((1, person), verify, None, Some(&body));
        assert!(status < 300, "{status} {told}");
    }

    /// Signs somebody in by their password; gives the access token.
    pub(crate) fn sign_in(&self, person: &TeamPerson) -> String {
        let body = json!({ "email": person.mail, "password": PASSWORD });
        let (status, pair) = self.ask((0, person), "POST /api/v1/auth/login", None, Some(&body));
        assert_eq!(status, 200, "{pair}");
        pair["access_token"].as_str().unwrap().to_owned()
    }

    /// The address of one of the two processes.
    pub(crate) fn url(&self, door: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[door])
    }

    /// The program on the machine of `person`, typed in `folder`.
    pub(crate) fn command(&self, person: &TeamPerson, folder: &Path, words: &[&str]) -> Command {
        let mut command = omoi(&person.home);
        command.args(words).current_dir(folder);
        command.stdin(Stdio::from(File::open(&self.password).unwrap()));
        command
    }

    /// What the program says to `person`, typed in their clone.
    pub(crate) fn omoi(&self, person: &TeamPerson, words: &[&str]) -> Said {
        let command = self.command(person, &person.clone, words);
        let said = self.world.beside(&format!("said-{}", person.name));
        start_reading(command, said).wait()
    }

    /// The same, as JSON.
    pub(crate) fn told(&self, person: &TeamPerson, words: &[&str]) -> Value {
        let said = self.omoi(person, &[words, &["--json"]].concat()).exited(0);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// The same, where it is refused with `code`.
    #[track_caller]
    pub(crate) fn refused(&self, person: &TeamPerson, words: &[&str], code: &str) {
        let said = self.omoi(person, &[words, &["--json"]].concat());
        let told: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        let is_refused = said.status.code() != Some(0) && told["error"] == code;
        assert!(is_refused, "{words:?} is not refused as {code}: {told}");
    }
}

impl TeamPerson {
    /// The key that `omoi login` stored on their machine.
    pub(crate) fn stored_key(&self, profile: &str) -> String {
        let path = format!(".config/omoios/credentials/{profile}");
        let stored = fs::read(self.home.join(path)).unwrap();
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        stored["key"].as_str().unwrap().to_owned()
    }

    /// What git says in their clone.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        git(&self.clone, words)
    }
}

/// What every process of a team's deployment is told.
fn set_up_team(serve: &mut Command, prefix: &str) {
    let sink = mail_sink();
    let values = [
        ("SERVER_MODE", "team"),
        ("SERVER_PUBLIC_URL", "https://omoi.example.org"),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.1"),
        ("AUTH_KEYS", "k1:kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd"),
        ("ACCOUNTS_REGISTRATION", "open"),
        ("REDIS_URL", redis::url()),
        ("REDIS_KEY_PREFIX", prefix),
        ("OMOI_MAIL_HOST", &sink.host),
        ("OMOI_MAIL_PORT", &sink.port.to_string()),
        ("OMOI_MAIL_USER", &sink.user),
        ("OMOI_MAIL_PASSWORD", &sink.password),
        ("OMOI_MAIL_FROM", "omoi@example.org"),
    ];
    for (name, value) in values {
        serve.env(name, value);
    }
    serve.env("OMOI_MAIL_CA_FILE", sink.certificate_file());
}
