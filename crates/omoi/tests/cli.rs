#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]
//! The command line as people and scripts meet it: the whole program, run from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::{Settings, assert_json_snapshot, assert_snapshot};
use omoi_testkit::repo::TestRepo;
use serde_json::Value;
use tempfile::TempDir;

#[path = "cli/agents.rs"]
mod agents;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/servers.rs"]
mod servers;
#[path = "cli/start_refusals.rs"]
mod start_refusals;
#[path = "cli/subscription.rs"]
mod subscription;

/// A home folder with nothing in it.
struct Home(TempDir);

/// What a program said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn omoi(&self, arguments: &[&str]) -> Said {
        self.omoi_with(&[], arguments)
    }

    /// Runs the program in an environment that holds nothing of who runs the tests.
    fn omoi_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_omoi"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    fn all(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.out, self.err
        )
    }
}

/// Snapshots without what differs from machine to machine.
fn steady(home: &Home, repo: Option<&TestRepo>) -> Settings {
    let mut settings = Settings::clone_current();
    let canonical = home.path().canonicalize().unwrap();
    for path in [home.path(), &canonical] {
        settings.add_filter(&literal(path), "[home]");
    }
    if let Some(repo) = repo {
        settings.add_filter(&literal(repo.path()), "[repo]");
        settings.add_filter(&literal(&repo.path().canonicalize().unwrap()), "[repo]");
    }
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
    settings
}

/// `path` as a pattern that means just that.
fn literal(path: &Path) -> String {
    let text = path.to_str().unwrap();
    text.chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '/' {
                c.to_string()
            } else {
                format!("\\{c}")
            }
        })
        .collect()
}

/// Every command whose help is looked at.
const COMMANDS: &[&str] = &[
    "",
    "run",
    "demo",
    "up",
    "serve",
    "spec",
    "spec list",
    "spec show",
    "spec export",
    "spec approve",
    "spec resume",
    "spec cancel",
    "ticket",
    "ticket create",
    "ticket list",
    "ticket show",
    "ticket move",
    "ticket block",
    "ticket unblock",
    "ticket approve",
    "ticket reject",
    "ticket comment",
    "board",
    "approvals",
    "project",
    "project list",
    "project show",
    "project create",
    "project set",
    "project archive",
    "project restore",
    "task",
    "task list",
    "task show",
    "task retry",
    "task cancel",
    "logs",
    "steer",
    "thread",
    "thread list",
    "thread show",
    "thread send",
    "thread close",
    "trace",
    "doctor",
    "models",
    "models list",
    "models try",
    "models set",
    "setup",
    "sandbox",
    "sandbox probe",
    "sandbox shell",
    "agents",
    "agents available",
    "agents install",
    "agents list",
    "agents remove",
    "scenario",
    "scenario new",
    "scenario reference",
    "db",
    "db migrate",
    "db status",
    "login",
    "logout",
    "whoami",
    "open",
    "profile",
    "profile list",
    "profile use",
    "org",
    "org list",
    "org show",
    "org create",
    "org use",
    "org members",
    "org roles",
    "org invite",
    "org invitations",
    "org uninvite",
    "org role",
    "org remove",
    "org provider-key",
    "org provider-key set",
    "org provider-key list",
    "org provider-key remove",
    "org archive",
    "org restore",
    "key",
    "key create",
    "key list",
    "key revoke",
    "config",
    "config show",
    "completions",
];

#[test]
fn every_command_teaches() {
    let home = Home::new();
    for command in COMMANDS.iter().copied() {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let said = home.omoi(&arguments);
        assert_eq!(said.code, 0, "{command}: {}", said.err);
        let has_examples = said.out.contains("Examples:");
        let is_group = [
            "spec",
            "ticket",
            "task",
            "models",
            "agents",
            "sandbox",
            "scenario",
            "db",
            "config",
            "profile",
            "project",
            "org",
            "org provider-key",
            "key",
            "thread",
        ]
        .contains(&command);
        assert!(has_examples || is_group, "{command} shows no example");
        let name = format!("help_{}", command.replace(' ', "_"));
        // What every command takes is shown once, with the program's own help.
        let own = match command {
            "" => said.out.as_str(),
            _ => said.out.split("Everywhere:").next().unwrap(),
        };
        assert_snapshot!(name, own);
    }
}

#[test]
fn bad_usage_exits_2() {
    let home = Home::new();
    for arguments in [
        &["fly"][..],
        &["run"],
        &["run", "idea", "--idea-file", "x"],
        &["spec", "show"],
        &["serve"],
        &["serve", "--roles", "king"],
        &["run", "idea", "--scenario", "s.yaml"],
        &["run", "  ", "--repo", "."],
        &["serve", "--roles", "api"],
        &["project", "create"],
        &["project", "create", "x", "--repo", "."],
        &["key", "create", "x", "--role", "member", "--agent-of", "y"],
        &["key", "create", "x", "--scope", "no:such"],
    ] {
        let said = home.omoi(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.err);
        assert!(
            said.out.is_empty() && said.err.starts_with("error:"),
            "{arguments:?}: {}",
            said.err
        );
    }
}

#[test]
fn an_empty_data_folder_has_nothing_to_show() {
    let home = Home::new();
    steady(&home, None).bind(|| {
        for (name, arguments) in [
            ("empty_spec_list", &["spec", "list"][..]),
            ("empty_task_list", &["task", "list"]),
            ("empty_spec_list_json", &["spec", "list", "--json"]),
            ("empty_task_list_json", &["task", "list", "--json"]),
            ("no_such_spec_json", &["trace", "SPEC-9", "--json"]),
            ("no_such_spec", &["spec", "show", "SPEC-9"]),
            ("not_a_spec", &["trace", "nine"]),
            ("no_such_task", &["logs", "TSK-009"]),
            (
                "no_matching_log_line",
                &["logs", "--system", "--request", "nothing"],
            ),
            ("nobody_to_steer", &["steer", "TSK-009", "hello"]),
            ("empty_project_list", &["project", "list"]),
            ("empty_key_list", &["key", "list"]),
            ("no_such_project", &["project", "show", "nothing"]),
            ("one_organisation", &["org", "list"]),
            ("no_second_organisation", &["org", "create", "acme"]),
            ("no_such_organisation", &["spec", "list", "--org", "acme"]),
            ("nobody_to_ask", &["thread", "send", "TSK-009", "hello"]),
            (
                "no_such_thread",
                &["thread", "show", "01930000-0000-7000-8000-0000000000ff"],
            ),
            ("db_status", &["db", "status"]),
            ("db_status_json", &["db", "status", "--json"]),
            ("db_migrate", &["db", "migrate"]),
        ] {
            assert_snapshot!(name, home.omoi(arguments).all());
        }
    });
}

#[test]
fn configuration_is_shown_with_its_places_and_without_its_secrets() {
    let home = Home::new();
    let file = home.file("mine.yaml", "limits:\n  max_concurrent_agents: 3\n");
    let variables = [
        ("ANTHROPIC_API_KEY", "sk-very-secret"),
        ("LLM_MODEL", "m-1"),
    ];
    let said = home.omoi_with(
        &variables,
        &[
            "config",
            "show",
            "--config",
            file.to_str().unwrap(),
            "--data-dir",
            "data",
        ],
    );
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.all().contains("very-secret"));
    let wanted = [
        "data.dir",
        "llm.model ",
        "max_concurrent_agents",
        "anthropic.api_key",
    ];
    let lines: Vec<&str> = said
        .out
        .lines()
        .filter(|line| wanted.iter().any(|key| line.contains(key)))
        .collect();
    steady(&home, None).bind(|| assert_snapshot!("config_show", lines.join("\n")));
    let json: Value = serde_json::from_str(&home.omoi(&["config", "show", "--json"]).out).unwrap();
    let keys = json["keys"].as_array().unwrap();
    assert!(keys.len() > 50);
    let shown = |name: &&Value| {
        wanted
            .iter()
            .any(|key| name["key"].as_str().unwrap().contains(key.trim()))
    };
    let shown: Vec<_> = keys.iter().filter(shown).collect();
    steady(&home, None).bind(|| assert_json_snapshot!("config_show_json", shown));
}

#[test]
fn the_doctor_looks_at_everything_and_asks_nobody_offline() {
    let home = Home::new();
    let said = home.omoi(&["doctor", "--offline", "--json"]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    let findings = json["findings"].as_array().unwrap();
    for area in [
        "model", "agents", "sandbox", "database", "git", "disk", "files",
    ] {
        assert!(
            findings.iter().any(|found| found["area"] == area),
            "{area}: {json:#}"
        );
    }
    let of_model: Vec<_> = findings
        .iter()
        .filter(|found| found["area"] == "model")
        .collect();
    steady(&home, None).bind(|| assert_json_snapshot!("doctor_json_model", of_model));
    let missing: Vec<_> = findings
        .iter()
        .filter(|found| found["mark"] == "missing")
        .collect();
    assert_eq!(json["ready"], missing.is_empty());
    assert_eq!(said.code, 1, "no run can start without a model: {json:#}");
    assert!(
        missing.iter().any(|found| found["area"] == "model"),
        "{missing:#?}"
    );
    let next = missing[0]["next"].as_str().unwrap();
    assert!(
        next.contains("ANTHROPIC_API_KEY") && next.contains("OPENAI_API_KEY"),
        "{next}"
    );

    let with_key = [("ANTHROPIC_API_KEY", "sk-very-secret")];
    let said = home.omoi_with(&with_key, &["doctor", "--offline", "--json"]);
    let origin = "with the key of environment variable ANTHROPIC_API_KEY";
    assert!(said.out.contains(origin), "{}", said.out);
    assert!(said.out.contains("not tried (--offline)"), "{}", said.out);
    assert!(!said.all().contains("very-secret"));
}

#[test]
fn completions_name_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = home.omoi(&["completions", shell]);
        assert_eq!(said.code, 0, "{}", said.err);
        for word in ["run", "trace", "doctor", "steer"] {
            assert!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn colour_is_shown_only_where_it_was_asked_for() {
    let home = Home::new();
    let coloured = |variables: &[(&str, &str)], when: &str| {
        home.omoi_with(variables, &["doctor", "--offline", "--color", when])
            .out
            .contains('\u{1b}')
    };
    assert!(coloured(&[], "always"));
    assert!(!coloured(&[], "auto"), "a pipe is no terminal");
    assert!(!coloured(&[], "never"));
}

#[test]
fn the_page_about_scenarios_is_what_the_program_prints() {
    let home = Home::new();
    let said = home.omoi(&["scenario", "reference"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenario-format.md");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        let text = fs::read_to_string(&page).unwrap();
        let (kept, _) = text.split_once("by `omoi scenario reference`.\n").unwrap();
        let whole = format!("{kept}by `omoi scenario reference`.\n\n{}", said.out);
        fs::write(&page, whole).unwrap();
    }
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.ends_with(&said.out),
        "print it anew: omoi scenario reference"
    );
}

#[test]
fn errors_are_objects_for_scripts() {
    let home = Home::new();
    for (arguments, code) in [
        (&["spec", "show", "SPEC-9", "--json"][..], "not_found"),
        (&["spec", "show", "nonsense", "--json"], "validation_failed"),
        (&["spec", "shwo", "--json"], "usage"),
        (&["run", "--json"], "usage"),
        (&["run", "an idea", "--json"], "usage"),
        (
            &["config", "show", "--config", "none.yaml", "--json"],
            "usage",
        ),
    ] {
        let said = home.omoi(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.all());
        assert_eq!(said.err, "", "{arguments:?}");
        let error: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["error"], code, "{arguments:?}: {error}");
        assert_eq!(error["exit_code"], 2, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
    }
    let help = home.omoi(&["spec", "--help", "--json"]);
    assert!(
        help.code == 0 && help.out.contains("Usage:"),
        "{}",
        help.all()
    );
}

#[test]
fn a_configuration_fits_the_page() {
    let home = Home::new();
    let deep = home.path().join("a-folder-with-a-long-name/".repeat(4));
    let data = deep.to_str().unwrap();
    let said = home.omoi(&["config", "show", "--data-dir", data]);
    assert_eq!(said.code, 0, "{}", said.err);
    for line in said.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
