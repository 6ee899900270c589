//! One call: sent, and read up to its first content.

use std::sync::Arc;

use futures::{StreamExt as _, stream};

use crate::circuit::CallPermit;
use crate::error_chain::ErrorChain;
use crate::pace::CallPace;
use crate::retry::RetryClass;
use crate::upstream::{AnswerItem, AnswerStream, UpstreamError};
use crate::wire::answer_signs::{AnswerStage, DeclinedWords};

use super::LlmClient;
use crate::question_tally::QuestionTally;
use crate::upstream_question::{CallSender, UpstreamQuestion};

impl LlmClient {
    /// One call, until it shows content.
    pub(super) async fn attempt_call<Q: UpstreamQuestion>(
        &self,
        ask: Q,
        tally: &mut QuestionTally,
        mut permit: CallPermit,
    ) -> Result<AnswerStream<Q::Item>, UpstreamError> {
        let route = self.routes.route_at(ask.route_choice());
        let size = ask.request_size();
        tally.begin_call(route, size);
        let asked_at = self.pace.now();
        tracing::debug!(tokens = size.read_estimate, "Asking the model");
        let sender = CallSender {
            connections: &self.connections,
            route,
            limits: ask.answer_limits(route),
            pace: &self.pace,
        };
        let limit = sender.limits.first_content;
        let no_content = UpstreamError::NoContent {
            limit_s: limit.as_secs(),
        };
        // Dropping the losing side abandons the call as a whole.
        let begun = tokio::select! {
            begun = first_content(ask, sender, tally, &mut permit) => begun,
            () = self.pace.expire(limit) => Err(no_content),
        };
        // The same limit, noticed further below.
        let begun = begun.map_err(|error| match error {
            UpstreamError::Silent { limit_s } => UpstreamError::NoContent { limit_s },
            UpstreamError::Declined { words } => UpstreamError::Declined {
                words: self.mask_words(&words),
            },
            other => other,
        });
        match begun {
            Ok((first, rest)) => {
                let ms = self.pace.now().since(asked_at).as_millis() as u64;
                tracing::debug!(ms, "The answer begins");
                tally.rewind_call();
                Ok(settling_stream(first, rest, permit, Arc::clone(&self.pace)))
            }
            Err(error) => {
                let billed = error.may_be_billed();
                tracing::debug!(error = %ErrorChain(&error), billed, "The call brought no answer");
                if !billed {
                    tally.set_not_billed();
                }
                if error.is_turned_away() {
                    permit.keep_failure(self.failed_try(route, &error));
                }
                settle_permit(&error, permit, self.pace.as_ref());
                Err(error)
            }
        }
    }
}

/// The pieces up to the first that shows content, and the rest. Opening pieces prove little: vendors
/// send them before they find out that they are overloaded. An answer that declines, and shows nothing before it
/// does, is none.
async fn first_content<Q: UpstreamQuestion>(
    ask: Q,
    sender: CallSender<'_>,
    tally: &mut QuestionTally,
    permit: &mut CallPermit,
) -> Result<(Vec<Q::Item>, AnswerStream<Q::Item>), UpstreamError> {
    let mut items = ask.send_once(sender).await?;
    let mut first = Vec::new();
    let mut declined = DeclinedWords::default();
    while let Some(item) = items.next().await {
        let item = item?;
        permit.note_alive();
        let signs = item.read_signs();
        tally.count_signs(&signs);
        declined.add_signs(&signs);
        first.push(item);
        match (declined.declined_text(), signs.stage) {
            (Some(words), AnswerStage::Whole) => {
                let words = words.to_owned();
                return Err(UpstreamError::Declined { words });
            }
            (Some(_), _) | (None, AnswerStage::Opening) => {}
            (None, _) => break,
        }
    }
    Ok((first, items))
}

/// The stream from its first piece on; its end settles `permit`.
fn settling_stream<T: AnswerItem>(
    first: Vec<T>,
    rest: AnswerStream<T>,
    permit: CallPermit,
    pace: Arc<dyn CallPace>,
) -> AnswerStream<T> {
    let mut permit = Some(permit);
    let items = stream::iter(first.into_iter().map(Ok)).chain(rest);
    AnswerStream::new(items.inspect(move |item| match item {
        Ok(item) if item.read_signs().stage == AnswerStage::Whole => {
            if let Some(permit) = permit.take() {
                permit.record_success();
            }
        }
        Ok(_) => {}
        Err(error) => {
            if let Some(permit) = permit.take() {
                settle_permit(error, permit, pace.as_ref());
            }
        }
    }))
}

fn settle_permit(error: &UpstreamError, permit: CallPermit, pace: &dyn CallPace) {
    match error.retry_class() {
        RetryClass::Retry { .. } => permit.record_failure(pace.now()),
        // Whoever refuses a request is there.
        RetryClass::Final
            if matches!(
                error,
                UpstreamError::Status { .. } | UpstreamError::Declined { .. }
            ) =>
        {
            permit.record_success();
        }
        RetryClass::Final => drop(permit),
    }
}
