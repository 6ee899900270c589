//! What a run of the suite means, measured against its run on the base commit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::report::SuiteReport;

/// One run of the suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRun {
    /// Its exit code; none when it was stopped.
    pub exit_code: Option<i32>,
    /// What its runner said.
    pub report: SuiteReport,
}

impl SuiteRun {
    /// Whether it exited 0.
    pub fn is_green(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// What a run after the base means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuiteVerdict {
    /// It passes, with no fewer tests.
    Green,
    /// It fails, with nothing that did not fail at the base already, which a person accepted.
    KnownRed(BTreeSet<String>),
    /// It fails, with failures that nobody accepted.
    Red,
    /// It fails, and these tests did not fail at the base.
    NewFailures(BTreeSet<String>),
    /// Fewer tests ran than at the base.
    FewerTests {
        /// Tests that ran at the base.
        base: u64,
        /// Tests that run now; none when the runner does not say any more.
        now: Option<u64>,
    },
}

impl SuiteVerdict {
    /// Whether the work may go on.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Green | Self::KnownRed(_))
    }

    /// A line for the receipt, where the exit code alone does not say it.
    pub fn receipt_note(&self) -> Option<String> {
        let list = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(", ")
        };
        match self {
            Self::Green | Self::Red => None,
            Self::KnownRed(names) => Some(format!(
                "[known_red: these failed on the base commit already: {}]",
                list(names)
            )),
            Self::NewFailures(names) => Some(format!(
                "[new_failures: these did not fail on the base commit: {}]",
                list(names)
            )),
            Self::FewerTests { base, now } => Some(match now {
                Some(now) => format!("[fewer_tests: {now} tests ran, on the base commit {base}]"),
                None => format!(
                    "[fewer_tests: the runner names no count any more, on the base commit {base} tests ran]"
                ),
            }),
        }
    }
}

/// Judges `now` by `base`. Where `may_drop` is set, the plan named a test file that the work changed,
/// so that some tests may be gone; all of them never.
pub fn judge_suite(base: Option<&SuiteRun>, now: &SuiteRun, may_drop: bool) -> SuiteVerdict {
    let Some(base) = base else {
        return if now.is_green() {
            SuiteVerdict::Green
        } else {
            SuiteVerdict::Red
        };
    };
    let known = (!base.is_green()).then(|| base.report.failures.clone());
    let verdict = match (now.is_green(), known.flatten(), &now.report.failures) {
        (true, _, _) => SuiteVerdict::Green,
        (false, Some(known), Some(failed)) => {
            let new: BTreeSet<String> = failed.difference(&known).cloned().collect();
            match new.is_empty() {
                true => SuiteVerdict::KnownRed(failed.clone()),
                false => SuiteVerdict::NewFailures(new),
            }
        }
        (false, _, _) => SuiteVerdict::Red,
    };
    match fewer_tests(base, now, may_drop) {
        Some(fewer) if verdict.is_passing() => fewer,
        _ => verdict,
    }
}

fn fewer_tests(base: &SuiteRun, now: &SuiteRun, may_drop: bool) -> Option<SuiteVerdict> {
    let before = base.report.counts?.ran;
    let after = now.report.counts.map(|counts| counts.ran);
    let enough = match after {
        _ if before == 0 => true,
        None | Some(0) => false,
        Some(after) => may_drop || after >= before,
    };
    (!enough).then_some(SuiteVerdict::FewerTests {
        base: before,
        now: after,
    })
}

/// What the suite's run on the base commit means for the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseVerdict {
    /// The work may begin.
    Begin,
    /// A person must change something first.
    Refused {
        /// Whether accepting the failures would help.
        acceptable: bool,
    },
}

/// Judges the suite's run on the base commit. Only failures that can be told apart by name can be
/// accepted: without names, a new one would go unseen.
pub fn judge_base(base: &SuiteRun, accept_red: bool) -> BaseVerdict {
    let acceptable = base.report.failures.is_some();
    if base.is_green() || (accept_red && acceptable) {
        BaseVerdict::Begin
    } else {
        BaseVerdict::Refused { acceptable }
    }
}
