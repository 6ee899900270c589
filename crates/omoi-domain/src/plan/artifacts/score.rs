//! How good the markdown of a plan is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Documents, Files, ROOT, parse};

/// Least score that passes.
pub const ARTIFACT_THRESHOLD: f64 = 0.80;

/// What a body is written for; a ticket says more than a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// At least 100 characters.
    Ticket,
    /// At least 50 characters.
    Task,
}

/// How many files there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Ticket files.
    pub tickets: usize,
    /// Task files.
    pub tasks: usize,
}

/// The score of the files of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactScore {
    /// Weighted sum, 0 to 1.
    pub score: f64,
    /// Whether it reaches [`ARTIFACT_THRESHOLD`].
    pub passed: bool,
    /// Each criterion by name.
    pub details: BTreeMap<&'static str, f64>,
    /// Faults that cost nothing or little.
    pub warnings: Vec<String>,
}

/// Scores the ticket and task files in `files`; without any, nothing is good.
pub fn score(files: &Files, expected: Expected) -> ArtifactScore {
    let (documents, errors) = parse(files);
    let (tickets, tasks) = (&documents.tickets, &documents.tasks);
    let failed = |folder: &str| {
        let prefix = format!("{ROOT}/{folder}/");
        let inside = |file: &str| file.starts_with(&prefix) && !file.ends_with("/index.md");
        errors.iter().filter(|e| inside(&e.file)).count()
    };
    let (bad_tickets, bad_tasks) = (failed("tickets"), failed("tasks"));
    let mut warnings: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let n_files = tickets.len() + tasks.len() + bad_tickets + bad_tasks;
    let known: BTreeSet<&String> = tickets.iter().map(|t| &t.front.id).collect();
    let homed = tasks
        .iter()
        .filter(|t| known.contains(&t.front.parent_ticket))
        .count();
    let sequence = sequence_score(&names(files, "tickets"), &mut warnings)
        + sequence_score(&names(files, "tasks"), &mut warnings);
    let criteria = [
        (
            "ticket_parsing",
            0.25,
            share(tickets.len(), tickets.len() + bad_tickets),
        ),
        (
            "task_parsing",
            0.25,
            share(tasks.len(), tasks.len() + bad_tasks),
        ),
        ("parent_references", 0.20, share(homed, tasks.len())),
        ("body_quality", 0.15, mean_body_score(&documents)),
        ("id_sequence", 0.05, sequence / 2.0),
        (
            "expected_tickets",
            0.05,
            share(tickets.len(), expected.tickets),
        ),
        ("expected_tasks", 0.05, share(tasks.len(), expected.tasks)),
    ];
    let sum: f64 = criteria
        .iter()
        .map(|(_, weight, value)| weight * value)
        .sum();
    let score = if n_files == 0 { 0.0 } else { sum };
    ArtifactScore {
        score,
        passed: score >= ARTIFACT_THRESHOLD,
        details: criteria
            .iter()
            .map(|(name, _, value)| (*name, *value))
            .collect(),
        warnings,
    }
}

fn mean_body_score(documents: &Documents) -> f64 {
    let tickets = documents
        .tickets
        .iter()
        .map(|t| body_score(BodyKind::Ticket, &t.body));
    let tasks = documents
        .tasks
        .iter()
        .map(|t| body_score(BodyKind::Task, &t.body));
    let scores: Vec<f64> = tickets.chain(tasks).collect();
    if scores.is_empty() {
        return 1.0;
    }
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// How much a body says: length, a heading, a list, code, words.
pub fn body_score(kind: BodyKind, body: &str) -> f64 {
    let chars_wanted = match kind {
        BodyKind::Ticket => 100,
        BodyKind::Task => 50,
    };
    let n_chars = body.trim().chars().count();
    let n_words = body.split_whitespace().count();
    let any = |test: fn(&str) -> bool| body.lines().any(|line| test(line.trim_start()));
    let has_heading = any(|l| l.starts_with('#') && l.trim_start_matches('#').starts_with(' '));
    let length = grade(n_chars, [(chars_wanted, 0.4), (chars_wanted / 2, 0.2)]);
    let heading = if has_heading { 0.2 } else { 0.0 };
    let list = if any(|l| l.starts_with("- ") || l.starts_with("* ")) {
        0.2
    } else {
        0.0
    };
    let code = if any(|l| l.starts_with("```")) {
        0.1
    } else {
        0.0
    };
    length + heading + list + code + grade(n_words, [(50, 0.1), (20, 0.05)])
}

/// The points of the first step that `n` reaches.
fn grade(n: usize, steps: [(usize, f64); 2]) -> f64 {
    let reached = steps.iter().find(|(wanted, _)| n >= *wanted);
    reached.map_or(0.0, |(_, points)| *points)
}

/// The files of `folder` without their ending; each is named after its id.
fn names<'a>(files: &'a Files, folder: &str) -> Vec<&'a str> {
    let prefix = format!("{ROOT}/{folder}/");
    let name = |path: &'a String| path.strip_prefix(&prefix)?.strip_suffix(".md");
    files
        .keys()
        .filter_map(name)
        .filter(|name| *name != "index")
        .collect()
}

/// `n` of `total`, at most 1; of nothing everything is there.
fn share(n: usize, total: usize) -> f64 {
    if total == 0 {
        1.0
    } else {
        (n as f64 / total as f64).min(1.0)
    }
}

/// One, less a tenth for each id without a number. Gaps only warn.
fn sequence_score(ids: &[&str], warnings: &mut Vec<String>) -> f64 {
    let number = |id: &&str| id.rsplit('-').next().and_then(|n| n.parse::<u32>().ok());
    let mut numbers: Vec<u32> = ids.iter().filter_map(number).collect();
    numbers.sort_unstable();
    for pair in numbers.windows(2).filter(|pair| pair[1] > pair[0] + 1) {
        warnings.push(format!("numbers jump from {} to {}", pair[0], pair[1]));
    }
    let unnumbered = ids.len() - numbers.len();
    (1.0 - 0.1 * unnumbered as f64).max(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn file(id: &str, parent: Option<&str>, body: &str) -> (String, String) {
        let (folder, own) = match parent {
            None => ("tickets", "priority: LOW\nupdated: 2025-01-01".to_owned()),
            Some(parent) => ("tasks", format!("parent_ticket: {parent}")),
        };
        let status = if parent.is_none() {
            "backlog"
        } else {
            "pending"
        };
        let head = format!(
            "id: {id}\ntitle: x\nstatus: {status}\nestimate: S\ncreated: 2025-01-01\n{own}"
        );
        (
            format!("{ROOT}/{folder}/{id}.md"),
            format!("---\n{head}\n---\n\n{body}"),
        )
    }

    #[test]
    fn bodies_are_scored_by_what_they_hold() {
        let long = "word ".repeat(50);
        for (kind, body, expected) in [
            (BodyKind::Task, String::new(), 0.0),
            (BodyKind::Task, "x".repeat(25), 0.2),
            (BodyKind::Task, "x".repeat(50), 0.4),
            (BodyKind::Ticket, "x".repeat(50), 0.2),
            (BodyKind::Ticket, "x".repeat(100), 0.4),
            (BodyKind::Task, "x ".repeat(20), 0.25),
            (BodyKind::Ticket, long.clone(), 0.5),
            (
                BodyKind::Ticket,
                format!("# h\n\n- a\n\n```\n{long}\n```"),
                1.0,
            ),
            (BodyKind::Ticket, format!("#h -a `c` {long}"), 0.5),
        ] {
            let got = body_score(kind, &body);
            assert!((got - expected).abs() < 1e-9, "{kind:?} {body:?}: {got}");
        }
    }

    #[test]
    fn files_are_scored_by_shares() {
        let rich = format!(
            "# Heading\n\n- item\n\n```\ncode\n```\n\n{}",
            "word ".repeat(60)
        );
        let mut files: Files = [
            file("TKT-001", None, &rich),
            file("TSK-001", Some("TKT-001"), &rich),
            file("TSK-004", Some("TKT-001"), &rich),
        ]
        .into();
        let whole = Expected {
            tickets: 1,
            tasks: 2,
        };
        let best = score(&files, whole);
        assert!((best.score - 1.0).abs() < 1e-9 && best.passed, "{best:?}");
        assert_eq!(best.warnings, ["numbers jump from 1 to 4"]);
        let (path, text) = file("TSK-002", Some("TKT-009"), "");
        files.insert(path, text);
        files.insert(
            format!("{ROOT}/tasks/TSK-new.md"),
            "no frontmatter".to_owned(),
        );
        let worse = score(
            &files,
            Expected {
                tickets: 2,
                tasks: 4,
            },
        );
        for (name, expected) in [
            ("ticket_parsing", 1.0),
            ("task_parsing", 0.75),
            ("parent_references", 2.0 / 3.0),
            ("body_quality", 0.75),
            ("id_sequence", 0.95),
            ("expected_tickets", 0.5),
            ("expected_tasks", 0.75),
        ] {
            assert!(
                (worse.details[name] - expected).abs() < 1e-9,
                "{name}: {worse:?}"
            );
        }
        assert!(
            worse.warnings.iter().any(|w| w.contains("TSK-new.md:1")),
            "{worse:?}"
        );
        assert!(score(&Files::new(), whole).score == 0.0);
    }
}
