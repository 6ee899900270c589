//! Counts what ran and says it at the end.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How many tests or checks held and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Held.
    pub(crate) passed: u64,
    /// Did not.
    pub(crate) failed: u64,
}

impl Count {
    /// A step that is one check.
    pub(crate) fn of_check(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        }
    }

    /// Reads the totals of a JUnit report, if it has any.
    pub(crate) fn of_report(report: &str) -> Option<Self> {
        let (_, totals) = report.split_once("<testsuites ")?;
        let (totals, _) = totals.split_once('>')?;
        let total = |name: &str| -> Option<u64> {
            let (_, value) = totals.split_once(&format!("{name}=\""))?;
            value.split_once('"')?.0.parse().ok()
        };
        let failed = total("failures")? + total("errors")?;
        Some(Self {
            passed: total("tests")?.checked_sub(failed)?,
            failed,
        })
    }

    /// Adds up the result lines of the standard test runner.
    pub(crate) fn of_doc_tests(said: &str) -> Self {
        let mut count = Self::default();
        for line in said.lines().filter(|line| line.starts_with("test result:")) {
            let number = |word: &str| {
                let before = line.split_once(word)?.0;
                before.split_whitespace().last()?.parse().ok()
            };
            count.passed += number(" passed").unwrap_or(0);
            count.failed += number(" failed").unwrap_or(0);
        }
        count
    }

    /// Counts a failure that no test stands for, such as a build that does not compile.
    pub(crate) fn or_one_failure(self, failed: bool) -> Self {
        Self {
            failed: if failed {
                self.failed.max(1)
            } else {
                self.failed
            },
            ..self
        }
    }
}

/// The steps of one run; prints itself as a table with the totals on its last line.
#[derive(Default)]
pub(crate) struct Closing {
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    count: Count,
    failed: bool,
}

impl Closing {
    /// Runs one step and remembers what it gave.
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> (Count, Result<()>)) {
        eprintln!("\n== {name}");
        let began = Instant::now();
        let (count, result) = run();
        let step = Step {
            name,
            took: began.elapsed(),
            count,
            failed: result.is_err(),
        };
        if let Err(error) = result {
            eprintln!("error: {error:#}");
        }
        eprintln!("{step}");
        self.steps.push(step);
    }

    /// Whether every step held.
    pub(crate) fn is_green(&self) -> bool {
        self.steps.iter().all(|step| !step.failed)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed { "FAILED" } else { "ok" };
        write!(
            f,
            "{:<20} {verdict:<7}{:>7.1} s",
            self.name,
            self.took.as_secs_f64()
        )
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        let passed: u64 = self.steps.iter().map(|step| step.count.passed).sum();
        let failed: u64 = self.steps.iter().map(|step| step.count.failed).sum();
        // Alone on its line: build servers look for it.
        write!(f, "\n{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_runner_s_report() {
        let check = |report: &str, expected: Option<(u64, u64)>| {
            let expected = expected.map(|(passed, failed)| Count { passed, failed });
            assert_eq!(Count::of_report(report), expected, "{report}");
        };
        let head = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" ";
        check(
            &format!("{head}tests=\"12\" failures=\"2\" errors=\"1\" uuid=\"x\">"),
            Some((9, 3)),
        );
        check(
            &format!("{head}tests=\"12\" failures=\"0\" errors=\"0\"><testsuite tests=\"1\">"),
            Some((12, 0)),
        );
        check(&format!("{head}failures=\"2\">"), None);
        check("", None);
    }

    #[test]
    fn adds_up_doc_tests() {
        let said = "\nrunning 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n\
                    test result: FAILED. 1 passed; 3 failed; 0 ignored\n";
        assert_eq!(
            Count::of_doc_tests(said),
            Count {
                passed: 3,
                failed: 3
            }
        );
    }

    #[test]
    fn a_step_that_fails_without_a_failed_test_counts_once() {
        let mut closing = Closing::default();
        closing.step("good", || {
            (
                Count {
                    passed: 4,
                    failed: 0,
                },
                Ok(()),
            )
        });
        assert!(closing.is_green());
        closing.step("bad", || {
            (
                Count::default().or_one_failure(true),
                Err(anyhow::anyhow!("no build")),
            )
        });
        assert!(!closing.is_green());
        assert_eq!(
            closing.to_string().lines().last(),
            Some("4 passed, 1 failed")
        );
    }
}
