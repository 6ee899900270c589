//! What the tasks and merges of a working spec leave to do.

use super::SpecStop;
use crate::block::{SpecBlock, TaskBlock};
use crate::id::{HumanRef, TaskId};
use crate::merge::MergeState;
use crate::task::TaskStatus;

/// A task of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask {
    /// The task.
    pub id: TaskId,
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether the spec fails without it.
    pub is_needed: bool,
    /// What it failed of.
    pub error: Option<String>,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<TaskBlock>,
    /// The same in words.
    pub blocked_reason: Option<String>,
}

/// A merge of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenMerge {
    /// The task whose commits it lands.
    pub task_id: TaskId,
    /// Where it stands.
    pub state: MergeState,
    /// The task that resolves its conflict.
    pub resolve_task_id: Option<TaskId>,
    /// What stopped it.
    pub error: Option<String>,
}

/// The work on a spec.
#[derive(Clone, Copy)]
pub struct OpenWork<'a> {
    /// `n` of its `SPEC-n`.
    pub number: i64,
    /// Whether a person said that what stands is enough.
    pub as_it_stands: bool,
    /// Its tasks in plan order.
    pub tasks: &'a [OpenTask],
    /// Its merges in queue order.
    pub merges: &'a [OpenMerge],
    /// How a person names something of its project.
    pub reference: &'a dyn Fn(HumanRef) -> String,
}

/// What is left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkStanding {
    /// Something is still open.
    Open,
    /// Everything needed is merged.
    Ready,
    /// Something needed failed, or waits for a person.
    Stopped(SpecStop),
}

/// Decides whether a working spec goes on, is ready for its last checks, or stops.
pub fn judge_open_work(work: OpenWork<'_>) -> WorkStanding {
    // Whoever waits for an answer goes on by itself once it is given.
    let is_active = |task: &OpenTask| {
        let is_asking = task.blocked_by == Some(TaskBlock::Question);
        !task.status.is_final() && (task.status != TaskStatus::Blocked || is_asking)
    };
    if work.tasks.iter().any(is_active) || work.merges.iter().any(|merge| work.is_landing(merge)) {
        return WorkStanding::Open;
    }
    if work.as_it_stands {
        return WorkStanding::Ready;
    }
    work.stopped()
        .map_or(WorkStanding::Ready, WorkStanding::Stopped)
}

impl OpenWork<'_> {
    fn is_landing(&self, merge: &OpenMerge) -> bool {
        match merge.state {
            MergeState::Pending | MergeState::InProgress | MergeState::Verifying => true,
            // It lands with its resolution, whose own merge says how that goes, and waits with one
            // that is blocked.
            MergeState::Resolving => !self.tasks.iter().any(|task| {
                let is_settled = matches!(task.status, TaskStatus::Completed | TaskStatus::Blocked);
                is_settled && Some(task.id) == merge.resolve_task_id
            }),
            MergeState::Completed
            | MergeState::Failed
            | MergeState::Manual
            | MergeState::Cancelled => false,
        }
    }

    fn needed(&self) -> impl Iterator<Item = &OpenTask> {
        self.tasks.iter().filter(|task| task.is_needed)
    }

    fn stopped(&self) -> Option<SpecStop> {
        if let Some(task) = self.needed().find(|t| t.status == TaskStatus::Failed) {
            let why = task.error.as_deref().unwrap_or_default();
            let own = HumanRef::task(task.number);
            return Some(SpecStop::fail(format!("{own} failed: {why}")));
        }
        let is_stuck = |merge: &&OpenMerge| {
            merge.state == MergeState::Manual && self.needed().any(|t| t.id == merge.task_id)
        };
        if let Some(merge) = self.merges.iter().find(is_stuck) {
            let why = merge.error.as_deref().unwrap_or_default();
            let reason = format!("a merge waits for a person: {why}");
            return Some(SpecStop::wait_for(SpecBlock::Merge, reason));
        }
        let stopped = |status| self.needed().find(move |task| task.status == status);
        // What waits says less than what it waits for.
        let outside = |task: &&OpenTask| task.blocked_by.is_some_and(TaskBlock::is_outside);
        let task = stopped(TaskStatus::Cancelled)
            .or_else(|| self.needed().find(outside))
            .or_else(|| stopped(TaskStatus::Blocked))?;
        let why = match &task.blocked_reason {
            Some(why) if task.status == TaskStatus::Blocked => why.clone(),
            _ => self.way_out(task),
        };
        let reason = format!("{} is {}: {why}", HumanRef::task(task.number), task.status);
        Some(SpecStop::wait_for(SpecBlock::Task, reason))
    }

    fn way_out(&self, task: &OpenTask) -> String {
        format!(
            "try it again with `omoi task retry {}`, or hand over what stands with `omoi spec \
             deliver {}`",
            (self.reference)(HumanRef::task(task.number)),
            (self.reference)(HumanRef::spec(self.number))
        )
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    fn task(n: u128, status: TaskStatus) -> OpenTask {
        OpenTask {
            id: id(n),
            number: i64::try_from(n).unwrap(),
            status,
            is_needed: true,
            error: None,
            blocked_by: None,
            blocked_reason: None,
        }
    }

    fn blocked(n: u128, block: TaskBlock, why: &str) -> OpenTask {
        OpenTask {
            blocked_by: Some(block),
            blocked_reason: Some(why.to_owned()),
            ..task(n, TaskStatus::Blocked)
        }
    }

    fn merge(n: u128, state: MergeState, resolved_by: Option<u128>) -> OpenMerge {
        OpenMerge {
            task_id: id(n),
            state,
            resolve_task_id: resolved_by.map(id),
            error: Some("the target moved".to_owned()),
        }
    }

    fn judge(tasks: &[OpenTask], merges: &[OpenMerge], as_it_stands: bool) -> WorkStanding {
        judge_open_work(OpenWork {
            number: 1,
            as_it_stands,
            tasks,
            merges,
            reference: &|item| format!("todo/{item}"),
        })
    }

    #[test]
    fn work_that_waits_for_an_answer_is_open() {
        let asking = blocked(1, TaskBlock::Question, "question: Which port?");
        assert_eq!(
            judge(std::slice::from_ref(&asking), &[], false),
            WorkStanding::Open
        );
        let stopped = task(2, TaskStatus::Cancelled);
        assert_eq!(judge(&[asking, stopped], &[], false), WorkStanding::Open);
        let waiting = blocked(1, TaskBlock::NoCheck, "no check");
        let stands = judge(&[waiting], &[], false);
        assert!(matches!(stands, WorkStanding::Stopped(_)), "{stands:?}");
    }

    #[test]
    fn work_is_open_while_something_may_still_land() {
        use MergeState::{
            Cancelled, Completed, Failed, InProgress, Manual, Pending, Resolving, Verifying,
        };
        use WorkStanding::{Open, Ready};
        let done = TaskStatus::Completed;
        for (second, state, resolved_by, expected) in [
            (done, Completed, None, Ready),
            (done, Cancelled, None, Ready),
            (done, Failed, None, Ready),
            (TaskStatus::Running, Completed, None, Open),
            (TaskStatus::Pending, Completed, None, Open),
            (done, Pending, None, Open),
            (done, InProgress, None, Open),
            (done, Verifying, None, Open),
            (TaskStatus::Failed, Resolving, Some(2), Open),
            // Its own merge says how it goes.
            (done, Resolving, Some(2), Ready),
        ] {
            let tasks = [
                task(1, done),
                OpenTask {
                    is_needed: false,
                    ..task(2, second)
                },
            ];
            let merges = [merge(1, state, resolved_by)];
            assert_eq!(judge(&tasks, &merges, false), expected, "{second} {state}");
        }
        let waits = [task(1, done)];
        let merges = [merge(1, Manual, None)];
        assert_eq!(judge(&waits, &merges, true), Ready);
        assert_ne!(judge(&waits, &merges, false), Ready);
        // Nobody asks a person while an agent works.
        let works = [task(1, TaskStatus::Failed), task(2, TaskStatus::Running)];
        assert_eq!(judge(&works, &[], true), Open);
    }

    #[test]
    fn what_stops_a_spec_is_named_by_its_cause() {
        let failed = OpenTask {
            error: Some("no round left".to_owned()),
            ..task(2, TaskStatus::Failed)
        };
        let spare = OpenTask {
            is_needed: false,
            ..failed.clone()
        };
        let before = TaskBlock::Prerequisite { task_id: id(2) };
        let waits = blocked(1, before, "dependency_failed:TSK-002");
        let lacks = blocked(2, TaskBlock::Environment, "no `cargo`");
        let manual = merge(2, MergeState::Manual, None);
        let task_stop = |reason: &str| SpecStop::wait_for(SpecBlock::Task, reason);
        for (tasks, merges, expected) in [
            (
                vec![waits.clone(), failed],
                vec![manual.clone()],
                SpecStop::fail("TSK-002 failed: no round left"),
            ),
            (
                vec![waits.clone(), task(2, TaskStatus::Completed)],
                vec![manual.clone()],
                SpecStop::wait_for(
                    SpecBlock::Merge,
                    "a merge waits for a person: the target moved",
                ),
            ),
            (
                vec![waits.clone(), lacks],
                vec![],
                task_stop("TSK-002 is blocked: no `cargo`"),
            ),
            (
                vec![waits.clone(), spare],
                vec![manual],
                task_stop("TSK-001 is blocked: dependency_failed:TSK-002"),
            ),
            (
                vec![waits, task(2, TaskStatus::Cancelled)],
                vec![],
                task_stop(
                    "TSK-002 is cancelled: try it again with `omoi task retry todo/TSK-002`, or hand \
                     over what stands with `omoi spec deliver todo/SPEC-1`",
                ),
            ),
        ] {
            assert_eq!(
                judge(&tasks, &merges, false),
                WorkStanding::Stopped(expected)
            );
        }
    }
}
