//! What the drivers of agent programs take from the tools: those that only the platform has, and the
//! paths that may be written.

use std::path::Path;

use omoi_domain::agent_program::AgentProgram;
use omoi_llm::wire::anthropic::ToolUseBlock;
use omoi_protocol::worker::{AgentTool, AttemptContext};
use serde_json::Value;

use super::allowed_paths::ToolPath;
use super::patch_text::{FilePatch, parse_patch};
use super::{AgentTools, FileBefore, describe_tool, tool_schema};

/// A tool of the platform that agent programs are offered beside their own.
#[derive(Clone, Debug)]
pub(crate) struct OwnTool {
    /// The tool.
    pub(crate) tool: AgentTool,
    /// What the model is told of it.
    pub(crate) description: &'static str,
    /// JSON schema of its input.
    pub(crate) schema: Value,
}

/// Tools that only the platform has.
const PLATFORM_TOOLS: [AgentTool; 6] = [
    AgentTool::ReportDiscovery,
    AgentTool::ReportResult,
    AgentTool::Threads,
    AgentTool::AskPerson,
    AgentTool::SubmitItem,
    AgentTool::SubmitDone,
];

/// Tools of ours that `program` is offered in place of its own. What opencode reads of a file comes with the
/// instruction files of its folder, as they stand in the work tree.
const fn replacing_tools(program: AgentProgram) -> &'static [AgentTool] {
    match program {
        AgentProgram::AcpOpenCode => &[AgentTool::Read, AgentTool::Image],
        _ => &[],
    }
}

/// Whether `program` has the tool of that name from us.
pub(crate) fn is_own_tool(program: AgentProgram, name: &str) -> bool {
    let mut own = PLATFORM_TOOLS.iter().chain(replacing_tools(program));
    own.any(|tool| tool.as_str() == name)
}

/// The tools of `context` that its program has from us.
pub(crate) fn own_tools(context: &AttemptContext) -> Vec<OwnTool> {
    let program = context.agent.program;
    let is_own = |tool: &&AgentTool| is_own_tool(program, tool.as_str());
    let own = context.tools.iter().filter(is_own);
    own.map(|tool| OwnTool {
        tool: *tool,
        description: describe_tool(*tool),
        schema: tool_schema(*tool, context.item_schema.as_ref()),
    })
    .collect()
}

impl AgentTools {
    /// Why a tool of an agent program must not read at `path`, in words for the model.
    pub(crate) fn check_readable(&self, path: &str) -> Result<(), String> {
        let target = self.paths.resolve_readable(path);
        target.map(drop).map_err(|error| error.to_string())
    }

    /// The file at `path` before a tool of an agent program writes it, or why it must not: the program's
    /// own state is in `closed`.
    pub(crate) async fn file_before_write(
        &self,
        call: &ToolUseBlock,
        path: &str,
        closed: &Path,
    ) -> Result<FileBefore, String> {
        match self.paths.resolve_writable(path) {
            Ok(target) => refuse_below(closed, &target).map(|()| FileBefore::read(target)),
            Err(error) => {
                self.report_path(call, &error).await;
                Err(error.to_string())
            }
        }
    }
}

fn refuse_below(closed: &Path, target: &ToolPath) -> Result<(), String> {
    let is_closed = !closed.as_os_str().is_empty() && target.real_path.starts_with(closed);
    match is_closed {
        true => Err(format!(
            "`{}` holds the agent's own state",
            target.display_path
        )),
        false => Ok(()),
    }
}

/// The paths that a call writes, of our tools or of an agent program's.
pub(crate) fn written_paths(call: &ToolUseBlock) -> Vec<String> {
    const WRITERS: [&str; 5] = ["write", "edit", "apply_patch", "multiedit", "notebookedit"];
    let name = call.name.to_ascii_lowercase();
    if !WRITERS.contains(&name.as_str()) {
        return Vec::new();
    }
    let mut patches = ["patch", "input"].iter();
    if let Some(patch) = patches.find_map(|key| call.input.get(key)?.as_str()) {
        let files = parse_patch(patch).unwrap_or_default();
        let paths = files.iter().flat_map(FilePatch::patched_paths);
        return paths.map(str::to_owned).collect();
    }
    let keys = ["path", "file_path", "filePath", "notebook_path"];
    let path = keys.iter().find_map(|key| call.input.get(key)?.as_str());
    path.map(str::to_owned).into_iter().collect()
}
