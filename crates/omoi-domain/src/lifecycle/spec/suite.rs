//! A person resumes a spec whose work has not begun, perhaps with another suite.

use crate::id::CheckId;
use crate::suite::verdict::{BaseVerdict, SuiteRun, judge_base};

/// The suite of a spec as its check.
#[derive(Clone, Debug)]
pub struct StandingSuite {
    /// The check.
    pub check: CheckId,
    /// Its run on the base commit, where there was one.
    pub base: Option<SuiteRun>,
}

/// What is known of the suite of a spec that is resumed.
#[derive(Clone, Debug)]
pub struct SuiteFacts<'a> {
    /// The suite as it stands.
    pub stands: Option<StandingSuite>,
    /// The command that runs it.
    pub command: Option<&'a str>,
    /// The command that is to run it from now on.
    pub wanted: Option<String>,
    /// Whether a person accepts failures on the base commit.
    pub accept_red: bool,
}

/// What becomes of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuiteChange {
    /// It stays as it is.
    Keep,
    /// Another command runs it, or none; the check it had goes.
    Replace {
        /// The check it had.
        old: Option<CheckId>,
        /// The command.
        command: Option<String>,
    },
    /// Its run on the base commit is forgotten, so that the base is tried again.
    ForgetBaseRun(CheckId),
}

/// Gives the spec the suite that is wanted, and has the base tried again where its last run would not let
/// the work begin: what was missing may be there now.
pub fn change_suite(facts: SuiteFacts<'_>) -> SuiteChange {
    let SuiteFacts { stands, wanted, .. } = facts;
    if wanted.as_deref() != facts.command {
        return SuiteChange::Replace {
            old: stands.map(|suite| suite.check),
            command: wanted,
        };
    }
    let is_refused = |base: &SuiteRun| judge_base(base, facts.accept_red) != BaseVerdict::Begin;
    match stands {
        Some(StandingSuite {
            check,
            base: Some(base),
        }) if is_refused(&base) => SuiteChange::ForgetBaseRun(check),
        _ => SuiteChange::Keep,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::suite::report::read_suite_report;

    #[test]
    fn a_new_command_replaces_the_suite_and_a_red_base_is_tried_again() {
        let check = CheckId::from_uuid(Uuid::from_u128(1));
        let run = |exit_code| SuiteRun {
            exit_code: Some(exit_code),
            report: read_suite_report(""),
        };
        let stands = |base| Some(StandingSuite { check, base });
        let replaced = |old, command: Option<&str>| SuiteChange::Replace {
            old,
            command: command.map(str::to_owned),
        };
        let forgotten = SuiteChange::ForgetBaseRun(check);
        for (stands, command, wanted, expected) in [
            (None, None, None, SuiteChange::Keep),
            (None, None, Some("pytest"), replaced(None, Some("pytest"))),
            (
                stands(None),
                Some("pytest"),
                None,
                replaced(Some(check), None),
            ),
            (
                stands(Some(run(0))),
                Some("pytest"),
                Some("make test"),
                replaced(Some(check), Some("make test")),
            ),
            (
                stands(Some(run(0))),
                Some("pytest"),
                Some("pytest"),
                SuiteChange::Keep,
            ),
            (
                stands(Some(run(1))),
                Some("pytest"),
                Some("pytest"),
                forgotten,
            ),
            (
                stands(None),
                Some("pytest"),
                Some("pytest"),
                SuiteChange::Keep,
            ),
        ] {
            let change = change_suite(SuiteFacts {
                stands: stands.clone(),
                command,
                wanted: wanted.map(str::to_owned),
                accept_red: false,
            });
            assert_eq!(change, expected, "{stands:?} {command:?} {wanted:?}");
        }
    }
}
