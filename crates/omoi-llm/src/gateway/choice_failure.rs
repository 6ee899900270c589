//! Why a model gave no answer, and what follows.

use omoi_domain::model_fallback::FallbackClass;

use super::refusal::GatewayRefusal;
use crate::choice_walk::WalkedChoice;
use crate::circuit::PassedTarget;

/// Why a model gave no answer, before the caller saw a word of it.
pub(super) struct ChoiceFailure {
    /// Why the next model is asked; none where it would fare no better.
    pub(super) class: Option<FallbackClass>,
    /// Whether an earlier question found it out.
    pub(super) is_known: bool,
    /// Whether the caller saw the beginning of an answer: then no other model can answer in its place.
    pub(super) is_shown: bool,
    /// What the caller is told where no other model is left.
    pub(super) refusal: GatewayRefusal,
}

impl ChoiceFailure {
    /// The model is passed over, as an earlier question found it away.
    pub(super) fn of_passed(walked: &WalkedChoice<'_>, passed: &PassedTarget) -> Self {
        Self {
            class: Some(passed.reason.class),
            is_known: true,
            is_shown: false,
            refusal: GatewayRefusal::unavailable_now(walked.passed_words(passed)),
        }
    }

    /// The model reads less than the question holds, as `words` say.
    pub(super) fn over_window(words: String) -> Self {
        Self {
            class: Some(FallbackClass::WindowExceeded),
            is_known: false,
            is_shown: false,
            refusal: GatewayRefusal::invalid_request(words),
        }
    }

    /// The question cannot be put into the words of the model.
    pub(super) const fn unsaid_question(refusal: GatewayRefusal) -> Self {
        Self {
            class: Some(FallbackClass::Refused),
            is_known: false,
            is_shown: false,
            refusal,
        }
    }
}
