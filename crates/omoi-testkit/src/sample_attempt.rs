//! An attempt as the platform hands it to a worker, for tests that set what they are about.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::{AttemptId, SandboxId, TaskId};
use omoi_protocol::worker::{AgentLaunch, AgentTool, AttemptContext, AttemptLimits};

/// The attempt `id` of the native loop at a task of the same number: nothing of it is done, it commits nothing, and
/// neither its workspace nor its socket exists.
pub fn task_attempt(id: AttemptId) -> AttemptContext {
    AttemptContext {
        attempt_id: id,
        sandbox_id: SandboxId::from_uuid(id.as_uuid()),
        fence: 1,
        subject: AttemptSubject::Task {
            task_id: TaskId::from_uuid(id.as_uuid()),
        },
        subject_ref: "TSK-001".to_owned(),
        round: 0,
        token: "t".to_owned(),
        socket: "/nowhere".to_owned(),
        workspace: "/work".to_owned(),
        agent: AgentLaunch::native_loop("open-1".to_owned()),
        model: "agent".to_owned(),
        max_tokens: 4_000,
        system: "You are an agent.".to_owned(),
        prompt: "Do the task.".to_owned(),
        tools: vec![AgentTool::Read, AgentTool::Shell],
        egress: None,
        item_schema: None,
        limits: AttemptLimits {
            turns_max: 500,
            wall_s: 30,
            command_s: 20,
            result_bytes: 64 << 10,
            heartbeat_s: 1,
            window_tokens: None,
        },
        commit: None,
        resume: Vec::new(),
    }
}
