//! What is printed when a followed run ends: its summary, what stopped it, and what to do next.

use omoi_domain::block::SpecBlock;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::TaskView;
use omoi_protocol::summary::{RunOutcome, RunSummary};

use super::{RunFollower, WAITING};
use crate::view::summary::{StoppedTask, SummaryFacts, render_summary};

/// Stopped tasks of an ending.
const STOPPED_MAX: usize = 5;

impl RunFollower<'_> {
    /// The end of the run, for people or scripts, and the exit code.
    pub(super) async fn print_end(&mut self) -> anyhow::Result<u8> {
        let summary = self.client.get_spec_summary(&self.id).await?;
        if self.context.is_json() {
            self.context.print_json(&summary)?;
        } else {
            let (stopped, next) = self.stopped_tasks(&summary).await?;
            let home = self.context.home_folder();
            let facts = SummaryFacts {
                summary: &summary,
                stopped: &stopped,
                home: home.as_deref(),
                again: &self.context.data_flags(),
                next: &next,
            };
            eprintln!();
            for line in render_summary(&facts, self.context.stderr_page()) {
                eprintln!("{line}");
            }
        }
        Ok(match summary.outcome {
            RunOutcome::Succeeded => 0,
            RunOutcome::Failed => 1,
            RunOutcome::Blocked => WAITING,
        })
    }

    pub(super) async fn print_json_summary(&self) -> anyhow::Result<()> {
        if self.context.is_json() {
            self.context
                .print_json(&self.client.get_spec_summary(&self.id).await?)?;
        }
        Ok(())
    }

    /// The tasks that stopped the run, with their snapshots, and what can be done next.
    async fn stopped_tasks(
        &self,
        summary: &RunSummary,
    ) -> anyhow::Result<(Vec<StoppedTask>, Vec<String>)> {
        let mut stopped = Vec::new();
        if summary.outcome == RunOutcome::Succeeded {
            return Ok((stopped, Vec::new()));
        }
        let tasks = self.client.list_tasks(Some(&self.id)).await?;
        let status = self.client.get_spec_to_act(&self.id).await?.status;
        let resume = match is_weak(summary) {
            true => format!("Accept: {} --accept-weak", self.resume),
            false => format!("Resume: {}", self.resume),
        };
        let next = next_steps(status, &tasks, resume, &self.deliver);
        // What is blocked is so because something failed or was called off, unless nothing was.
        let of = |status| {
            let mut tasks = tasks.iter();
            tasks.any(|task| task.needed && task.status == status)
        };
        let at_fault = [TaskStatus::Failed, TaskStatus::Cancelled];
        let at_fault = at_fault.into_iter().find(|status| of(*status));
        let at_fault = at_fault.unwrap_or(TaskStatus::Blocked);
        if status == SpecStatus::Cancelled {
            return Ok((stopped, next));
        }
        let at_fault = tasks
            .into_iter()
            .filter(|task| task.needed && task.status == at_fault);
        for task in at_fault.take(STOPPED_MAX) {
            let detail = self.client.get_task_detail(&task.id.to_string()).await?;
            let wip_ref = detail.wip_ref;
            stopped.push(StoppedTask { task, wip_ref });
        }
        Ok((stopped, next))
    }
}

/// Whether all that stops the run is that criteria are proven without the work for them.
fn is_weak(summary: &RunSummary) -> bool {
    summary.blocked_by == Some(SpecBlock::WeakProof)
}

/// What can be done with a spec that stopped in `status`; only what would not be refused.
fn next_steps(
    status: SpecStatus,
    tasks: &[TaskView],
    resume: String,
    deliver: &str,
) -> Vec<String> {
    if status == SpecStatus::Cancelled {
        return Vec::new();
    }
    let needed = |status| move |task: &&TaskView| task.needed && task.status == status;
    let waits_for_cancelled = tasks
        .iter()
        .any(|task| needed(TaskStatus::Cancelled)(&task))
        && !tasks.iter().any(|task| needed(TaskStatus::Failed)(&task));
    let has_landed = tasks
        .iter()
        .any(|task| task.integration_state.satisfies_dependents());
    let mut next = Vec::new();
    if !waits_for_cancelled {
        next.push(resume);
    }
    if has_landed && matches!(status, SpecStatus::Failed | SpecStatus::Blocked) {
        next.push(format!("Hand over what stands: {deliver}"));
    }
    next
}
