//! An attempt at a task in a repository of its own, beside a platform that it reports to.

mod platform;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use omoi_agent::WorkerHost;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::{AttemptId, MessageId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::phase::Phase;
use omoi_domain::time::Timestamp;
use omoi_protocol::worker::{
    AgentTool, AttemptContext, AttemptLimits, CommitPlan, GitBundle, InboxMessage, ReportComplete,
};
use omoi_runtime::clock::{Clock, Clocked, SystemClock};
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;
use omoi_testkit::sample_attempt::task_attempt;

pub(crate) use self::platform::Seen;
use self::platform::{Shared, TOKEN, build_app};

pub(crate) struct Bench {
    dir: TempDir,
    base: String,
    seen: Shared,
    host: WorkerHost,
    pub(crate) context: AttemptContext,
    _serving: JoinSet<()>,
}

/// The machine's clock, but for pauses of one length, which never end.
#[derive(Debug)]
struct StuckClock {
    length: Duration,
}

impl Clock for StuckClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match duration == self.length {
            true => Box::pin(std::future::pending()),
            false => SystemClock.sleep(duration),
        }
    }
}

/// Runs git and gives what it printed.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .current_dir(dir)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(args)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "git {args:?}: {err}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

impl Bench {
    /// A repository with one commit, a clone of it, and a platform whose model follows `rules`.
    pub(crate) async fn new(rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        std::fs::create_dir_all(origin.join(".omoi_os")).unwrap();
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("readme"), "base\n").unwrap();
        std::fs::write(origin.join(".omoi_os/plan.md"), "plan\n").unwrap();
        git(&origin, &["add", "."]);
        git(&origin, &["commit", "-qm", "base"]);
        let base = git(&origin, &["rev-parse", "HEAD"]);
        git(
            dir.path(),
            &["clone", "-q", "--bare", "origin", "mirror.git"],
        );
        git(dir.path(), &["clone", "-q", "origin", "work"]);

        let clock: Clocked = Arc::new(SystemClock);
        let rng = Rng::seeded(1);
        let host = WorkerHost {
            clock,
            rng,
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            scratch: Vec::new(),
            executable: std::env::current_exe().unwrap(),
            home: dir.path().join("home"),
        };
        let seen = Shared::default();
        let mut serving = JoinSet::new();
        let socket = dir.path().join("omoi.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let app = build_app(rules, &seen);
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mut bench = Self {
            context: context(dir.path(), &host, &base),
            dir,
            base,
            seen,
            host,
            _serving: serving,
        };
        bench.context.socket = socket.display().to_string();
        bench
    }

    /// Runs the worker; whether it exits with 0.
    pub(crate) async fn run(&self) -> bool {
        let path = self.dir.path().join("context.json");
        std::fs::write(&path, serde_json::to_vec(&self.context).unwrap()).unwrap();
        let limit = Duration::from_secs(self.context.limits.wall_s.max(30));
        let code =
            tokio::time::timeout(limit, omoi_agent::run_worker(self.host.clone(), &path)).await;
        let code = code.expect("the worker ends");
        format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
    }

    /// From here on pauses of `length` never end.
    pub(crate) fn stop_pauses_of(&mut self, length: Duration) {
        self.host.clock = Arc::new(StuckClock { length });
    }

    /// What it was told up to now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Has the attempt explore for a plan, whose phase is complete with `n_items`.
    pub(crate) fn plan_phase(&mut self, n_items: usize) {
        self.context.subject = AttemptSubject::SpecPhase {
            phase: Phase::Explore,
        };
        self.context.commit = None;
        self.context.tools = vec![
            AgentTool::Read,
            AgentTool::SubmitItem,
            AgentTool::SubmitDone,
        ];
        self.set(|seen| seen.items_wanted = n_items);
    }

    pub(crate) fn set(&self, set: impl FnOnce(&mut Seen)) {
        set(&mut self.seen.lock().unwrap());
    }

    /// The one report of the end.
    pub(crate) fn complete(&self) -> ReportComplete {
        let seen = self.seen();
        assert_eq!(seen.completes.len(), 1);
        seen.completes[0].clone()
    }

    /// Waits until the platform has seen it.
    pub(crate) async fn until(&self, is_so: impl Fn(&Seen) -> bool) {
        for _ in 0..500 {
            if is_so(&self.seen()) {
                return;
            }
            self.host.clock.sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came so");
    }

    /// Runs the worker to a clean end. A command of its model waits for the file `go`, which is there once the command
    /// has begun and messages were asked for.
    pub(crate) async fn run_past_command(&self) {
        let begun = AgentEventKind::CommandStarted;
        let go = async {
            self.until(|s| s.polls > 0 && s.events.iter().any(|e| e.event_type == begun))
                .await;
            std::fs::write(self.work().join("go"), "").unwrap();
        };
        let (clean, ()) = tokio::join!(self.run(), go);
        assert!(clean);
    }

    pub(crate) fn post_message(&self, message_type: MessageType, content: &str) {
        let id = MessageId::from_uuid(uuid_v7(&SystemClock, &self.host.rng));
        self.seen.lock().unwrap().messages.push(InboxMessage {
            id,
            content: content.to_owned(),
            message_type,
            sender: MessageSender::User,
        });
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.dir.path().join("mirror.git")
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Fetches a bundle into the mirror; gives the commit it brings.
    pub(crate) fn take_in(&self, bundle: &GitBundle) -> String {
        let file = self.dir.path().join("in.bundle");
        std::fs::write(&file, STANDARD.decode(&bundle.data_b64).unwrap()).unwrap();
        let file = file.display().to_string();
        git(&self.mirror(), &["bundle", "verify", "-q", &file]);
        git(
            &self.mirror(),
            &["fetch", "-q", &file, "refs/omoios/out/tip"],
        );
        assert_eq!(
            git(&self.mirror(), &["rev-parse", "FETCH_HEAD"]),
            bundle.sha
        );
        bundle.sha.clone()
    }

    /// Leaves a merge with a conflict in the workspace.
    pub(crate) fn begin_merge(&self) -> String {
        let work = self.work();
        git(&work, &["checkout", "-q", "-b", "theirs"]);
        std::fs::write(work.join("other"), "theirs\n").unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "-qm", "theirs"]);
        let theirs = git(&work, &["rev-parse", "HEAD"]);
        git(&work, &["checkout", "-q", "main"]);
        git(&work, &["merge", "-q", "--no-commit", "--no-ff", "theirs"]);
        theirs
    }
}

fn context(dir: &Path, host: &WorkerHost, base: &str) -> AttemptContext {
    let id = AttemptId::from_uuid(uuid_v7(&SystemClock, &host.rng));
    let attempt = task_attempt(id);
    AttemptContext {
        token: TOKEN.to_owned(),
        workspace: dir.join("work").display().to_string(),
        model: "simulated".to_owned(),
        tools: vec![
            AgentTool::Read,
            AgentTool::Glob,
            AgentTool::Grep,
            AgentTool::Write,
            AgentTool::Edit,
            AgentTool::Shell,
            AgentTool::ReportDiscovery,
            AgentTool::AskPerson,
        ],
        limits: AttemptLimits {
            turns_max: 6,
            result_bytes: 4_000,
            ..attempt.limits
        },
        commit: Some(CommitPlan {
            branch: "main".to_owned(),
            base_sha: base.to_owned(),
            subject: "feat: Do it".to_owned(),
            trailers: vec![("OmoiOS-Task".to_owned(), "TSK-001".to_owned())],
            author_name: "Agent".to_owned(),
            author_email: "agent@localhost".to_owned(),
            protected: vec![".omoi_os".to_owned()],
            bundle_bytes_max: 1 << 20,
        }),
        ..attempt
    }
}
