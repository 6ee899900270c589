//! One transaction: rows and their events, together or not at all.

mod commit;
mod global;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::audit::AuditAct;
use omoi_domain::event::{Event, EventKind, NewEvent};
use omoi_domain::id::{EventId, OrgId, ProjectId, SpecId};
use omoi_domain::slots::SlotLimits;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Args, Column};
use crate::dialect::{Backend, DatabaseClock, DatabaseRow, DatabaseTransaction};
use crate::error::StoreError;
use crate::open::{StoreInner, TenantScope};
use crate::request_keys::RunningRequest;
use crate::row::{Row, Versioned};
use crate::slots::SlotMoves;

/// Most rows of one statement.
pub(crate) const BATCH_MAX: usize = 16;

/// Rows in batches of few sizes, so that a connection prepares few statements.
pub(crate) fn row_batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = [BATCH_MAX, 4, 2, 1]
            .into_iter()
            .find(|n| *n <= rows.len())?;
        let (batch, rest) = rows.split_at(size);
        rows = rest;
        Some(batch)
    })
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
pub(crate) fn value_marks(n_rows: usize, n_columns: usize) -> String {
    let row = |row: usize| {
        let first = row * n_columns + 1;
        let marks = (first..first + n_columns).map(|n| format!("${n}"));
        format!("({})", marks.collect::<Vec<_>>().join(", "))
    };
    (0..n_rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Whether a statement that gives rows back has written those.
fn is_write(sql: &str) -> bool {
    !sql.trim_start().starts_with("select")
}

/// Under what a transaction writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TxWriter {
    /// The fence every event of it is written under; 0 for whoever may write without one.
    pub(crate) fence: i64,
    /// The named request that it is made for.
    pub(crate) running: Option<RunningRequest>,
}

/// One transaction of one organisation. Dropping it rolls back.
pub struct Tx {
    inner: Arc<StoreInner>,
    conn: DatabaseTransaction,
    scope: TenantScope,
    now: Timestamp,
    /// The fence every event of it is written under; 0 for whoever may write without one.
    fence: i64,
    /// The named request that it is made for.
    running: Option<RunningRequest>,
    /// The row that it makes for that request.
    made: Option<Uuid>,
    events: Vec<NewEvent>,
    /// What the audit log is to tell.
    acts: Vec<AuditAct>,
    /// What its moves of tasks do to the slots.
    slots: SlotMoves,
    /// Whether a statement touched a row.
    is_written: bool,
}

impl Tx {
    pub(crate) fn new(
        inner: Arc<StoreInner>,
        conn: DatabaseTransaction,
        scope: TenantScope,
        writer: TxWriter,
    ) -> Self {
        Self {
            inner,
            conn,
            scope,
            fence: writer.fence,
            running: writer.running,
            made: None,
            now: Timestamp::default(),
            events: Vec::new(),
            acts: Vec::new(),
            slots: SlotMoves::default(),
            is_written: false,
        }
    }

    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(crate) async fn database_now(&mut self) -> Result<Timestamp, StoreError> {
        let sql = match self.inner.backend.read_clock() {
            DatabaseClock::Told(now) => return Ok(now),
            DatabaseClock::Asked(sql) => sql,
        };
        let told = self.scalars::<Timestamp>(sql, Args::default()).await?;
        told.into_iter()
            .next()
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// The instant the transaction began, by the database's clock.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The organisation every query is bound to.
    pub const fn org(&self) -> OrgId {
        self.scope.org
    }

    /// Who acts: what is written tells of them.
    pub const fn current_actor(&self) -> Actor {
        self.scope.actor
    }

    pub(crate) const fn fence(&self) -> i64 {
        self.fence
    }

    /// What a statement that failed means; remembers since when the disk takes no writes.
    fn failed(&self, error: sqlx::Error) -> StoreError {
        let error = StoreError::from(error);
        if matches!(error, StoreError::NoSpace(_)) {
            self.inner.stall(self.now);
        }
        error
    }

    /// A fresh row id.
    pub fn new_id<I: From<Uuid>>(&self) -> I {
        I::from((self.inner.new_uuid)())
    }

    /// Notes the row that this transaction makes for the request that it is made for: what that is answered from, should
    /// the answer be lost.
    pub const fn note_made(&mut self, id: Uuid) {
        self.made = Some(id);
    }

    /// Collects an event; it is written when the transaction commits.
    pub fn emit(&mut self, project: Option<ProjectId>, spec: Option<SpecId>, event: Event) {
        let id = self.new_id::<EventId>();
        self.events.push(NewEvent {
            id,
            org: self.scope.org,
            project,
            spec,
            actor: self.scope.actor,
            at: self.now,
            event,
        });
    }

    /// Has the audit log tell of an act; it is written when the transaction commits, and without it nothing is.
    pub fn record_act(&mut self, act: AuditAct) {
        self.acts.push(act);
    }

    pub(crate) const fn tenant_scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Collects the event a state machine's table names.
    pub(crate) fn emit_kind<P: std::any::Any + Clone>(
        &mut self,
        scope: (Option<ProjectId>, Option<SpecId>),
        kind: EventKind,
        payload: &P,
    ) -> Result<(), StoreError> {
        let event = Event::wrap(kind, payload).ok_or(StoreError::Payload {
            kind: kind.as_str(),
        })?;
        self.emit(scope.0, scope.1, event);
        Ok(())
    }

    /// Gives up; nothing is written.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.conn.rollback().await?)
    }

    /// Rows of `R` in this organisation where `tail` holds; its parameters start at `$2`.
    pub fn all<'a, R: Row + 'a>(
        &'a mut self,
        tail: &'static str,
        args: Args,
    ) -> BoxFuture<'a, Result<Vec<R>, StoreError>> {
        let sql = format!("{} where org_id = $1 and {tail}", R::select());
        match self.scoped(args) {
            Ok(args) => self.conn.fetch_each(AssertSqlSafe(sql), args.0, R::read),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    /// The one row of `R` in this organisation where `tail` holds, if any.
    pub async fn find<R: Row>(
        &mut self,
        tail: &'static str,
        args: Args,
    ) -> Result<Option<R>, StoreError> {
        Ok(self.all::<R>(tail, args).await?.into_iter().next())
    }

    /// The row of `R` in this organisation where `tail` holds.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] naming `key`.
    pub async fn get<R: Row>(
        &mut self,
        key: impl ToString,
        tail: &'static str,
        args: Args,
    ) -> Result<R, StoreError> {
        self.find::<R>(tail, args)
            .await?
            .ok_or_else(|| StoreError::NotFound {
                what: R::WHAT,
                key: key.to_string(),
            })
    }

    /// Has the commit refuse a move into work beyond `limits`, whoever else takes slots meanwhile.
    pub fn limit_slots(&mut self, limits: SlotLimits) {
        self.slots.set_limits(limits);
    }

    /// Counts tasks of `project` that came to work, or with a negative number left it.
    pub(crate) fn count_slots(&mut self, project: ProjectId, change: i64) {
        self.slots.count(project, change);
    }

    /// Appended to a query that picks rows to claim: other claimers skip them.
    pub(crate) fn claim_suffix(&self) -> &'static str {
        self.inner.backend.claim_suffix()
    }

    /// Which database it is.
    pub(crate) fn which_backend(&self) -> Backend {
        self.inner.backend
    }

    /// Whether one statement can change several tables.
    pub(crate) fn changes_many_tables(&self) -> bool {
        self.inner.backend.changes_many_tables()
    }

    /// Puts the organisation in front of the arguments.
    fn scoped(&self, args: Args) -> Result<Args, StoreError> {
        let mut scoped = args![self.scope.org];
        scoped.0.extend(args.0);
        Ok(scoped)
    }

    /// Inserts a row.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when a unique key is taken.
    pub async fn insert<R: Row>(&mut self, row: &R) -> Result<(), StoreError> {
        let mut args = Args::default();
        row.bind(&mut args)?;
        let done = self.conn.execute(R::insert(), args.0).await;
        done.map_err(|error| self.failed(error).or_exists(R::WHAT))?;
        self.is_written = true;
        Ok(())
    }

    /// Inserts a row where no unique key is taken; one that is there stays as it is.
    pub(crate) async fn insert_once<R: Row>(&mut self, row: &R) -> Result<(), StoreError> {
        let mut args = Args::default();
        row.bind(&mut args)?;
        let sql = AssertSqlSafe(format!("{} on conflict do nothing", R::insert()));
        let done = self.conn.execute(sql, args.0).await;
        let n_rows = done.map_err(|error| self.failed(error))?;
        self.is_written |= n_rows > 0;
        Ok(())
    }

    /// Inserts rows, as many in one statement as [`BATCH_MAX`] allows.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when a unique key is taken.
    pub(crate) async fn insert_all<R: Row>(&mut self, rows: &[&R]) -> Result<(), StoreError> {
        let columns = R::columns();
        for batch in row_batches(rows) {
            let mut args = Args::default();
            for row in batch {
                row.bind(&mut args)?;
            }
            let sql = format!(
                "insert into {} ({}) values {}",
                R::TABLE,
                columns.join(", "),
                value_marks(batch.len(), columns.len())
            );
            let done = self.conn.execute(AssertSqlSafe(sql), args.0).await;
            done.map_err(|error| self.failed(error).or_exists(R::WHAT))?;
            self.is_written = true;
        }
        Ok(())
    }

    /// Writes a row back if nobody changed it since it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody did.
    pub(crate) async fn update<R: Versioned>(&mut self, row: &mut R) -> Result<(), StoreError> {
        let version = *row.version();
        let mut args = args![self.scope.org, version];
        row.bind_key(&mut args)?;
        let done = self.conn.execute(R::update(), args.0).await;
        let n_rows = done.map_err(|error| self.failed(error).or_exists(R::WHAT))?;
        if n_rows != 1 {
            return Err(StoreError::Conflict {
                what: R::WHAT,
                key: row.key(),
            });
        }
        self.is_written = true;
        *row.version() += 1;
        Ok(())
    }

    /// Runs a statement; `$1` is the organisation. Returns the rows it touched.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        args: Args,
    ) -> Result<u64, StoreError> {
        let args = self.scoped(args)?;
        let done = self.conn.execute(sql, args.0).await;
        let n_rows = done.map_err(|error| self.failed(error))?;
        self.is_written |= n_rows > 0;
        Ok(n_rows)
    }

    /// Runs a query and keeps others from changing its rows until the transaction ends; `$1` is the
    /// organisation. A transaction that locks several rows of a table does so in the order of their ids.
    /// Nothing is written.
    pub(crate) async fn locked_rows(
        &mut self,
        sql: &str,
        args: Args,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let suffix = self.inner.backend.lock_suffix();
        self.built_rows(format!("{sql}{suffix}"), args).await
    }

    /// Runs a query; `$1` is the organisation.
    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        args: Args,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let args = self.scoped(args)?;
        let rows = self.conn.fetch_all(sql, args.0).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        self.is_written |= is_write(sql) && !rows.is_empty();
        Ok(rows)
    }

    /// Runs a query whose text was built for its number of rows; `$1` is the organisation.
    pub(crate) async fn built_rows(
        &mut self,
        sql: String,
        args: Args,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let args = self.scoped(args)?;
        self.built_raw(sql, args).await
    }

    /// As [`Tx::built_rows`], without an organisation in front.
    pub(crate) async fn built_raw(
        &mut self,
        sql: String,
        args: Args,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let is_write = is_write(&sql);
        let rows = self.conn.fetch_all(AssertSqlSafe(sql), args.0).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        self.is_written |= is_write && !rows.is_empty();
        Ok(rows)
    }

    /// Runs a query without an organisation.
    pub(crate) async fn raw(
        &mut self,
        sql: &'static str,
        args: Args,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let rows = self.conn.fetch_all(sql, args.0).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        self.is_written |= is_write(sql) && !rows.is_empty();
        Ok(rows)
    }

    /// The `value` column of a query without an organisation.
    pub(crate) async fn scalars<C: Column>(
        &mut self,
        sql: &'static str,
        args: Args,
    ) -> Result<Vec<C>, StoreError> {
        self.raw(sql, args)
            .await?
            .iter()
            .map(|row| C::read(row, "value"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_batches_of_few_sizes() {
        let sizes = |n: usize| {
            row_batches(&vec![0; n])
                .map(<[i32]>::len)
                .collect::<Vec<_>>()
        };
        assert!(sizes(0).is_empty());
        assert_eq!(sizes(3), [2, 1]);
        assert_eq!(sizes(16), [16]);
        assert_eq!(sizes(39), [16, 16, 4, 2, 1]);
        assert_eq!(value_marks(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }
}
