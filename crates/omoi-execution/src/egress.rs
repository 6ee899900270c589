//! How far an attempt reaches outside, and what it got there.

use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::{EgressMode, EgressOutcome};
use omoi_domain::event::{EgressDenied, Event};
use omoi_store::attempts::Attempt;
use omoi_store::egress_entries::{self, EgressEntry};
use omoi_store::{StoreError, Tenant, Tx, tasks};

/// Something that an attempt asked for from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressNews {
    /// A file of a package came in.
    CameIn {
        /// The version, as `npm:left-pad@1.3.0`.
        version: String,
        /// The name of the file.
        file: String,
        /// SHA-256 of its bytes.
        digest: String,
        /// Its size.
        bytes: u64,
    },
    /// It was refused.
    Refused {
        /// The host with its port, or the version.
        subject: String,
        /// Why, in one word.
        reason: String,
        /// What else there is to know.
        detail: String,
        /// The line of the configuration that would let it through.
        remedy: Option<String>,
    },
}

/// How far `attempt` reaches.
///
/// # Errors
/// When the database cannot be read.
pub async fn egress_mode(tx: &mut Tx, attempt: &Attempt) -> Result<EgressMode, StoreError> {
    let files = match attempt.subject.task_id() {
        Some(task) => tasks::get(tx, task).await?.files.0,
        None => Vec::new(),
    };
    Ok(EgressMode::of_attempt(attempt.subject.kind(), &files))
}

/// Keeps what an attempt got or did not get, and tells people of refusals.
///
/// # Errors
/// When the database cannot be written.
pub async fn record_egress(
    store: &Tenant,
    attempt: &Attempt,
    news: &[EgressNews],
) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    let keep = async |tx: &mut Tx| -> Result<(), StoreError> {
        for item in news {
            let entry = entry_of(tx, attempt, item);
            egress_entries::insert(tx, &entry).await?;
            if let Some(reason) = entry.reason {
                let event = Event::SandboxEgressDenied(EgressDenied {
                    attempt_id: attempt.id,
                    task_id: attempt.subject.task_id(),
                    refusal: reason,
                    subject: entry.target,
                    remedy: entry.remedy,
                });
                tx.emit(Some(attempt.project_id), Some(attempt.spec_id), event);
            }
        }
        Ok(())
    };
    store.write(CrashPoint::EventsStored, keep).await
}

fn entry_of(tx: &Tx, attempt: &Attempt, news: &EgressNews) -> EgressEntry {
    let entry = EgressEntry {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: attempt.spec_id,
        attempt_id: attempt.id,
        outcome: EgressOutcome::CameIn,
        target: String::new(),
        reason: None,
        detail: String::new(),
        remedy: None,
        digest: None,
        bytes: None,
        created_at: tx.now(),
    };
    match news.clone() {
        EgressNews::CameIn {
            version,
            file,
            digest,
            bytes,
        } => EgressEntry {
            target: version,
            detail: file,
            digest: Some(digest),
            bytes: Some(i64::try_from(bytes).unwrap_or(i64::MAX)),
            ..entry
        },
        EgressNews::Refused {
            subject,
            reason,
            detail,
            remedy,
        } => EgressEntry {
            outcome: EgressOutcome::Refused,
            target: subject,
            reason: Some(reason),
            detail,
            remedy,
            ..entry
        },
    }
}
