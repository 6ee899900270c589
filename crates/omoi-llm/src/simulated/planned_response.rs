//! Plans the response to a request, faults included, and sends it.

use std::time::Duration;

use axum::response::Response;
use http::{StatusCode, header};
use omoi_domain::time::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    Dialect, MODEL,
    answer::{self, AnswerPiece, ScriptedAnswer},
    chat_answer,
    checked_request::CheckedRequest,
    limit_headers, messages_answer,
    refusal::{RequestRefusal, error_body},
    respond::{self, ChunkPacing},
    responses_answer,
    wire_output::{self, WireOutput},
};
use crate::{
    scenario::{BrokenJson, FaultKind, ProviderLimits, ScenarioDefaults, ScenarioRule},
    wire::anthropic::{error_of_status, status_of_error},
};

const FAULT_MESSAGE: &str = "fault injected by the scenario";

/// The response that a request gets.
#[derive(Debug)]
pub(super) struct PlannedResponse {
    wire: Dialect,
    body: PlannedBody,
    limits: ProviderLimits,
}

#[derive(Debug)]
enum PlannedBody {
    Status {
        status: u16,
        retry_after_s: Option<u64>,
    },
    RetiredModel,
    Hang {
        s: u64,
    },
    Reply(Box<RuleReply>),
}

/// The reply of a rule, whole or spoiled by a fault.
#[derive(Debug)]
struct RuleReply {
    request: CheckedRequest,
    answer: ScriptedAnswer,
    fault: Option<FaultKind>,
    pace: ChunkPacing,
}

/// The answer to a question beside the work.
pub(super) fn plan_side_answer(
    request: CheckedRequest,
    defaults: ScenarioDefaults,
) -> PlannedResponse {
    PlannedResponse {
        wire: request.wire,
        body: PlannedBody::Reply(Box::new(RuleReply {
            answer: answer::script_side_answer(&request),
            request,
            fault: None,
            pace: ChunkPacing {
                chunk_bytes: defaults.chunk_bytes as usize,
                chunk_delay: Duration::from_millis(defaults.chunk_delay_ms),
                cut_after: None,
            },
        })),
        limits: ProviderLimits::default(),
    }
}

/// Turns the rule and the fault that is due into what will be sent.
pub(super) fn plan_response(
    request: CheckedRequest,
    rule: &ScenarioRule,
    fault: Option<FaultKind>,
    defaults: ScenarioDefaults,
) -> Result<PlannedResponse, RequestRefusal> {
    let wire = request.wire;
    let mut limits = rule.limits;
    let body = match fault {
        Some(FaultKind::Status {
            status,
            retry_after_s,
            limits: of_fault,
        }) => {
            if of_fault != ProviderLimits::default() {
                limits = of_fault;
            }
            PlannedBody::Status {
                status,
                retry_after_s,
            }
        }
        Some(FaultKind::StreamError { error }) if !request.form.stream => PlannedBody::Status {
            status: status_of_error(error).unwrap_or(500),
            retry_after_s: None,
        },
        Some(FaultKind::RetiredModel) => PlannedBody::RetiredModel,
        Some(FaultKind::Hang { s }) => PlannedBody::Hang { s },
        fault => PlannedBody::Reply(Box::new(plan_reply(request, rule, fault, defaults)?)),
    };
    Ok(PlannedResponse { wire, body, limits })
}

fn plan_reply(
    request: CheckedRequest,
    rule: &ScenarioRule,
    fault: Option<FaultKind>,
    defaults: ScenarioDefaults,
) -> Result<RuleReply, RequestRefusal> {
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
    Ok(RuleReply {
        request,
        answer,
        fault,
        pace,
    })
}

impl PlannedResponse {
    /// The HTTP response; its body sends itself at its own pace.
    pub(super) async fn send_response(self, now: Timestamp) -> Response {
        let Self { wire, body, limits } = self;
        let mut response = match body {
            PlannedBody::Status {
                status,
                retry_after_s,
            } => failure_response(wire, status, retry_after_s),
            PlannedBody::RetiredModel => {
                respond::json_response(StatusCode::NOT_FOUND, &retired_body(wire))
            }
            PlannedBody::Hang { s } => {
                respond::pause_for(Duration::from_secs(s)).await;
                return respond::broken_response();
            }
            PlannedBody::Reply(reply) if reply.request.form.stream => reply.stream_response(),
            PlannedBody::Reply(reply) => reply.whole_response(),
        };
        limit_headers::add_limits(response.headers_mut(), wire, &limits, now);
        response
    }
}

impl RuleReply {
    fn stream_response(self) -> Response {
        let mut outs = match self.request.wire {
            Dialect::Messages => messages_answer::answer_events(&self.answer),
            Dialect::ChatCompletions => {
                chat_answer::answer_events(&self.answer, self.request.form.usage_chunk)
            }
            Dialect::Responses => responses_answer::answer_events(&self.answer),
        };
        wire_output::spoil_events(&mut outs, self.fault.as_ref(), |kind| {
            match self.request.wire {
                Dialect::Messages => messages_answer::error_event(kind, FAULT_MESSAGE),
                Dialect::ChatCompletions => chat_answer::error_event(kind, FAULT_MESSAGE),
                Dialect::Responses => responses_answer::error_event(kind, FAULT_MESSAGE),
            }
        });
        respond::paced_response("text/event-stream", outs, self.pace)
    }

    fn whole_response(self) -> Response {
        let body = match self.request.wire {
            Dialect::Messages => messages_answer::answer_body(&self.answer),
            Dialect::ChatCompletions => chat_answer::answer_body(&self.answer),
            Dialect::Responses => responses_answer::answer_body(&self.answer),
        };
        let text = body.to_string();
        // Where arguments are text, they can be broken while the body stays whole.
        let is_cut = match self.fault {
            Some(FaultKind::BrokenJson(BrokenJson::Body)) => true,
            Some(FaultKind::BrokenJson(BrokenJson::ToolInput)) => {
                self.request.wire == Dialect::Messages
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

/// What each vendor says of a model that it no longer has.
fn retired_body(wire: Dialect) -> Json {
    match wire {
        Dialect::Messages => error_body(wire, "not_found_error", &format!("model: {MODEL}")),
        Dialect::ChatCompletions | Dialect::Responses => {
            let says =
                format!("The model `{MODEL}` does not exist or you do not have access to it.");
            let mut body = error_body(wire, "invalid_request_error", &says);
            body["error"]["code"] = json!("model_not_found");
            body
        }
    }
}

fn failure_response(wire: Dialect, status: u16, retry_after_s: Option<u64>) -> Response {
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
