//! Words that a crate may not use: what its README promises and no dependency table can hold.

mod imports;
mod struct_update;

use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// What one group of crates does without.
struct Confinement {
    folders: &'static [&'static str],
    words: &'static [&'static str],
    /// Files where a word is right, each with its reason.
    excused: &'static [(&'static str, &'static str)],
    remedy: &'static str,
}

const CONFINEMENTS: &[Confinement] = &[
    // Equal inputs give equal outputs.
    Confinement {
        folders: &[
            "crates/omoi-domain/src/",
            "crates/omoi-plan/src/",
            "crates/omoi-protocol/src/",
        ],
        words: &[
            "async fn",
            ".await",
            "tokio",
            "rand::",
            "Instant::now",
            "SystemTime",
            "Utc::now",
            "std::env",
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
        ],
        excused: &[],
        remedy: "take the value as a parameter: rules and types are pure",
    },
    // Time and randomness come in as `CallPace`, settings as `LlmSettings`.
    Confinement {
        folders: &["crates/omoi-llm/src/"],
        words: &[
            "sqlx",
            "rand::",
            "Instant::now",
            "SystemTime",
            "Utc::now",
            "std::env",
            "tokio::time",
        ],
        excused: &[(
            "crates/omoi-llm/src/simulated/respond.rs",
            "a scenario asks for pauses on the wire",
        )],
        remedy: "take it from `CallPace`, `LlmSettings` or `CallMeter`",
    },
    // Time comes in as the clock of the runtime, settings as values.
    Confinement {
        folders: &["crates/omoi-egress/src/"],
        words: &[
            "sqlx",
            "rand::",
            "Instant::now",
            "SystemTime",
            "Utc::now",
            "std::env",
            "tokio::time",
        ],
        excused: &[],
        remedy: "take it from the clock, or as a setting",
    },
    // Tokens and limits go by the clock of the runtime or of the transaction.
    Confinement {
        folders: &["crates/omoi-accounts/src/"],
        words: &[
            "sqlx",
            "rand::",
            "Instant::now",
            "SystemTime",
            "Utc::now",
            "std::env",
            "tokio::time",
        ],
        excused: &[],
        remedy: "take it from the clock or the transaction, or as a setting",
    },
    // What changes a row is a command.
    Confinement {
        folders: &["crates/omoi-server/src/"],
        words: &[".begin_write(", ".write(CrashPoint", "CrashPoint::"],
        excused: &[],
        remedy: "write a command in omoi-execution, omoi-planning or omoi-delivery and call it",
    },
    // The router of the API is built from documented operations with a policy alone.
    Confinement {
        folders: &["crates/omoi-server/src/api/"],
        words: &[
            ".route(",
            ".nest(",
            "axum::routing::{",
            "axum::routing::get",
        ],
        excused: &[("crates/omoi-server/src/api/router.rs", "is that router")],
        remedy: "describe it with `#[utoipa::path]` and add it by `operation!`",
    },
    // So are the reports of workers; what is nested is such a router.
    Confinement {
        folders: &[
            "crates/omoi-server/src/worker/",
            "crates/omoi-server/src/worker.rs",
        ],
        words: &[".route(", "axum::routing::{", "axum::routing::get"],
        excused: &[(
            "crates/omoi-server/src/worker/model_calls.rs",
            "speaks the protocols of providers",
        )],
        remedy: "describe it with `#[utoipa::path]` and add it by `operation!`",
    },
    // What moves a row was decided by a rule.
    Confinement {
        folders: &[
            "crates/omoi-execution/src/",
            "crates/omoi-planning/src/",
            "crates/omoi-delivery/src/",
        ],
        words: &[
            "tasks::transition(",
            "tasks::claim(",
            "tasks::block(",
            "tasks::fail_permanently(",
            "specs::transition(",
            "specs::block(",
            "phases::transition(",
            "merges::transition(",
            "merges::queue_merge(",
            "merges::reopen_landed(",
            "attempts::transition(",
            "sandboxes::transition(",
            "tickets::transition(",
            "tickets::take_step(",
            ".status = ",
            ".state = ",
            ".integration_state = ",
        ],
        excused: &[
            (
                "crates/omoi-execution/src/attempt/apply.rs",
                "applies to attempts and sandboxes what a rule decided",
            ),
            (
                "crates/omoi-execution/src/dispatcher/batch_claim.rs",
                "claims what a rule ranked: the statement that claims also decides who of several gets a task",
            ),
            (
                "crates/omoi-execution/src/merges.rs",
                "applies to merges what a rule decided",
            ),
            (
                "crates/omoi-execution/src/specs.rs",
                "applies to specs what a rule decided",
            ),
            (
                "crates/omoi-execution/src/tasks.rs",
                "applies to tasks what a rule decided",
            ),
            (
                "crates/omoi-execution/src/tickets.rs",
                "applies to tickets what a rule decided",
            ),
            (
                "crates/omoi-execution/src/tasks/prerequisites.rs",
                "applies to dependents what a rule decided",
            ),
            (
                "crates/omoi-planning/src/planner/phase_change.rs",
                "applies to phases what a rule decided",
            ),
        ],
        remedy: "have a rule of `omoi_domain::lifecycle` answer with an action, and apply that",
    },
];

/// Checks every source file of the confined crates.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for confinement in CONFINEMENTS {
        for (file, text) in texts {
            let is_held = confinement
                .folders
                .iter()
                .any(|folder| file.starts_with(folder));
            if is_held && !is_test(file) && !confinement.excuses(file) {
                findings.extend(confinement.check(file, text));
            }
        }
    }
    findings
}

impl Confinement {
    fn excuses(&self, file: &Path) -> bool {
        self.excused
            .iter()
            .any(|(excused, _)| file == Path::new(excused))
    }

    fn check(&self, file: &Path, text: &str) -> Vec<Finding> {
        let code = lines_without_tests(text);
        let code: Vec<_> = code
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .collect();
        let words = code.iter().filter_map(|(number, line)| {
            let word = self.words.iter().find(|word| has_word(line, word))?;
            Some((*number, format!("`{word}` has no place in this crate")))
        });
        let mut found: Vec<_> = words.collect();
        found.extend(imports::hidden_calls(&code, self.words));
        found.extend(struct_update::changed_fields(&code, self.words));
        found.sort();
        found.dedup_by_key(|(number, _)| *number);
        let findings = found.into_iter();
        findings
            .map(|(number, what)| Finding::new(file, number, what, self.remedy))
            .collect()
    }
}

/// Whether `line` has `word`; a function also where it is named and not called.
fn has_word(line: &str, word: &str) -> bool {
    let Some(function) = word.strip_suffix('(') else {
        return line.contains(word);
    };
    let mut places = line.match_indices(function);
    places.any(|(at, _)| {
        let rest = &line[at + function.len()..];
        !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(file: &str, text: &str) -> usize {
        let texts: Texts<'_> = [(Path::new(file), text)].into();
        check(&texts).len()
    }

    #[test]
    fn each_word_is_refused_in_its_crates_only() {
        for confinement in CONFINEMENTS {
            for word in confinement.words {
                let line = format!("    x{word}y\n");
                let file = format!("{}a.rs", confinement.folders[0]);
                assert_eq!(findings(&file, &line), 1, "{line}");
                assert_eq!(findings(&file, &format!("    // {word}\n")), 0, "{line}");
                assert_eq!(findings("crates/omoi-git/src/a.rs", &line), 0, "{line}");
                assert_eq!(
                    findings("crates/omoi-domain/src/a/tests.rs", &line),
                    0,
                    "{line}"
                );
                for (excused, _) in confinement.excused {
                    assert_eq!(findings(excused, &line), 0, "{line}");
                }
            }
        }
    }

    #[test]
    fn a_move_is_refused_by_whatever_name_it_goes() {
        for (text, expected) in [
            (
                "    tasks::transition(tx, &mut task, to, None).await?;\n",
                1,
            ),
            ("    let claim = tasks::claim;\n", 1),
            ("    let waits = tasks::blocked_by(tx, id).await?;\n", 0),
            ("use omoi_store::tasks::{self, Task, TaskStanding};\n", 0),
            ("use omoi_store::tasks::{NewClaim, Task, claim};\n", 1),
            ("use omoi_store::tasks as rows;\n", 1),
            ("let done = Task { status: to, ..task };\n", 1),
            ("let done = Task { title, ..task };\n", 0),
        ] {
            let file = "crates/omoi-execution/src/a.rs";
            assert_eq!(findings(file, text), expected, "{text}");
            assert_eq!(findings("crates/omoi-server/src/a.rs", text), 0, "{text}");
        }
    }
}
