//! What workers report.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::{ReportComplete, ReportStarted};

/// What a worker of our own loop first reports.
pub fn native_start() -> ReportStarted {
    ReportStarted {
        agent: AgentProgram::Native,
        version: "1.0.0".to_owned(),
        is_resuming: false,
    }
}

/// The end of an attempt, as its worker tells it.
pub fn ended_report(outcome: AttemptOutcome, stop_reason: AttemptStopReason) -> ReportComplete {
    ReportComplete {
        outcome,
        stop_reason,
        summary: None,
        bundle: None,
        error_class: None,
        error_message: None,
        turns: 1,
        refused_paths: Vec::new(),
        unsaved: None,
        ignored_paths: Vec::new(),
        question: None,
    }
}

/// An end with an error.
pub fn failed_report(class: ErrorClass, message: &str) -> ReportComplete {
    ReportComplete {
        error_class: Some(class),
        error_message: Some(message.to_owned()),
        ..ended_report(AttemptOutcome::Failed, AttemptStopReason::Error)
    }
}
