//! Agent programs that we did not write, at work for the simulated model: each does what a scenario says in
//! our words, and what it sends beyond the known is a list that a new release makes fail.
#![allow(
    clippy::disallowed_methods,
    reason = "the programs are what is tested, and their folders need no care"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::serve_scenario;
use omoi_llm::simulated::{RecordedRequest, RequestOutcome, RequestRecorder, SimulatedModel};
use omoi_testkit::agent_programs::installed_program;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// Every kind of action, in several turns, some of them in one answer.
const WORK: &str = r#"
version: 1
name: work of other programs
rules:
- name: look
  when: {role: implementer, turn: 0}
  reasoning: First I look.
  reply:
    - text: I look at the file and write another.
    - tool: {name: read, input: {path: seen.txt}}
    - tool: {name: write, input: {path: new/a.txt, content: "it's\nnew\n"}}
- name: change
  when: {role: implementer, turn: 1}
  reply:
    - tool: {name: edit, input: {path: seen.txt, old: "old", new: "new"}}
    - tool: {name: edit, input: {path: seen.txt, old: "text", new: "line"}}
    - tool: {name: shell, input: {command: "echo ran > ran.txt"}}
- name: overwrite
  when: {role: implementer, turn: 2}
  reply:
    - tool: {name: write, input: {path: unseen.txt, content: "written over, no last line end"}}
    - tool: {name: grep, input: {pattern: "n[e]w"}}
- name: end
  when: {role: implementer, turn: 3}
  reply: [{text: Done.}]
"#;

/// The header by which the gateway says who asks; here the programs send it themselves.
const ROLE: (&str, &str) = ("x-omoi-role", "implementer");

/// A simulated model of a scenario, for one test.
pub(crate) struct ServedScenario {
    pub(crate) base: String,
    pub(crate) recorder: RequestRecorder,
    _serving: JoinSet<std::io::Result<()>>,
}

impl ServedScenario {
    pub(crate) async fn start(scenario: &str) -> Self {
        let scenario = Scenario::read_from("s.yaml", &|_| Ok(scenario.as_bytes().to_vec()));
        let scenario = scenario.unwrap_or_else(|errors| panic!("{errors}"));
        let recorder = RequestRecorder::new(100);
        let model = SimulatedModel::new(scenario, Some(recorder.clone()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving
            .spawn(async move { serve_scenario(listener, &model, std::future::pending()).await });
        Self {
            base,
            recorder,
            _serving: serving,
        }
    }
}

/// A simulated model and a folder of work for one program.
struct Workplace {
    served: ServedScenario,
    folder: TempDir,
}

impl Workplace {
    async fn open() -> Self {
        // One program does not work from a home below the folder of temporary files.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let place = Self {
            served: ServedScenario::start(WORK).await,
            folder,
        };
        for path in ["home/.codex", "work"] {
            fs::create_dir_all(place.path(path)).unwrap();
        }
        fs::write(place.path("work/seen.txt"), "an old text\n").unwrap();
        fs::write(place.path("work/unseen.txt"), "old\n").unwrap();
        place
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The program with nothing around it but a home of its own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(installed_program(program).program_path());
        command
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end: it did the work, in as many turns as the scenario has.
    async fn run(&self, command: &mut Command) -> BTreeSet<String> {
        let output = command.output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{said}");
        let requests = self.served.recorder.list_requests();
        let turns: Vec<_> = requests.iter().filter_map(answering_rule).collect();
        assert_eq!(turns, ["look", "change", "overwrite", "end"], "{said}");
        for (path, want) in [
            ("new/a.txt", "it's\nnew\n"),
            ("seen.txt", "an new line\n"),
            ("ran.txt", "ran\n"),
            ("unseen.txt", "written over, no last line end"),
        ] {
            let found = fs::read_to_string(self.path("work").join(path));
            assert_eq!(found.unwrap_or_default(), want, "{path}: {said}");
        }
        requests.iter().flat_map(unknown_places).collect()
    }
}

/// The rule that answered a request of the work; refusals are shown whole.
fn answering_rule(request: &RecordedRequest) -> Option<String> {
    match &request.outcome {
        RequestOutcome::Replied { rule } => Some(rule.clone()),
        RequestOutcome::AnsweredAside => None,
        other => Some(format!("{other:?}")),
    }
}

/// What a request holds beyond the known, wherever in a list it is.
pub(crate) fn unknown_places(request: &RecordedRequest) -> Vec<String> {
    let places = request.unknown.iter();
    places
        .map(|place| {
            let parts = place.split('.').map(|part| {
                let (digits, rest) =
                    part.split_at(part.bytes().take_while(u8::is_ascii_digit).count());
                match digits.is_empty() || !(rest.is_empty() || rest.starts_with(' ')) {
                    true => part.to_owned(),
                    false => format!("*{rest}"),
                }
            });
            parts.collect::<Vec<_>>().join(".")
        })
        .collect()
}

#[tokio::test]
async fn claude_code_does_the_work_of_a_scenario() {
    let place = Workplace::open().await;
    let mut command = place.command("claude-code");
    command
        .args([
            "-p",
            "Go on.",
            "--output-format",
            "stream-json",
            "--verbose",
        ])
        .args(["--model", "simulated", "--permission-mode", "acceptEdits"])
        .args(["--allowedTools", "Bash"])
        .env("ANTHROPIC_BASE_URL", &place.served.base)
        .env("ANTHROPIC_API_KEY", "any")
        .env(
            "ANTHROPIC_CUSTOM_HEADERS",
            format!("{}: {}", ROLE.0, ROLE.1),
        )
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1");
    insta::assert_debug_snapshot!(place.run(&mut command).await);
}

#[tokio::test]
async fn codex_does_the_work_of_a_scenario() {
    let place = Workplace::open().await;
    let mut command = place.command("codex");
    let provider = format!(
        r#"model_providers.ours={{name="ours",base_url="{}/v1",wire_api="responses",env_key="KEY",http_headers={{"{}"="{}"}}}}"#,
        place.served.base, ROLE.0, ROLE.1,
    );
    command
        .args([
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--disable",
            "plugins",
        ])
        .args(["-c", "analytics.enabled=false", "-c", "model_provider=ours"])
        .args(["-c", &provider, "-c", "model=simulated"])
        .args(["--dangerously-bypass-approvals-and-sandbox", "Go on."])
        .env("CODEX_HOME", place.path("home/.codex"))
        .env("KEY", "any");
    insta::assert_debug_snapshot!(place.run(&mut command).await);
}

#[tokio::test]
async fn opencode_does_the_work_of_a_scenario() {
    let place = Workplace::open().await;
    let mut command = place.command("opencode");
    let config = json!({
        "provider": {"ours": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "ours",
            "options": {
                "baseURL": format!("{}/v1", place.served.base), "apiKey": "any", "headers": {ROLE.0: ROLE.1},
            },
            "models": {"simulated": {"name": "simulated", "tool_call": true}},
        }},
        "permission": {"edit": "allow", "bash": "allow"},
    });
    command
        .args([
            "run",
            "--format",
            "json",
            "--model",
            "ours/simulated",
            "Go on.",
        ])
        .env("OPENCODE_CONFIG_CONTENT", config.to_string())
        .env("OPENCODE_DISABLE_MODELS_FETCH", "1");
    insta::assert_debug_snapshot!(place.run(&mut command).await);
}
