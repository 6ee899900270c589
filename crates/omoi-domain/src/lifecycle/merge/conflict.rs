//! A merge that conflicts.

use super::MergeAction;
use crate::id::HumanRef;
use crate::merge::MergeState;
use crate::task::Priority;

/// The task whose commits conflict with what landed before it.
#[derive(Clone, Debug)]
pub struct ConflictedWork {
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// What it is called.
    pub title: String,
    /// How much it matters.
    pub priority: Priority,
    /// The paths in conflict.
    pub paths: Vec<String>,
    /// Conflicts of its spec that were given to a task before.
    pub resolutions: usize,
    /// What a person said who had it tried again.
    pub note: Option<String>,
}

/// The task that resolves a conflict, as far as it differs from the work that met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewResolutionTask {
    /// Its name within the plan.
    pub local_id: String,
    /// What it is called.
    pub title: String,
    /// What its agent is told.
    pub description: String,
    /// How much it matters.
    pub priority: Priority,
}

/// Hands a conflict to a task of its own, cut from the integration head with the merge begun.
pub fn turn_conflict_into_task(work: ConflictedWork) -> Vec<MergeAction> {
    let mut description = format!(
        "Merging {} ({}) into the integration branch conflicts in: {}.",
        HumanRef::task(work.number),
        work.title,
        work.paths.join(", ")
    );
    if let Some(note) = &work.note {
        description.push_str("\n\nAn earlier try failed. A person says of it: ");
        description.push_str(note);
    }
    let resolution = NewResolutionTask {
        local_id: format!("RES-{:03}", work.resolutions + 1),
        title: format!("resolve: {}", work.title),
        description,
        // Whatever waits for the conflicted work waits for this as well.
        priority: work.priority.max(Priority::High),
    };
    vec![
        MergeAction::KeepConflicts(work.paths),
        MergeAction::AddResolutionTask(resolution),
        MergeAction::move_to(MergeState::Resolving),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn a_conflict_becomes_a_task_before_the_merge_waits_for_it() {
        for (resolutions, priority, note, raised) in [
            (0, Priority::Low, None, Priority::High),
            (
                2,
                Priority::Critical,
                Some("Keep the tags."),
                Priority::Critical,
            ),
        ] {
            let actions = turn_conflict_into_task(ConflictedWork {
                number: 4,
                title: "Add items".to_owned(),
                priority,
                paths: vec!["a.py".to_owned(), "b.py".to_owned()],
                resolutions,
                note: note.map(str::to_owned),
            });
            let MergeAction::AddResolutionTask(task) = &actions[1] else {
                unreachable!("{actions:?}")
            };
            let local_id = format!("RES-{:03}", resolutions + 1);
            assert_eq!((&task.local_id, task.priority), (&local_id, raised));
            assert_eq!(task.title, "resolve: Add items");
            let told =
                "Merging TSK-004 (Add items) into the integration branch conflicts in: a.py, b.py.";
            let said = note.map_or_else(String::new, |note| {
                format!("\n\nAn earlier try failed. A person says of it: {note}")
            });
            assert_eq!(task.description, format!("{told}{said}"));
            assert_eq!(
                walk_moves(MergeState::InProgress, &actions),
                MergeState::Resolving
            );
        }
    }
}
