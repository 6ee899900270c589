//! How the bridge to Claude Code is started. The Claude Code inside it is set up as the one that is driven
//! without a bridge.

use agent_client_protocol::v1::schema::Meta;
use omoi_protocol::worker::AttemptContext;
use serde_json::{Value, json};

use super::start::{AcpManners, AcpStart, StoredSession, system_prompt};
use crate::claude_code::RESULT_MARK;
use crate::claude_code::launch::{program_variables, sessions_folder};
use crate::claude_code::tools::built_in_tools;
use crate::program::ProgramHost;
use crate::program::tool_server::SERVER_NAME;
use crate::runtime::RuntimeError;

/// Its mode in which it asks. Of its own it would let a model judge calls, with one more model call each.
const ASKING_MODE: &str = "default";

/// Plans the start for `context`.
pub(super) fn plan_bridge(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<AcpStart, RuntimeError> {
    let stored = StoredSession::of_turns(context, sessions_folder(host))?;
    let mut session = stored.start;
    session.meta = Some(session_settings(context));
    session.mode = Some(ASKING_MODE);
    let mut environment = program_variables(context, host);
    // Before the settings of a repository, which the bridge asks for the model alone.
    environment.push(("ANTHROPIC_MODEL".into(), context.model.clone().into()));
    Ok(AcpStart {
        preparing: None,
        command: host.program_command(Vec::new(), environment),
        session,
        first: stored.first,
        files: stored.files,
        links: Vec::new(),
        manners: AcpManners {
            stops_at_refusal: false,
            tells_contents: false,
            reads_exit_from_text: true,
            acts_unasked: false,
            result_mark: RESULT_MARK,
        },
    })
}

/// What the bridge hands on to Claude Code.
fn session_settings(context: &AttemptContext) -> Meta {
    let tools = built_in_tools(&context.tools);
    let ours = format!("mcp__{SERVER_NAME}");
    let asked: Vec<&str> = tools.iter().copied().chain([ours.as_str()]).collect();
    let options = json!({
        // The settings of a repository are those of whoever wrote it.
        "settingSources": [],
        "settings": {"permissions": {"ask": asked, "defaultMode": ASKING_MODE}},
        "tools": tools,
        "strictMcpConfig": true,
        "promptSuggestions": false,
        "allowDangerouslySkipPermissions": false,
    });
    let mut meta = Meta::new();
    meta.insert("claudeCode".to_owned(), json!({ "options": options }));
    let prompt = Value::from(system_prompt(context));
    meta.insert("systemPrompt".to_owned(), json!({ "append": prompt }));
    meta
}
