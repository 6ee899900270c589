//! What the work on a ticket came to in one phase, for whoever works on it next.

use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::task::TaskStatus;

/// Characters of a summary.
pub const SUMMARY_CHARS_MAX: usize = 4_000;

/// What a task came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskContext {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Reference within its project, `TSK-n`.
    pub task_ref: String,
    /// Title shown to people.
    pub title: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// What its agent says it did.
    pub summary: Option<String>,
    /// Why it is not done, where that is known.
    pub problem: Option<String>,
    /// Head commit of its branch, once there is one.
    pub head_sha: Option<String>,
    /// Files that it was to create or change.
    pub files: Vec<String>,
}

/// What the tasks of a phase came to, in words: how many are completed, then a line for each.
pub fn summarize_tasks(tasks: &[TaskContext]) -> String {
    let is_done = |task: &&TaskContext| task.status == TaskStatus::Completed;
    let n_done = tasks.iter().filter(is_done).count();
    let mut text = match tasks.len() {
        0 => "There are no tasks.".to_owned(),
        n => format!("{n_done} of {n} tasks are completed."),
    };
    for task in tasks {
        let says = task.summary.as_deref().or(task.problem.as_deref());
        let line = format!("\n{} {}: {}", task.task_ref, task.title, task.status);
        text.push_str(&line);
        if let Some(says) = says.map(str::trim).filter(|says| !says.is_empty()) {
            text.push_str(". ");
            text.push_str(says);
        }
    }
    match text.char_indices().nth(SUMMARY_CHARS_MAX) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn task(n: u128, status: TaskStatus, summary: Option<&str>) -> TaskContext {
        TaskContext {
            task_id: TaskId::from_uuid(Uuid::from_u128(n)),
            task_ref: format!("TSK-{n:03}"),
            title: "Sort".to_owned(),
            status,
            summary: summary.map(ToOwned::to_owned),
            problem: Some("red".to_owned()),
            head_sha: None,
            files: Vec::new(),
        }
    }

    #[test]
    fn a_summary_counts_and_tells_each_task_within_its_length() {
        assert_eq!(summarize_tasks(&[]), "There are no tasks.");
        let tasks = [
            task(1, TaskStatus::Completed, Some(" Sorted. ")),
            task(2, TaskStatus::Failed, None),
        ];
        let expected = "1 of 2 tasks are completed.\nTSK-001 Sort: completed. Sorted.\nTSK-002 Sort: failed. red";
        assert_eq!(summarize_tasks(&tasks), expected);
        let long = "ä".repeat(SUMMARY_CHARS_MAX);
        let text = summarize_tasks(&[task(1, TaskStatus::Completed, Some(&long))]);
        assert_eq!(text.chars().count(), SUMMARY_CHARS_MAX);
    }
}
