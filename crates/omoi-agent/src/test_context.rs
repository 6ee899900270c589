//! An attempt as tests of this crate have it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::{AttemptId, SandboxId, TaskId};
use omoi_protocol::worker::{AgentLaunch, AgentTool, AttemptContext, AttemptLimits};

/// An attempt at a task, without turns.
pub(crate) fn task_context(window_tokens: Option<u64>, max_tokens: u32) -> AttemptContext {
    let id: AttemptId = "01930000-0000-7000-8000-000000000001".parse().unwrap();
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
        max_tokens,
        system: "You are an agent.".to_owned(),
        prompt: "Do the task.".to_owned(),
        tools: vec![AgentTool::Read, AgentTool::Shell],
        egress: None,
        item_schema: None,
        limits: AttemptLimits {
            turns_max: 500,
            wall_s: 10,
            command_s: 5,
            result_bytes: 64 << 10,
            heartbeat_s: 1,
            window_tokens,
        },
        commit: None,
        resume: Vec::new(),
    }
}
