//! `report_result`: what came of the task, or of its ticket.

use serde_json::{Value, json};

use omoi_protocol::worker::{ReportResult, ResultAck};

use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Writes down what came of your task for people to read, in Markdown: what you found \
    out, decided or measured that the commits do not show. With scope `workflow` it is the result of the whole ticket, \
    where that has criteria for one; a person judges it. It ends nothing: the platform runs the checks of your task.";

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "scope": {"type": "string", "enum": ["task", "workflow"]},
            "result_type": {"type": "string", "enum": ["implementation", "analysis", "fix", "design", "test", "documentation"],
                            "description": "For scope `task`; implementation when absent."},
            "summary": {"type": "string", "description": "One line."},
            "markdown": {"type": "string", "description": "The text, at most 100 KB."},
        }),
        &["scope", "summary", "markdown"],
    )
}

pub(super) async fn run(tools: &AgentTools, report: ReportResult) -> Result<String, ToolError> {
    let ack: ResultAck = tools.platform.post_json("/results", &report).await?;
    Ok(match ack {
        ResultAck::Task { .. } => "written down. Go on with your task.".to_owned(),
        ResultAck::Workflow { status, .. } => {
            format!("submitted, and {status}. Go on with your task.")
        }
    })
}
