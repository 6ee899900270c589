//! An attempt at a phase did not pass.

use serde_json::Value;

use super::PhaseAction;
use crate::phase::{Phase, PhaseVerdict};
use crate::retry::{PhaseFailure, phase_delay};
use crate::spec::PhaseState;
use crate::time::Timestamp;

/// An output that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedOutput {
    /// What the gate said.
    pub verdict: PhaseVerdict,
    /// The gate's score.
    pub score: f64,
    /// The output, as far as it could be put together.
    pub output: Option<Value>,
}

/// Why an attempt did not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseRefusal {
    /// What kind of failure it is.
    pub kind: PhaseFailure,
    /// What the next attempt is told.
    pub feedback: String,
    /// What was refused, where there was an output.
    pub output: Option<RefusedOutput>,
    /// Whether no attempt follows.
    pub is_last: bool,
    /// Whether it is what a second opinion says of an output that passed its gate.
    pub is_doubt: bool,
}

/// What is known of a phase whose attempt did not pass.
#[derive(Clone, Copy, Debug)]
pub struct RefusalFacts {
    /// The phase.
    pub phase: Phase,
    /// Attempts that counted, this one included.
    pub attempts: u32,
    /// Most attempts.
    pub attempts_max: u32,
    /// The best score of an output that was refused before.
    pub rejected_score: Option<f64>,
    /// The present.
    pub now: Timestamp,
}

/// Puts a refused phase into its pause, or fails phase and spec when no attempt is left.
pub fn refuse_phase(facts: RefusalFacts, refusal: PhaseRefusal) -> Vec<PhaseAction> {
    let PhaseRefusal { kind, feedback, .. } = refusal;
    let headline = headline(&feedback).to_owned();
    let mut actions = vec![PhaseAction::KeepFeedback(feedback)];
    if refusal.is_doubt {
        actions.push(PhaseAction::MarkDoubtsSent);
    }
    let mut verdict = PhaseVerdict::with_reason(kind.as_str());
    if let Some(refused) = refusal.output {
        verdict = PhaseVerdict {
            reason: verdict.reason,
            ..refused.verdict
        };
        let (score, output) = (refused.score, refused.output);
        actions.push(PhaseAction::KeepScore(score));
        if facts.rejected_score.is_none_or(|best| score > best) {
            actions.push(PhaseAction::KeepRejected { score, output });
        }
        actions.push(PhaseAction::TellVerdict(verdict.clone()));
    }
    if facts.attempts < facts.attempts_max && !refusal.is_last {
        let begins_at = facts.now + phase_delay(facts.attempts);
        let to = PhaseState::Backoff;
        actions.push(PhaseAction::WaitUntil(begins_at));
        actions.push(PhaseAction::Move { to, verdict });
        return actions;
    }
    let RefusalFacts {
        phase, attempts, ..
    } = facts;
    let reason = format!("phase {phase} failed after {attempts} attempts: {headline}");
    let to = PhaseState::Failed;
    actions.push(PhaseAction::Move { to, verdict });
    actions.extend(PhaseAction::fail_spec(phase, reason));
    actions
}

/// The first thing that feedback has to say.
fn headline(feedback: &str) -> &str {
    let says = |line: &&str| !line.is_empty() && !line.ends_with(':');
    let mut lines = feedback.lines().map(|l| l.trim().trim_start_matches("- "));
    lines.find(says).unwrap_or_else(|| feedback.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::SpecStatus;

    const FEEDBACK: &str = "The output is not complete:\n- `tasks` needs 1 item(s), 0 came";

    fn refusal(is_last: bool, score: Option<f64>) -> PhaseRefusal {
        PhaseRefusal {
            kind: PhaseFailure::InvalidOutput,
            feedback: FEEDBACK.to_owned(),
            output: score.map(|score| RefusedOutput {
                verdict: PhaseVerdict {
                    score: Some(score),
                    passed: Some(false),
                    ..PhaseVerdict::default()
                },
                score,
                output: None,
            }),
            is_last,
            is_doubt: false,
        }
    }

    fn facts(attempts: u32) -> RefusalFacts {
        RefusalFacts {
            phase: Phase::Tasks,
            attempts,
            attempts_max: 3,
            rejected_score: Some(0.5),
            now: Timestamp::from_micros(1_000_000),
        }
    }

    #[test]
    fn a_pause_follows_until_no_attempt_is_left() {
        let now = facts(0).now;
        for (attempts, is_last, pause_s) in [
            (1, false, Some(2)),
            (2, false, Some(4)),
            (3, false, None),
            (1, true, None),
        ] {
            let actions = refuse_phase(facts(attempts), refusal(is_last, None));
            assert_eq!(actions[0], PhaseAction::KeepFeedback(FEEDBACK.to_owned()));
            let verdict = PhaseVerdict::with_reason("invalid_output");
            let to = match pause_s {
                Some(_) => PhaseState::Backoff,
                None => PhaseState::Failed,
            };
            assert!(actions.contains(&PhaseAction::Move { to, verdict }));
            if let Some(seconds) = pause_s {
                let begins_at = now + Duration::from_secs(seconds);
                assert!(actions.contains(&PhaseAction::WaitUntil(begins_at)));
                continue;
            }
            let reason = format!(
                "phase tasks failed after {attempts} attempts: `tasks` needs 1 item(s), 0 came"
            );
            let failed = PhaseAction::MoveSpec {
                to: SpecStatus::Failed,
                reason: Some(reason),
            };
            assert_eq!(actions.last(), Some(&failed));
        }
    }

    #[test]
    fn the_best_refused_output_is_kept() {
        for (score, is_kept) in [(0.4, false), (0.5, false), (0.6, true)] {
            let actions = refuse_phase(facts(1), refusal(false, Some(score)));
            let output = None;
            let kept = PhaseAction::KeepRejected { score, output };
            assert_eq!(actions.contains(&kept), is_kept, "{score}");
            assert!(actions.contains(&PhaseAction::KeepScore(score)));
            let told = actions.iter().find_map(|action| match action {
                PhaseAction::TellVerdict(verdict) => Some(verdict),
                _ => None,
            });
            let told = told.unwrap();
            assert_eq!(told.reason.as_deref(), Some("invalid_output"));
            assert_eq!((told.score, told.passed), (Some(score), Some(false)));
        }
    }

    #[test]
    fn doubts_are_sent_back_once() {
        for is_doubt in [true, false] {
            let doubt = PhaseRefusal {
                is_doubt,
                ..refusal(false, Some(0.9))
            };
            let actions = refuse_phase(facts(1), doubt);
            assert_eq!(actions.contains(&PhaseAction::MarkDoubtsSent), is_doubt);
        }
    }
}
