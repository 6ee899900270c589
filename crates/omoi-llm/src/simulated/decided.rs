//! What a request gets, faults included, and sending it.

use std::time::Duration;

use axum::response::Response;
use http::{StatusCode, header};

use super::{
    Wire,
    answer::{self, Answer, Piece},
    anthropic_answer,
    asked::Asked,
    events::{self, Out},
    openai_answer,
    refusal::{Refusal, error_body},
    respond::{self, Pace},
};
use crate::{
    scenario::{BrokenJson, Defaults, FaultKind, Rule},
    wire::anthropic::{error_of_status, status_of_error},
};

const FAULT_MESSAGE: &str = "fault injected by the scenario";

/// What a request gets.
#[derive(Debug)]
pub(super) enum Decided {
    Status {
        wire: Wire,
        status: u16,
        retry_after_s: Option<u64>,
    },
    Hang {
        s: u64,
    },
    Reply(Box<Reply>),
}

/// The reply of a rule, whole or spoiled by a fault.
#[derive(Debug)]
pub(super) struct Reply {
    asked: Asked,
    answer: Answer,
    fault: Option<FaultKind>,
    pace: Pace,
}

/// Turns the rule and the fault that is due into what will be sent.
pub(super) fn decide(
    asked: Asked,
    rule: &Rule,
    fault: Option<FaultKind>,
    defaults: Defaults,
) -> Result<Decided, Refusal> {
    let wire = asked.wire;
    match fault {
        Some(FaultKind::Status {
            status,
            retry_after_s,
        }) => {
            return Ok(Decided::Status {
                wire,
                status,
                retry_after_s,
            });
        }
        Some(FaultKind::StreamError { error }) if !asked.form.stream => {
            let status = status_of_error(error).unwrap_or(500);
            return Ok(Decided::Status {
                wire,
                status,
                retry_after_s: None,
            });
        }
        Some(FaultKind::Hang { s }) => return Ok(Decided::Hang { s }),
        _ => {}
    }
    let mut answer = answer::answer(rule, &asked)?;
    if fault == Some(FaultKind::BrokenJson(BrokenJson::ToolInput)) {
        events::break_tool_input(&mut answer);
    }
    let chunk_delay_ms = rule.chunk_delay_ms.unwrap_or(defaults.chunk_delay_ms);
    let pace = Pace {
        chunk_bytes: rule.chunk_bytes.unwrap_or(defaults.chunk_bytes) as usize,
        chunk_delay: Duration::from_millis(chunk_delay_ms),
        cut_after: match fault {
            Some(FaultKind::CutAfterBytes { bytes }) => Some(bytes),
            _ => None,
        },
    };
    Ok(Decided::Reply(Box::new(Reply {
        asked,
        answer,
        fault,
        pace,
    })))
}

impl Decided {
    /// Sends it; the returned body goes on sending at its own pace.
    pub(super) async fn send(self) -> Response {
        match self {
            Self::Status {
                wire,
                status,
                retry_after_s,
            } => failure(wire, status, retry_after_s),
            Self::Hang { s } => {
                respond::pause(Duration::from_secs(s)).await;
                respond::broken()
            }
            Self::Reply(reply) if reply.asked.form.stream => reply.stream(),
            Self::Reply(reply) => reply.whole(),
        }
    }
}

impl Reply {
    fn stream(self) -> Response {
        let mut outs = match self.asked.wire {
            Wire::Anthropic => anthropic_answer::events(&self.answer),
            Wire::OpenAi => openai_answer::events(&self.answer, self.asked.form.usage_chunk),
        };
        events::spoil(&mut outs, self.fault.as_ref(), |kind| {
            match self.asked.wire {
                Wire::Anthropic => anthropic_answer::error_event(kind, FAULT_MESSAGE),
                Wire::OpenAi => openai_answer::error_event(kind, FAULT_MESSAGE),
            }
        });
        respond::paced("text/event-stream", outs, self.pace)
    }

    fn whole(self) -> Response {
        let body = match self.asked.wire {
            Wire::Anthropic => anthropic_answer::body(&self.answer),
            Wire::OpenAi => openai_answer::body(&self.answer),
        };
        let text = body.to_string();
        // Only OpenAI's arguments are text, and so can be broken while the body stays whole.
        let is_cut = match self.fault {
            Some(FaultKind::BrokenJson(BrokenJson::Body)) => true,
            Some(FaultKind::BrokenJson(BrokenJson::ToolInput)) => {
                self.asked.wire == Wire::Anthropic
            }
            _ => false,
        };
        let mut outs: Vec<Out> = self.answer.pieces.iter().filter_map(Piece::wait).collect();
        outs.push(Out::Raw(if is_cut {
            events::first_half(&text).to_owned()
        } else {
            text
        }));
        respond::paced("application/json", outs, self.pace)
    }
}

fn failure(wire: Wire, status: u16, retry_after_s: Option<u64>) -> Response {
    let body = error_body(wire, error_of_status(status), FAULT_MESSAGE);
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond::json(code, &body);
    if let Some(seconds) = retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
