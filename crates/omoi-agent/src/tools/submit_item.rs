//! `submit_item`: one item of a phase's output. Those that an answer calls for side by side go in one report.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_protocol::worker::{AgentTool, ITEMS_MAX, ItemOutcome, ItemsAck, SubmitItem, SubmitItems};

use super::{AgentTools, ToolError, object_schema, parse_input};

/// Bytes of the values in one report, of which the platform takes somewhat more than a mebibyte.
const REPORT_BYTES_MAX: usize = 768 << 10;

pub(super) const DESCRIPTION: &str = "Hands in one item of this phase's output. It is checked at once; a refusal says what \
    to mend. The same section and key again replaces the item; null as the value withdraws it.";

/// Its input. The phase is the attempt's own; models name it and the platform knows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitItemInput {
    #[serde(rename = "phase")]
    _phase: Option<String>,
    section: String,
    #[serde(default)]
    key: String,
    value: Value,
}

pub(super) fn input_schema(item: Option<&Value>) -> Value {
    item.cloned().unwrap_or_else(|| {
        object_schema(
            json!({
                "phase": {"type": "string"}, "section": {"type": "string"},
                "key": {"type": "string"}, "value": {},
            }),
            &["section", "key", "value"],
        )
    })
}

/// Hands in items in as few reports as they fit in; gives what became of each, in their order.
pub(super) async fn run_all(
    tools: &AgentTools,
    inputs: &[&Value],
) -> VecDeque<Result<String, ToolError>> {
    let read = inputs.iter().map(|input| {
        let input: SubmitItemInput = parse_input(AgentTool::SubmitItem, input)?;
        Ok(SubmitItem {
            section: input.section,
            key: input.key,
            value: input.value,
        })
    });
    let read: Vec<Result<SubmitItem, ToolError>> = read.collect();
    let mut told = VecDeque::new();
    let mut report = Vec::new();
    let mut bytes = 0;
    for item in read.iter().flatten() {
        let item_bytes = item.value.to_string().len();
        if report.len() == ITEMS_MAX || bytes + item_bytes > REPORT_BYTES_MAX {
            told.extend(send_items(tools, std::mem::take(&mut report)).await);
            bytes = 0;
        }
        bytes += item_bytes;
        report.push(item.clone());
    }
    told.extend(send_items(tools, report).await);
    let results = read.into_iter().map(|item| match item {
        Ok(_) => told.pop_front().unwrap_or_else(|| Err(no_outcome())),
        Err(error) => Err(error),
    });
    results.collect()
}

async fn send_items(tools: &AgentTools, items: Vec<SubmitItem>) -> Vec<Result<String, ToolError>> {
    let n_items = items.len();
    if n_items == 0 {
        return Vec::new();
    }
    let report = SubmitItems { items };
    let told = match tools
        .platform
        .post_json::<ItemsAck>("/items", &report)
        .await
    {
        Ok(ack) => ack.outcomes.into_iter().map(told_outcome).collect(),
        Err(error) => {
            let says = error.to_string();
            vec![Err(says); n_items]
        }
    };
    told.into_iter()
        .map(|told| told.map_err(ToolError::Item))
        .collect()
}

fn told_outcome(outcome: ItemOutcome) -> Result<String, String> {
    let ack = match outcome {
        ItemOutcome::Accepted(ack) => ack,
        ItemOutcome::Refused { message } => return Err(message),
    };
    let mut out = format!("accepted as item {}", ack.seq);
    for note in ack.notes {
        out.push_str("\nnote: ");
        out.push_str(&note);
    }
    Ok(out)
}

fn no_outcome() -> ToolError {
    ToolError::Item("the platform did not say what became of the item; hand it in again".to_owned())
}
