//! Words that only some files may use.

use std::path::{Path, PathBuf};

use super::Finding;
use super::files::{is_test, lines_without_tests};

/// A text that may stand only in certain places.
struct Ban {
    /// In two parts, so that this table does not find itself.
    word: [&'static str; 2],
    /// Whether tests are held to it too.
    in_tests: bool,
    /// Files, or folders that end with `/`, where it is right.
    allowed: &'static [&'static str],
    remedy: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        word: ["todo", "!("],
        in_tests: true,
        allowed: &[],
        remedy: "finish it, or leave it out",
    },
    Ban {
        word: ["unimpl", "emented!("],
        in_tests: true,
        allowed: &[],
        remedy: "finish it, or leave it out",
    },
    Ban {
        word: ["dbg", "!("],
        in_tests: true,
        allowed: &[],
        remedy: "use `tracing`, or remove it",
    },
    Ban {
        word: ["#[ign", "ore"],
        in_tests: true,
        allowed: &[],
        remedy: "make the test run everywhere, or remove it: a test nobody runs proves nothing",
    },
    Ban {
        word: ["#[should_", "panic"],
        in_tests: true,
        allowed: &[],
        remedy: "return an error and compare it: any panic would pass this test",
    },
    Ban {
        word: ["fs::", "write("],
        in_tests: false,
        // None of these holds the state of a run: temporary folders of tests and benchmarks, an agent's
        // own workspace, the kernel's control groups, clones and scratch folders of one attempt.
        allowed: &[
            "xtask/src/",
            "crates/omoi-testkit/src/",
            "crates/omoi-agent/src/program.rs",
            "crates/omoi-agent/src/tools/",
            "crates/omoi-egress/examples/bench_installs.rs",
            "crates/omoi-sandbox/src/cgroup.rs",
            "crates/omoi-sandbox/src/cgroup/",
            "crates/omoi-sandbox/src/process.rs",
            "crates/omoi-git/src/",
        ],
        remedy: "replace files through the runtime's `files`, which names a crash point and never leaves half a file",
    },
    Ban {
        word: [".com", "mit()"],
        in_tests: false,
        allowed: &[
            "crates/omoi-store/src/",
            // Its baseline is a transaction past the store.
            "crates/omoi-store/examples/bench_claims.rs",
            "crates/omoi/examples/bench_api/reports.rs",
        ],
        remedy: "commit through the store, which names a crash point",
    },
    Ban {
        word: ["Join", "Set"],
        in_tests: false,
        // Each owns its set and waits for all that is in it.
        allowed: &[
            // Connections of package managers end with the port.
            "crates/omoi-agent/src/egress_forwarder.rs",
            "crates/omoi-agent/src/process/line_program.rs",
            "crates/omoi-agent/src/process/shell_session.rs",
            "crates/omoi-agent/src/program.rs",
            "crates/omoi-agent/src/program/",
            "crates/omoi-agent/src/worker.rs",
            // Files on their way end with the cache that they go to.
            "crates/omoi-egress/src/service/fill.rs",
            "crates/omoi-llm/src/gateway.rs",
            "crates/omoi-llm/src/simulated/",
            // Its tasks follow a container and end with what follows them.
            "crates/omoi-sandbox/src/container.rs",
            "crates/omoi-server/examples/bench_gateway.rs",
            "crates/omoi-store/examples/bench_claims.rs",
            "crates/omoi/examples/bench_api/",
        ],
        remedy: "spawn through the lifecycle of `omoi-runtime`, which awaits everything before the process ends",
    },
    Ban {
        word: ["thread::", "Builder"],
        in_tests: false,
        // The kernel ends a sandbox with the thread that started it, and drops events of files that nobody takes in
        // time. Every commit waits for the log, whatever else is to be done off the threads that serve. Passwords are
        // hashed at a lower priority, which a thread cannot give back.
        allowed: &[
            "crates/omoi-accounts/src/password_pool.rs",
            "crates/omoi-sandbox/src/files_read/events.rs",
            "crates/omoi-sandbox/src/process.rs",
            "crates/omoi-store/src/dialect/log_sync.rs",
        ],
        remedy: "use `spawn_blocking` of the lifecycle of `omoi-runtime`",
    },
    Ban {
        word: ["Backend", "::Sqlite"],
        in_tests: false,
        // An orchestrator on SQLite takes the data folder's lock.
        allowed: &[
            "crates/omoi-store/src/dialect.rs",
            "crates/omoi-store/src/dialect/",
            "crates/omoi/src/composition/folder_claim.rs",
        ],
        remedy: "put what differs into `dialect`",
    },
    Ban {
        word: ["Backend", "::Postgres"],
        in_tests: false,
        allowed: &[
            "crates/omoi-store/src/dialect.rs",
            "crates/omoi-store/src/dialect/",
        ],
        remedy: "put what differs into `dialect`",
    },
    Ban {
        word: ["tx.r", "aw("],
        in_tests: false,
        // Statements without an organisation.
        allowed: &[
            "crates/omoi-store/src/attempt_tokens.rs",
            "crates/omoi-store/src/deployment.rs",
            "crates/omoi-store/src/open.rs",
        ],
        remedy: "use `rows` or `execute`, which bind the organisation",
    },
    Ban {
        word: ["tx.ins", "ert("],
        in_tests: false,
        allowed: &[
            "crates/omoi-store/src/",
            "crates/omoi-planning/src/sync.rs",
            "crates/omoi-testkit/src/",
        ],
        remedy: "insert through the table's module of the store; requirements and criteria are written by sync alone",
    },
    Ban {
        word: ["parse_", "files("],
        in_tests: false,
        allowed: &["crates/omoi-plan/src/artifacts.rs"],
        remedy: "read rows: the files of a spec are rendered from them and never read back",
    },
    Ban {
        word: ["tx, task, TaskStatus::", "Completed"],
        in_tests: false,
        allowed: &["crates/omoi-delivery/src/validator.rs"],
        remedy: "receipts complete a task, in the validator",
    },
    Ban {
        word: ["update", "-ref"],
        in_tests: false,
        allowed: &["crates/omoi-git/src/"],
        remedy: "move refs through `omoi-git`, which compares with the expected value and names a crash point",
    },
];

/// Where the bundled example may be known: its command, its files, the automation and the tests of the
/// whole program. It must be an ordinary run, so nothing else can treat it in a special way.
const DEMO_PLACES: &[&str] = &[
    "crates/omoi/src/cli/demo.rs",
    "crates/omoi/assets/demo/",
    "crates/omoi/tests/",
    "xtask/",
    "docs/",
];
/// The one file that lists all commands; it may name the command and nothing more.
const COMMAND_TABLE: &str = "crates/omoi/src/cli.rs";
const COMMAND_TABLE_NAMES: &[&str] = &["mod demo;", "demo::DemoArgs", "demo::run_demo", "Demo("];

/// Paths that exist on this machine only and would make no sense to a reader.
pub(crate) fn machine_paths(root: &Path) -> Vec<String> {
    let cargo_home = xtask::host::variable("CARGO_HOME")
        .or_else(|| Some(format!("{}/.cargo", xtask::host::variable("HOME")?)))
        .map(PathBuf::from);
    [Some(root.to_owned()), cargo_home]
        .into_iter()
        .flatten()
        // A path of one part, such as `/src`, is a word that may mean anything.
        .filter(|path| path.components().count() > 2)
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

/// Checks one file.
pub(crate) fn check(file: &Path, text: &str, machine_paths: &[String]) -> Vec<Finding> {
    let is_code = file
        .extension()
        .is_some_and(|extension| extension == "rs" || extension == "sql");
    let is_locked = file == Path::new("Cargo.lock");
    let tests_start = lines_without_tests(text)
        .last()
        .map_or(1, |(number, _)| number + 1)
        .min(if is_test(file) { 1 } else { usize::MAX });
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if is_code {
            let bans = BANS
                .iter()
                .filter(|ban| ban.in_tests || number < tests_start);
            findings.extend(bans.filter_map(|ban| ban.check(file, number, line)));
            findings.extend(demo(file, number, line));
        }
        if let Some(path) = machine_paths
            .iter()
            .find(|path| !is_locked && line.contains(*path))
        {
            let what = format!("`{path}` is a path of this machine");
            findings.push(Finding::new(
                file,
                number,
                what,
                "name it by what it is, or take it from the configuration",
            ));
        }
    }
    findings
}

impl Ban {
    fn check(&self, file: &Path, number: usize, line: &str) -> Option<Finding> {
        let word = self.word.concat();
        let is_banned = line.contains(&word) && !is_under(file, self.allowed);
        is_banned.then(|| {
            Finding::new(
                file,
                number,
                format!("`{word}` does not belong here"),
                self.remedy,
            )
        })
    }
}

fn demo(file: &Path, number: usize, line: &str) -> Option<Finding> {
    if is_under(file, DEMO_PLACES) {
        return None;
    }
    let mut line = line.to_owned();
    if file == Path::new(COMMAND_TABLE) {
        for name in COMMAND_TABLE_NAMES {
            line = line.replace(name, "");
        }
    }
    says_demo(&line).then(|| {
        let remedy = "the example is an ordinary run: only its command and its assets may know it";
        Finding::new(file, number, "this names the demo", remedy)
    })
}

/// Whether `line` has the word in any spelling, but not as the beginning of a longer word.
fn says_demo(line: &str) -> bool {
    let ends_word = |end: usize, is_part: fn(&char) -> bool| {
        line[end..]
            .chars()
            .next()
            .is_none_or(|next| !is_part(&next))
    };
    let begins_word = |start: usize| {
        line[..start]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_ascii_alphabetic())
    };
    let found = |word: &str, is_part: fn(&char) -> bool, anywhere: bool| {
        line.match_indices(word).any(|(start, _)| {
            (anywhere || begins_word(start)) && ends_word(start + word.len(), is_part)
        })
    };
    found("demo", char::is_ascii_lowercase, false)
        || found("Demo", char::is_ascii_lowercase, true)
        || found("DEMO", char::is_ascii_uppercase, false)
}

fn is_under(file: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| match place.strip_suffix('/') {
        Some(folder) => file.starts_with(folder),
        None => file == Path::new(place),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(file: &str, line: &str, expected: bool) {
        let findings = check(Path::new(file), line, &["/machine/clone".to_owned()]);
        assert_eq!(!findings.is_empty(), expected, "{file}: {line}");
    }

    #[test]
    fn banned_words_are_found_outside_their_places() {
        for ban in BANS {
            let line = format!("    {}x", ban.word.concat());
            check_line("crates/omoi-planning/src/a.rs", &line, true);
            check_line("docs/a.md", &line, false);
            check_line("crates/omoi-planning/tests/a.rs", &line, ban.in_tests);
            for place in ban.allowed {
                let file = if place.ends_with('/') {
                    format!("{place}a.rs")
                } else {
                    (*place).to_owned()
                };
                check_line(&file, &line, false);
            }
        }
    }

    #[test]
    fn tests_inside_a_file_are_not_held_to_durable_writes() {
        let write = BANS
            .iter()
            .find(|ban| !ban.in_tests)
            .map(|ban| ban.word.concat())
            .unwrap_or_default();
        check_line(
            "crates/omoi/src/a.rs",
            &format!("#[cfg(test)]\nmod tests {{\n{write}\n}}"),
            false,
        );
        check_line(
            "crates/omoi/src/a.rs",
            &format!("{write}\n#[cfg(test)]\nmod tests {{\n}}"),
            true,
        );
    }

    #[test]
    fn only_its_command_knows_the_example() {
        for line in [
            "let demo = 1;",
            "is_demo_run()",
            "DemoArgs",
            "run_demo",
            "DEMO_REPO",
            "// The demo.",
        ] {
            check_line("crates/omoi/src/cli/run.rs", line, true);
            check_line("crates/omoi/src/cli/demo.rs", line, false);
        }
        for line in ["demonstrate", "democracy", "Demoted", "// nothing"] {
            check_line("crates/omoi/src/cli/run.rs", line, false);
        }
        check_line("crates/omoi/src/cli.rs", "mod demo;", false);
        check_line("crates/omoi/src/cli.rs", "    Demo(demo::DemoArgs),", false);
        check_line("crates/omoi/src/cli.rs", "if demo {", true);
    }

    #[test]
    fn machine_paths_are_found_everywhere() {
        check_line("docs/a.md", "see /machine/clone/README.md", true);
        check_line("docs/a.md", "see README.md", false);
    }
}
