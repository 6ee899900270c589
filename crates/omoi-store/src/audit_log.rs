//! The audit log: a chain of rows for each organisation, and one of the platform ([`OrgId::PLATFORM`]). Rows are written
//! by the transaction of the act that they tell of ([`Tx::record_act`]), and never changed.

use std::fmt::Write as _;

use omoi_domain::actor::Actor;
use omoi_domain::audit::{
    AuditAct, AuditAction, AuditOutcome, AuditTarget, ChainCheck, ChainFault, ChainHead,
    chain_digest,
};
use omoi_domain::id::{ActorId, AuditEntryId, CredentialId, OrgId};
use omoi_domain::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args;
use crate::column::Column;
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row::{Row, row};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

/// Rows that are read at once.
const BATCH_ROWS: i64 = 500;

row! {
    /// An act, as the audit log tells it.
    AuditEntry in "audit_log" as "audit entry" {
        /// Whose chain it stands in; [`OrgId::PLATFORM`] for the platform's.
        org_id: OrgId,
        /// Its number there, without gaps.
        seq: i64,
        /// Its id.
        id: AuditEntryId,
        /// When it was done, by the database's clock.
        occurred_at: Timestamp,
        /// Who did it.
        actor: Actor,
        /// What they were known by.
        credential_id: Option<CredentialId>,
        /// What was done.
        action: AuditAction,
        /// To what.
        target: AuditTarget,
        /// How it ended.
        outcome: AuditOutcome,
        /// The address that the request came from.
        ip: Option<String>,
        /// What the program calls itself.
        user_agent: Option<String>,
        /// What the access log calls the request.
        request_id: Option<String>,
        /// Why, in the words of whoever did it.
        reason: Option<String>,
        /// What was there before, as JSON.
        value_before: Option<String>,
        /// What is there since, as JSON.
        value_after: Option<String>,
        /// What it says, with the digest before it: [`chain_digest`].
        digest: String,
    }
}

impl ListedRow for AuditEntry {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "seq",
        sql: "seq",
        value: SortValue::Number,
        of_row: |entry| entry.seq,
    }];
    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

impl AuditEntry {
    /// What its digest covers: every column but the digest, in their order, as one line of JSON.
    pub fn chained_text(&self) -> String {
        let values: [Value; 17] = [
            json!(self.org_id),
            json!(self.seq),
            json!(self.id),
            json!(self.occurred_at.as_micros()),
            json!(self.actor.actor_kind()),
            json!(self.actor.actor_id()),
            json!(self.credential_id),
            json!(self.action),
            json!(self.target.target_kind),
            json!(self.target.target_id),
            json!(self.outcome),
            json!(self.ip),
            json!(self.user_agent),
            json!(self.request_id),
            json!(self.reason),
            json!(self.value_before),
            json!(self.value_after),
        ];
        Value::from(values.to_vec()).to_string()
    }
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By one of these; by anybody where it is empty.
    pub actors: Vec<ActorId>,
    /// One of these; any where it is empty.
    pub actions: Vec<AuditAction>,
    /// Done in this time.
    pub window: ListWindow,
}

/// A page of the entries of the transaction's organisation that `filter` holds for.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &AuditFilter,
    request: &PageRequest<AuditEntry>,
) -> Result<RowPage<AuditEntry>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("actor_id", &filter.actors)?;
    conditions.one_of("action", &filter.actions)?;
    // What is never changed was last changed when it was made.
    conditions.within_instants("occurred_at", "occurred_at", &filter.window)?;
    conditions.read_page(tx, request).await
}

/// Entries after `seq`, oldest first, as many as are read at once.
///
/// # Errors
/// When the database cannot be read, or an entry is not as it was written.
pub async fn entries_after(tx: &mut Tx, seq: i64) -> Result<Vec<AuditEntry>, StoreError> {
    let tail = "seq > $2 order by seq limit $3";
    tx.all(tail, args![seq, BATCH_ROWS]).await
}

/// The newest entry of the chain; [`ChainHead::default`] of one that has none.
///
/// # Errors
/// When the database cannot be read.
pub async fn chain_head(tx: &mut Tx) -> Result<ChainHead, StoreError> {
    let sql = "select seq, digest from audit_heads where org_id = $1";
    let rows = tx.rows(sql, args![]).await?;
    let Some(row) = rows.first() else {
        return Ok(ChainHead::default());
    };
    Ok(ChainHead {
        seq: i64::read(row, "seq")?,
        digest: String::read(row, "digest")?,
    })
}

/// The highest number of an entry that is there, whatever the head says; 0 where there is none.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_seq(tx: &mut Tx) -> Result<i64, StoreError> {
    let sql = "select coalesce(max(seq), 0) as newest from audit_log where org_id = $1";
    let rows = tx.rows(sql, args![]).await?;
    rows.first().map_or(Ok(0), |row| i64::read(row, "newest"))
}

/// Looks at the entries up to `head` that follow those which `check` has seen, as many as are read at once; whether all
/// of them were looked at.
///
/// # Errors
/// When the database cannot be read. What is wrong with the entries is the inner [`ChainFault`].
pub async fn check_next(
    tx: &mut Tx,
    check: &mut ChainCheck,
    head: &ChainHead,
) -> Result<Result<bool, ChainFault>, StoreError> {
    let sql = format!(
        "{} where org_id = $1 and seq >= $2 and seq <= $3 order by seq limit $4",
        AuditEntry::select()
    );
    let args = args![check.next_seq(), head.seq, BATCH_ROWS];
    let rows = tx.built_rows(sql, args).await?;
    for row in &rows {
        if let Err(fault) = check_row(check, row) {
            return Ok(Err(fault));
        }
    }
    Ok(Ok((rows.len() as i64) < BATCH_ROWS))
}

fn check_row(check: &mut ChainCheck, row: &DatabaseRow) -> Result<(), ChainFault> {
    let expected = check.next_seq();
    // What cannot be read is not as it was written.
    let Ok(entry) = AuditEntry::read(row) else {
        let seq = i64::read(row, "seq").unwrap_or(expected);
        return Err(match seq == expected {
            true => ChainFault::ChangedRow { seq },
            false => ChainFault::MissingRow { seq: expected },
        });
    };
    check.accept_row(entry.seq, &entry.chained_text(), &entry.digest)
}

/// Writes what the transaction did. The head is locked by it, so that nobody takes the same numbers.
pub(crate) async fn append_acts(tx: &mut Tx, acts: Vec<AuditAct>) -> Result<(), StoreError> {
    if acts.is_empty() {
        return Ok(());
    }
    let rows = tx
        .rows(
            "insert into audit_heads (org_id, seq, digest) values ($1, $2, '')
             on conflict (org_id) do update set seq = audit_heads.seq + excluded.seq
             returning seq, digest",
            args![acts.len() as i64],
        )
        .await?;
    let row = rows.first().ok_or(StoreError::NotFound {
        what: "audit log",
        key: tx.org().to_string(),
    })?;
    let mut digest = String::read(row, "digest")?;
    let mut seq = i64::read(row, "seq")? - acts.len() as i64;
    let mut entries = Vec::with_capacity(acts.len());
    for act in acts {
        seq += 1;
        let mut entry = entry_of(tx, seq, act);
        digest = chain_digest(&digest, &entry.chained_text());
        entry.digest.clone_from(&digest);
        entries.push(entry);
    }
    tx.insert_all(&entries.iter().collect::<Vec<_>>()).await?;
    let sql = "update audit_heads set digest = $2 where org_id = $1";
    tx.execute(sql, args![digest]).await.map(drop)
}

/// The row of `act`, but for its digest.
fn entry_of(tx: &Tx, seq: i64, act: AuditAct) -> AuditEntry {
    let scope = tx.tenant_scope();
    let origin = scope.origin.as_deref();
    let text = |value: Option<&String>| value.map(|text| plain_line(text));
    AuditEntry {
        org_id: scope.org,
        seq,
        id: tx.new_id(),
        occurred_at: tx.now(),
        actor: act.actor.unwrap_or(scope.actor),
        credential_id: origin.and_then(|origin| origin.credential),
        action: act.action,
        target: act.target,
        outcome: act.outcome,
        ip: text(origin.and_then(|origin| origin.ip.as_ref())),
        user_agent: text(origin.and_then(|origin| origin.user_agent.as_ref())),
        request_id: text(origin.and_then(|origin| origin.request_id.as_ref())),
        reason: text(act.reason.as_ref()),
        value_before: act.before.map(|value| value.to_string()),
        value_after: act.after.map(|value| value.to_string()),
        digest: String::new(),
    }
}

/// The text on one line, and without what one database keeps and the other does not: the digest is of what is stored.
fn plain_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => {
                let _ = write!(line, "{}", letter.escape_unicode());
            }
            false => line.push(letter),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::plain_line;

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(plain_line("a\0b\r\né"), "a\\u{0}b\\u{d}\\u{a}é");
    }
}
