//! What a hostile sandbox cannot keep from others at the socket that all of them share.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use omoi_execution::attempt::CreatedAttempt;
use omoi_server::worker::WorkerSurface;
use omoi_server::worker_socket::serve_workers;
use omoi_testkit::deployment::TestDeployment;

/// Connections that one attempt may hold, and one user without a token, where files may be open as usual.
const CONNECTIONS_MAX: usize = 128;
/// Bytes of a report that nothing else has room beside.
const LARGE: usize = 300 << 20;

/// The socket of a deployment with two attempts that run.
struct SocketBench {
    test: TestDeployment,
    folder: TempDir,
    hostile: CreatedAttempt,
    other: CreatedAttempt,
}

impl SocketBench {
    async fn new() -> Self {
        let test = TestDeployment::new().await;
        let (one, two) = (test.add_task(1, &[]).await, test.add_task(2, &[]).await);
        Self {
            hostile: test.run_task(one.id).await,
            other: test.run_task(two.id).await,
            folder: tempfile::tempdir().unwrap(),
            test,
        }
    }

    fn socket_path(&self) -> PathBuf {
        self.folder.path().join("worker.sock")
    }

    /// Serves the socket while `asking` asks.
    async fn while_served(&self, asking: impl Future<Output = ()>) {
        let listener = UnixListener::bind(self.socket_path()).unwrap();
        let surface = WorkerSurface {
            parts: self.test.build_part(),
            gateway: Err("none".to_owned()),
            egress: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve_workers(listener, surface, async {
            stopped.await.unwrap();
        });
        let asking = async {
            asking.await;
            stop.send(()).unwrap();
        };
        tokio::join!(serving, asking);
    }

    async fn connect(&self) -> SocketCaller {
        SocketCaller(UnixStream::connect(self.socket_path()).await.unwrap())
    }

    /// The head of a report to `at` by `of` of so many bytes.
    fn report_head(of: &CreatedAttempt, at: &str, n_bytes: usize) -> String {
        format!(
            "POST /api/v1/sandboxes/{}{at} HTTP/1.1\r\nhost: omoi\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {n_bytes}\r\n",
            of.attempt.id, of.token
        )
    }

    /// What `of` is answered to a report on a connection of its own.
    async fn report(&self, of: &CreatedAttempt, at: &str, body: &Value) -> String {
        let body = body.to_string();
        let head = Self::report_head(of, at, body.len());
        let mut caller = self.connect().await;
        caller.say(&format!("{head}\r\n{body}")).await;
        caller.hear_head().await
    }

    async fn report_alive(&self, of: &CreatedAttempt) {
        let alive = json!({ "sequence_number": 1, "status": "running" });
        let head = self.report(of, "/heartbeat", &alive).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }

    /// A report of [`LARGE`] bytes whose body is awaited, or what was said instead.
    async fn begin_large(&self, of: &CreatedAttempt) -> (SocketCaller, String) {
        let head = Self::report_head(of, "/turns", LARGE);
        let mut caller = self.connect().await;
        caller
            .say(&format!("{head}expect: 100-continue\r\n\r\n"))
            .await;
        let said = caller.hear_head().await;
        (caller, said)
    }
}

struct SocketCaller(UnixStream);

impl SocketCaller {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap()
    }

    /// Ends when the platform has closed the connection.
    async fn hear_end(&mut self) {
        let mut rest = Vec::new();
        // A connection that is reset is closed as well.
        let _ = self.0.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_large_report_that_does_not_come_holds_up_nothing_but_another() {
    let bench = SocketBench::new().await;
    let asking = async {
        let (mut held, said) = bench.begin_large(&bench.hostile).await;
        assert!(said.starts_with("HTTP/1.1 100"), "{said}");
        held.say("{").await;
        for of in [&bench.hostile, &bench.other] {
            let (_, said) = bench.begin_large(of).await;
            assert!(said.starts_with("HTTP/1.1 503"), "{said}");
            assert!(said.contains("retry-after: 2\r\n"), "{said}");
            bench.report_alive(of).await;
        }
        let turn = json!({
            "turn": { "n": 0, "request_digest": "d", "response": [], "tool_results": [] },
            "messages": [],
        });
        let said = bench.report(&bench.other, "/turns", &turn).await;
        assert!(said.starts_with("HTTP/1.1 204"), "{said}");
        // Its time is over: a minute, and a second for each MiB.
        bench.test.clock.advance(Duration::from_mins(6));
        let said = held.hear_head().await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        let (_, said) = bench.begin_large(&bench.other).await;
        assert!(said.starts_with("HTTP/1.1 100"), "{said}");
    };
    bench.while_served(asking).await;
}

#[tokio::test]
async fn a_head_without_end_or_bounds_ends_its_connection() {
    let bench = SocketBench::new().await;
    let asking = async {
        let mut slow = bench.connect().await;
        slow.say("GET / HTTP/1.1\r\nx-slow: ").await;
        bench.test.clock.wait_for_sleepers(1).await;
        bench.test.clock.advance(Duration::from_secs(30));
        slow.hear_end().await;
        let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
        let long = format!("x-long: {}\r\n", "x".repeat(16 << 10));
        for fields in [many, long] {
            let mut caller = bench.connect().await;
            caller.say(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
            let said = caller.hear_head().await;
            assert!(said.starts_with("HTTP/1.1 431"), "{said}");
        }
    };
    bench.while_served(asking).await;
}

#[tokio::test]
async fn connections_without_a_token_keep_out_none_with_one() {
    let bench = SocketBench::new().await;
    let asking = async {
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX + 3 {
            silent.push(bench.connect().await);
        }
        bench.report_alive(&bench.other).await;
        for oldest in &mut silent[..3] {
            oldest.hear_end().await;
        }
        // The newest are open still: they are answered.
        let newest = silent.last_mut().unwrap();
        newest.say("GET / HTTP/1.1\r\nhost: omoi\r\n\r\n").await;
        assert!(newest.hear_head().await.starts_with("HTTP/1.1 401"));
    };
    bench.while_served(asking).await;
}

#[tokio::test]
async fn an_attempt_holds_as_many_connections_as_it_may() {
    let bench = SocketBench::new().await;
    let ask = |of: &CreatedAttempt| {
        let token = &of.token;
        format!("GET /v1/models HTTP/1.1\r\nhost: omoi\r\nauthorization: Bearer {token}\r\n\r\n")
    };
    let asking = async {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut caller = bench.connect().await;
            caller.say(&ask(&bench.hostile)).await;
            // There is no model here.
            let said = caller.hear_head().await;
            assert!(said.starts_with("HTTP/1.1 403"), "{said}");
            held.push(caller);
        }
        let mut one_more = bench.connect().await;
        one_more.say(&ask(&bench.hostile)).await;
        let said = one_more.hear_head().await;
        assert!(said.starts_with("HTTP/1.1 429"), "{said}");
        bench.report_alive(&bench.other).await;
    };
    bench.while_served(asking).await;
}
