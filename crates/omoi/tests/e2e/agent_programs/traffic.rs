//! A command that asks the gateway more often than a sandbox may, with the token of the real program that runs it: the
//! program's own questions wait until they are taken, and its work is done.

use std::fs;

use super::{is_proven, with_worker, worked_on};
use crate::story;
use crate::world::World;

/// Asks with the token of Claude Code, as fast as it can, for some seconds after it was refused.
const FLOOD: &str = r#"
import glob, re, socket, threading, time
tokens = set()
for file in glob.glob("/proc/[0-9]*/environ"):
    try:
        tokens |= set(re.findall(rb"ANTHROPIC_API_KEY=([^\0]+)", open(file, "rb").read()))
    except OSError:
        pass
request = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nauthorization: Bearer %s\r\n\r\n" % tokens.pop()
until = time.monotonic() + 30
def ask():
    global until
    while time.monotonic() < until:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect("/run/omoi.sock")
            connection.sendall(request)
            if b" 429 " in connection.recv(64):
                until = min(until, time.monotonic() + 4)
                open("/tmp/refused", "w").close()
        except OSError:
            time.sleep(0.01)
        connection.close()
        time.sleep(0.005)
for _ in range(4):
    threading.Thread(target=ask).start()
"#;
/// Returns once the flood is refused, which goes on.
const COMMAND: &str = "setsid python3 flood.py </dev/null >/tmp/flood.log 2>&1 & for n in $(seq 200); do \
                       test -e /tmp/refused && break; sleep 0.1; done; cat /tmp/flood.log";

/// The scenario whose first agent runs the command before it works.
fn with_flood(scenario: &str) -> String {
    let rule = "  - when: {role: implementer, task: TSK-001, turn: 0}\n    reply:\n";
    assert!(scenario.contains(rule));
    let input = serde_json::json!({ "command": COMMAND });
    let flood = format!("      - tool: {{name: shell, input: {input}}}\n");
    scenario.replace(rule, &format!("{rule}{flood}"))
}

#[test]
fn questions_of_claude_code_wait_where_its_sandbox_asks_too_often() {
    let world = World::two_tasks_with(|scenario| with_flood(&scenario));
    world.repo.write("flood.py", FLOOD);
    world.repo.commit("Ask often");
    let run = with_worker(world.run(&["--yes"]), "claude-code", &[]);
    let said = world.start(run).wait().exited(0);
    is_proven(&said.summary());
    let database = world.database();
    worked_on(&database, "subject = 'task'", "claude-code");
    let ends =
        "SELECT group_concat(state || ' ' || stop_reason) FROM attempts WHERE subject = 'task'";
    let done = "succeeded completion_signal,succeeded completion_signal";
    assert_eq!(story::one(&database, ends).as_deref(), Some(done));
    let log = fs::read_to_string(world.data().join("log/omoi.log")).unwrap();
    let refused = |method: &str| {
        let method = format!("\"method\":\"{method}\"");
        let mut lines = log.lines();
        lines.any(|line| line.contains("\"status\":429") && line.contains(&method))
    };
    assert!(refused("GET"), "the flood was not refused");
    assert!(refused("POST"), "no question met the limit");
}
