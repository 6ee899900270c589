//! The agent's own notes and plan: what it writes down stays word for word however its conversation is
//! shortened.
//!
//! They follow from the calls that wrote them, so a resumed attempt has them again.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of one note.
const NOTE_BYTES_MAX: usize = 1_000;
/// Bytes of all notes.
const NOTES_BYTES_MAX: usize = 8_000;
/// Steps of a plan.
const STEPS_MAX: usize = 30;
/// Bytes of one step.
const STEP_BYTES_MAX: usize = 300;

/// Why a note or a plan is not taken.
#[derive(Debug, Error)]
pub(crate) enum NoteRefusal {
    /// It has no words.
    #[error("a note or a step needs words")]
    Empty,
    /// It is too long.
    #[error("{bytes} bytes are too many for one note or step; {max} at most")]
    TooLong {
        /// Bytes that came.
        bytes: usize,
        /// Bytes that are taken.
        max: usize,
    },
    /// There is no room for another note.
    #[error("all notes together may have {max} bytes; drop some by their numbers first")]
    Full {
        /// Bytes that are taken.
        max: usize,
    },
    /// No note has this number.
    #[error("there is no note {number}; there are {n_notes}")]
    NoSuchNote {
        /// Number that came.
        number: usize,
        /// Notes there are.
        n_notes: usize,
    },
    /// A plan of too many steps.
    #[error("a plan of {n_steps} steps is too long; {max} at most")]
    TooManySteps {
        /// Steps that came.
        n_steps: usize,
        /// Steps that are taken.
        max: usize,
    },
}

/// Input of the tool `notes`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteChange {
    /// A note to add.
    add: Option<String>,
    /// Numbers of notes to drop.
    #[serde(default)]
    drop: Vec<usize>,
}

/// Input of the tool `plan`: the whole plan, in the place of the one before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotedPlan {
    steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanStep {
    step: String,
    state: StepState,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepState {
    Pending,
    Active,
    Done,
}

impl NotedPlan {
    /// One line for people.
    pub(crate) fn one_line(&self) -> String {
        let is_done = |step: &&PlanStep| step.state == StepState::Done;
        let n_done = self.steps.iter().filter(is_done).count();
        let active = self.steps.iter().find(|s| s.state == StepState::Active);
        let active = active.map(|s| format!(", now: {}", s.step));
        format!(
            "plan: {n_done} of {} done{}",
            self.steps.len(),
            active.unwrap_or_default()
        )
    }

    fn checked(self) -> Result<Self, NoteRefusal> {
        let n_steps = self.steps.len();
        if n_steps > STEPS_MAX {
            let max = STEPS_MAX;
            return Err(NoteRefusal::TooManySteps { n_steps, max });
        }
        for step in &self.steps {
            check_words(&step.step, STEP_BYTES_MAX)?;
        }
        Ok(self)
    }
}

/// The notes and the plan of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentNotes {
    notes: Vec<String>,
    plan: NotedPlan,
}

impl AgentNotes {
    /// Drops and adds notes: all of it, or nothing.
    pub(crate) fn change_notes(&mut self, change: NoteChange) -> Result<(), NoteRefusal> {
        let n_notes = self.notes.len();
        if let Some(number) = change.drop.iter().find(|n| !(1..=n_notes).contains(n)) {
            let number = *number;
            return Err(NoteRefusal::NoSuchNote { number, n_notes });
        }
        let kept = self.notes.iter().enumerate();
        let kept = kept.filter(|(index, _)| !change.drop.contains(&(index + 1)));
        let mut notes: Vec<String> = kept.map(|(_, note)| note.clone()).collect();
        if let Some(note) = change.add {
            check_words(&note, NOTE_BYTES_MAX)?;
            notes.push(note.trim().to_owned());
        }
        if notes.iter().map(String::len).sum::<usize>() > NOTES_BYTES_MAX {
            let max = NOTES_BYTES_MAX;
            return Err(NoteRefusal::Full { max });
        }
        self.notes = notes;
        Ok(())
    }

    /// Takes `plan` in the place of the one before.
    pub(crate) fn replace_plan(&mut self, plan: NotedPlan) -> Result<(), NoteRefusal> {
        self.plan = plan.checked()?;
        Ok(())
    }

    /// The notes with their numbers, one a line.
    pub(crate) fn note_lines(&self) -> Vec<String> {
        let notes = self.notes.iter().enumerate();
        notes
            .map(|(index, note)| format!("{}. {note}", index + 1))
            .collect()
    }

    /// The steps of the plan, one a line.
    pub(crate) fn plan_lines(&self) -> Vec<String> {
        let steps = self.plan.steps.iter();
        let lines = steps.map(|step| {
            let mark = match step.state {
                StepState::Pending => "[ ]",
                StepState::Active => "[>]",
                StepState::Done => "[x]",
            };
            format!("{mark} {}", step.step.trim())
        });
        lines.collect()
    }
}

fn check_words(text: &str, max: usize) -> Result<(), NoteRefusal> {
    let bytes = text.trim().len();
    match bytes {
        0 => Err(NoteRefusal::Empty),
        bytes if bytes > max => Err(NoteRefusal::TooLong { bytes, max }),
        _ => Ok(()),
    }
}

/// Lines as the result of a tool.
pub(crate) fn joined_lines(lines: &[String], when_none: &str) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    if text.is_empty() {
        when_none.to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::{Value, json};

    use super::*;

    fn change(notes: &mut AgentNotes, input: Value) -> Result<(), NoteRefusal> {
        notes.change_notes(serde_json::from_value(input).unwrap())
    }

    #[test]
    fn notes_are_added_and_dropped_by_number_all_or_nothing() {
        let mut notes = AgentNotes::default();
        for text in ["one", " two ", "three"] {
            change(&mut notes, json!({"add": text})).unwrap();
        }
        assert_eq!(notes.note_lines(), ["1. one", "2. two", "3. three"]);
        change(&mut notes, json!({"drop": [1, 3], "add": "four"})).unwrap();
        assert_eq!(notes.note_lines(), ["1. two", "2. four"]);
        for (input, says) in [
            (json!({"drop": [3]}), "there is no note 3; there are 2"),
            (json!({"drop": [0]}), "there is no note 0"),
            (json!({"drop": [1], "add": " "}), "needs words"),
            (
                json!({"drop": [1], "add": "x".repeat(1_001)}),
                "1001 bytes are too many",
            ),
        ] {
            let refusal = change(&mut notes, input).unwrap_err();
            assert!(refusal.to_string().contains(says), "{refusal}");
            assert_eq!(notes.note_lines(), ["1. two", "2. four"], "{says}");
        }
        let mut filled = (0..20).map(|_| change(&mut notes, json!({"add": "x".repeat(990)})));
        let refused = filled.find_map(Result::err).unwrap();
        assert!(
            refused.to_string().contains("drop some by their numbers"),
            "{refused}"
        );
    }

    #[test]
    fn a_plan_is_replaced_as_a_whole() {
        let mut notes = AgentNotes::default();
        let plan =
            |steps: Value| serde_json::from_value::<NotedPlan>(json!({ "steps": steps })).unwrap();
        let two =
            plan(json!([{"step": "look", "state": "done"}, {"step": "write", "state": "active"}]));
        assert_eq!(two.one_line(), "plan: 1 of 2 done, now: write");
        notes.replace_plan(two).unwrap();
        assert_eq!(notes.plan_lines(), ["[x] look", "[>] write"]);
        let many = plan(json!(vec![json!({"step": "x", "state": "pending"}); 31]));
        let empty = plan(json!([{"step": "", "state": "pending"}]));
        assert!(notes.replace_plan(many).is_err() && notes.replace_plan(empty).is_err());
        assert_eq!(notes.plan_lines(), ["[x] look", "[>] write"]);
        notes.replace_plan(plan(json!([]))).unwrap();
        assert!(notes.plan_lines().is_empty());
    }
}
