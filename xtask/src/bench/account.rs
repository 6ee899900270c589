//! Where the wall time of a run went.

use anyhow::{Context, Result};

/// A stretch of time: first and last microsecond since the epoch.
pub(super) type Span = (i64, i64);

/// When something other than us was at work.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Spans {
    /// Model calls.
    pub(super) model: Vec<Span>,
    /// Checks in their sandboxes.
    pub(super) checks: Vec<Span>,
    /// Commands of agents.
    pub(super) commands: Vec<Span>,
}

/// A run's wall time, every instant of it counted once, in milliseconds.
#[derive(Debug, PartialEq)]
pub(super) struct Account {
    /// From the spec's first event to its end.
    pub(super) wall: f64,
    /// At least one model call was open.
    pub(super) model: f64,
    /// No model call, but at least one check ran.
    pub(super) checks: f64,
    /// Neither, but at least one agent's command ran.
    pub(super) commands: f64,
    /// Nothing but us.
    pub(super) ours: f64,
}

impl Account {
    /// Splits `run` into what `spans` cover and the rest.
    pub(super) fn of(run: Span, spans: &Spans) -> Self {
        let mut all = Vec::new();
        let mut covered_with = |more: &[Span]| {
            all.extend_from_slice(more);
            covered(run, &all)
        };
        let model = covered_with(&spans.model);
        let checks = covered_with(&spans.checks);
        let commands = covered_with(&spans.commands);
        let ms = |micros: i64| micros as f64 / 1e3;
        Self {
            wall: ms(run.1 - run.0),
            model: ms(model),
            checks: ms(checks - model),
            commands: ms(commands - checks),
            ours: ms(run.1 - run.0 - commands),
        }
    }

    /// Our share in percent of the wall time in which no model call was open.
    pub(super) fn share(&self) -> f64 {
        self.ours / (self.wall - self.model) * 100.0
    }
}

/// Microseconds of `run` in which at least one of `spans` is open.
fn covered(run: Span, spans: &[Span]) -> i64 {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let (mut until, mut total) = (run.0, 0);
    for (from, to) in spans {
        let (from, to) = (from.max(until), to.min(run.1));
        if from < to {
            total += to - from;
            until = to;
        }
    }
    total
}

/// The run and what was at work in it, from the lines of `omoi run --json`.
///
/// Commands are missing: their events do not say how long they took.
pub(super) fn read(lines: &str) -> Result<(Span, Spans)> {
    let (mut begun, mut ended, mut spans) = (None, None, Spans::default());
    for line in lines.lines() {
        if is(line, "type", "summary") {
            ended = begun
                .zip(number(line, "wall_ms"))
                .map(|(begun, ms)| begun + ms * 1_000);
            continue;
        }
        let at = number(line, "occurred_at");
        begun = begun.or(at);
        let (list, key) = if is(line, "event_type", "cost.recorded") {
            (&mut spans.model, "latency_ms")
        } else if is(line, "event_type", "receipt.stored") {
            (&mut spans.checks, "took_ms")
        } else {
            continue;
        };
        let took = number(line, key).with_context(|| format!("no `{key}` in {line}"))?;
        let at = at.with_context(|| format!("no time in {line}"))?;
        list.push((at - took * 1_000, at));
    }
    let run = begun.zip(ended).context("the run printed no summary")?;
    Ok((run, spans))
}

/// What one attempt of an agent cost beside its model calls and its commands, in milliseconds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AttemptOverhead {
    /// From its claim to its first model call, and from its last to its end.
    pub(super) around_ms: f64,
    /// From the end of each model call to the beginning of the next.
    pub(super) turns_ms: Vec<f64>,
}

/// A command that an agent ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgentCommand {
    /// Whose agent it was.
    pub(super) attempt: String,
    /// When it ran.
    pub(super) span: Span,
}

/// The overheads of the attempts that asked a model and ended, from the lines of `omoi run --json`.
///
/// An attempt's own commands are taken off, and not those that agents of others ran at the same time.
pub(super) fn attempts(lines: &str, commands: &[AgentCommand]) -> Result<Vec<AttemptOverhead>> {
    let mut attempts = Vec::new();
    for line in lines
        .lines()
        .filter(|line| is(line, "event_type", "attempt.starting"))
    {
        let attempt = text(line, "attempt_id").with_context(|| format!("no attempt in {line}"))?;
        let began = number(beginning(lines, line), "occurred_at");
        let began = began.with_context(|| format!("no time in {line}"))?;
        let own = lines.lines().filter(|line| is(line, "attempt_id", attempt));
        let of_attempt = commands.iter().filter(|command| command.attempt == attempt);
        let spans: Vec<Span> = of_attempt.map(|command| command.span).collect();
        let (mut last, mut overhead, mut calls) = (began, AttemptOverhead::default(), 0);
        for line in own {
            let at = number(line, "occurred_at").with_context(|| format!("no time in {line}"))?;
            if is(line, "event_type", "cost.recorded") {
                let took =
                    number(line, "latency_ms").with_context(|| format!("no latency in {line}"))?;
                let waited = uncovered((last, at - took * 1_000), &spans);
                match calls {
                    0 => overhead.around_ms += waited,
                    _ => overhead.turns_ms.push(waited),
                }
                (last, calls) = (at, calls + 1);
            } else if is(line, "event_type", "attempt.ended") && calls > 0 {
                overhead.around_ms += uncovered((last, at), &spans);
                attempts.push(overhead);
                break;
            }
        }
    }
    Ok(attempts)
}

/// The line by which the work of an attempt begins whose sandbox `starting` tells of: its task was claimed, or its
/// phase begun. Its workspace is prepared in between.
fn beginning<'a>(lines: &'a str, starting: &'a str) -> &'a str {
    let of_task = || Some(("task.claimed", "task_id", text(starting, "task_id")?));
    let of_phase = || Some(("spec.phase_started", "phase", text(starting, "phase")?));
    let Some((kind, key, subject)) = of_task().or_else(of_phase) else {
        return starting;
    };
    let before = lines.lines().take_while(|line| *line != starting);
    let begun = before.filter(|line| is(line, "event_type", kind) && is(line, key, subject));
    begun.last().unwrap_or(starting)
}

/// Milliseconds of `gap` in which none of `spans` is open.
fn uncovered(gap: Span, spans: &[Span]) -> f64 {
    (gap.1 - gap.0 - covered(gap, spans)).max(0) as f64 / 1e3
}

/// The text at `key` of a line of JSON without blanks, as it stands there.
fn text<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{key}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

/// The number at `key` of a line of JSON without blanks.
///
/// A quote within a JSON text is always escaped, so `"key":` cannot be anything but a key.
pub(super) fn number(line: &str, key: &str) -> Option<i64> {
    let (_, rest) = line.split_once(&format!("\"{key}\":"))?;
    rest.split([',', '}', ']']).next()?.parse().ok()
}

fn is(line: &str, key: &str, value: &str) -> bool {
    line.contains(&format!("\"{key}\":\"{value}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn every_instant_of_a_run_is_counted_once() {
        let lines = r#"
{"seq":1,"occurred_at":1000000,"event_type":"spec.created","payload":{"title":"\"took_ms\":7"}}
{"seq":2,"occurred_at":1300000,"event_type":"cost.recorded","payload":{"latency_ms":200}}
{"seq":3,"occurred_at":1400000,"event_type":"cost.recorded","payload":{"latency_ms":200}}
{"seq":4,"occurred_at":1600000,"event_type":"receipt.stored","payload":{"command":"\"took_ms\":9","took_ms":300}}
{"type":"summary","outcome":"succeeded","wall_ms":1000,"model_ms":400}
"#;
        let (run, mut spans) = read(lines.trim_start()).unwrap();
        // A command inside a check, and one that begins before the run does.
        spans.commands = vec![(1_450_000, 1_700_000), (900_000, 1_050_000)];
        let account = Account::of(run, &spans);
        let expected = Account {
            wall: 1_000.0,
            model: 300.0,
            checks: 200.0,
            commands: 150.0,
            ours: 350.0,
        };
        assert_eq!(account, expected);
        assert_eq!(format!("{:.3}", account.share()), "50.000");
    }

    #[test]
    fn an_attempt_pays_for_what_is_neither_model_nor_command() {
        let lines = r#"
{"occurred_at":800000,"event_type":"task.claimed","payload":{"task_id":"t"}}
{"occurred_at":970000,"event_type":"task.claimed","payload":{"task_id":"t"}}
{"occurred_at":980000,"event_type":"task.claimed","payload":{"task_id":"other"}}
{"occurred_at":1000000,"event_type":"attempt.starting","payload":{"attempt_id":"a","task_id":"t"}}
{"occurred_at":1000000,"event_type":"attempt.starting","payload":{"attempt_id":"check"}}
{"occurred_at":1150000,"event_type":"cost.recorded","payload":{"attempt_id":"a","latency_ms":100}}
{"occurred_at":1300000,"event_type":"cost.recorded","payload":{"attempt_id":"a","latency_ms":20}}
{"occurred_at":1300000,"event_type":"attempt.ended","payload":{"attempt_id":"check"}}
{"occurred_at":1310000,"event_type":"attempt.ended","payload":{"attempt_id":"a"}}
"#;
        let command = |attempt: &str, from, to| AgentCommand {
            attempt: attempt.to_owned(),
            span: (from, to),
        };
        let commands = [
            command("a", 1_160_000, 1_270_000),
            // Of another attempt at the same time.
            command("b", 1_265_000, 1_310_000),
        ];
        let overheads = attempts(lines, &commands).unwrap();
        let expected = AttemptOverhead {
            around_ms: 90.0,
            turns_ms: vec![20.0],
        };
        assert_eq!(overheads, [expected]);
    }

    #[test]
    fn a_run_without_a_summary_cannot_be_read() {
        assert!(read("{\"occurred_at\":1,\"event_type\":\"spec.created\"}").is_err());
    }
}
