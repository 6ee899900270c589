//! Plans the response to a request, faults included, and sends it.

use std::time::Duration;

use axum::response::Response;
use http::{StatusCode, header};

use super::{
    WireFormat,
    answer::{self, AnswerPiece, ScriptedAnswer},
    anthropic_answer,
    checked_request::CheckedRequest,
    openai_answer,
    refusal::{RequestRefusal, error_body},
    respond::{self, ChunkPacing},
    wire_output::{self, WireOutput},
};
use crate::{
    scenario::{BrokenJson, FaultKind, ScenarioDefaults, ScenarioRule},
    wire::anthropic::{error_of_status, status_of_error},
};

const FAULT_MESSAGE: &str = "fault injected by the scenario";

/// The response that a request gets.
#[derive(Debug)]
pub(super) enum PlannedResponse {
    Status {
        wire: WireFormat,
        status: u16,
        retry_after_s: Option<u64>,
    },
    Hang {
        s: u64,
    },
    Reply(Box<RuleReply>),
}

/// The reply of a rule, whole or spoiled by a fault.
#[derive(Debug)]
pub(super) struct RuleReply {
    request: CheckedRequest,
    answer: ScriptedAnswer,
    fault: Option<FaultKind>,
    pace: ChunkPacing,
}

/// Turns the rule and the fault that is due into what will be sent.
pub(super) fn plan_response(
    request: CheckedRequest,
    rule: &ScenarioRule,
    fault: Option<FaultKind>,
    defaults: ScenarioDefaults,
) -> Result<PlannedResponse, RequestRefusal> {
    let wire = request.wire;
    match fault {
        Some(FaultKind::Status {
            status,
            retry_after_s,
        }) => {
            return Ok(PlannedResponse::Status {
                wire,
                status,
                retry_after_s,
            });
        }
        Some(FaultKind::StreamError { error }) if !request.form.stream => {
            let status = status_of_error(error).unwrap_or(500);
            return Ok(PlannedResponse::Status {
                wire,
                status,
                retry_after_s: None,
            });
        }
        Some(FaultKind::Hang { s }) => return Ok(PlannedResponse::Hang { s }),
        _ => {}
    }
    let mut answer = answer::script_answer(rule, &request)?;
    if fault == Some(FaultKind::BrokenJson(BrokenJson::ToolInput)) {
        wire_output::break_tool_input(&mut answer);
    }
    let chunk_delay_ms = rule.chunk_delay_ms.unwrap_or(defaults.chunk_delay_ms);
    let pace = ChunkPacing {
        chunk_bytes: rule.chunk_bytes.unwrap_or(defaults.chunk_bytes) as usize,
        chunk_delay: Duration::from_millis(chunk_delay_ms),
        cut_after: match fault {
            Some(FaultKind::CutAfterBytes { bytes }) => Some(bytes),
            _ => None,
        },
    };
    Ok(PlannedResponse::Reply(Box::new(RuleReply {
        request,
        answer,
        fault,
        pace,
    })))
}

impl PlannedResponse {
    /// The HTTP response; its body sends itself at its own pace.
    pub(super) async fn send_response(self) -> Response {
        match self {
            Self::Status {
                wire,
                status,
                retry_after_s,
            } => failure_response(wire, status, retry_after_s),
            Self::Hang { s } => {
                respond::pause_for(Duration::from_secs(s)).await;
                respond::broken_response()
            }
            Self::Reply(reply) if reply.request.form.stream => reply.stream_response(),
            Self::Reply(reply) => reply.whole_response(),
        }
    }
}

impl RuleReply {
    fn stream_response(self) -> Response {
        let mut outs = match self.request.wire {
            WireFormat::Anthropic => anthropic_answer::answer_events(&self.answer),
            WireFormat::OpenAi => {
                openai_answer::answer_events(&self.answer, self.request.form.usage_chunk)
            }
        };
        wire_output::spoil_events(&mut outs, self.fault.as_ref(), |kind| {
            match self.request.wire {
                WireFormat::Anthropic => anthropic_answer::error_event(kind, FAULT_MESSAGE),
                WireFormat::OpenAi => openai_answer::error_event(kind, FAULT_MESSAGE),
            }
        });
        respond::paced_response("text/event-stream", outs, self.pace)
    }

    fn whole_response(self) -> Response {
        let body = match self.request.wire {
            WireFormat::Anthropic => anthropic_answer::answer_body(&self.answer),
            WireFormat::OpenAi => openai_answer::answer_body(&self.answer),
        };
        let text = body.to_string();
        // Only OpenAI's arguments are text, and so can be broken while the body stays whole.
        let is_cut = match self.fault {
            Some(FaultKind::BrokenJson(BrokenJson::Body)) => true,
            Some(FaultKind::BrokenJson(BrokenJson::ToolInput)) => {
                self.request.wire == WireFormat::Anthropic
            }
            _ => false,
        };
        let mut outs: Vec<WireOutput> = self
            .answer
            .pieces
            .iter()
            .filter_map(AnswerPiece::as_wait)
            .collect();
        outs.push(WireOutput::Raw(if is_cut {
            wire_output::first_half(&text).to_owned()
        } else {
            text
        }));
        respond::paced_response("application/json", outs, self.pace)
    }
}

fn failure_response(wire: WireFormat, status: u16, retry_after_s: Option<u64>) -> Response {
    let body = error_body(wire, error_of_status(status), FAULT_MESSAGE);
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond::json_response(code, &body);
    if let Some(seconds) = retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
