//! Pages of the log, as people read it: filtered, either way round, and never by a long look at what they did not ask
//! for.

use std::fmt::Write as _;

use omoi_domain::event::{EventKind, LoggedEvent};
use omoi_domain::id::{EventId, ProjectId, SpecId, TaskId, TicketId};
use omoi_domain::time::Timestamp;

use super::{BATCH_MAX, LOGGED_COLUMNS, read_logged};
use crate::args;
use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::tx::Tx;

/// Events that one page looks at, at most: what it then has not found is on the next one.
pub const SCANNED_MAX: i64 = 10_000;

/// Which events a page has, and where it begins.
#[derive(Clone, Debug)]
pub struct EventSearch {
    /// Those after this number.
    pub after: i64,
    /// Those of these kinds.
    pub kinds: Vec<EventKind>,
    /// Those of one of these projects; none asks for all.
    pub projects: Vec<ProjectId>,
    /// Those of this spec.
    pub spec: Option<SpecId>,
    /// Those of this ticket.
    pub ticket: Option<TicketId>,
    /// Those of this task.
    pub task: Option<TaskId>,
    /// Those that happened after this.
    pub occurred_after: Option<Timestamp>,
    /// Those that happened before this.
    pub occurred_before: Option<Timestamp>,
    /// Whether the newest event comes first.
    pub is_newest_first: bool,
    /// The event that the page follows in its order; none for the first page.
    pub place: Option<i64>,
    /// Events of it at most.
    pub limit: usize,
}

/// A page of the log.
#[derive(Debug)]
pub struct EventPage {
    /// What is on it, in the order of the page. There may be fewer than asked for, or none, before the last one.
    pub events: Vec<LoggedEvent>,
    /// Where the next page begins; none after the last one.
    pub next: Option<i64>,
}

/// A part of the log: the events after `low`, up to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogRange {
    low: i64,
    high: i64,
}

impl EventSearch {
    /// Whether an index leads to the rows, so that no others are looked at.
    const fn is_indexed(&self) -> bool {
        self.spec.is_some() || self.ticket.is_some() || self.task.is_some()
    }

    /// What of `log` is left for this page and those after it.
    fn left_of(&self, log: LogRange) -> LogRange {
        let LogRange { low, high } = log;
        let low = low.max(self.after);
        match self.place {
            Some(place) if self.is_newest_first => LogRange {
                low,
                high: high.min(place.saturating_sub(1)),
            },
            Some(place) => LogRange {
                low: low.max(place),
                high,
            },
            None => LogRange { low, high },
        }
    }

    /// The part of `left` that this page looks at.
    fn window_of(&self, left: LogRange) -> LogRange {
        let LogRange { low, high } = left;
        match (self.is_indexed(), self.is_newest_first) {
            (true, _) => left,
            (false, true) => LogRange {
                low: low.max(high.saturating_sub(SCANNED_MAX)),
                high,
            },
            (false, false) => LogRange {
                low,
                high: high.min(low.saturating_add(SCANNED_MAX)),
            },
        }
    }

    /// What is left of `range` behind the event `seq`.
    const fn behind(&self, range: LogRange, seq: i64) -> LogRange {
        if self.is_newest_first {
            LogRange {
                low: range.low,
                high: seq - 1,
            }
        } else {
            LogRange {
                low: seq,
                high: range.high,
            }
        }
    }

    /// Where the next page begins once all of `window` was looked at; none where nothing is left of `left`.
    fn place_after(&self, left: LogRange, window: LogRange) -> Option<i64> {
        match self.is_newest_first {
            // Not counted on where nothing is left: `after` may be the last number there is.
            true => (window.low > left.low).then(|| window.low + 1),
            false => (window.high < left.high).then_some(window.high),
        }
    }

    /// Up to [`BATCH_MAX`] events of `range`.
    async fn read_batch(
        &self,
        tx: &mut Tx,
        range: LogRange,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut args = args![range.low, range.high, BATCH_MAX];
        let mut sql = format!(
            "select {LOGGED_COLUMNS} from events where org_id = $1 and seq > $2 and seq <= $3"
        );
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        one_of(&mut sql, &mut args, "event_type", &kinds)?;
        one_of(&mut sql, &mut args, "project_id", &self.projects)?;
        one_of(&mut sql, &mut args, "spec_id", self.spec.as_slice())?;
        one_of(&mut sql, &mut args, "ticket_id", self.ticket.as_slice())?;
        one_of(&mut sql, &mut args, "task_id", self.task.as_slice())?;
        for (condition, instant) in [
            ("occurred_at >", self.occurred_after),
            ("occurred_at <", self.occurred_before),
        ] {
            if let Some(instant) = instant {
                args.push(&instant)?;
                let _ = write!(sql, " and {condition} ${}", args.0.len() + 1);
            }
        }
        let direction = if self.is_newest_first { "desc" } else { "asc" };
        let _ = write!(sql, " order by seq {direction} limit $4");
        let rows = tx.built_rows(sql, args).await?;
        let org = tx.org();
        rows.iter().map(|row| read_logged(row, org)).collect()
    }
}

/// `column` holds one of `values`, where there are any.
fn one_of<C: Column>(
    sql: &mut String,
    args: &mut Args,
    column: &'static str,
    values: &[C],
) -> Result<(), StoreError> {
    let mut marks = Vec::with_capacity(values.len());
    for value in values {
        args.push(value)?;
        marks.push(format!("${}", args.0.len() + 1));
    }
    if !marks.is_empty() {
        let _ = write!(sql, " and {column} in ({})", marks.join(", "));
    }
    Ok(())
}

/// The log as far as it is kept.
async fn kept_log(tx: &mut Tx) -> Result<LogRange, StoreError> {
    let rows = tx
        .rows(
            "select (select min(seq) from events where org_id = $1) as first,
                 (select max(seq) from events where org_id = $1) as last",
            args![],
        )
        .await?;
    let (mut first, mut last) = (None, None);
    if let Some(row) = rows.first() {
        first = Column::read(row, "first")?;
        last = Column::read(row, "last")?;
    }
    Ok(LogRange {
        low: first.unwrap_or(1) - 1,
        high: last.unwrap_or(0),
    })
}

/// A page of the events that `search` describes and `is_wanted` lets pass. An event is on one page alone, whatever
/// happens between two of them.
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn read_page(
    tx: &mut Tx,
    search: &EventSearch,
    is_wanted: impl Fn(&LoggedEvent) -> bool,
) -> Result<EventPage, StoreError> {
    let mut events = Vec::new();
    if search.kinds.is_empty() {
        return Ok(EventPage { events, next: None });
    }
    let left = search.left_of(kept_log(tx).await?);
    let window = search.window_of(left);
    let mut range = window;
    let mut n_scanned = 0;
    while range.low < range.high {
        let batch = search.read_batch(tx, range).await?;
        let n_read = batch.len() as i64;
        for event in batch {
            range = search.behind(range, event.stored.seq);
            if !is_wanted(&event) {
                continue;
            }
            if events.len() == search.limit {
                let last = events.last().map(|event: &LoggedEvent| event.stored.seq);
                return Ok(EventPage { events, next: last });
            }
            events.push(event);
        }
        n_scanned += n_read;
        if n_read < BATCH_MAX {
            break;
        }
        if n_scanned >= SCANNED_MAX && range.low < range.high {
            let place = match search.is_newest_first {
                true => range.high + 1,
                false => range.low,
            };
            let next = Some(place);
            return Ok(EventPage { events, next });
        }
    }
    let next = search.place_after(left, window);
    Ok(EventPage { events, next })
}

/// An event by its id.
///
/// # Errors
/// [`StoreError::NotFound`] where the organisation's log does not hold it.
pub async fn get_logged(tx: &mut Tx, id: EventId) -> Result<LoggedEvent, StoreError> {
    let sql = format!("select {LOGGED_COLUMNS} from events where org_id = $1 and event_id = $2");
    let rows = tx.built_rows(sql, args![id]).await?;
    let row = rows.first().ok_or_else(|| StoreError::NotFound {
        what: "event",
        key: id.to_string(),
    })?;
    read_logged(row, tx.org())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(is_newest_first: bool, place: Option<i64>) -> EventSearch {
        EventSearch {
            after: 5,
            kinds: Vec::new(),
            projects: Vec::new(),
            spec: None,
            ticket: None,
            task: None,
            occurred_after: None,
            occurred_before: None,
            is_newest_first,
            place,
            limit: 1,
        }
    }

    /// The parts of a log of 25,000 events that the pages of a search without a hit look at.
    fn looked_at(is_newest_first: bool) -> Vec<(i64, i64)> {
        let log = LogRange {
            low: 0,
            high: 25_000,
        };
        let (mut windows, mut place) = (Vec::new(), None);
        loop {
            let search = search(is_newest_first, place);
            let left = search.left_of(log);
            let window = search.window_of(left);
            windows.push((window.low, window.high));
            place = search.place_after(left, window);
            if place.is_none() {
                return windows;
            }
        }
    }

    #[test]
    fn pages_look_at_every_event_once_either_way() {
        assert_eq!(
            looked_at(false),
            [(5, 10_005), (10_005, 20_005), (20_005, 25_000)]
        );
        assert_eq!(
            looked_at(true),
            [(15_000, 25_000), (5_000, 15_000), (5, 5_000)]
        );
    }
}
