//! Reading one rule and its conditions.

use std::ops::RangeInclusive;

use super::{
    FaultTimes, RuleUsage, ScenarioRule,
    checker::{MappingFields, ScenarioChecker},
    conditions::{NumberSet, RuleConditions, TitlePattern, parse_range},
    error::{ScenarioProblem, SourcePlace},
    fault, limits,
    node::{YamlNode, YamlValue},
    reply,
};

const RULE_KEYS: &[&str] = &[
    "name",
    "when",
    "fault",
    "reasoning",
    "reply",
    "usage",
    "limits",
    "stop",
    "chunk_bytes",
    "chunk_delay_ms",
];
const WHEN_KEYS: &[&str] = &["role", "phase", "task", "title", "round", "turn"];
const STOPS: &[&str] = &["max_tokens", "refusal"];

/// Largest count of bytes sent at once.
pub(super) const CHUNK_BYTES: RangeInclusive<u64> = 1..=64 * 1024;
/// Longest pause between two chunks.
pub(super) const CHUNK_DELAY_MS: RangeInclusive<u64> = 0..=10_000;
const TOKENS: RangeInclusive<u64> = 0..=1_000_000_000;

/// Reads a rule; `index` counts from 1 and names a rule without a name.
pub(super) fn read_rule(
    checker: &mut ScenarioChecker<'_>,
    node: YamlNode,
    index: usize,
) -> Option<ScenarioRule> {
    let mut fields = checker.open_fields("a rule", node, RULE_KEYS)?;
    let at = fields.at.clone();
    let name = fields
        .take_field("name")
        .and_then(|node| checker.read_text("name", node));
    let when = match checker.required_field(&mut fields, "when") {
        Some(node) => read_when(checker, node),
        None => None,
    };
    let faults = fields
        .take_field("fault")
        .map(|node| fault::read_faults(checker, node))
        .unwrap_or_default();
    let reply_node = fields.take_field("reply");
    let reply_at = reply_node.as_ref().map(|node| node.at.clone());
    let reply = reply_node.and_then(|node| reply::read_reply(checker, node));
    let rule = ScenarioRule {
        is_named: name.is_some(),
        name: name.unwrap_or_else(|| format!("rule {index}")),
        at,
        reasoning: fields
            .take_field("reasoning")
            .and_then(|node| checker.read_text_or_file("reasoning", node)),
        usage: read_usage(checker, &mut fields),
        limits: limits::read_limits(checker, &mut fields),
        stop: fields
            .take_field("stop")
            .and_then(|node| checker.read_word("stop", node, STOPS)),
        chunk_bytes: read_number(checker, &mut fields, "chunk_bytes", CHUNK_BYTES),
        chunk_delay_ms: read_number(checker, &mut fields, "chunk_delay_ms", CHUNK_DELAY_MS),
        when: when?,
        faults,
        reply: reply.unwrap_or_default(),
    };
    check_answers(checker, &rule, reply_at);
    Some(rule)
}

/// Reads an optional number of a mapping.
pub(super) fn read_number(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
    key: &'static str,
    bounds: RangeInclusive<u64>,
) -> Option<u64> {
    let node = fields.take_field(key)?;
    checker.read_number(key, &node, bounds)
}

/// Every fault and reply must be reachable, and something must be sent in the end.
fn check_answers(
    checker: &mut ScenarioChecker<'_>,
    rule: &ScenarioRule,
    reply_at: Option<SourcePlace>,
) {
    let endless = rule
        .faults
        .iter()
        .position(|fault| fault.times == FaultTimes::Always);
    if let Some(endless) = endless {
        let at = rule.faults[endless].at.clone();
        for hidden in &rule.faults[endless + 1..] {
            checker.report_problem(
                &hidden.at,
                ScenarioProblem::BehindEndlessFault { at: at.clone() },
            );
        }
    }
    let reply_is_sent =
        endless.is_none() || rule.faults.iter().any(|fault| fault.kind.spoils_a_reply());
    match (reply_at, endless) {
        (None, _) if reply_is_sent => {
            checker.report_problem(
                &rule.at,
                ScenarioProblem::NoReply {
                    rule: rule.name.clone(),
                },
            );
        }
        (Some(reply), Some(endless)) if !reply_is_sent => {
            let at = rule.faults[endless].at.clone();
            checker.report_problem(&reply, ScenarioProblem::BehindEndlessFault { at });
        }
        (Some(_), _) => {
            for fault in rule
                .faults
                .iter()
                .filter(|fault| fault.kind.breaks_a_tool_input())
            {
                if !rule.reply.iter().any(super::ReplyPart::is_tool_call) {
                    checker.report_problem(&fault.at, ScenarioProblem::NoToolToBreak);
                }
            }
        }
        (None, _) => {}
    }
}

const USAGE_KEYS: &[&str] = &["input", "output", "cache_read", "cache_write", "reasoning"];

fn read_usage(checker: &mut ScenarioChecker<'_>, fields: &mut MappingFields) -> RuleUsage {
    let Some(node) = fields.take_field("usage") else {
        return RuleUsage::default();
    };
    if matches!(&node.value, YamlValue::Text(text) if text == "none") {
        return RuleUsage {
            is_missing: true,
            ..RuleUsage::default()
        };
    }
    let Some(mut fields) = checker.open_fields("`usage`", node, USAGE_KEYS) else {
        return RuleUsage::default();
    };
    let mut tokens = |key| read_number(checker, &mut fields, key, TOKENS);
    RuleUsage {
        input: tokens("input"),
        output: tokens("output"),
        cache_read: tokens("cache_read"),
        cache_write: tokens("cache_write"),
        reasoning: tokens("reasoning"),
        is_missing: false,
    }
}

fn read_when(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<RuleConditions> {
    let mut fields = checker.open_fields("`when`", node, WHEN_KEYS)?;
    let text = |checker: &mut ScenarioChecker<'_>, fields: &mut MappingFields, key| {
        fields
            .take_field(key)
            .and_then(|node| checker.read_text(key, node))
    };
    let role = text(checker, &mut fields, "role");
    let phase = text(checker, &mut fields, "phase");
    let task = text(checker, &mut fields, "task");
    let title = fields
        .take_field("title")
        .and_then(|node| read_title(checker, node));
    let round = fields
        .take_field("round")
        .and_then(|node| read_numbers(checker, "round", node));
    let turn = fields
        .take_field("turn")
        .and_then(|node| read_numbers(checker, "turn", node));
    Some(RuleConditions {
        role,
        phase,
        task,
        title,
        round,
        turn,
    })
}

fn read_title(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<TitlePattern> {
    let at = node.at.clone();
    let text = checker.read_text("title", node)?;
    let pattern = TitlePattern::new(&text);
    pattern
        .map_err(|source| checker.report_problem(&at, ScenarioProblem::BadGlob { source }))
        .ok()
}

fn read_numbers(
    checker: &mut ScenarioChecker<'_>,
    key: &'static str,
    node: YamlNode,
) -> Option<NumberSet> {
    let entries = match node.value {
        YamlValue::List(ref entries) if entries.is_empty() => {
            checker.report_problem(&node.at, ScenarioProblem::Empty { key });
            return None;
        }
        YamlValue::List(entries) => entries,
        YamlValue::Number(_) | YamlValue::Text(_) => vec![node],
        _ => {
            checker.wrong_type(key, "a number, a range or a list of these", &node);
            return None;
        }
    };
    let ranges: Option<Vec<_>> = entries
        .iter()
        .map(|entry| read_range(checker, key, entry))
        .collect();
    ranges.map(NumberSet::union_of)
}

fn read_range(
    checker: &mut ScenarioChecker<'_>,
    key: &'static str,
    node: &YamlNode,
) -> Option<(u32, u32)> {
    let YamlValue::Text(text) = &node.value else {
        let number = checker.read_number(key, node, 0..=u64::from(u32::MAX - 1))?;
        return Some((number as u32, number as u32));
    };
    let range = parse_range(text);
    if range.is_none() {
        checker.report_problem(
            &node.at,
            ScenarioProblem::BadRange {
                key,
                text: text.clone(),
            },
        );
    }
    range
}
