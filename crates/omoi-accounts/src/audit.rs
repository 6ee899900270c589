//! The audit log, as people look at it: whether it is whole, and copies of it.

use omoi_domain::audit::{AuditAct, AuditAction, ChainCheck, ChainFault};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_store::{Store, StoreError, Tx, audit_log};

/// Looks through the whole chain of `org`, or of the platform ([`OrgId::PLATFORM`]); how many rows it has. Acts that are
/// done meanwhile are left to the next look.
///
/// # Errors
/// When the database cannot be read. The inner [`ChainFault`] names the first row that is not as it was written.
pub async fn verify_chain(
    store: &Store,
    org: OrgId,
) -> Result<Result<i64, ChainFault>, StoreError> {
    let tenant = store.tenant(org);
    // The head last: it is moved with the rows, so that none stands behind it.
    let look = async |tx: &mut Tx| -> Result<_, StoreError> {
        let newest = audit_log::newest_seq(tx).await?;
        Ok((newest, audit_log::chain_head(tx).await?))
    };
    let (newest, head) = tenant.read(look).await?;
    let mut check = ChainCheck::default();
    loop {
        let next =
            tenant.read(async |tx: &mut Tx| audit_log::check_next(tx, &mut check, &head).await);
        match next.await? {
            Err(fault) => return Ok(Err(fault)),
            Ok(false) => {}
            Ok(true) => break,
        }
    }
    Ok(match check.expect_head(&head) {
        Ok(n_rows) if newest > n_rows => Err(ChainFault::ChangedHead { seq: n_rows }),
        checked => checked,
    })
}

/// Writes an act down that changes no row, before it is done.
///
/// # Errors
/// When the rows cannot be written; then it is not to be done.
pub async fn record_act(store: &Store, org: OrgId, act: AuditAct) -> Result<(), StoreError> {
    let record = async |tx: &mut Tx| -> Result<(), StoreError> {
        tx.record_act(act);
        Ok(())
    };
    store
        .tenant(org)
        .write(CrashPoint::AccountChanged, record)
        .await
}

/// Writes down that somebody takes a copy of the audit log of `org`, before they get it: the copy tells of it.
///
/// # Errors
/// As [`record_act`].
pub async fn record_export(store: &Store, org: OrgId) -> Result<(), StoreError> {
    let act = AuditAct::done_to(AuditAction::ExportAudit, org);
    record_act(store, org, act).await
}
