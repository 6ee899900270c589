//! Reading the faults of a rule.

use super::{
    BrokenJson, Fault, FaultKind, Times,
    check::{Checker, Fields},
    error::Problem,
    node::{Node, Value},
    rule::number,
};

const KEYS: &[&str] = &[
    "status",
    "retry_after_s",
    "broken_json",
    "stream_error",
    "cut_after_bytes",
    "hang_s",
    "times",
];
const KINDS: &[&str] = &[
    "status",
    "broken_json",
    "stream_error",
    "cut_after_bytes",
    "hang_s",
];
/// The statuses a provider answers with when something is wrong.
pub(super) const STATUSES: &[&str] = &[
    "400", "401", "403", "404", "408", "409", "413", "422", "429", "500", "502", "503", "504",
    "529",
];
const STREAM_ERRORS: &[&str] = &["overloaded_error", "api_error"];
const BROKEN_JSON: &[&str] = &["tool_input", "body"];
const SECONDS: (u64, u64) = (0, 3600);
const TIMES: (u64, u64) = (1, 1_000_000);

/// Reads one fault or a list of faults.
pub(super) fn faults(checker: &mut Checker<'_>, node: Node) -> Vec<Fault> {
    let entries = match node.value {
        Value::List(_) => checker.list("fault", node).unwrap_or_default(),
        _ => vec![node],
    };
    entries
        .into_iter()
        .filter_map(|entry| fault(checker, entry))
        .collect()
}

fn fault(checker: &mut Checker<'_>, node: Node) -> Option<Fault> {
    let mut fields = checker.fields("`fault`", node, KEYS)?;
    let at = fields.at.clone();
    if !checker.one_kind(&fields, KINDS) {
        return None;
    }
    let times = times(checker, &mut fields);
    let kind = kind(checker, &mut fields)?;
    if let Some(node) = fields.take("retry_after_s") {
        let known = &[
            "broken_json",
            "stream_error",
            "cut_after_bytes",
            "hang_s",
            "times",
        ];
        let key = "retry_after_s".to_owned();
        let object = "a fault without `status`";
        checker.report(&node.at, Problem::UnknownKey { key, object, known });
    }
    Some(Fault {
        at,
        kind,
        times: times?,
    })
}

/// Once unless said otherwise.
fn times(checker: &mut Checker<'_>, fields: &mut Fields) -> Option<Times> {
    match fields.take("times") {
        None => Some(Times::Count(1)),
        Some(Node {
            value: Value::Text(text),
            ..
        }) if text == "always" => Some(Times::Always),
        Some(
            node @ Node {
                value: Value::Number(_),
                ..
            },
        ) => {
            let times = checker.number("times", &node, TIMES)?;
            Some(Times::Count(times as u32))
        }
        Some(node) => {
            checker.wrong_type("times", "a number or `always`", &node);
            None
        }
    }
}

fn kind(checker: &mut Checker<'_>, fields: &mut Fields) -> Option<FaultKind> {
    if let Some(node) = fields.take("status") {
        let retry_after_s = number(checker, fields, "retry_after_s", SECONDS);
        let status = checker.number("status", &node, (400, 599))?;
        let found = status.to_string();
        if !STATUSES.contains(&found.as_str()) {
            let problem = Problem::NotOneOf {
                key: "status",
                found,
                allowed: STATUSES,
            };
            checker.report(&node.at, problem);
        }
        return Some(FaultKind::Status {
            status: status as u16,
            retry_after_s,
        });
    }
    if let Some(node) = fields.take("broken_json") {
        let word = checker.word("broken_json", node, BROKEN_JSON)?;
        return Some(FaultKind::BrokenJson(match word {
            "tool_input" => BrokenJson::ToolInput,
            _ => BrokenJson::Body,
        }));
    }
    if let Some(node) = fields.take("stream_error") {
        let error = checker.word("stream_error", node, STREAM_ERRORS)?;
        return Some(FaultKind::StreamError { error });
    }
    if let Some(node) = fields.take("cut_after_bytes") {
        let bytes = checker.number("cut_after_bytes", &node, (0, u64::from(u32::MAX)))?;
        return Some(FaultKind::CutAfterBytes {
            bytes: bytes as usize,
        });
    }
    let node = fields.take("hang_s")?;
    Some(FaultKind::Hang {
        s: checker.number("hang_s", &node, SECONDS)?,
    })
}
