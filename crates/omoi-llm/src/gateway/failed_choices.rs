//! What follows when no model of a list has answered: a pure decision.

use omoi_domain::model_fallback::FallbackClass;

use crate::failed_try::FailedTry;
use crate::route::RouteChoice;

/// How one model of a list failed a question.
#[derive(Clone, Debug)]
pub(super) struct FailedChoice {
    /// The model.
    pub(super) choice: RouteChoice,
    /// Why the next one was asked; none where that would have fared no better.
    pub(super) class: Option<FallbackClass>,
    /// The last failure, where its provider turned the question away until no try was left.
    pub(super) turned_away: Option<FailedTry>,
}

/// The model that the work waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwaitedChoice {
    /// Its place among those that were asked.
    pub(super) nth: usize,
    /// How it turned the question away, and when it answers again.
    pub(super) failed: FailedTry,
}

/// Which of `choices`, all that were asked in their order, the work waits for. None where the last one said
/// something that a person has to hear: waiting for another one would hide it.
pub(super) fn awaited_choice(choices: &[FailedChoice]) -> Option<AwaitedChoice> {
    let last = choices.last()?;
    let turned_away = choices.iter().enumerate();
    let turned_away =
        turned_away.filter_map(|(nth, choice)| Some((nth, choice.turned_away.as_ref()?)));
    if let Some(words) = &last.turned_away {
        // One that names no time may answer at once.
        let (nth, first) = turned_away.min_by_key(|(_, failed)| failed.reset_at)?;
        let failed = FailedTry {
            reset_at: first.reset_at,
            ..words.clone()
        };
        return Some(AwaitedChoice { nth, failed });
    }
    // It can do nothing with this question, while an earlier one said when it can.
    let is_unfit = matches!(
        last.class,
        Some(FallbackClass::Refused | FallbackClass::WindowExceeded | FallbackClass::Declined)
    );
    let named = turned_away.filter(|(_, failed)| is_unfit && failed.reset_at.is_some());
    let (nth, failed) = named.min_by_key(|(_, failed)| failed.reset_at)?;
    Some(AwaitedChoice {
        nth,
        failed: failed.clone(),
    })
}

#[cfg(test)]
mod tests {
    use omoi_domain::model_route::RouteName;
    use omoi_domain::outage::CallWait;
    use omoi_domain::time::Timestamp;

    use super::*;

    fn turned_away(reset_s: Option<i64>) -> FailedChoice {
        let reset_at = reset_s.map(|s| Timestamp::from_micros(s * 1_000_000));
        FailedChoice {
            choice: RouteName::Agent.into(),
            class: Some(FallbackClass::Limited),
            turned_away: Some(FailedTry {
                provider: "a".to_owned(),
                model: "m".to_owned(),
                status: Some(429),
                words: "slow down".to_owned(),
                n_calls: 1,
                calls_max: 24,
                next_at: None,
                until: Timestamp::default(),
                reset_at,
                wait: CallWait::Saved,
            }),
        }
    }

    fn other(class: Option<FallbackClass>) -> FailedChoice {
        FailedChoice {
            choice: RouteName::Agent.into(),
            class,
            turned_away: None,
        }
    }

    #[test]
    fn the_work_waits_only_where_the_last_model_says_nothing_else() {
        use FallbackClass::{Away, Declined, OverBudget, Refused, WindowExceeded};
        let (known, unknown) = (|| turned_away(Some(9)), || turned_away(None));
        for (choices, expected) in [
            (vec![known()], Some((0, Some(9)))),
            (vec![known(), turned_away(Some(5))], Some((1, Some(5)))),
            (vec![known(), unknown()], Some((1, None))),
            (vec![known(), other(Some(Refused))], Some((0, Some(9)))),
            (
                vec![known(), other(Some(WindowExceeded))],
                Some((0, Some(9))),
            ),
            (vec![known(), other(Some(Declined))], Some((0, Some(9)))),
            // A wrong key, a budget that is spent, a question that makes no sense.
            (vec![unknown(), other(Some(Refused))], None),
            (vec![known(), other(Some(OverBudget))], None),
            (vec![known(), other(Some(Away))], None),
            (vec![known(), other(None)], None),
            (vec![], None),
        ] {
            let awaited = awaited_choice(&choices);
            let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
            let found = awaited.map(|found| (found.nth, found.failed.reset_at.map(seconds)));
            assert_eq!(found, expected, "{choices:?}");
        }
    }
}
