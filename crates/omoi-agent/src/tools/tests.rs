#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod shell_sessions;
mod tool_cases;
mod written_down;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;

use omoi_domain::id::AttemptId;
use omoi_domain::time::Timestamp;
use omoi_llm::wire::anthropic::ToolUseBlock;
use omoi_protocol::worker::{CommitPlan, WorkerEvent};
use omoi_runtime::clock::{Clock as _, SystemClock};
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;
use omoi_testkit::sample_attempt::task_attempt;

use super::*;
use crate::event_reporter::event_queue;

struct Bench {
    dir: TempDir,
    tools: AgentTools,
    events: mpsc::Receiver<WorkerEvent>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in [
            "work/src",
            "work/.git",
            "work/.omoi_os",
            "scratch",
            "outside",
        ] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let clock: Clocked = Arc::new(SystemClock);
        let rng = Rng::seeded(1);
        let context = context(&dir.path().join("work"), uuid_v7(clock.as_ref(), &rng));
        let (reporter, events) = event_queue(&clock, &rng);
        let tools = AgentTools::new(
            &context,
            ToolServices {
                environment: Vec::new(),
                platform: PlatformClient::new(&context, &clock, &rng, Timestamp::default())
                    .unwrap(),
                reporter,
                clock,
                scratch: vec![dir.path().join("scratch"), dir.path().to_path_buf()],
            },
        )
        .unwrap();
        Self { dir, tools, events }
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join("work").join(path), text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join("work").join(path)).unwrap()
    }

    async fn call(&self, name: &str, input: Value) -> (String, bool) {
        let Value::Object(_) = &input else {
            panic!("not an object")
        };
        let outcome = self.tools.run_call(&call(name, input), None).await;
        (outcome.text, outcome.is_error)
    }

    fn events(&mut self) -> Vec<WorkerEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

fn call(name: &str, input: Value) -> ToolUseBlock {
    ToolUseBlock {
        id: "t1".to_owned(),
        name: name.to_owned(),
        input,
        extra: serde_json::Map::default(),
    }
}

fn context(workspace: &Path, id: impl Into<AttemptId>) -> AttemptContext {
    let attempt = task_attempt(id.into());
    AttemptContext {
        workspace: workspace.display().to_string(),
        tools: vec![
            AgentTool::Read,
            AgentTool::Glob,
            AgentTool::Grep,
            AgentTool::FindSymbol,
            AgentTool::Write,
            AgentTool::Edit,
            AgentTool::ApplyPatch,
            AgentTool::Shell,
            AgentTool::Image,
            AgentTool::Notes,
            AgentTool::Plan,
        ],
        limits: AttemptLimits {
            command_s: 5,
            result_bytes: 2_000,
            ..attempt.limits
        },
        commit: Some(CommitPlan {
            branch: "task/x".to_owned(),
            base_sha: "0".repeat(40),
            subject: "s".to_owned(),
            trailers: Vec::new(),
            author_name: "a".to_owned(),
            author_email: "a@b".to_owned(),
            protected: vec![".omoi_os".to_owned()],
            bundle_bytes_max: 1 << 20,
        }),
        ..attempt
    }
}

#[tokio::test]
async fn writes_that_would_leave_are_refused_and_recorded() {
    let mut bench = Bench::new();
    let root = bench.dir.path().to_path_buf();
    let work = root.join("work");
    symlink(root.join("outside"), work.join("out")).unwrap();
    symlink(root.join("outside/new.txt"), work.join("dangling")).unwrap();
    symlink("loop", work.join("loop")).unwrap();
    symlink("src", work.join("alias")).unwrap();
    symlink(root.join("scratch"), work.join("to_scratch")).unwrap();
    let abs = |path: &str| root.join(path).display().to_string();
    let outside = "is outside the workspace";
    // The path, and what is wrong with it.
    let cases = [
        ("a.txt".to_owned(), None),
        ("src/../b.txt".to_owned(), None),
        ("alias/c.txt".to_owned(), None),
        ("new/deep/d.txt".to_owned(), None),
        (abs("work/e.txt"), None),
        (abs("scratch/f.txt"), None),
        ("../g.txt".to_owned(), Some(outside)),
        ("src/../../outside/g.txt".to_owned(), Some(outside)),
        ("out/g.txt".to_owned(), Some(outside)),
        ("out/../g.txt".to_owned(), Some(outside)),
        ("to_scratch/g.txt".to_owned(), Some(outside)),
        (abs("outside/g.txt"), Some(outside)),
        (abs("g.txt"), Some(outside)),
        ("/g.txt".to_owned(), Some(outside)),
        (abs("scratch/../outside/g.txt"), Some(outside)),
        ("dangling".to_owned(), Some("ends nowhere")),
        ("loop/x".to_owned(), Some("ends nowhere")),
        (".omoi_os/spec.md".to_owned(), Some("is protected")),
        (".git/hooks/x".to_owned(), Some("git's own data")),
        ("alias/../.git/config".to_owned(), Some("git's own data")),
        (String::new(), Some("path is empty")),
        ("src".to_owned(), Some("not a regular file")),
    ];
    for (path, wrong) in &cases {
        let (text, is_error) = bench
            .call("write", json!({"path": path, "content": "x\n"}))
            .await;
        assert_eq!(is_error, wrong.is_some(), "{path}: {text}");
        assert!(text.contains(wrong.unwrap_or("wrote")), "{path}: {text}");
    }
    let want: Vec<_> = cases
        .iter()
        .filter(|(_, wrong)| *wrong == Some(outside))
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(bench.tools.refused_paths(), want);
    assert_eq!(fs::read_dir(root.join("outside")).unwrap().count(), 0);
    assert!(!root.join("g.txt").exists());
    let violations = bench.events();
    let violations = violations
        .iter()
        .filter(|e| e.event_type == AgentEventKind::PolicyViolation);
    assert_eq!(
        violations.count(),
        want.len() + 3,
        "protected ones are told too"
    );

    let (text, is_error) = bench.call("read", json!({"path": "out/../x"})).await;
    assert!(is_error && text.contains(outside), "{text}");
    let read_outside = bench.tools.refused_paths();
    assert_eq!(read_outside, want, "reading is refused, not recorded");
}

#[tokio::test]
async fn symbols_are_found_by_syntax_definitions_first() {
    let bench = Bench::new();
    let uses = "from pkg.core import load_all\n# load_all is slow\nload_all('load_all')\n";
    bench.put("a.py", uses);
    bench.put(
        "src/core.py",
        "class Core:\n    def load_all(self):\n        pass\n",
    );
    bench.put("src/core.md", "load_all");
    bench.put("many.py", "x = many_uses\n".repeat(500));
    let cases = [
        (
            json!({"name": "Core.load_all"}),
            "defined:\nsrc/core.py:2: [fn] def load_all(self):\nused:\na.py:1: from pkg.core import load_all\n\
             a.py:3: load_all('load_all')\n",
        ),
        (
            json!({"name": "load_all", "path": "src"}),
            "defined:\nsrc/core.py:2: [fn] def load_all(self):\n",
        ),
        (
            json!({"name": "absent"}),
            "no source file has a name `absent`",
        ),
        (
            json!({"name": "many_uses"}),
            "`many_uses` is defined nowhere here\nused:\nmany.py:1: x = many_uses",
        ),
        (
            json!({"name": "many_uses"}),
            "[there is more; look in a narrower path]",
        ),
    ];
    for (input, want) in cases {
        let (text, is_error) = bench.call("find_symbol", input.clone()).await;
        assert!(!is_error && text.contains(want), "{input}: {text}");
        assert!(text.len() <= 2_000, "{}", text.len());
    }
    let (text, is_error) = bench
        .call("find_symbol", json!({"name": "x", "path": "/etc"}))
        .await;
    assert!(is_error && text.contains("outside"), "{text}");
}

#[tokio::test]
async fn reading_is_numbered_bounded_and_only_of_text() {
    let bench = Bench::new();
    bench.put("a.txt", "one\ntwo\nthree\n");
    bench.put("empty", "");
    bench.put("bin", b"ab\0c");
    let long = "some line\n".repeat(900);
    bench.put("long.txt", &long);
    bench.put("wide.txt", "x".repeat(100_000));
    fs::File::create(bench.dir.path().join("work/huge"))
        .unwrap()
        .set_len(200 << 20)
        .unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        bench.dir.path().join("work/pipe"),
        rustix::fs::Mode::RWXU,
    )
    .unwrap();
    let cases = [
        (
            json!({"path": "a.txt"}),
            false,
            "     1\tone\n     2\ttwo\n     3\tthree\n",
        ),
        (
            json!({"path": "a.txt", "offset": 2, "limit": 1}),
            false,
            "     2\ttwo\n[lines 2 to 2 of 3; go on with offset 3]",
        ),
        (json!({"path": "a.txt", "offset": 9}), true, "has 3 lines"),
        (json!({"path": "empty"}), false, "is empty"),
        (json!({"path": "bin"}), true, "is binary (4 bytes)"),
        (json!({"path": "huge"}), true, "more than"),
        (json!({"path": "pipe"}), true, "not a regular file"),
        (json!({"path": "src"}), true, "not a regular file"),
        (json!({"path": "none"}), true, "could not read `none`"),
        (json!({"path": "long.txt"}), false, "go on with offset"),
        (json!({"path": "wide.txt"}), false, "xxx"),
        (json!({}), true, "missing field `path`; expected {"),
        (json!({"path": 3}), true, "bad input for `read`"),
        (
            json!({"path": "a.txt", "line": 3}),
            true,
            "unknown field `line`",
        ),
    ];
    for (input, fails, says) in cases {
        let (text, is_error) = bench.call("read", input.clone()).await;
        assert_eq!(is_error, fails, "{input}: {text}");
        assert!(text.contains(says), "{input}: {text}");
        assert!(text.len() <= 2_000, "{input}: {} bytes", text.len());
    }
    let (text, is_error) = bench.call("submit_done", json!({})).await;
    assert!(
        is_error && text.contains("no tool `submit_done`; the tools are read, glob"),
        "{text}"
    );
}

#[tokio::test]
async fn a_patch_changes_every_file_or_none() {
    let mut bench = Bench::new();
    bench.put("a.py", "x = 1\ny = 1\n");
    bench.put("gone.py", "z\n");
    let patch = |files: &str| json!({"patch": format!("*** Begin Patch\n{files}\n*** End Patch")});
    let change = "*** Update File: a.py\n@@\n-x = 1\n+x = 2";
    let cases = [
        (
            format!("{change}\n*** Update File: none.py\n@@\n-a\n+b"),
            "could not read `none.py`",
        ),
        (
            format!("{change}\n*** Add File: ../out.py\n+a"),
            "is outside the workspace",
        ),
        (
            format!("{change}\n*** Add File: gone.py\n+a"),
            "exists already",
        ),
        (format!("{change}\n{change}"), "twice"),
        (format!("{change}\n@@\n-q\n+r"), "`a.py`, hunk 2 of 2"),
        ("text".to_owned(), "is not understood"),
    ];
    for (files, says) in cases {
        let (text, is_error) = bench.call("edit", patch(&files)).await;
        assert!(is_error && text.contains(says), "{files}: {text}");
        assert_eq!(bench.text("a.py"), "x = 1\ny = 1\n", "{files}");
    }
    assert_eq!(bench.tools.refused_paths(), ["../out.py"]);
    bench.events();
    let files = format!(
        "{change}\n*** Move to: b/c.py\n*** Delete File: gone.py\n*** Add File: new.py\n+n"
    )
    .replace(
        "a.py\n@@\n-x = 1\n+x = 2\n*** Move to: b/c.py",
        "a.py\n*** Move to: b/c.py\n@@\n-x = 1\n+x = 2",
    );
    let (text, is_error) = bench.call("edit", patch(&files)).await;
    assert!(!is_error, "{text}");
    assert_eq!(bench.text("b/c.py"), "x = 2\ny = 1\n");
    assert_eq!(bench.text("new.py"), "n\n");
    let work = bench.dir.path().join("work");
    assert!(!work.join("a.py").exists() && !work.join("gone.py").exists());
    let events = bench.events();
    let edited = events
        .iter()
        .filter(|e| e.event_type == AgentEventKind::FileEdited);
    let types: Vec<_> = edited
        .map(|e| e.event_data["change_type"].clone())
        .collect();
    assert_eq!(types, ["created", "deleted", "deleted", "created"]);
    patches_keep_links_and_modes(&bench).await;
    let both =
        json!({"path": "new.py", "old": "n", "new": "m", "edits": [{"old": "a", "new": "b"}]});
    let (text, is_error) = bench.call("edit", both).await;
    assert!(is_error && text.contains("or `patch` alone"), "{text}");
}

#[tokio::test]
async fn edits_must_be_unique_and_are_reported() {
    let mut bench = Bench::new();
    bench.put("a.py", "x = 1\ny = 1\n");
    let cases = [
        (
            json!({"path": "a.py", "old": "z", "new": "q"}),
            Some("`old` does not occur"),
        ),
        (
            json!({"path": "a.py", "old": "1", "new": "2"}),
            Some("occurs 2 times"),
        ),
        (
            json!({"path": "a.py", "old": "", "new": "2"}),
            Some("is empty"),
        ),
        (
            json!({"path": "a.py", "old": "x", "new": "x"}),
            Some("nothing would change"),
        ),
        (
            json!({"path": "a.py", "old": "x = 1", "new": "x = 3"}),
            None,
        ),
        (
            json!({"path": "a.py", "old": " = ", "new": "=", "replace_all": true}),
            None,
        ),
    ];
    for (input, wrong) in cases {
        let (text, is_error) = bench.call("edit", input.clone()).await;
        assert_eq!(is_error, wrong.is_some(), "{input}: {text}");
        assert!(
            text.contains(wrong.unwrap_or("edited `a.py`")),
            "{input}: {text}"
        );
    }
    assert_eq!(bench.text("a.py"), "x=3\ny=1\n");
    let events = bench.events();
    let edited: Vec<_> = events
        .iter()
        .filter(|e| e.event_type == AgentEventKind::FileEdited)
        .collect();
    assert_eq!(edited.len(), 2);
    assert_eq!(edited[0].summary.as_deref(), Some("editing a.py"));
    assert_eq!(edited[0].event_data["lines_added"], 1);
    let preview = edited[0].event_data["diff_preview"].as_str().unwrap();
    assert!(preview.contains("-x = 1\n+x = 3"), "{preview}");
}

#[tokio::test]
async fn searches_skip_what_is_not_source() {
    let bench = Bench::new();
    bench.put("src/a.py", "needle here\nnothing\n");
    bench.put("src/b.txt", "Needle there\n");
    bench.put("bin", b"needle\0");
    bench.put(".gitignore", "*.log\n");
    bench.put("x.log", "needle\n");
    bench.put("src/lines", "one\ntwo\nthree\nfour\nfive\n");
    bench.put(".git/needle.py", "needle\n");
    symlink(
        bench.dir.path().join("outside"),
        bench.dir.path().join("work/out"),
    )
    .unwrap();
    fs::write(bench.dir.path().join("outside/c.py"), "needle\n").unwrap();
    let cases = [
        (
            "grep",
            json!({"pattern": "needle"}),
            "src/a.py:1: needle here\n",
        ),
        (
            "grep",
            json!({"pattern": "(?i)needle", "glob": "*.txt"}),
            "src/b.txt:1: Needle there\n",
        ),
        (
            "grep",
            json!({"pattern": "needle", "path": "src/a.py"}),
            "src/a.py:1: needle here\n",
        ),
        ("grep", json!({"pattern": "zzz"}), "no line matches\n"),
        (
            "grep",
            json!({"pattern": "three", "path": "src/lines", "context": 1}),
            "src/lines-2- two\nsrc/lines:3: three\nsrc/lines-4- four\n",
        ),
        ("glob", json!({"pattern": "**/*.py"}), "src/a.py"),
        (
            "glob",
            json!({"pattern": "*.txt", "path": "src"}),
            "src/b.txt",
        ),
        ("glob", json!({"pattern": "*.py"}), "no file matches"),
    ];
    for (tool, input, want) in cases {
        let (text, is_error) = bench.call(tool, input.clone()).await;
        assert!(!is_error, "{input}: {text}");
        assert_eq!(text, want, "{input}");
    }
    for (tool, input) in [
        ("grep", json!({"pattern": "("})),
        ("grep", json!({"pattern": "x", "path": "none"})),
        ("grep", json!({"pattern": "x", "path": "out"})),
        ("glob", json!({"pattern": "[", })),
    ] {
        let (text, is_error) = bench.call(tool, input.clone()).await;
        assert!(is_error, "{input}: {text}");
    }
}

#[tokio::test]
async fn commands_end_with_everything_they_started() {
    let bench = Bench::new();
    let cases = [
        ("echo out; echo err >&2", "out\nerr\n[exit code 0]"),
        ("exit 3", "[exit code 3]"),
        ("cat", "[exit code 0]"),
        ("kill -9 $$", "[ended by signal 9]"),
        ("pwd | grep -c work", "1\n[exit code 0]"),
    ];
    for (command, want) in cases {
        let (text, is_error) = bench.call("shell", json!({"command": command})).await;
        assert!(!is_error, "{command}: {text}");
        assert_eq!(text, want, "{command}");
    }
    let (text, _) = bench
        .call("shell", json!({"command": "seq 1 100000"}))
        .await;
    assert!(
        text.starts_with("1\n2\n") && text.ends_with("100000\n[exit code 0]"),
        "{text}"
    );
    assert!(text.contains("bytes left out") && text.len() <= 2_000);

    // A background process neither holds up the result nor survives it.
    let clock = SystemClock;
    let began = clock.now();
    let (text, _) = bench
        .call(
            "shell",
            json!({"command": "sleep 60 & echo $! ; echo done"}),
        )
        .await;
    assert!(text.ends_with("done\n[exit code 0]"), "{text}");
    assert!(clock.now().since(began) < Duration::from_secs(5));
    let pid = text.lines().next().unwrap().to_owned();
    assert!(is_gone(&pid).await, "process {pid} lives on");

    let (text, is_error) = bench
        .call(
            "shell",
            json!({"command": "echo $$; sleep 60; echo never", "timeout_s": 1}),
        )
        .await;
    assert!(is_error && text.contains("killed after 1 s"), "{text}");
    assert!(is_gone(text.lines().next().unwrap()).await);
}

/// Whether a process ends within a moment; a zombie waiting for its reaper counts as ended.
async fn is_gone(pid: &str) -> bool {
    for _ in 0..100 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    false
}

async fn patches_keep_links_and_modes(bench: &Bench) {
    let patch = |files: &str| json!({"patch": format!("*** Begin Patch\n{files}\n*** End Patch")});
    let work = bench.dir.path().join("work");
    symlink("new.py", work.join("link.py")).unwrap();
    for lines in [
        "*** Delete File: link.py",
        "*** Update File: link.py\n*** Move to: moved.py\n@@\n-n\n+m",
    ] {
        let (text, is_error) = bench.call("edit", patch(lines)).await;
        assert!(is_error && text.contains("is a link"), "{lines}: {text}");
        assert_eq!(bench.text("new.py"), "n\n");
    }
    let mode = |name: &str| fs::metadata(work.join(name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(work.join("new.py"), fs::Permissions::from_mode(0o755)).unwrap();
    // The second file cannot be made below a file: the first is as it was.
    let lines = "*** Update File: new.py\n@@\n-n\n+m\n*** Add File: b/c.py/d.py\n+x";
    let (text, is_error) = bench.call("edit", patch(lines)).await;
    assert!(is_error, "{text}");
    assert_eq!(bench.text("new.py"), "n\n");
    let lines = "*** Update File: new.py\n*** Move to: run.py\n@@\n-n\n+m";
    let (text, is_error) = bench.call("edit", patch(lines)).await;
    assert!(!is_error && mode("run.py") == 0o755, "{text}");
    fs::rename(work.join("run.py"), work.join("new.py")).unwrap();
}
