//! The question for a second opinion on a plan.

use crate::lifecycle::tries::{EarlierRun, TryLimit, is_under_way, spent_tries};
use crate::time::Timestamp;

/// Times the question may fail to be asked at all.
const QUESTIONS_MAX: usize = 3;

/// What is known of a plan that nobody has an opinion on.
#[derive(Clone, Copy, Debug)]
pub struct QuestionFacts<'a, M> {
    /// The model that would be asked, where this process asks one.
    pub model: Option<M>,
    /// Earlier attempts to ask.
    pub runs: &'a [EarlierRun],
    /// When the phase began: it has all its tries since then.
    pub since: Timestamp,
}

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionStep<M> {
    /// The question is on its way.
    Await,
    /// This model is asked.
    Ask(M),
    /// Nobody is asked, for this reason.
    Skip(&'static str),
}

/// Decides whether a second opinion is asked for. Whatever keeps it from being given keeps no plan from
/// going on.
pub fn question_step<M>(facts: QuestionFacts<'_, M>) -> QuestionStep<M> {
    if is_under_way(facts.runs) {
        return QuestionStep::Await;
    }
    let limit = TryLimit {
        max: QUESTIONS_MAX,
        round: None,
        since: Some(facts.since),
    };
    match (facts.model, spent_tries(facts.runs, limit)) {
        (None, _) => QuestionStep::Skip("this process asks no model"),
        (Some(_), Some(_)) => QuestionStep::Skip("the question could not be asked"),
        (Some(model), None) => QuestionStep::Ask(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptState;

    #[test]
    fn a_model_is_asked_until_its_tries_are_spent() {
        use AttemptState::{Failed, Interrupted, Starting};
        let no_model = QuestionStep::Skip("this process asks no model");
        let spent = QuestionStep::Skip("the question could not be asked");
        for (model, states, since, expected) in [
            (Some("judge"), vec![], 0, QuestionStep::Ask("judge")),
            (None, vec![], 0, no_model),
            (None, vec![Starting], 0, QuestionStep::Await),
            (Some("judge"), vec![Starting], 0, QuestionStep::Await),
            (
                Some("judge"),
                vec![Failed, Failed],
                0,
                QuestionStep::Ask("judge"),
            ),
            (Some("judge"), vec![Failed, Failed, Failed], 0, spent),
            (
                Some("judge"),
                vec![Failed, Failed, Failed],
                6,
                QuestionStep::Ask("judge"),
            ),
            (
                Some("judge"),
                vec![Interrupted; 3],
                0,
                QuestionStep::Ask("judge"),
            ),
        ] {
            let run = |state: &AttemptState| EarlierRun {
                state: *state,
                round: 0,
                begun_at: Timestamp::from_micros(5),
                error: None,
            };
            let runs: Vec<_> = states.iter().map(run).collect();
            let step = question_step(QuestionFacts {
                model,
                runs: &runs,
                since: Timestamp::from_micros(since),
            });
            assert_eq!(step, expected, "{model:?} {states:?}");
        }
    }
}
