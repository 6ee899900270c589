//! Commands that outlive their calls, and output too long to be shown.

use super::*;

/// Waits until the process is gone.
async fn is_gone(pid: &str) -> bool {
    for _ in 0..500 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        SystemClock
            .sleep(std::time::Duration::from_millis(10))
            .await;
    }
    false
}

#[tokio::test]
async fn a_session_outlives_its_call_and_says_what_is_new() {
    let mut bench = Bench::new();
    let command = "mkfifo pipe; echo up; read word < pipe; echo got $word; exit 3";
    let (text, is_error) = bench
        .call(
            "shell",
            json!({"command": command, "session": "srv", "wait": 1}),
        )
        .await;
    assert!(
        !is_error && text.starts_with("up\n[session `srv` is running"),
        "{text}"
    );
    assert!(bench.tools.has_sessions().await);
    let (text, is_error) = bench
        .call("shell", json!({"command": command, "session": "srv"}))
        .await;
    assert!(is_error && text.contains("runs already"), "{text}");
    let (text, _) = bench.call("shell", json!({"session": "srv"})).await;
    assert!(
        text.starts_with("[session `srv` is running"),
        "nothing new: {text}"
    );
    bench
        .call("shell", json!({"command": "echo hi > pipe"}))
        .await;
    let (text, is_error) = bench
        .call("shell", json!({"session": "srv", "wait": 5}))
        .await;
    assert_eq!((text.as_str(), is_error), ("got hi\n[exit code 3]", false));
    assert!(!bench.tools.has_sessions().await);
    let (text, is_error) = bench
        .call("shell", json!({"session": "srv", "wait": 5}))
        .await;
    assert!(
        is_error && text.contains("there is no session `srv`"),
        "{text}"
    );
    let told: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|e| e.summary)
        .collect();
    assert_eq!(told.last().map(String::as_str), Some("failed: srv"));
}

#[tokio::test]
async fn a_killed_session_and_the_end_of_the_attempt_leave_nothing() {
    let bench = Bench::new();
    let command = "sleep 1000 & echo $!; wait";
    for name in ["a", "b"] {
        let input = json!({"command": command, "session": name, "wait": 1});
        let (text, _) = bench.call("shell", input).await;
        let pid = text.lines().next().unwrap().to_owned();
        assert!(fs::metadata(format!("/proc/{pid}")).is_ok(), "{text}");
        match name {
            "a" => {
                let (text, is_error) = bench
                    .call("shell", json!({"session": "a", "kill": true}))
                    .await;
                assert_eq!((text.as_str(), is_error), ("[ended by signal 9]", false));
            }
            _ => bench.tools.end_sessions().await,
        }
        assert!(is_gone(&pid).await, "{name}");
    }
    let left = fs::read_dir(bench.dir.path().join("scratch"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the files of output went too");
}

#[tokio::test]
async fn what_a_call_of_shell_must_name() {
    let bench = Bench::new();
    for (input, says) in [
        (json!({}), "give `command` alone"),
        (
            json!({"command": "true", "wait": 1}),
            "give `command` alone",
        ),
        (
            json!({"command": "true", "kill": true}),
            "give `command` alone",
        ),
        (
            json!({"command": "true", "session": "a", "kill": true}),
            "give `command` alone",
        ),
        (
            json!({"command": "true", "session": "a b"}),
            "is no name for a session",
        ),
        (
            json!({"command": "true", "session": ""}),
            "is no name for a session",
        ),
        (
            json!({"session": "x", "kill": true}),
            "there is no session `x`",
        ),
    ] {
        let (text, is_error) = bench.call("shell", input.clone()).await;
        assert!(is_error && text.contains(says), "{input}: {text}");
    }
    for n in 0..8 {
        let input = json!({"command": "sleep 1000", "session": format!("s{n}"), "wait": 0});
        assert!(!bench.call("shell", input).await.1);
    }
    let (text, is_error) = bench
        .call("shell", json!({"command": "true", "session": "more"}))
        .await;
    assert!(
        is_error && text.contains("8 sessions run already"),
        "{text}"
    );
    let (text, _) = bench.call("shell", json!({"session": "none"})).await;
    assert!(
        text.ends_with("running are: s0, s1, s2, s3, s4, s5, s6, s7"),
        "{text}"
    );
    bench.tools.end_sessions().await;
}

#[tokio::test]
async fn long_output_is_shown_by_head_and_tail_and_kept_in_a_file() {
    let bench = Bench::new();
    let all: String = (1..=5_000).map(|n| format!("{n}\n")).collect();
    let starts = [
        json!({"command": "seq 5000"}),
        json!({"command": "seq 5000", "session": "s", "wait": 5}),
    ];
    for input in starts {
        let (text, is_error) = bench.call("shell", input).await;
        assert!(!is_error && text.len() <= 2_000, "{text}");
        assert!(
            text.starts_with("1\n2\n") && text.ends_with("5000\n[exit code 0]"),
            "{text}"
        );
        let (_, path) = text.split_once("all of it is in ").unwrap();
        let (path, _) = path.split_once(" …]").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), all);
        let (read, _) = bench
            .call("read", json!({"path": path, "offset": 2_500, "limit": 1}))
            .await;
        assert!(read.contains("2500\t2500"), "{read}");
    }
    let (text, _) = bench.call("shell", json!({"command": "echo short"})).await;
    assert_eq!(text, "short\n[exit code 0]");
    let folder = fs::read_dir(bench.dir.path().join("scratch"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "short output needs no file"
    );
    // The files of the oldest commands go.
    for _ in 0..16 {
        bench.call("shell", json!({"command": "seq 5000"})).await;
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 16);
}

#[tokio::test]
async fn a_folder_that_somebody_else_made_gets_no_file() {
    let bench = Bench::new();
    let id = AttemptId::from_uuid(uuid_v7(&SystemClock, &Rng::seeded(7)));
    let (scratch, outside) = (
        bench.dir.path().join("scratch"),
        bench.dir.path().join("outside"),
    );
    symlink(&outside, scratch.join(format!("omoi-shell-{id}"))).unwrap();
    let sessions = ShellSessions::new(Some(&scratch), id);
    for _ in 0..2 {
        assert!(sessions.next_spool().is_none());
    }
    let clock: Clocked = Arc::new(SystemClock);
    sessions.end_all(&clock).await;
    assert!(outside.exists() && ShellSessions::new(None, id).next_spool().is_none());
}
