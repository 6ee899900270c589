//! Reading one rule and its conditions.

use super::{
    Rule, Times, Usage,
    check::{Checker, Fields},
    error::{Place, Problem},
    fault,
    node::{Node, Value},
    reply,
    when::{Numbers, TitlePattern, When, parse_range},
};

const RULE_KEYS: &[&str] = &[
    "name",
    "when",
    "fault",
    "reply",
    "usage",
    "stop",
    "chunk_bytes",
    "chunk_delay_ms",
];
const WHEN_KEYS: &[&str] = &["role", "phase", "task", "title", "round", "turn"];
const STOPS: &[&str] = &["max_tokens", "refusal"];

/// Largest count of bytes sent at once.
pub(super) const CHUNK_BYTES: (u64, u64) = (1, 64 * 1024);
/// Longest pause between two chunks.
pub(super) const CHUNK_DELAY_MS: (u64, u64) = (0, 10_000);
const TOKENS: (u64, u64) = (0, 1_000_000_000);

/// Reads a rule; `index` counts from 1 and names a rule without a name.
pub(super) fn rule(checker: &mut Checker<'_>, node: Node, index: usize) -> Option<Rule> {
    let mut fields = checker.fields("a rule", node, RULE_KEYS)?;
    let at = fields.at.clone();
    let name = fields
        .take("name")
        .and_then(|node| checker.text("name", node));
    let when = match checker.required(&mut fields, "when") {
        Some(node) => when(checker, node),
        None => None,
    };
    let faults = fields
        .take("fault")
        .map(|node| fault::faults(checker, node))
        .unwrap_or_default();
    let reply_node = fields.take("reply");
    let reply_at = reply_node.as_ref().map(|node| node.at.clone());
    let reply = reply_node.and_then(|node| reply::reply(checker, node));
    let rule = Rule {
        is_named: name.is_some(),
        name: name.unwrap_or_else(|| format!("rule {index}")),
        at,
        usage: usage(checker, &mut fields),
        stop: fields
            .take("stop")
            .and_then(|node| checker.word("stop", node, STOPS)),
        chunk_bytes: number(checker, &mut fields, "chunk_bytes", CHUNK_BYTES),
        chunk_delay_ms: number(checker, &mut fields, "chunk_delay_ms", CHUNK_DELAY_MS),
        when: when?,
        faults,
        reply: reply.unwrap_or_default(),
    };
    check_answers(checker, &rule, reply_at);
    Some(rule)
}

/// Reads an optional number of a mapping.
pub(super) fn number(
    checker: &mut Checker<'_>,
    fields: &mut Fields,
    key: &'static str,
    bounds: (u64, u64),
) -> Option<u64> {
    let node = fields.take(key)?;
    checker.number(key, &node, bounds)
}

/// Every fault and reply must be reachable, and something must be sent in the end.
fn check_answers(checker: &mut Checker<'_>, rule: &Rule, reply_at: Option<Place>) {
    let endless = rule
        .faults
        .iter()
        .position(|fault| fault.times == Times::Always);
    if let Some(endless) = endless {
        let at = rule.faults[endless].at.clone();
        for hidden in &rule.faults[endless + 1..] {
            checker.report(&hidden.at, Problem::BehindEndlessFault { at: at.clone() });
        }
    }
    let reply_is_sent =
        endless.is_none() || rule.faults.iter().any(|fault| fault.kind.spoils_a_reply());
    match (reply_at, endless) {
        (None, _) if reply_is_sent => {
            checker.report(
                &rule.at,
                Problem::NoReply {
                    rule: rule.name.clone(),
                },
            );
        }
        (Some(reply), Some(endless)) if !reply_is_sent => {
            let at = rule.faults[endless].at.clone();
            checker.report(&reply, Problem::BehindEndlessFault { at });
        }
        (Some(_), _) => {
            for fault in rule
                .faults
                .iter()
                .filter(|fault| fault.kind.breaks_a_tool_input())
            {
                if !rule.reply.iter().any(super::Part::is_tool_call) {
                    checker.report(&fault.at, Problem::NoToolToBreak);
                }
            }
        }
        (None, _) => {}
    }
}

fn usage(checker: &mut Checker<'_>, fields: &mut Fields) -> Usage {
    let Some(node) = fields.take("usage") else {
        return Usage::default();
    };
    let Some(mut fields) = checker.fields("`usage`", node, &["input", "output"]) else {
        return Usage::default();
    };
    Usage {
        input: number(checker, &mut fields, "input", TOKENS),
        output: number(checker, &mut fields, "output", TOKENS),
    }
}

fn when(checker: &mut Checker<'_>, node: Node) -> Option<When> {
    let mut fields = checker.fields("`when`", node, WHEN_KEYS)?;
    let text = |checker: &mut Checker<'_>, fields: &mut Fields, key| {
        fields.take(key).and_then(|node| checker.text(key, node))
    };
    let role = text(checker, &mut fields, "role");
    let phase = text(checker, &mut fields, "phase");
    let task = text(checker, &mut fields, "task");
    let title = fields.take("title").and_then(|node| title(checker, node));
    let round = fields
        .take("round")
        .and_then(|node| numbers(checker, "round", node));
    let turn = fields
        .take("turn")
        .and_then(|node| numbers(checker, "turn", node));
    Some(When {
        role,
        phase,
        task,
        title,
        round,
        turn,
    })
}

fn title(checker: &mut Checker<'_>, node: Node) -> Option<TitlePattern> {
    let at = node.at.clone();
    let text = checker.text("title", node)?;
    let pattern = TitlePattern::new(&text);
    pattern
        .map_err(|source| checker.report(&at, Problem::BadGlob { source }))
        .ok()
}

fn numbers(checker: &mut Checker<'_>, key: &'static str, node: Node) -> Option<Numbers> {
    let entries = match node.value {
        Value::List(ref entries) if entries.is_empty() => {
            checker.report(&node.at, Problem::Empty { key });
            return None;
        }
        Value::List(entries) => entries,
        Value::Number(_) | Value::Text(_) => vec![node],
        _ => {
            checker.wrong_type(key, "a number, a range or a list of these", &node);
            return None;
        }
    };
    let ranges: Option<Vec<_>> = entries
        .iter()
        .map(|entry| range(checker, key, entry))
        .collect();
    ranges.map(Numbers::union)
}

fn range(checker: &mut Checker<'_>, key: &'static str, node: &Node) -> Option<(u32, u32)> {
    let Value::Text(text) = &node.value else {
        let number = checker.number(key, node, (0, u64::from(u32::MAX - 1)))?;
        return Some((number as u32, number as u32));
    };
    let range = parse_range(text);
    if range.is_none() {
        checker.report(
            &node.at,
            Problem::BadRange {
                key,
                text: text.clone(),
            },
        );
    }
    range
}
