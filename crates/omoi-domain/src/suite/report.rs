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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TestCounts {
    /// Tests that ran, whatever came of them; skipped ones did not.
    pub ran: u64,
    /// Of those, the ones that failed.
    pub failed: u64,
    /// Tests that were left out.
    pub skipped: u64,
}

impl TestCounts {
    fn add_counts(self, other: Self) -> Self {
        Self {
            ran: self.ran.saturating_add(other.ran),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

/// What was read from one run of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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

type ReportReader = fn(&str) -> Option<RunnerReport>;

/// The runners, each with what reads it.
const READERS: &[(&str, ReportReader)] = &[
    ("unittest", read_unittest),
    ("pytest", read_pytest),
    ("node --test", read_node_test),
    ("jest", read_jest),
    ("vitest", read_vitest),
    ("mocha", read_mocha),
    ("cargo test", read_cargo_test),
    ("cargo nextest", read_nextest),
    ("go test", read_go_test),
    ("TAP", read_tap),
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
            report.counts = Some(report.counts.unwrap_or_default().add_counts(counts));
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
fn match_groups<'t>(pattern: &Regex, text: &'t str) -> Vec<Vec<&'t str>> {
    let groups = |found: regex::Captures<'t>| {
        let groups = found.iter().skip(1);
        groups.map(|g| g.map_or("", |g| g.as_str())).collect()
    };
    pattern.captures_iter(text).map(groups).collect()
}

fn parse_number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// `3 failed, 1 passed` and the like: the number before the first of `words` that is there.
fn word_amount(line: &str, words: &[&str]) -> u64 {
    let amounts = match_groups(&AMOUNT, line);
    let of = |word: &&str| {
        let is_of = |groups: &&Vec<&str>| {
            let after = groups[1].strip_prefix(word);
            after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
        };
        amounts
            .iter()
            .find(is_of)
            .map(|groups| parse_number(groups[0]))
    };
    words.iter().find_map(of).unwrap_or(0)
}

fn unique_names(names: impl Iterator<Item = String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn read_unittest(text: &str) -> Option<RunnerReport> {
    let total = parse_number(match_groups(&UNITTEST_TOTAL, text).last()?[0]);
    let verdict = match_groups(&UNITTEST_VERDICT, text);
    let verdict = verdict.last().map_or("", |groups| groups[0]);
    let part = |word: &str| {
        let values = verdict.split(", ").filter_map(|part| part.split_once('='));
        let mut values = values.filter(|(name, _)| *name == word);
        values.next().map_or(0, |(_, value)| parse_number(value))
    };
    let skipped = part("skipped");
    let failed = part("failures") + part("errors") + part("unexpected successes");
    let names = match_groups(&UNITTEST_NAMES, text);
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

fn read_pytest(text: &str) -> Option<RunnerReport> {
    let found = match_groups(&PYTEST_TOTALS, text);
    let line = found.last()?[0];
    let failed = word_amount(line, &["failed"]);
    let errors = word_amount(line, &["errors", "error"]);
    let passed = word_amount(line, &["passed"])
        + word_amount(line, &["xfailed"])
        + word_amount(line, &["xpassed"]);
    let names = match_groups(&PYTEST_NAMES, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: passed + failed + errors,
            failed: failed + errors,
            skipped: word_amount(line, &["skipped"]) + word_amount(line, &["deselected"]),
        }),
        failures: unique_names(names.iter().map(|groups| groups[0].to_owned())),
    })
}

/// The spec reporter and the TAP reporter of `node --test`.
fn read_node_test(text: &str) -> Option<RunnerReport> {
    let totals = match_groups(&NODE_TOTALS, text);
    let total = |word: &str| {
        let mut found = totals.iter().filter(|groups| groups[0] == word);
        found.next_back().map(|groups| parse_number(groups[1]))
    };
    let (tests, passed) = (total("tests")?, total("pass")?);
    let skipped = total("skipped").unwrap_or(0) + total("todo").unwrap_or(0);
    let failed = total("fail").unwrap_or(0) + total("cancelled").unwrap_or(0);
    let of_spec = match_groups(&NODE_SPEC_NAMES, text);
    let of_spec = of_spec.iter().map(|g| format!("{}: {}", g[0], g[1]));
    let of_tap = match_groups(&NODE_TAP_NAMES, text);
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

fn read_jest(text: &str) -> Option<RunnerReport> {
    let found = match_groups(&JEST_TOTALS, text);
    let line = found.last()?[0];
    let (failed, passed) = (
        word_amount(line, &["failed"]),
        word_amount(line, &["passed"]),
    );
    let names = match_groups(&JEST_NAMES, text);
    let suite = names.iter().filter(|g| g[0] != "Console");
    let unloadable = match_groups(&JEST_UNLOADABLE, text).len() as u64;
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: failed + passed,
            failed: failed + unloadable,
            skipped: word_amount(line, &["skipped"]) + word_amount(line, &["todo"]),
        }),
        failures: unique_names(suite.map(|groups| groups[0].to_owned())),
    })
}

fn read_vitest(text: &str) -> Option<RunnerReport> {
    let found = match_groups(&VITEST_TOTALS, text);
    let files = match_groups(&VITEST_FILES, text);
    files.last()?;
    let line = found.last().map_or("", |groups| groups[0]);
    let (failed, passed) = (
        word_amount(line, &["failed"]),
        word_amount(line, &["passed"]),
    );
    let names = match_groups(&VITEST_NAMES, text);
    let names = unique_names(names.iter().map(|groups| groups[0].to_owned()));
    // A file that does not load fails without a test of its own.
    let unloadable = names.iter().filter(|name| !name.contains(" > ")).count() as u64;
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: failed + passed,
            failed: failed + unloadable,
            skipped: word_amount(line, &["skipped"]) + word_amount(line, &["todo"]),
        }),
        failures: names,
    })
}

fn read_mocha(text: &str) -> Option<RunnerReport> {
    let passing = parse_number(match_groups(&MOCHA_PASSING, text).last()?[0]);
    let failing = match_groups(&MOCHA_FAILING, text);
    let failed = failing.last().map_or(0, |groups| parse_number(groups[0]));
    let pending = match_groups(&MOCHA_PENDING, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: passing + failed,
            failed,
            skipped: pending.last().map_or(0, |groups| parse_number(groups[0])),
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

fn read_cargo_test(text: &str) -> Option<RunnerReport> {
    let totals = match_groups(&CARGO_TOTALS, text);
    totals.first()?;
    let counts = totals.iter().fold(TestCounts::default(), |sum, groups| {
        let (passed, failed) = (parse_number(groups[0]), parse_number(groups[1]));
        sum.add_counts(TestCounts {
            ran: passed + failed,
            failed,
            skipped: parse_number(groups[2]),
        })
    });
    let names = match_groups(&CARGO_NAMES, text);
    Some(RunnerReport {
        counts: Some(counts),
        failures: names.iter().map(|groups| groups[0].to_owned()).collect(),
    })
}

fn read_nextest(text: &str) -> Option<RunnerReport> {
    let found = match_groups(&NEXTEST_TOTALS, text);
    let groups = found.last()?;
    let failed = ["failed", "timed out", "exec failed"];
    let names = match_groups(&NEXTEST_NAMES, text);
    Some(RunnerReport {
        counts: Some(TestCounts {
            ran: parse_number(groups[0]),
            failed: failed
                .iter()
                .map(|word| word_amount(groups[1], &[word]))
                .sum(),
            skipped: word_amount(groups[1], &["skipped"]),
        }),
        failures: unique_names(names.iter().map(|groups| groups[0].to_owned())),
    })
}

/// Only `go test -v` prints its tests; without it there are names of failures and no count.
fn read_go_test(text: &str) -> Option<RunnerReport> {
    let packages = match_groups(&GO_PACKAGES, text);
    let results = match_groups(&GO_RESULTS, text);
    if packages.is_empty() && results.is_empty() {
        return None;
    }
    let unbuilt = !match_groups(&GO_UNBUILT, text).is_empty();
    let of = |word: &str| results.iter().filter(|groups| groups[0] == word).count() as u64;
    let is_verbose = !match_groups(&GO_RUNS, text).is_empty();
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

fn read_tap(text: &str) -> Option<RunnerReport> {
    match_groups(&TAP_HEADER, text).first()?;
    let lines = match_groups(&TAP_LINES, text);
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
