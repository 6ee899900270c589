//! What says whether a ticket is stalled, and the task that looks for the cause.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use omoi_domain::approval::ApprovalState;
use omoi_domain::id::{HumanRef, ProjectId, TaskId};
use omoi_domain::lifecycle::ticket::{
    REMEDY_PREFIX, RemedyFacts, STALL_TIME, StallFacts, StallNews, StallTask, is_stall_over,
    judge_stall, plan_remedy,
};
use omoi_domain::project::ProjectStatus;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_domain::ticket::TicketBlockReason;
use omoi_domain::time::Timestamp;
use omoi_store::projects::{NumberCounter, Project, take_numbers};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tx, approvals, attempts, checks, projects, slots, specs};

use crate::discovery::ProofMaterial;
use crate::integration::task_branch;
use crate::tasks::apply_to_task;

/// What the tickets of an organisation have in common, as far as it says whether they are stalled: read once for all that
/// one transaction looks at.
pub(crate) struct LiveWork {
    /// The tasks that an attempt works on.
    worked_on: BTreeSet<TaskId>,
    is_queue_moving: bool,
    /// The projects of the tickets that were looked at so far.
    projects: BTreeMap<ProjectId, Project>,
}

impl LiveWork {
    /// Reads what is at work now.
    pub(crate) async fn read_attempts(tx: &mut Tx) -> Result<Self, StoreError> {
        let live = attempts::all_live(tx).await?;
        let slots = slots::in_use(tx).await?;
        Ok(Self {
            is_queue_moving: !live.is_empty() || slots.in_deployment > 0,
            worked_on: live.iter().filter_map(|at| at.subject.task_id()).collect(),
            projects: BTreeMap::new(),
        })
    }

    /// The project `id`, read where no ticket before was of it.
    async fn project_of(&mut self, tx: &mut Tx, id: ProjectId) -> Result<&Project, StoreError> {
        match self.projects.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(projects::get(tx, id).await?)),
        }
    }
}

/// The rows that say whether a ticket is stalled.
pub(crate) struct StallRows {
    /// Its tasks, but for the remedy.
    tasks: Vec<Task>,
    stall_tasks: Vec<StallTask>,
    /// The task that looks for what held it up.
    pub(crate) remedy: Option<Task>,
    spec: Option<SpecStatus>,
    is_remedy_live: bool,
    has_live_attempt: bool,
    is_asked_about: bool,
    is_paused: bool,
    is_queue_moving: bool,
    /// When the ticket or a task of it changed last.
    changed_at: Timestamp,
}

impl StallRows {
    /// Reads what is known of `ticket` now, in the transaction that read `live`.
    pub(crate) async fn read_rows(
        tx: &mut Tx,
        live: &mut LiveWork,
        ticket: &Ticket,
    ) -> Result<Self, StoreError> {
        let spec = match ticket.spec_id {
            Some(spec) => Some(specs::get(tx, spec).await?.status),
            None => None,
        };
        let mut all = tasks::of_ticket(tx, ticket.id).await?;
        let changed_at = all.iter().map(|task| task.updated_at).max();
        let is_remedy = |task: &Task| Some(task.id) == ticket.remedy_task_id;
        let remedy = all.iter().position(is_remedy).map(|at| all.remove(at));
        let asked = approvals::newest_of_ticket(tx, ticket.id).await?;
        let project = live.project_of(tx, ticket.project_id).await?;
        let runs_by_itself = project.autonomous || all.iter().any(|task| task.force_execute);
        let is_paused = project.status != ProjectStatus::Active || !runs_by_itself;
        let is_worked_on = |task: &Task| live.worked_on.contains(&task.id);
        Ok(Self {
            stall_tasks: stall_tasks(tx, ticket, &all, spec).await?,
            is_remedy_live: remedy.as_ref().is_some_and(is_worked_on),
            has_live_attempt: all.iter().any(is_worked_on),
            is_asked_about: asked.is_some_and(|asked| asked.state == ApprovalState::Pending),
            is_paused,
            is_queue_moving: live.is_queue_moving,
            changed_at: changed_at.map_or(ticket.updated_at, |at| at.max(ticket.updated_at)),
            tasks: all,
            remedy,
            spec,
        })
    }

    fn stall_facts(&self, ticket: &Ticket, idle_for: Duration) -> StallFacts<'_> {
        StallFacts {
            status: ticket.status,
            is_blocked: ticket.is_blocked,
            idle_for,
            has_live_attempt: self.has_live_attempt,
            is_asked_about: self.is_asked_about,
            is_paused: self.is_paused,
            is_queue_moving: self.is_queue_moving,
            tasks: &self.stall_tasks,
        }
    }

    /// What holds `ticket` up, where it is stalled. Nothing counts as quiet for longer than somebody watched.
    pub(crate) fn find_stall(
        &self,
        ticket: &Ticket,
        now: Timestamp,
        watched_for: Duration,
    ) -> Option<TicketBlockReason> {
        let idle_for = now.since(self.changed_at).min(watched_for);
        let facts = self.stall_facts(ticket, idle_for);
        judge_stall(StallFacts {
            has_live_attempt: self.has_live_attempt || self.is_remedy_live,
            ..facts
        })
    }

    /// Whether what held `ticket` up since `since` is gone.
    pub(crate) fn is_over(&self, ticket: &Ticket, since: Timestamp) -> bool {
        let completed_at = self.remedy.as_ref().and_then(|task| task.completed_at);
        let is_completed = |task: &Task| task.status == TaskStatus::Completed;
        let news = StallNews {
            has_task_changed: self.tasks.iter().any(|task| task.updated_at > since),
            is_remedied: self.remedy.as_ref().is_some_and(is_completed)
                && completed_at.is_some_and(|at| at > since),
        };
        is_stall_over(self.stall_facts(ticket, Duration::ZERO), news)
    }

    /// What is the matter, in words: how many tasks stand where, and the first reason that one of them has.
    pub(crate) fn explain_stall(&self, reason: TicketBlockReason) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for task in &self.tasks {
            *counts.entry(task.status.as_str()).or_default() += 1;
        }
        let counts = counts.iter().map(|(status, n)| format!("{n} {status}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let minutes = STALL_TIME.as_secs() / 60;
        let mut text = format!("nothing has gone on for {minutes} minutes; its tasks: {counts}");
        let why = self.tasks.iter().find_map(|task| {
            let told = task
                .blocked_reason
                .as_ref()
                .or(task.error_message.as_ref())?;
            Some(format!("{}: {told}", HumanRef::task(task.number)))
        });
        if let Some(why) = why.filter(|_| reason != TicketBlockReason::WaitingOnClarification) {
            text.push_str("; ");
            text.push_str(&why);
        }
        text
    }

    /// Writes the task that looks for what holds `ticket` up, where it gets one.
    pub(crate) async fn add_remedy(
        &self,
        tx: &mut Tx,
        ticket: &Ticket,
        reason: TicketBlockReason,
    ) -> Result<Option<Task>, StoreError> {
        let (Some(spec), Some(source)) = (ticket.spec_id, self.tasks.first()) else {
            return Ok(None);
        };
        let all = tasks::of_spec(tx, spec).await?;
        let suite = checks::suite_of_spec(tx, spec).await?;
        let is_remedy = |task: &&Task| task.local_id.starts_with(REMEDY_PREFIX);
        let planned = plan_remedy(RemedyFacts {
            reason,
            spec: self.spec,
            had_remedy: ticket.remedy_task_id.is_some(),
            n_remedies: all.iter().filter(is_remedy).count(),
            last_ordinal: all.iter().map(|task| task.ordinal).max().unwrap_or(0),
            has_suite: suite.is_some(),
        });
        let Some(planned) = planned else {
            return Ok(None);
        };
        let number = take_numbers(tx, ticket.project_id, NumberCounter::Task, 1).await?;
        let fresh = source.fresh(tx);
        let title = remedy_title(ticket);
        let mut task = Task {
            number,
            local_id: planned.local_id,
            description: remedy_description(ticket, &self.explain_stall(reason)),
            task_type: TaskType::FixBug,
            phase_id: TicketPhase::Implementation,
            priority: Priority::High,
            level: 0,
            ordinal: planned.ordinal,
            files: Json(Vec::new()),
            requirements: Json(Vec::new()),
            branch: task_branch(fresh.id, &title),
            title,
            needed: false,
            deadline_at: None,
            discovery_depth: 0,
            ..fresh
        };
        tasks::insert(tx, &task).await?;
        let material = ProofMaterial {
            own: None,
            suite: suite.as_ref(),
        };
        material.write_proof(tx, &task, planned.proof).await?;
        apply_to_task(tx, &mut task, planned.actions).await?;
        Ok(Some(task))
    }
}

/// The tasks of a ticket, as far as they say why nothing goes on.
async fn stall_tasks(
    tx: &mut Tx,
    ticket: &Ticket,
    rows: &[Task],
    spec: Option<SpecStatus>,
) -> Result<Vec<StallTask>, StoreError> {
    // Before its spec is worked on, and while another ticket comes first, nothing can start.
    let waits_as_a_whole = spec.is_some_and(|spec| spec != SpecStatus::Working)
        || tickets::has_open_prerequisite(tx, ticket.id).await?;
    let mut waiting = BTreeSet::new();
    if let Some(spec) = ticket.spec_id {
        let all = tasks::standing_of_spec(tx, spec).await?;
        let has_landed = |task: &&tasks::TaskStanding| {
            task.status == TaskStatus::Completed && task.integration_state.satisfies_dependents()
        };
        let landed: BTreeSet<TaskId> = all.iter().filter(has_landed).map(|task| task.id).collect();
        let edges = tasks::dependencies(tx, spec).await?.into_iter();
        let open = edges.filter(|(_, before)| !landed.contains(before));
        waiting.extend(open.map(|(after, _)| after));
    }
    let now = tx.now();
    let facts = rows.iter().map(|task| StallTask {
        status: task.status,
        block: task.blocked_by,
        is_waiting: waits_as_a_whole || waiting.contains(&task.id) || task.not_before > now,
        is_sent_back: task.round > 0,
    });
    Ok(facts.collect())
}

fn remedy_title(ticket: &Ticket) -> String {
    let ticket = HumanRef::ticket(ticket.number);
    format!("Find out why {ticket} stands still and mend it")
}

fn remedy_description(ticket: &Ticket, detail: &str) -> String {
    let (name, title) = (HumanRef::ticket(ticket.number), &ticket.title);
    format!(
        "{name} ({title}) is held up: {detail}.\n\nFind the cause in the repository and mend it with the smallest change that lets \
         the work go on. Do not do the work of the other tasks. Where only people can remove the cause, ask them."
    )
}
