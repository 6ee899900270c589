//! Programs that speak the protocols of agents by a script, for the tests of their drivers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::message::MessageType;
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::{AgentLaunch, WorkerProgram};

use crate::bench::{Bench, Seen};

pub(crate) const CLAUDE: AgentProgram = AgentProgram::ClaudeCode;
pub(crate) const CODEX: AgentProgram = AgentProgram::Codex;
pub(crate) const OPENCODE: AgentProgram = AgentProgram::AcpOpenCode;
pub(crate) const BRIDGE: AgentProgram = AgentProgram::AcpClaude;
pub(crate) const QWEN: AgentProgram = AgentProgram::AcpQwen;

/// A model that is done with its first answer.
pub(crate) const DONE_AT_ONCE: &str = "\n  - when: {turn: 0}\n    reply: [{text: TASK_COMPLETE}]\n";
/// What a program says its version is.
pub(crate) const VERSION: &str = "1.2.3";
/// Beside each program.
const MODULES: [(&str, &str); 2] = [
    ("fake_program.py", include_str!("fake_program.py")),
    ("fake_acp_manners.py", include_str!("fake_acp_manners.py")),
];

/// A bench whose agent is the program `script`, with a quirk.
pub(crate) async fn scripted_bench(agent: AgentProgram, rules: &str, quirk: &str) -> Bench {
    let script = match agent {
        AgentProgram::ClaudeCode => include_str!("fake_claude.py"),
        AgentProgram::Codex => include_str!("fake_codex.py"),
        _ => include_str!("fake_acp.py"),
    };
    let mut bench = Bench::new(rules).await;
    let folder = bench.work().parent().unwrap().join("program");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in MODULES {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let program = folder.join("program");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    bench.context.agent = AgentLaunch {
        program: agent,
        prompts: None,
        installed: Some(WorkerProgram {
            command: [&program.display().to_string(), "--quirk", quirk]
                .map(str::to_owned)
                .to_vec(),
            version: VERSION.to_owned(),
            declared: None,
        }),
    };
    bench
}

/// Runs the agent, and interrupts it once `is_at_work`.
pub(crate) async fn interrupt_once(bench: &Bench, is_at_work: impl Fn(&Seen) -> bool) {
    let interrupt = async {
        bench.until(is_at_work).await;
        bench.post_message(MessageType::Interrupt, "stop");
        bench.until(|s| !s.completes.is_empty()).await;
    };
    let (clean, ()) = tokio::join!(bench.run(), interrupt);
    assert!(clean);
    assert_eq!(bench.complete().outcome, AttemptOutcome::Interrupted);
    assert!(bench.seen().turns.is_empty(), "the cut turn did not happen");
}

/// Why the attempt failed by its program.
pub(crate) fn program_failure(bench: &Bench) -> String {
    let agent = bench.context.agent.program;
    let complete = bench.complete();
    let end = (complete.outcome, complete.error_class);
    let want = (AttemptOutcome::Failed, Some(ErrorClass::AgentError));
    assert_eq!(end, want, "{agent}: {complete:?}");
    complete.error_message.unwrap_or_default()
}

/// Whether the process whose id a file holds has ended.
pub(crate) fn is_gone(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// The kinds of the events so far.
pub(crate) fn event_kinds(bench: &Bench) -> Vec<String> {
    let events = bench.seen().events;
    events.iter().map(|e| e.event_type.to_string()).collect()
}

/// What a program of the Agent Client Protocol has told its model in all.
pub(crate) fn conversation(bench: &Bench) -> String {
    let home = bench.work().parent().unwrap().join("home/agent-program");
    std::fs::read_to_string(home.join("told.json")).unwrap()
}
