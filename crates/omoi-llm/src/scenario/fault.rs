//! Reading the faults of a rule.

use std::ops::RangeInclusive;

use super::{
    BrokenJson, FaultKind, FaultTimes, RuleFault,
    checker::{MappingFields, ScenarioChecker},
    error::ScenarioProblem,
    limits,
    node::{YamlNode, YamlValue},
    rule::read_number,
};

const KEYS: &[&str] = &[
    "status",
    "retry_after_s",
    "limits",
    "retired_model",
    "broken_json",
    "stream_error",
    "cut_after_bytes",
    "hang_s",
    "times",
];
const KINDS: &[&str] = &[
    "status",
    "retired_model",
    "broken_json",
    "stream_error",
    "cut_after_bytes",
    "hang_s",
];
/// What a fault without a status may have.
const OTHER_KEYS: &[&str] = &[
    "retired_model",
    "broken_json",
    "stream_error",
    "cut_after_bytes",
    "hang_s",
    "times",
];
/// The statuses a provider answers with when something is wrong.
pub(super) const STATUSES: &[&str] = &[
    "400", "401", "403", "404", "408", "409", "413", "422", "429", "500", "502", "503", "504",
    "529",
];
const STREAM_ERRORS: &[&str] = &["overloaded_error", "api_error"];
const BROKEN_JSON: &[&str] = &["tool_input", "body"];
const HANG_S: RangeInclusive<u64> = 0..=3600;
/// A week, the longest window of a provider.
pub(super) const RESET_S: RangeInclusive<u64> = 0..=604_800;
const TIMES: RangeInclusive<u64> = 1..=1_000_000;

/// Reads one fault or a list of faults.
pub(super) fn read_faults(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Vec<RuleFault> {
    let entries = match node.value {
        YamlValue::List(_) => checker.read_list("fault", node).unwrap_or_default(),
        _ => vec![node],
    };
    entries
        .into_iter()
        .filter_map(|entry| read_fault(checker, entry))
        .collect()
}

fn read_fault(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<RuleFault> {
    let mut fields = checker.open_fields("`fault`", node, KEYS)?;
    let at = fields.at.clone();
    if !checker.one_kind(&fields, KINDS) {
        return None;
    }
    let times = read_times(checker, &mut fields);
    let kind = read_kind(checker, &mut fields)?;
    for key in ["retry_after_s", "limits"] {
        if let Some(node) = fields.take_field(key) {
            let (key, object, known) = (key.to_owned(), "a fault without `status`", OTHER_KEYS);
            checker.report_problem(&node.at, ScenarioProblem::UnknownKey { key, object, known });
        }
    }
    Some(RuleFault {
        at,
        kind,
        times: times?,
    })
}

/// Once unless said otherwise.
fn read_times(checker: &mut ScenarioChecker<'_>, fields: &mut MappingFields) -> Option<FaultTimes> {
    match fields.take_field("times") {
        None => Some(FaultTimes::Count(1)),
        Some(YamlNode {
            value: YamlValue::Text(text),
            ..
        }) if text == "always" => Some(FaultTimes::Always),
        Some(
            node @ YamlNode {
                value: YamlValue::Number(_),
                ..
            },
        ) => {
            let times = checker.read_number("times", &node, TIMES)?;
            Some(FaultTimes::Count(times as u32))
        }
        Some(node) => {
            checker.wrong_type("times", "a number or `always`", &node);
            None
        }
    }
}

fn read_kind(checker: &mut ScenarioChecker<'_>, fields: &mut MappingFields) -> Option<FaultKind> {
    if let Some(node) = fields.take_field("status") {
        let retry_after_s = read_number(checker, fields, "retry_after_s", RESET_S);
        let limits = limits::read_limits(checker, fields);
        let status = checker.read_number("status", &node, 400..=599)?;
        let found = status.to_string();
        if !STATUSES.contains(&found.as_str()) {
            let problem = ScenarioProblem::NotOneOf {
                key: "status",
                found,
                allowed: STATUSES,
            };
            checker.report_problem(&node.at, problem);
        }
        return Some(FaultKind::Status {
            status: status as u16,
            retry_after_s,
            limits,
        });
    }
    if let Some(node) = fields.take_field("retired_model") {
        if !matches!(node.value, YamlValue::Bool(true)) {
            checker.wrong_type("retired_model", "`true`", &node);
            return None;
        }
        return Some(FaultKind::RetiredModel);
    }
    if let Some(node) = fields.take_field("broken_json") {
        let word = checker.read_word("broken_json", node, BROKEN_JSON)?;
        return Some(FaultKind::BrokenJson(match word {
            "tool_input" => BrokenJson::ToolInput,
            _ => BrokenJson::Body,
        }));
    }
    if let Some(node) = fields.take_field("stream_error") {
        let error = checker.read_word("stream_error", node, STREAM_ERRORS)?;
        return Some(FaultKind::StreamError { error });
    }
    if let Some(node) = fields.take_field("cut_after_bytes") {
        let bytes = checker.read_number("cut_after_bytes", &node, 0..=u64::from(u32::MAX))?;
        return Some(FaultKind::CutAfterBytes {
            bytes: bytes as usize,
        });
    }
    let node = fields.take_field("hang_s")?;
    Some(FaultKind::Hang {
        s: checker.read_number("hang_s", &node, HANG_S)?,
    })
}
