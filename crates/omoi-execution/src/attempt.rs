//! One try at a task or a phase: its row, its token, its launch and its end.

mod apply;
mod issuer;
mod launch;
mod settle;
mod starter;
mod work_plan;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::id::{AttemptId, ProjectId, SpecId};
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::TurnRecord;
use omoi_runtime::rng::Rng;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, attempt_tokens};
use sha2::{Digest as _, Sha256};

use crate::lease_renewal::LEASE_TIME;

pub(crate) use apply::apply_to_attempt;

pub use issuer::AttemptIssuer;
pub(crate) use launch::show_certificates;
pub use launch::{AttemptBrief, AttemptJob, BriefLimits, launch_attempt};
pub(crate) use settle::end_sandbox;
pub use settle::lose_attempt;
pub use starter::AttemptStarter;
pub use work_plan::WorkPlan;

/// What a new attempt is about.
pub struct NewAttempt {
    /// The repository.
    pub project_id: ProjectId,
    /// The spec.
    pub spec_id: SpecId,
    /// What it tries.
    pub subject: AttemptSubject,
    /// Times the subject was sent back.
    pub round: u32,
    /// Who makes it.
    pub role: AgentRole,
    /// What takes its turns; none for runs of the platform.
    pub agent: Option<AgentProgram>,
    /// Its fence.
    pub fence: i64,
    /// The commit it starts from.
    pub base_sha: Option<String>,
}

/// A new attempt with what only its worker may know.
pub struct CreatedAttempt {
    /// The row.
    pub attempt: Attempt,
    /// The worker's credential; only its digest is stored.
    pub token: String,
    /// Turns it goes on from.
    pub turns: Vec<TurnRecord>,
}

/// An attempt that is not written yet.
pub(crate) struct UnwrittenAttempt {
    /// Its row to be.
    pub(crate) attempt: Attempt,
    token: String,
    /// The attempt whose turns it goes on from.
    resumes: Option<AttemptId>,
}

impl UnwrittenAttempt {
    /// The stored form of its token.
    pub(crate) fn token_hash(&self) -> String {
        token_hash(&self.token)
    }

    /// Once its row is written: what its worker gets, with the turns of the attempt that it resumes.
    pub(crate) async fn with_turns(self, tx: &mut Tx) -> Result<CreatedAttempt, StoreError> {
        let mut turns = Vec::new();
        if let Some(last) = self.resumes {
            attempts::copy_turns(tx, last, self.attempt.id).await?;
            let copied = attempts::turns(tx, self.attempt.id).await?;
            turns = copied.into_iter().map(turn_record).collect();
        }
        Ok(CreatedAttempt {
            attempt: self.attempt,
            token: self.token,
            turns,
        })
    }
}

/// The attempt that follows `last`, the one before it at the same subject. One that follows a lost or
/// interrupted attempt of the same round goes on from its last turn and snapshot.
pub(crate) fn new_attempt(
    tx: &Tx,
    issuer: &AttemptIssuer,
    new: NewAttempt,
    last: Option<&Attempt>,
) -> UnwrittenAttempt {
    let resumes = last.filter(|last| {
        last.subject == new.subject
            && last.round == new.round
            && last.agent == new.agent
            && is_resumable(last)
    });
    let token = random_token(&issuer.rng);
    let attempt = Attempt {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: new.project_id,
        spec_id: new.spec_id,
        subject: new.subject,
        attempt_no: last.map_or(0, |last| last.attempt_no) + 1,
        round: new.round,
        fence: new.fence,
        state: AttemptState::Pending,
        role: new.role,
        agent: new.agent,
        agent_version: None,
        agent_session: resumes.and_then(|last| last.agent_session.clone()),
        // Its turns, and so its reasoning, are theirs.
        reasoning_maker: resumes.and_then(|last| last.reasoning_maker.clone()),
        owner: issuer.owner.clone(),
        rung: None,
        base_sha: resumes
            .and_then(|last| last.base_sha.clone())
            .or(new.base_sha),
        head_sha: None,
        wip_sha: resumes.and_then(|last| last.wip_sha.clone()),
        stop_reason: None,
        error_class: None,
        error_message: None,
        wakes_at: None,
        created_at: tx.now(),
        started_at: None,
        ended_at: None,
        last_heartbeat_at: None,
        last_work_at: None,
        late_reports: 0,
        lease_expires_at: tx.now() + LEASE_TIME,
        state_version: 0,
    };
    UnwrittenAttempt {
        resumes: resumes.map(|last| last.id),
        attempt,
        token,
    }
}

/// Inserts an attempt; see `new_attempt`.
///
/// # Errors
/// [`StoreError::Exists`] when the subject has a live attempt.
pub async fn insert_attempt(
    tx: &mut Tx,
    issuer: &AttemptIssuer,
    new: NewAttempt,
) -> Result<CreatedAttempt, StoreError> {
    // The attempts at a task and at its checks are counted together.
    let last = match new.subject.task_id() {
        Some(task) => attempts::newest_of_task(tx, task).await?,
        None => attempts::newest_of_subject(tx, new.spec_id, new.subject).await?,
    };
    let unwritten = new_attempt(tx, issuer, new, last.as_ref());
    let attempt = &unwritten.attempt;
    attempts::insert(tx, attempt).await?;
    attempt_tokens::insert(tx, attempt.id, &unwritten.token_hash()).await?;
    unwritten.with_turns(tx).await
}

/// Whether the work of an ended attempt can be taken up where it stopped.
fn is_resumable(attempt: &Attempt) -> bool {
    match attempt.state {
        AttemptState::Lost | AttemptState::Interrupted => true,
        AttemptState::Failed => matches!(
            attempt.error_class,
            Some(
                ErrorClass::SandboxLost
                    | ErrorClass::ProvisionFailed
                    | ErrorClass::Network
                    | ErrorClass::Heartbeat
                    | ErrorClass::Upstream5xx
                    | ErrorClass::RateLimited
                    | ErrorClass::ModelDeclined
                    | ErrorClass::AuthFailed
                    | ErrorClass::QuotaExceeded
            )
        ),
        _ => false,
    }
}

fn turn_record(turn: attempts::Turn) -> TurnRecord {
    TurnRecord {
        n: turn.n,
        kind: turn.kind,
        request_digest: turn.request_digest,
        request_tokens: turn.request_tokens.and_then(|n| u64::try_from(n).ok()),
        response: turn.response.0,
        tool_results: turn.tool_results.0,
        // One that cannot be read is as good as none: the program begins a new session.
        session: turn
            .session
            .and_then(|part| serde_json::from_value(part.0).ok()),
    }
}

fn random_token(rng: &Rng) -> String {
    let mut bytes = [0_u8; 32];
    rng.fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// The stored form of a token.
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
