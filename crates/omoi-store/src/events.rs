//! The outbox: the organisation's log of events, gap-free and in commit order.

mod event_page;

use omoi_domain::event::{EventKind, LoggedEvent, NewEvent, StoredEvent};
use omoi_domain::id::{OrgId, ProjectId, SpecId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Args, Column, Json};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::slots::{self, SlotMoves};
use crate::tx::{BATCH_MAX as ROWS_MAX, Tx, row_batches};

pub use self::event_page::{EventPage, EventSearch, SCANNED_MAX, get_logged, read_page};

/// Most events read at once.
pub const BATCH_MAX: i64 = 500;

/// Writes events under the next numbers, and how the slots moved: both are counters of the organisation, and the slots
/// of the deployment too. Gives the number of the last event; none where there is no event.
pub(crate) async fn append(
    tx: &mut Tx,
    events: Vec<NewEvent>,
    moves: &SlotMoves,
) -> Result<Option<i64>, StoreError> {
    let projects: Vec<(ProjectId, i64)> = moves.moved_projects().collect();
    let is_small = projects.len() <= 1 && (1..=ROWS_MAX).contains(&events.len());
    if is_small && tx.changes_many_tables() {
        return append_at_once(tx, &events, moves).await;
    }
    slots::write_projects(tx, moves).await?;
    let (count, slots) = (events.len() as i64, moves.in_organisation());
    if (count, slots) == (0, 0) {
        return Ok(None);
    }
    let rows = tx
        .rows(
            "update organisations set event_seq = event_seq + $2, slots_used = slots_used + $4
             where id = $1 and ($3 = 0 or owner_fence = $3)
             and (not $5 or archived_at is null
                 and (max_concurrent_agents is null or slots_used + $4 <= max_concurrent_agents))
             returning event_seq",
            args![count, tx.fence(), slots, moves.is_limited()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(counter_refusal(tx).await?);
    };
    if slots != 0 {
        slots::write_deployment(tx, moves).await?;
    }
    let mut seq = i64::read(row, "event_seq")? - count;
    for batch in row_batches(&events) {
        let mut args = Args::default();
        for event in batch {
            seq += 1;
            args.push(&event.org)?;
            args.push(&seq)?;
            push_event(&mut args, event)?;
        }
        let rows = (0..batch.len()).map(|n| {
            let first = 1 + (2 + N_EVENT_COLUMNS) * n;
            format!("(${first}, ${}, {})", first + 1, event_marks(first + 2))
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!("insert into events (org_id, seq, {EVENT_COLUMNS}) values {rows}");
        tx.built_raw(sql, args).await?;
    }
    Ok((count > 0).then_some(seq))
}

/// What an event has beside its organisation and number.
const EVENT_COLUMNS: &str = "event_id, project_id, spec_id, event_type, actor_kind, actor_id, body, \
    occurred_at, task_id, ticket_id";
/// How many these are.
const N_EVENT_COLUMNS: usize = 10;

/// The values of these columns, of which the first is the parameter `first`. The ticket of an event that names a task
/// alone is the task's.
fn event_marks(first: usize) -> String {
    let ticket = first + N_EVENT_COLUMNS - 1;
    let named = (first..ticket).map(|mark| format!("${mark}"));
    let named = named.collect::<Vec<_>>().join(", ");
    let task = ticket - 1;
    format!("{named}, coalesce(${ticket}, (select t.ticket_id from tasks t where t.id = ${task}))")
}

/// The same in one statement: of a project, the organisation, the deployment and the events.
async fn append_at_once(
    tx: &mut Tx,
    events: &[NewEvent],
    moves: &SlotMoves,
) -> Result<Option<i64>, StoreError> {
    let count = events.len() as i64;
    let fence = tx.fence();
    let slots = moves.in_organisation();
    let mut args = args![tx.org(), count, fence, slots, moves.is_limited()];
    let project = moves.moved_projects().next();
    if let Some((project, change)) = project {
        args.push(&project)?;
        args.push(&change)?;
        args.push(&moves.most_of_project(change))?;
        args.push(&moves.most_in_deployment())?;
    }
    for event in events {
        push_event(&mut args, event)?;
    }
    let sql = append_sql(events.len(), project.is_some());
    let written = tx.built_raw(sql, args).await?;
    if written.len() != events.len() {
        return Err(counter_refusal(tx).await?);
    }
    let mut last = None;
    for row in &written {
        last = last.max(Some(i64::read(row, "seq")?));
    }
    Ok(last)
}

/// The project's row is locked before the organisation's, which asks whether the project's was moved, and the
/// deployment's after that in the same way.
fn append_sql(n_events: usize, has_project: bool) -> String {
    let (taken, is_taken, seated, is_seated, first) = if has_project {
        let taken = "taken as (
                 update projects set slots_used = slots_used + $7
                 where org_id = $1 and id = $6 and slots_used + $7 <= $8 returning id), ";
        let seated = ", seated as (
                 update deployment set slots_used = slots_used + $4
                 where id = 1 and slots_used + $4 <= $9 and exists (select 1 from counted) returning id)";
        let is_seated = " where exists (select 1 from seated)";
        let is_taken = " and exists (select 1 from taken)";
        (taken, is_taken, seated, is_seated, 10)
    } else {
        ("", "", "", "", 6)
    };
    let rows = (0..n_events).map(|n| {
        let marks = event_marks(first + N_EVENT_COLUMNS * n);
        format!("({}, {marks})", n + 1)
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "with {taken}counted as (
             update organisations set event_seq = event_seq + $2, slots_used = slots_used + $4
             where id = $1 and ($3 = 0 or owner_fence = $3)
             and (not $5 or archived_at is null
                 and (max_concurrent_agents is null or slots_used + $4 <= max_concurrent_agents)){is_taken}
             returning event_seq){seated}
         insert into events (org_id, seq, {EVENT_COLUMNS})
         select $1, counted.event_seq - $2 + v.n, {EVENT_COLUMNS}
         from counted, (values {rows}) as v (n, {EVENT_COLUMNS}){is_seated}
         returning seq"
    )
}

fn push_event(args: &mut Args, event: &NewEvent) -> Result<(), StoreError> {
    args.push(&event.id)?;
    args.push(&event.project)?;
    args.push(&event.spec)?;
    args.push(&event.event.kind().as_str())?;
    args.push(&event.actor)?;
    args.push(&Json(event.event.clone()))?;
    args.push(&event.at)?;
    let related = event.event.event_subject().related_ids();
    args.push(&related.task_id)?;
    args.push(&related.ticket_id)
}

/// Why a counter of the deployment, of the organisation or of a project was not moved.
pub(crate) async fn counter_refusal(tx: &mut Tx) -> Result<StoreError, StoreError> {
    let rows = tx
        .rows(
            "select owner_fence from organisations where id = $1",
            args![],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(StoreError::NotFound {
            what: "organisation",
            key: tx.org().to_string(),
        });
    };
    let is_current = [0, i64::read(row, "owner_fence")?].contains(&tx.fence());
    Ok(if is_current {
        StoreError::SlotsTaken
    } else {
        StoreError::TakenOver
    })
}

/// Events after `seq`, oldest first, at most [`BATCH_MAX`].
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn after(tx: &mut Tx, seq: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor_kind, actor_id, body, occurred_at from events
             where org_id = $1 and seq > $2 order by seq limit $3",
            args![seq, BATCH_MAX],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The same with the rows that they are found by.
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn logged_after(tx: &mut Tx, seq: i64) -> Result<Vec<LoggedEvent>, StoreError> {
    let sql = format!(
        "select {LOGGED_COLUMNS} from events where org_id = $1 and seq > $2 order by seq limit $3"
    );
    let rows = tx.built_rows(sql, args![seq, BATCH_MAX]).await?;
    let org = tx.org();
    rows.iter().map(|row| read_logged(row, org)).collect()
}

/// What a [`LoggedEvent`] is read from.
const LOGGED_COLUMNS: &str =
    "seq, event_id, project_id, spec_id, ticket_id, actor_kind, actor_id, body, occurred_at";

fn read_logged(row: &DatabaseRow, org_id: OrgId) -> Result<LoggedEvent, StoreError> {
    Ok(LoggedEvent {
        org_id,
        project_id: Column::read(row, "project_id")?,
        ticket_id: Column::read(row, "ticket_id")?,
        stored: read(row)?,
    })
}

/// When the event after `seq` happened; none when the log does not hold it.
///
/// # Errors
/// When the database cannot be read.
pub async fn occurred_after(tx: &mut Tx, seq: i64) -> Result<Option<Timestamp>, StoreError> {
    let rows = tx
        .rows(
            "select seq, occurred_at from events where org_id = $1 and seq > $2 order by seq limit 1",
            args![seq],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let is_next = seq.checked_add(1) == Some(i64::read(row, "seq")?);
    is_next
        .then(|| Column::read(row, "occurred_at"))
        .transpose()
}

/// Every event of `spec` after `seq`, oldest first, at most [`BATCH_MAX`].
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn of_spec(tx: &mut Tx, spec: SpecId, seq: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor_kind, actor_id, body, occurred_at from events
             where org_id = $1 and spec_id = $2 and seq > $3 order by seq limit $4",
            args![spec, seq, BATCH_MAX],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The newest events of `kind` of `spec`, at most [`BATCH_MAX`], oldest first.
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn of_kind(
    tx: &mut Tx,
    spec: SpecId,
    kind: EventKind,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor_kind, actor_id, body, occurred_at from events
             where org_id = $1 and spec_id = $2 and event_type = $3 order by seq desc limit $4",
            args![spec, kind.as_str(), BATCH_MAX],
        )
        .await?;
    rows.iter().rev().map(read).collect()
}

/// The newest event's number; 0 when there is none.
///
/// # Errors
/// When the database cannot be read.
pub async fn head(tx: &mut Tx) -> Result<i64, StoreError> {
    let rows = tx
        .rows("select event_seq from organisations where id = $1", args![])
        .await?;
    rows.first()
        .map_or(Ok(0), |row| i64::read(row, "event_seq"))
}

fn read(row: &DatabaseRow) -> Result<StoredEvent, StoreError> {
    let Json(event) = Json::read(row, "body")?;
    Ok(StoredEvent {
        seq: i64::read(row, "seq")?,
        event_id: Column::read(row, "event_id")?,
        spec_id: Column::read(row, "spec_id")?,
        actor: Column::read(row, "actor")?,
        occurred_at: Column::read(row, "occurred_at")?,
        event,
    })
}
