//! A phase whose attempt the model provider failed.

use super::PhaseAction;
use crate::block::SpecBlock;
use crate::outage::OutageStep;
use crate::phase::Phase;
use crate::retry::PhaseFailure;
use crate::spec::PhaseState;

/// What is known when the model provider failed an attempt at a phase.
#[derive(Clone, Debug)]
pub struct PhaseOutage {
    /// The phase.
    pub phase: Phase,
    /// Attempts that counted, this one included.
    pub attempts: u32,
    /// The provider's words.
    pub message: String,
    /// Why a person is asked, in words for that person.
    pub reason: String,
    /// Whether it is waited for, or a person asked.
    pub step: OutageStep,
}

/// Has a phase wait for its next try, or its spec for a person. An outage of the provider is no attempt of
/// the model; what the phase has so far stays.
pub fn provider_failed_phase(outage: PhaseOutage) -> Vec<PhaseAction> {
    let mut actions = vec![PhaseAction::SetAttempts(outage.attempts.saturating_sub(1))];
    match outage.step {
        OutageStep::TryAgain { at, until } => {
            let kind = PhaseFailure::ProviderUnavailable;
            let (time, last) = (at.date_and_time(), until.date_and_time());
            let reason = format!("{kind}: {}; at {time}, until {last}", outage.message);
            actions.push(PhaseAction::WaitUntil(at));
            actions.push(PhaseAction::moved(PhaseState::Backoff, reason));
        }
        OutageStep::Stop => {
            let PhaseOutage { phase, reason, .. } = outage;
            actions.push(PhaseAction::moved(PhaseState::Pending, reason.clone()));
            actions.extend(PhaseAction::block_spec(phase, SpecBlock::Provider, reason));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn outage(step: OutageStep) -> PhaseOutage {
        PhaseOutage {
            phase: Phase::Prd,
            attempts: 2,
            message: "503".to_owned(),
            reason: "provider_unavailable (upstream_5xx): 503".to_owned(),
            step,
        }
    }

    #[test]
    fn an_outage_is_waited_for_and_then_a_person_is() {
        // Its reset may be days ahead.
        let day = 24 * 3_600 * 1_000_000;
        let (at, until) = (
            Timestamp::from_micros(3 * day + 1_000_000),
            Timestamp::from_micros(3 * day + 9_000_000),
        );
        let waits = provider_failed_phase(outage(OutageStep::TryAgain { at, until }));
        let told = "provider_unavailable: 503; at 1970-01-04 00:00:01, until 1970-01-04 00:00:09";
        let expected = [
            PhaseAction::SetAttempts(1),
            PhaseAction::WaitUntil(at),
            PhaseAction::moved(PhaseState::Backoff, told),
        ];
        assert_eq!(waits, expected);

        let stops = provider_failed_phase(outage(OutageStep::Stop));
        let reason = "provider_unavailable (upstream_5xx): 503".to_owned();
        let expected = [
            PhaseAction::SetAttempts(1),
            PhaseAction::moved(PhaseState::Pending, reason.clone()),
            PhaseAction::EndPlanning {
                failed_phase: Some(Phase::Prd),
            },
            PhaseAction::BlockSpec {
                block: SpecBlock::Provider,
                reason,
            },
        ];
        assert_eq!(stops, expected);
    }
}
