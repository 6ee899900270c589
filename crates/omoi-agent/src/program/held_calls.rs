//! Model calls of a program that wait until its driver lets them go. Where the protocol does not say that
//! the tools of an answer have run, the next call of the model says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::clock::{Clock, with_deadline};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, oneshot};

use crate::process::{LineProgram, LineProgramError};

/// How long a model call waits for the end of a round that its driver does not see.
const ROUND_TIME: Duration = Duration::from_secs(5);

/// What a driver is told of model calls.
#[derive(Debug)]
pub(crate) enum ModelCallNews {
    /// A call waits.
    Held(WaitingModelCall),
    /// The gateway refused one.
    Refused,
}

/// A model call that waits. It is never made when this is dropped.
#[derive(Debug)]
pub(crate) struct WaitingModelCall(oneshot::Sender<()>);

impl WaitingModelCall {
    /// Lets it go; the program may have given it up.
    pub(crate) fn release(self) {
        let _ = self.0.send(());
    }
}

/// The model calls of a program that speaks in lines. One that follows a round waits until that is committed:
/// a provider that turns it away may end the attempt, and an uncommitted round would run again.
#[derive(Debug)]
pub(crate) struct RoundCalls {
    news: mpsc::UnboundedReceiver<ModelCallNews>,
    waiting: Vec<WaitingModelCall>,
    /// Since when they wait.
    since: Option<Timestamp>,
}

impl RoundCalls {
    /// The calls that `news` tells of.
    pub(crate) fn new(news: mpsc::UnboundedReceiver<ModelCallNews>) -> Self {
        Self {
            news,
            waiting: Vec::new(),
            since: None,
        }
    }

    /// The next line of `program`. Until it comes model calls wait where `is_round_open`, for
    /// [`ROUND_TIME`] at most; else they go. Cancel-safe.
    pub(crate) async fn next_line(
        &mut self,
        program: &mut LineProgram,
        is_round_open: bool,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<u8>>, LineProgramError> {
        loop {
            if !is_round_open {
                self.release_calls();
            }
            let since = self.since;
            let next = async {
                tokio::select! {
                    biased;
                    line = program.next_line() => Some(line),
                    Some(news) = self.news.recv() => {
                        if let ModelCallNews::Held(call) = news {
                            self.waiting.push(call);
                            self.since.get_or_insert(clock.now());
                        }
                        None
                    }
                }
            };
            let next = match since {
                None => next.await,
                Some(since) => {
                    let left = ROUND_TIME.saturating_sub(clock.now().since(since));
                    match with_deadline(clock, left, next).await {
                        Ok(next) => next,
                        Err(_) => {
                            tracing::info!("A model call of the agent program is beside its round");
                            self.release_calls();
                            None
                        }
                    }
                }
            };
            if let Some(line) = next {
                return line;
            }
        }
    }

    fn release_calls(&mut self) {
        self.since = None;
        self.waiting.drain(..).for_each(WaitingModelCall::release);
    }
}

/// Where model calls wait, once a driver has asked for it. Clones are one gate.
#[derive(Clone, Debug, Default)]
pub(super) struct CallGate(Arc<Mutex<Option<mpsc::UnboundedSender<ModelCallNews>>>>);

impl CallGate {
    /// From now on calls wait; whoever lets them go is told.
    pub(super) fn close(&self) -> mpsc::UnboundedReceiver<ModelCallNews> {
        let (news, told) = mpsc::unbounded_channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
        told
    }

    /// Waits until the call may go; for ever, once nobody is there to let it go.
    pub(super) async fn wait_released(&self) {
        let Some(news) = self.driver() else {
            return;
        };
        let (release, released) = oneshot::channel();
        let is_told = news
            .send(ModelCallNews::Held(WaitingModelCall(release)))
            .is_ok();
        if !is_told || released.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells that a call was refused.
    pub(super) fn tell_refusal(&self) {
        if let Some(news) = self.driver() {
            // A driver that is gone needs no news.
            let _ = news.send(ModelCallNews::Refused);
        }
    }

    fn driver(&self) -> Option<mpsc::UnboundedSender<ModelCallNews>> {
        let driver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        driver.clone()
    }
}

/// Whether a model call offers tools: those that do not are questions beside the work.
pub(super) fn has_tools(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Offer {
        #[serde(default)]
        tools: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Offer>(body).is_ok_and(|offer| !offer.tools.is_empty())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_call_waits_until_it_is_let_go_and_is_never_made_without_a_driver() {
        let gate = CallGate::default();
        gate.wait_released().await;
        let mut news = gate.close();
        let mut call = Box::pin(gate.wait_released());
        assert!((&mut call).now_or_never().is_none());
        let Some(ModelCallNews::Held(held)) = news.recv().await else {
            unreachable!("a call waits");
        };
        assert!((&mut call).now_or_never().is_none());
        held.release();
        call.await;
        gate.tell_refusal();
        assert!(matches!(news.recv().await, Some(ModelCallNews::Refused)));
        drop(news);
        assert!(gate.wait_released().now_or_never().is_none());
    }

    #[test]
    fn a_question_beside_the_work_offers_no_tools() {
        for (body, has) in [
            (r#"{"messages":[],"tools":[{"name":"a"}]}"#, true),
            (r#"{"messages":[],"tools":[]}"#, false),
            (r#"{"messages":[]}"#, false),
            ("broken", false),
        ] {
            assert_eq!(has_tools(body.as_bytes()), has, "{body}");
        }
    }
}
