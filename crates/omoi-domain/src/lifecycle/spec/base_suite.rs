//! The project's own suite on the base commit decides whether planning begins.

use super::SpecAction;
use crate::block::SpecBlock;
use crate::suite::fault::base_refusal;
use crate::suite::verdict::{BaseVerdict, SuiteRun, judge_base};

/// A run of the suite on the base commit.
#[derive(Clone, Debug)]
pub struct SuiteBaseRun<'a> {
    /// What it reported.
    pub run: SuiteRun,
    /// How it ended; none when it was stopped.
    pub exit_code: Option<i32>,
    /// What it printed.
    pub output: &'a str,
}

/// What is known of a spec's suite before planning begins.
#[derive(Clone, Debug)]
pub struct BaseSuiteFacts<'a> {
    /// The command that runs it.
    pub command: &'a str,
    /// Whether a person accepts failures on the base commit.
    pub accept_red: bool,
    /// Its run on the base commit, where there was one.
    pub base: Option<SuiteBaseRun<'a>>,
    /// Whether an attempt to run it is under way.
    pub is_running: bool,
    /// Why the newest attempt could not run it, where that was since the spec last changed.
    pub failure: Option<&'a str>,
}

/// What follows for the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseSuiteStep {
    /// Planning begins.
    GoOn,
    /// The suite is run.
    Run,
    /// Its run is awaited.
    Await,
    /// A person must change something first.
    Stop(Vec<SpecAction>),
}

/// Keeps a spec from its first model call until its suite has passed on the base commit, or a person has
/// accepted how it fails.
pub fn base_suite_step(facts: BaseSuiteFacts<'_>) -> BaseSuiteStep {
    if let Some(base) = &facts.base {
        return judge_run(&facts, base);
    }
    if facts.is_running {
        return BaseSuiteStep::Await;
    }
    let Some(why) = facts.failure else {
        return BaseSuiteStep::Run;
    };
    let (block, command) = (SpecBlock::SuiteNotRun, facts.command);
    let reason = format!(
        "{block}: the sandbox could not run `{command}` on the base commit: {why}; see `omoi doctor`"
    );
    BaseSuiteStep::Stop(vec![SpecAction::Block { block, reason }])
}

fn judge_run(facts: &BaseSuiteFacts<'_>, base: &SuiteBaseRun<'_>) -> BaseSuiteStep {
    match judge_base(&base.run, facts.accept_red) {
        BaseVerdict::Begin => BaseSuiteStep::GoOn,
        BaseVerdict::Refused { acceptable } => {
            let ending = base
                .exit_code
                .map_or("it was stopped".to_owned(), |code| format!("exit {code}"));
            BaseSuiteStep::Stop(vec![SpecAction::Block {
                block: SpecBlock::SuiteRed,
                reason: base_refusal(facts.command, &ending, base.output, acceptable),
            }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::report::read_suite_report;

    const RED: &str = "FAIL: test_a (t.A.test_a)\nRan 2 tests in 0.1s\n\nFAILED (failures=1)\n";

    fn base(exit_code: i32, output: &str) -> SuiteBaseRun<'_> {
        SuiteBaseRun {
            run: SuiteRun {
                exit_code: Some(exit_code),
                report: read_suite_report(output),
            },
            exit_code: Some(exit_code),
            output,
        }
    }

    #[test]
    fn no_model_is_asked_before_the_suite_has_spoken() {
        let nothing = BaseSuiteFacts {
            command: "make test",
            accept_red: false,
            base: None,
            is_running: false,
            failure: None,
        };
        let green = Some(base(0, "Ran 2 tests in 0.1s\n\nOK\n"));
        let red = Some(base(1, RED));
        let (failure, base_red) = (Some("no disk"), red.clone());
        for (name, facts, expected) in [
            ("untried", nothing.clone(), Ok(BaseSuiteStep::Run)),
            (
                "running",
                BaseSuiteFacts {
                    is_running: true,
                    failure,
                    ..nothing.clone()
                },
                Ok(BaseSuiteStep::Await),
            ),
            (
                "green",
                BaseSuiteFacts {
                    base: green,
                    ..nothing.clone()
                },
                Ok(BaseSuiteStep::GoOn),
            ),
            (
                "accepted",
                BaseSuiteFacts {
                    base: red,
                    accept_red: true,
                    ..nothing.clone()
                },
                Ok(BaseSuiteStep::GoOn),
            ),
            (
                "red",
                BaseSuiteFacts {
                    base: base_red,
                    ..nothing.clone()
                },
                Err((SpecBlock::SuiteRed, "(exit 1)")),
            ),
            (
                "not run",
                BaseSuiteFacts { failure, ..nothing },
                Err((
                    SpecBlock::SuiteNotRun,
                    "`make test` on the base commit: no disk",
                )),
            ),
        ] {
            match (base_suite_step(facts), expected) {
                (BaseSuiteStep::Stop(actions), Err((wanted, part))) => {
                    let [SpecAction::Block { block, reason }] = &actions[..] else {
                        unreachable!("{name}: {actions:?}")
                    };
                    assert_eq!(*block, wanted, "{name}");
                    assert!(reason.contains(part), "{name}: {reason}");
                }
                (step, expected) => assert_eq!(Ok(step), expected, "{name}"),
            }
        }
    }
}
