//! Why a question has no answer, and whether the next model of its list may have one.

use std::time::Duration;

use thiserror::Error;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_fallback::FallbackClass;

use crate::brought_keys::BroughtKeyError;
use crate::meter::ReserveError;
use crate::retry::AllowanceSpent;
use crate::upstream::{MalformedAnswer, UpstreamError};
use crate::window_refusal::says_over_window;

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// A failure that trying again does not mend.
    #[error("the model call failed")]
    Failed(#[source] UpstreamError),
    /// The next try would begin after the deadline.
    #[error("gave up on the model after {calls} calls: no time is left")]
    OutOfTime {
        /// Calls made until then.
        calls: u32,
        /// The failure of the last call.
        #[source]
        last: Option<UpstreamError>,
    },
    /// No calls are left.
    #[error("gave up on the model after {calls} calls, the most that are allowed")]
    OutOfCalls {
        /// Calls made until then.
        calls: u32,
        /// The failure of the last call.
        #[source]
        last: Option<UpstreamError>,
    },
    /// The circuit of the target is open for longer than this question may wait.
    #[error("the model at {target} keeps failing and is left alone for {} s", .retry_after.as_secs())]
    CircuitOpen {
        /// Base URL that the circuit belongs to.
        target: String,
        /// Time until the circuit lets a call through again.
        retry_after: Duration,
    },
    /// The limit of the credential is used up for longer than this question may wait.
    #[error("the limit at {provider} is used up for {} s", .retry_after.as_secs())]
    Limited {
        /// The provider for people to read.
        provider: String,
        /// Time until it answers again.
        retry_after: Duration,
    },
    /// A budget has no room for another try, after tries that may be billed.
    #[error("the question is not asked again")]
    OverBudget(#[source] ReserveError),
    /// The credential is for calls of another program.
    #[error(
        "the credential of {provider} is for calls of {program} alone; name another model for this work"
    )]
    Reserved {
        /// The provider for people to read.
        provider: String,
        /// The program.
        program: AgentProgram,
    },
    /// Neither the deployment nor the organisation whose question it is has a key for the provider.
    #[error(
        "there is no key for `{provider}`: bring the organisation's own (omoi org provider-key set {provider}), or set \
         {variable} where the deployment runs"
    )]
    NoKey {
        /// What the deployment calls the provider.
        provider: String,
        /// The variable or secret file that would hold the deployment's key.
        variable: String,
    },
    /// The organisation whose question it is has other keys than when it began.
    #[error("the organisation's keys for providers were changed meanwhile; ask again")]
    KeysChanged,
    /// The keys of the organisation whose question it is are not known.
    #[error("the question is not asked")]
    Keys(#[source] BroughtKeyError),
}

impl AskError {
    /// The failure underneath, when a call was made at all.
    pub fn upstream_error(&self) -> Option<&UpstreamError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::OutOfTime { last, .. } | Self::OutOfCalls { last, .. } => last.as_ref(),
            Self::CircuitOpen { .. }
            | Self::Limited { .. }
            | Self::OverBudget(_)
            | Self::Reserved { .. }
            | Self::NoKey { .. }
            | Self::KeysChanged
            | Self::Keys(_) => None,
        }
    }

    pub(crate) fn from_spent(
        spent: AllowanceSpent,
        calls: u32,
        last: Option<UpstreamError>,
    ) -> Self {
        match spent {
            AllowanceSpent::Time => Self::OutOfTime { calls, last },
            AllowanceSpent::Calls => Self::OutOfCalls { calls, last },
        }
    }
}

impl AskError {
    /// Why the question goes on to the next model; none where that would fare no better.
    pub(crate) fn fallback_class(&self) -> Option<FallbackClass> {
        match (self, self.upstream_error()) {
            (_, Some(error)) => fallback_class(error),
            (Self::Limited { .. }, None) => Some(FallbackClass::Limited),
            (Self::Reserved { .. }, None) => Some(FallbackClass::Refused),
            (Self::OverBudget(ReserveError::Refused { .. }), None) => {
                Some(FallbackClass::OverBudget)
            }
            // Of its list every model waits for a key.
            (Self::NoKey { .. }, None) => None,
            (Self::OverBudget(_) | Self::KeysChanged | Self::Keys(_), None) => None,
            (_, None) => Some(FallbackClass::Away),
        }
    }
}

/// What `error` means for the next model of a list; none where it would fare no better, or where the
/// answer is paid.
pub(crate) fn fallback_class(error: &UpstreamError) -> Option<FallbackClass> {
    match error {
        UpstreamError::Status { status: 429, .. } => Some(FallbackClass::Limited),
        UpstreamError::Status {
            status,
            kind,
            message,
            ..
        } if says_over_window(*status, kind, message) => Some(FallbackClass::WindowExceeded),
        UpstreamError::Status {
            status: 401..=404 | 410 | 451,
            ..
        }
        | UpstreamError::Convert(_)
        | UpstreamError::BadKey
        | UpstreamError::Unsendable(_) => Some(FallbackClass::Refused),
        UpstreamError::Declined { .. } => Some(FallbackClass::Declined),
        UpstreamError::Status {
            status: 408 | 500..,
            ..
        }
        | UpstreamError::Connect(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Cut
        | UpstreamError::Silent { .. }
        | UpstreamError::NoContent { .. }
        | UpstreamError::TooLong { .. }
        | UpstreamError::WrongType { .. }
        | UpstreamError::Malformed(
            MalformedAnswer::Sse(_) | MalformedAnswer::Event(_) | MalformedAnswer::Answer(_),
        ) => Some(FallbackClass::Away),
        UpstreamError::Status { .. }
        | UpstreamError::TooLarge { .. }
        | UpstreamError::Malformed(MalformedAnswer::Call(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_says_whether_another_model_is_asked() {
        use FallbackClass::{Away, Limited, Refused, WindowExceeded};
        for (status, message, expected) in [
            (429, "slow down", Some(Limited)),
            (529, "Overloaded", Some(Away)),
            (500, "", Some(Away)),
            (401, "invalid x-api-key", Some(Refused)),
            (404, "model: no such", Some(Refused)),
            (402, "no credit", Some(Refused)),
            (
                400,
                "prompt is too long: 213000 tokens > 200000 maximum",
                Some(WindowExceeded),
            ),
            (
                400,
                "This model's maximum context length is 8192 tokens",
                Some(WindowExceeded),
            ),
            (
                400,
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
                Some(WindowExceeded),
            ),
            (
                400,
                "Input is too long for requested model.",
                Some(WindowExceeded),
            ),
            (
                400,
                "the request exceeds the available context size, try increasing it",
                Some(WindowExceeded),
            ),
            // Whatever is wrong with the question is wrong for the next one.
            (400, "messages: at least one message is required", None),
            (409, "conflict", None),
        ] {
            let error = UpstreamError::Status {
                status,
                kind: "invalid_request_error".to_owned(),
                message: message.to_owned(),
                retry_after: None,
                should_retry: false,
            };
            assert_eq!(fallback_class(&error), expected, "{status} {message}");
        }
        let open = AskError::CircuitOpen {
            target: "http://a".to_owned(),
            retry_after: Duration::from_secs(30),
        };
        assert_eq!(open.fallback_class(), Some(Away));
        let cut = AskError::Failed(UpstreamError::Cut);
        assert_eq!(cut.fallback_class(), Some(Away));
        let large = AskError::Failed(UpstreamError::TooLarge { limit: 1 });
        assert_eq!(large.fallback_class(), None);
    }
}
