//! What becomes of an attempt whose worker is gone.

use omoi_domain::attempt::{AttemptState, AttemptStopReason, SubjectKind};
use omoi_domain::crash::CrashPoint;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxState;
use omoi_sandbox::Exhausted;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, sandboxes};

use crate::platform::Platform;
use crate::tasks;

/// How a sandbox ended, as the platform saw it.
pub(super) struct Ended {
    /// It ran longer than its wall time.
    pub(super) timed_out: bool,
    /// The watcher stopped it for breaking this limit.
    pub(super) exhausted: Option<Exhausted>,
    /// The kernel killed some of it for want of memory.
    pub(super) out_of_memory: bool,
    /// Exit code or signal.
    pub(super) how: String,
    /// What it last printed.
    pub(super) said: Option<String>,
}

/// Why a worker did not run to its end.
pub(super) struct NotStarted {
    /// What kind of error it was.
    pub(super) class: ErrorClass,
    /// With every cause.
    pub(super) message: String,
}

/// Why an attempt is given up by the platform.
pub struct Loss {
    /// The state it ends in.
    pub state: AttemptState,
    /// Why it ended.
    pub stop_reason: AttemptStopReason,
    /// What kind of error it is.
    pub class: ErrorClass,
    /// What happened.
    pub message: String,
    /// Whether it counts as one of the task's retries.
    pub counts: bool,
}

impl Ended {
    fn loss(self) -> Loss {
        let (stop_reason, class) = if self.timed_out {
            (AttemptStopReason::MaxDurationReached, ErrorClass::Timeout)
        } else if self.exhausted.is_some() {
            (
                AttemptStopReason::ResourceExhausted,
                ErrorClass::ResourceExhausted,
            )
        } else if self.out_of_memory {
            (
                AttemptStopReason::OutOfMemory,
                ErrorClass::ResourceExhausted,
            )
        } else {
            (AttemptStopReason::SandboxLost, ErrorClass::SandboxLost)
        };
        let said = self
            .said
            .map(|said| format!(": {said}"))
            .unwrap_or_default();
        let limit = self.exhausted.map(|limit| format!("{limit}; "));
        let limit = limit.unwrap_or_default();
        Loss {
            state: AttemptState::Failed,
            stop_reason,
            class,
            message: format!(
                "{limit}the worker ended ({}) without an outcome{said}",
                self.how
            ),
            counts: true,
        }
    }
}

/// Settles an attempt after its process is gone. One that reported its outcome is left as it is.
pub(super) async fn after_exit(
    platform: &Platform,
    attempt: &Attempt,
    ended: Result<Ended, NotStarted>,
) -> Result<(), StoreError> {
    let mut tx = platform.store.begin_write().await?;
    let mut now = attempts::get(&mut tx, attempt.id).await?;
    if now.state.is_live() {
        let is_asked = platform.lifecycle.soft().is_cancelled();
        let loss = match ended {
            // It was asked to stop before it could say anything.
            Ok(ended) if is_asked && !ended.timed_out => Loss {
                state: AttemptState::Interrupted,
                stop_reason: AttemptStopReason::ShutdownSignal,
                counts: false,
                ..ended.loss()
            },
            Ok(ended)
                if ended
                    .exhausted
                    .is_some_and(|limit| limit.is_of_the_machine()) =>
            {
                Loss {
                    state: AttemptState::Interrupted,
                    stop_reason: AttemptStopReason::DiskLow,
                    counts: false,
                    ..ended.loss()
                }
            }
            Ok(ended) => ended.loss(),
            Err(failure) => Loss {
                state: AttemptState::Failed,
                stop_reason: AttemptStopReason::ProvisionFailed,
                class: failure.class,
                message: failure.message,
                counts: true,
            },
        };
        lose(&mut tx, platform, &mut now, loss).await?;
    }
    end_sandbox(&mut tx, &now).await?;
    tx.commit(CrashPoint::SandboxEnded).await
}

/// Ends a live attempt from the platform's side and moves its task on. Phases, checks and merges
/// are taken up again by their own reconcilers.
///
/// # Errors
/// When the database cannot be written.
pub async fn lose(
    tx: &mut Tx,
    platform: &Platform,
    attempt: &mut Attempt,
    loss: Loss,
) -> Result<(), StoreError> {
    attempt.stop_reason = Some(loss.stop_reason);
    attempt.error_class = Some(loss.class);
    // It may hold what a worker printed.
    let loss = Loss {
        message: platform.mask.mask(&loss.message).into_owned(),
        ..loss
    };
    attempt.error_message = Some(loss.message.clone());
    let to = match (attempt.state, loss.state) {
        // A pending attempt never ran, so it cannot have been cut short.
        (AttemptState::Pending | AttemptState::Starting, AttemptState::Incomplete) => {
            AttemptState::Failed
        }
        (_, to) => to,
    };
    attempts::transition(tx, attempt, to).await?;
    if attempt.subject.kind() == SubjectKind::Task {
        tasks::attempt_lost(tx, platform, attempt, &loss).await?;
    }
    Ok(())
}

/// Notes that an attempt's sandbox is gone.
pub(crate) async fn end_sandbox(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    let mut sandbox = match sandboxes::of_attempt(tx, attempt.id).await {
        Ok(sandbox) => sandbox,
        // It failed before there was one.
        Err(StoreError::NotFound { .. }) => return Ok(()),
        Err(other) => return Err(other),
    };
    if sandbox.state == SandboxState::Terminated {
        return Ok(());
    }
    sandbox.reason = attempt.stop_reason;
    let scope = (attempt.project_id, attempt.spec_id);
    sandboxes::transition(tx, scope, &mut sandbox, SandboxState::Terminated).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_without_an_outcome_has_its_class() {
        let processes = Exhausted::Processes { used: 9, limit: 8 };
        for (timed_out, exhausted, out_of_memory, expected) in [
            (true, None, false, ErrorClass::Timeout),
            (false, None, true, ErrorClass::ResourceExhausted),
            (false, Some(processes), false, ErrorClass::ResourceExhausted),
            (false, None, false, ErrorClass::SandboxLost),
        ] {
            let ended = Ended {
                timed_out,
                exhausted,
                out_of_memory,
                how: "signal 9".to_owned(),
                said: Some("last words".to_owned()),
            };
            let loss = ended.loss();
            assert_eq!(loss.class, expected);
            assert!(loss.message.contains("signal 9") && loss.message.ends_with("last words"));
        }
    }
}
