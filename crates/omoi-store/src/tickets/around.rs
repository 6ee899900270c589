//! What lies around tickets: their spec, what they wait for, and how many tasks and comments they have.

use std::collections::BTreeMap;

use omoi_domain::id::TicketId;
use omoi_domain::spec::{SpecKind, WorkEvidence};

use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::tx::Tx;

/// Tickets of one statement.
const ASKED_MAX: usize = 200;

/// What lies around a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicketSurroundings {
    /// `n` of the `SPEC-n` whose plan it is of, where that was planned.
    pub spec: Option<i64>,
    /// `n` of the `SPEC-n` that works for it alone: the direct one, or the one that it follows.
    pub run: Option<i64>,
    /// What shows that its direct spec does what was asked for.
    pub evidence: Option<WorkEvidence>,
    /// `n` of each `TKT-n` that it waits for.
    pub waits_for: Vec<i64>,
    /// `n` of each `TKT-n` that waits for it.
    pub holds_up: Vec<i64>,
    /// Tasks that were not cancelled.
    pub n_tasks: u32,
    /// Those of them that are completed.
    pub n_tasks_completed: u32,
    /// Comments that nobody took away.
    pub n_comments: u32,
}

/// What lies around each of `tickets`.
///
/// # Errors
/// When the database cannot be read.
pub async fn surroundings_of(
    tx: &mut Tx,
    tickets: &[TicketId],
) -> Result<BTreeMap<TicketId, TicketSurroundings>, StoreError> {
    let mut found = BTreeMap::new();
    for asked in tickets.chunks(ASKED_MAX) {
        read_counts(tx, asked, &mut found).await?;
        read_edges(tx, asked, &mut found).await?;
    }
    Ok(found)
}

fn bind_ids(asked: &[TicketId]) -> Result<(String, Args), StoreError> {
    let mut args = Args::default();
    asked.iter().try_for_each(|ticket| args.push(ticket))?;
    let marks: Vec<String> = (2..asked.len() + 2).map(|n| format!("${n}")).collect();
    Ok((marks.join(", "), args))
}

async fn read_counts(
    tx: &mut Tx,
    asked: &[TicketId],
    found: &mut BTreeMap<TicketId, TicketSurroundings>,
) -> Result<(), StoreError> {
    let (marks, args) = bind_ids(asked)?;
    let sql = format!(
        "select k.id as id, s.number as spec_number, s.kind as spec_kind, f.number as followed_number,
             exists (select 1 from criteria c where c.spec_id = k.spec_id) as has_criteria,
             (select count(*) from tasks t where t.ticket_id = k.id and t.status <> 'cancelled') as n_tasks,
             (select count(*) from tasks t where t.ticket_id = k.id and t.status = 'completed') as n_completed,
             (select count(*) from comments c
                  where c.org_id = k.org_id and c.ticket_id = k.id and c.deleted_at is null) as n_comments
         from tickets k left join specs s on s.id = k.spec_id left join specs f on f.id = k.follows_spec_id
         where k.org_id = $1 and k.id in ({marks})"
    );
    for row in &tx.built_rows(sql, args).await? {
        let number = Option::<i64>::read(row, "spec_number")?;
        let is_direct = Option::<SpecKind>::read(row, "spec_kind")? == Some(SpecKind::Direct);
        let has_criteria = bool::read(row, "has_criteria")?;
        let around = TicketSurroundings {
            spec: number.filter(|_| !is_direct),
            run: match is_direct {
                true => number,
                false => Option::<i64>::read(row, "followed_number")?,
            },
            evidence: is_direct.then(|| WorkEvidence::of_direct(has_criteria)),
            n_tasks: u32::read(row, "n_tasks")?,
            n_tasks_completed: u32::read(row, "n_completed")?,
            n_comments: u32::read(row, "n_comments")?,
            ..TicketSurroundings::default()
        };
        found.insert(TicketId::read(row, "id")?, around);
    }
    Ok(())
}

async fn read_edges(
    tx: &mut Tx,
    asked: &[TicketId],
    found: &mut BTreeMap<TicketId, TicketSurroundings>,
) -> Result<(), StoreError> {
    let (marks, args) = bind_ids(asked)?;
    let sql = format!(
        "select d.ticket_id, d.depends_on_id, w.number as waiting_number, p.number as prerequisite_number
         from ticket_dependencies d join tickets w on w.id = d.ticket_id join tickets p on p.id = d.depends_on_id
         where d.org_id = $1 and (d.ticket_id in ({marks}) or d.depends_on_id in ({marks}))
         order by w.number, p.number"
    );
    for row in &tx.built_rows(sql, args).await? {
        if let Some(waiting) = found.get_mut(&TicketId::read(row, "ticket_id")?) {
            waiting
                .waits_for
                .push(i64::read(row, "prerequisite_number")?);
        }
        if let Some(prerequisite) = found.get_mut(&TicketId::read(row, "depends_on_id")?) {
            prerequisite
                .holds_up
                .push(i64::read(row, "waiting_number")?);
        }
    }
    Ok(())
}
