//! What a test runner's output says: how many tests ran and which failed.
//!
//! Each runner prints a line with its totals at the end. The last such line counts, because the
//! tests themselves can print what they like before it. Runners that print one line per test binary
//! (cargo test) are summed.

use std::collections::BTreeSet;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// The mark a capture leaves where it dropped the middle of long output.
const LEFT_OUT: &str = " bytes left out …]";
/// Failed tests that are remembered by name.
const FAILURES_MAX: usize = 2_000;

crate::constant_patterns! {
    /// Colours and cursor movements of a terminal.
    static ESCAPES = "\u{1b}\\[[0-9;?]*[A-Za-z]";
    /// A number and the words after it.
    static AMOUNT = r"\b(\d+) ([a-z]+(?: [a-z]+)*)\b";
    static NODE_TOTALS = r"(?m)^(?:ℹ|#) (\w+) (\d+)\s*$";
    static UNITTEST_TOTAL = r"(?m)^Ran (\d+) tests? in [\d.]+s";
    static UNITTEST_VERDICT = r"(?m)^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?\s*$";
    static UNITTEST_NAMES = r"(?m)^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (.+?)\s*$";
    static PYTEST_TOTALS = r"(?m)^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran)(?:, \d+ warnings?)? in [\d.:]+m?s.*$";
    static PYTEST_NAMES = r"(?m)^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$";
    static NODE_SPEC_NAMES = r"(?m)^test at (\S+?):\d+:\d+\n\s*✖ (.+?)(?: \([\d.]+ms\))?\s*$";
    static NODE_TAP_NAMES = r"(?m)^\s*not ok \d+ - (.+?)\s*$";
    static JEST_TOTALS = r"(?m)^Tests:\s+(.*\btotal)\s*$";
    static JEST_NAMES = r"(?m)^\s+● (.+?)\s*$";
    static JEST_UNLOADABLE = r"(?m)^\s+● Test suite failed to run";
    static VITEST_TOTALS = r"(?m)^\s+Tests\s+(.+?) \(\d+\)\s*$";
    static VITEST_FILES = r"(?m)^\s+Test Files\s+(.+?) \(\d+\)\s*$";
    static VITEST_NAMES = r"(?m)^\s*FAIL\s+(\S.*?)\s*$";
    static MOCHA_PASSING = r"(?m)^\s+(\d+) passing \(\S+\)\s*$";
    static MOCHA_FAILING = r"(?m)^\s+(\d+) failing\s*$";
    static MOCHA_PENDING = r"(?m)^\s+(\d+) pending\s*$";
    static CARGO_TOTALS = r"(?m)^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored;";
    static CARGO_NAMES = r"(?m)^test (.+?)(?: - should panic)? \.\.\. FAILED\s*$";
    static NEXTEST_TOTALS = r"(?m)^\s+Summary \[[^\]]*\]\s+(\d+)(?:/\d+)? tests? run:(.*)$";
    static NEXTEST_NAMES = r"(?m)^\s+(?:FAIL|TIMEOUT|SIG[A-Z]+|ABORT) \[[^\]]*\]\s+(?:\([^)]*\)\s+)?(\S.*?)\s*$";
    static GO_PACKAGES = r"(?m)^(?:ok|FAIL|---|\?)\s+\S+\s+(?:[\d.]+s|\(cached\)|\[.*\])";
    static GO_RESULTS = r"(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)";
    static GO_UNBUILT = r"(?m)^FAIL\s+\S+ \[(?:build|setup) failed\]";
    static GO_RUNS = r"(?m)^=== RUN\s";
    static TAP_HEADER = r"(?m)^(?:TAP version \d+|1\.\.\d+)";
    static TAP_LINES = r"(?m)^(not ok|ok)\b(?: \d+)?(?: -)? ?(.*?)\s*$";
}

/// The totals of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Tests that ran, whatever came of them; skipped ones did not.
    pub ran: u64,
    /// Of those, the ones that failed.
    pub failed: u64,
    /// Tests that were left out.
    pub skipped: u64,
}

impl TestCounts {
    fn plus(self, other: Self) -> Self {
        Self {
            ran: self.ran.saturating_add(other.ran),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

/// What was read from one run of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// The runners whose output was recognised, such as `pytest`.
    pub runners: Vec<String>,
    /// Their totals; none when no runner printed any.
    pub counts: Option<TestCounts>,
    /// Names of failed tests; none when they cannot all be read.
    pub failures: Option<BTreeSet<String>>,
}

/// One runner's part of the output.
struct RunnerReport {
    counts: Option<TestCounts>,
    failures: Vec<String>,
}

type Reader = fn(&str) -> Option<RunnerReport>;

/// The runners, each with what reads it.
const READERS: &[(&str, Reader)] = &[
    ("unittest", unittest),
    ("pytest", pytest),
    ("node --test", node_test),
    ("jest", jest),
    ("vitest", vitest),
    ("mocha", mocha),
    ("cargo test", cargo_test),
    ("cargo nextest", nextest),
    ("go test", go_test),
    ("TAP", tap),
];

/// Reads what a run of a suite printed.
pub fn read_suite_report(output: &str) -> SuiteReport {
    let plain = ESCAPES.replace_all(output, "");
    let mut report = SuiteReport::default();
    let mut names = Some(BTreeSet::new());
    let mut n_names = 0;
    for (runner, read) in READERS {
        // Node's own runner prints TAP as well, and has been read then.
        if *runner == "TAP" && !report.runners.is_empty() {
            continue;
        }
        let Some(found) = read(&plain) else { continue };
        report.runners.push((*runner).to_owned());
        if let Some(counts) = found.counts {
            report.counts = Some(report.counts.unwrap_or_default().plus(counts));
            // Fewer names than failures: some cannot be read, so none can be relied on.
            if counts.failed != found.failures.len() as u64 {
                names = None;
            }
        }
        n_names += found.failures.len();
        if let Some(names) = &mut names {
            names.extend(found.failures);
        }
    }
    let is_whole = !plain.contains(LEFT_OUT) || report.counts.is_some();
    report.failures = names.filter(|_| is_whole && (1..=FAILURES_MAX).contains(&n_names));
    report
}

/// Every match of `pattern`, as its groups.
fn matches<'t>(pattern: &Regex, text: &'t str) -> Vec<Vec<&'t str>> {
    let groups = |found: regex::Captures<'t>| {
        let groups = found.iter().skip(1);
        groups.map(|g| g.map_or("", |g| g.as_str())).collect()
    };
    pattern.captures_iter(text).map(groups).collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// `3 failed, 1 passed` and the like: the number before the first of `words` that is there.
fn amount(line: &str, words: &[&str]) -> u64 {
    let amounts = matches(&AMOUNT, line);
    let of = |word: &&str| {
        let is_of = |groups: &&Vec<&str>| {
            let after = groups[1].strip_prefix(word);
            after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
        };
        amounts.iter().find(is_of).map(|groups| number(groups[0]))
    };
    words.iter().find_map(of).unwrap_or(0)
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn unittest(text: &str) -> Option<RunnerReport> {
    let total = number(matches(&UNITTEST_TOTAL, text).last()?[0]);
    let verdict = matches(&UNITTEST_VERDICT, text);
    let verdict = verdict.last().map_or("", |groups| groups[0]);
    let part = |word: &str| {
        let values = verdict.split(", ").filter_map(|part| part.split_once('='));
        let mut values = values.filter(|(name, _)| *name == word);
        values.next().map_or(0, |(_, value)| number(value))
    };
    let skipped = part("skipped");
    let failed = part("failures") + part("errors") + part("unexpected successes");
    let names = matches(&UNITTEST_NAMES, text);
    let failures: Vec<String> = names.iter().map(|groups| groups[0].to_owned()).collect();
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: total.saturating_sub(skipped),
            failed,
            skipped,
        }),
        failures,
    })
}

fn pytest(text: &str) -> Option<RunnerReport> {
    let found = matches(&PYTEST_TOTALS, text);
    let line = found.last()?[0];
    let failed = amount(line, &["failed"]);
    let errors = amount(line, &["errors", "error"]);
    let passed =
        amount(line, &["passed"]) + amount(line, &["xfailed"]) + amount(line, &["xpassed"]);
    let names = matches(&PYTEST_NAMES, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: passed + failed + errors,
            failed: failed + errors,
            skipped: amount(line, &["skipped"]) + amount(line, &["deselected"]),
        }),
        failures: unique(names.iter().map(|groups| groups[0].to_owned())),
    })
}

/// The spec reporter and the TAP reporter of `node --test`.
fn node_test(text: &str) -> Option<RunnerReport> {
    let totals = matches(&NODE_TOTALS, text);
    let total = |word: &str| {
        let mut found = totals.iter().filter(|groups| groups[0] == word);
        found.next_back().map(|groups| number(groups[1]))
    };
    let (tests, passed) = (total("tests")?, total("pass")?);
    let skipped = total("skipped").unwrap_or(0) + total("todo").unwrap_or(0);
    let failed = total("fail").unwrap_or(0) + total("cancelled").unwrap_or(0);
    let of_spec = matches(&NODE_SPEC_NAMES, text);
    let of_spec = of_spec.iter().map(|g| format!("{}: {}", g[0], g[1]));
    let of_tap = matches(&NODE_TAP_NAMES, text);
    let of_tap = of_tap.iter().filter(|g| !g[0].contains("# TODO"));
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: tests.saturating_sub(skipped).max(passed),
            failed,
            skipped,
        }),
        failures: of_spec.chain(of_tap.map(|g| g[0].to_owned())).collect(),
    })
}

fn jest(text: &str) -> Option<RunnerReport> {
    let found = matches(&JEST_TOTALS, text);
    let line = found.last()?[0];
    let (failed, passed) = (amount(line, &["failed"]), amount(line, &["passed"]));
    let names = matches(&JEST_NAMES, text);
    let suite = names.iter().filter(|g| g[0] != "Console");
    let unloadable = matches(&JEST_UNLOADABLE, text).len() as u64;
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: failed + passed,
            failed: failed + unloadable,
            skipped: amount(line, &["skipped"]) + amount(line, &["todo"]),
        }),
        failures: unique(suite.map(|groups| groups[0].to_owned())),
    })
}

fn vitest(text: &str) -> Option<RunnerReport> {
    let found = matches(&VITEST_TOTALS, text);
    let files = matches(&VITEST_FILES, text);
    files.last()?;
    let line = found.last().map_or("", |groups| groups[0]);
    let (failed, passed) = (amount(line, &["failed"]), amount(line, &["passed"]));
    let names = matches(&VITEST_NAMES, text);
    let names = unique(names.iter().map(|groups| groups[0].to_owned()));
    // A file that does not load fails without a test of its own.
    let unloadable = names.iter().filter(|name| !name.contains(" > ")).count() as u64;
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: failed + passed,
            failed: failed + unloadable,
            skipped: amount(line, &["skipped"]) + amount(line, &["todo"]),
        }),
        failures: names,
    })
}

fn mocha(text: &str) -> Option<RunnerReport> {
    let passing = number(matches(&MOCHA_PASSING, text).last()?[0]);
    let failing = matches(&MOCHA_FAILING, text);
    let failed = failing.last().map_or(0, |groups| number(groups[0]));
    let pending = matches(&MOCHA_PENDING, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: passing + failed,
            failed,
            skipped: pending.last().map_or(0, |groups| number(groups[0])),
        }),
        failures: mocha_failures(text),
    })
}

/// Below `n failing`: `1) outer suite`, `inner suite`, `test:` on lines of their own.
fn mocha_failures(text: &str) -> Vec<String> {
    let mut failures = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    let mut is_list = false;
    for line in text.lines().map(str::trim) {
        is_list |= line.ends_with(" failing");
        if !is_list {
            continue;
        }
        let numbered = line
            .split_once(") ")
            .filter(|(n, _)| n.parse::<u32>().is_ok());
        if let Some((_, first)) = numbered {
            open = Some(vec![first]);
        } else if let Some(parts) = &mut open {
            parts.push(line);
        }
        if line.ends_with(':')
            && let Some(parts) = open.take()
        {
            failures.push(parts.join(" > ").trim_end_matches(':').to_owned());
        }
    }
    failures
}

fn cargo_test(text: &str) -> Option<RunnerReport> {
    let totals = matches(&CARGO_TOTALS, text);
    totals.first()?;
    let counts = totals.iter().fold(TestCounts::default(), |sum, groups| {
        let (passed, failed) = (number(groups[0]), number(groups[1]));
        sum.plus(TestCounts {
            ran: passed + failed,
            failed,
            skipped: number(groups[2]),
        })
    });
    let names = matches(&CARGO_NAMES, text);
    Some(RunnerReport {
        counts: Some(counts),
        failures: names.iter().map(|groups| groups[0].to_owned()).collect(),
    })
}

fn nextest(text: &str) -> Option<RunnerReport> {
    let found = matches(&NEXTEST_TOTALS, text);
    let groups = found.last()?;
    let failed = ["failed", "timed out", "exec failed"];
    let names = matches(&NEXTEST_NAMES, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: number(groups[0]),
            failed: failed.iter().map(|word| amount(groups[1], &[word])).sum(),
            skipped: amount(groups[1], &["skipped"]),
        }),
        failures: unique(names.iter().map(|groups| groups[0].to_owned())),
    })
}

/// Only `go test -v` prints its tests; without it there are names of failures and no count.
fn go_test(text: &str) -> Option<RunnerReport> {
    let packages = matches(&GO_PACKAGES, text);
    let results = matches(&GO_RESULTS, text);
    if packages.is_empty() && results.is_empty() {
        return None;
    }
    let unbuilt = !matches(&GO_UNBUILT, text).is_empty();
    let of = |word: &str| results.iter().filter(|groups| groups[0] == word).count() as u64;
    let is_verbose = !matches(&GO_RUNS, text).is_empty();
    let counts = is_verbose.then(|| TestCounts {
        ran: of("PASS") + of("FAIL"),
        failed: of("FAIL") + u64::from(unbuilt),
        skipped: of("SKIP"),
    });
    let failed = results
        .iter()
        .filter(|groups| groups[0] == "FAIL" && !unbuilt);
    Some(RunnerReport {
        counts,
        failures: failed.map(|groups| groups[1].to_owned()).collect(),
    })
}

fn tap(text: &str) -> Option<RunnerReport> {
    matches(&TAP_HEADER, text).first()?;
    let lines = matches(&TAP_LINES, text);
    lines.first()?;
    let mut counts = TestCounts::default();
    let mut failures = Vec::new();
    for groups in lines {
        let directive = groups[1].to_uppercase();
        if directive.contains("# SKIP") {
            counts.skipped += 1;
            continue;
        }
        counts.ran += 1;
        if groups[0] == "not ok" && !directive.contains("# TODO") {
            counts.failed += 1;
            failures.push(groups[1].to_owned());
        }
    }
    Some(RunnerReport {
        counts: Some(counts),
        failures,
    })
}
