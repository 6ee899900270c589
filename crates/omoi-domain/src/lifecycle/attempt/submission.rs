//! The work that the agent of a task submitted, before its checks.

use crate::lifecycle::task::UnmetResult;
use crate::task::UnmetCode;

/// Characters that feedback repeats of a worker's reason or of a list of files.
const REPEATED_CHARS_MAX: usize = 2_000;

/// A rule that a submission breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmissionFault {
    /// Its bundle may not be taken into the mirror, and why.
    BundleRefused(String),
    /// The agent says done and made no commit; git ignores these files that it wrote.
    NoChange {
        /// Files that git ignores.
        ignored_paths: Vec<String>,
    },
    /// The branch no longer contains what it was cut from.
    HistoryRewritten {
        /// The commit it was cut from.
        base: String,
    },
    /// It changes what is not for agents to change.
    ProtectedPath {
        /// The path it changes.
        path: String,
        /// Every such path.
        protected: Vec<String>,
    },
    /// It holds a file that was copied from a person's checkout and is not to be committed.
    CopiedPath {
        /// Where the file lies, or what took its place.
        path: String,
    },
    /// A resolution without the side that comes in.
    SideDropped {
        /// That side's commit.
        incoming: String,
    },
    /// Conflict markers are left in these files.
    MarkersLeft(Vec<String>),
    /// Lines that start with a conflict marker are too long to be looked at.
    MarkersTooLong {
        /// Bytes of them that are read.
        limit_bytes: usize,
        /// The files that changed.
        paths: Vec<String>,
    },
    /// Tests, or what decides which tests run, changed in these files that the plan does not name.
    TestsWeakened(Vec<String>),
    /// The agent tried to write to these places outside its workspace.
    OutsideWorkspace(Vec<String>),
    /// The workspace could not be saved, and why.
    WorkUnsaved(String),
}

impl SubmissionFault {
    /// Whether the work may stay on the branch all the same, for the next round to mend. Nobody could
    /// put back what a rewritten history or a protected path had before.
    fn keeps_work(&self) -> bool {
        !matches!(
            self,
            Self::BundleRefused(_)
                | Self::HistoryRewritten { .. }
                | Self::ProtectedPath { .. }
                | Self::CopiedPath { .. }
        )
    }

    /// What the next round is told.
    fn into_unmet(self) -> UnmetResult {
        let (code, feedback, recommendation) = match self {
            Self::BundleRefused(why) => (
                UnmetCode::BundleRefused,
                why,
                "Remove what the message names from the branch.".to_owned(),
            ),
            Self::NoChange { ignored_paths } => no_change(&ignored_paths),
            Self::HistoryRewritten { base } => (
                UnmetCode::HistoryRewritten,
                format!("the branch no longer contains the commit it was cut from ({base})"),
                "Put your changes on top of the branch as it was given to you.".to_owned(),
            ),
            Self::ProtectedPath { path, protected } => (
                UnmetCode::ProtectedPath,
                format!("`{path}` is not for agents to change"),
                format!("Leave {} as they are.", protected.join(", ")),
            ),
            Self::CopiedPath { path } => (
                UnmetCode::ProtectedPath,
                format!("`{path}` was copied into the workspace and is not to be committed"),
                "Leave it out of every commit; put what the work needs into other files."
                    .to_owned(),
            ),
            Self::SideDropped { incoming } => (
                UnmetCode::SideDropped,
                format!("the side that comes in ({incoming}) is not part of the result"),
                "Finish the merge that is begun in the workspace; do not abort it.".to_owned(),
            ),
            Self::MarkersLeft(files) => (
                UnmetCode::ConflictMarkers,
                format!("conflict markers are left in {}", files.join(", ")),
                "Resolve every conflict; keep what both sides meant.".to_owned(),
            ),
            Self::MarkersTooLong { limit_bytes, paths } => (
                UnmetCode::ConflictMarkers,
                format!(
                    "lines that start with a conflict marker are more than {limit_bytes} bytes long \
                     together; they are in {}",
                    shortened(&paths.join(", "))
                ),
                "Take those lines out, or leave the file out of the work.".to_owned(),
            ),
            Self::TestsWeakened(files) => (
                UnmetCode::TestWeakened,
                format!(
                    "tests, or files that decide which tests run, were changed, and the plan does \
                     not name them: {}",
                    files.join(", ")
                ),
                "Put them back as they were; add new tests in files of their own.".to_owned(),
            ),
            Self::OutsideWorkspace(paths) => (
                UnmetCode::OutsideWorkspace,
                format!(
                    "the agent tried to write outside its workspace: {}",
                    paths.join(", ")
                ),
                "Write only below the workspace.".to_owned(),
            ),
            Self::WorkUnsaved(why) => (
                UnmetCode::WorkUnsaved,
                format!("the workspace could not be saved: {}", shortened(&why)),
                "Remove or repair what the message names; leave `.git` alone.".to_owned(),
            ),
        };
        UnmetResult {
            code,
            feedback,
            recommendations: vec![recommendation],
        }
    }
}

/// New files that git ignores are named: an agent that wrote nothing else cannot see why its work did
/// not count.
fn no_change(ignored_paths: &[String]) -> (UnmetCode, String, String) {
    let says = "the agent reported success but made no commits";
    if ignored_paths.is_empty() {
        let mend = "Make the change the task asks for, then finish.";
        return (UnmetCode::NoChange, says.to_owned(), mend.to_owned());
    }
    let mend = "Write files where `.gitignore` does not hide them, or change `.gitignore`.";
    let feedback = format!(
        "{says}; the repository's ignore rules hide the files it wrote: {}",
        ignored_paths.join(", ")
    );
    (UnmetCode::NoChange, feedback, mend.to_owned())
}

fn shortened(text: &str) -> String {
    text.chars().take(REPEATED_CHARS_MAX).collect()
}

/// The commits of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmittedWork {
    /// What the worker sent may not be taken into the mirror, and why.
    Refused(String),
    /// There is none, neither from this attempt nor from an earlier one that no check has refused;
    /// git ignores these files that the agent wrote.
    Missing {
        /// Files that git ignores.
        ignored_paths: Vec<String>,
    },
    /// They are in the mirror, and this is the first rule they break.
    Found(Option<SubmissionFault>),
}

/// What is known of work that an agent submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whether the agent says that it is done; else it was cut short.
    pub is_done: bool,
    /// Its commits.
    pub work: SubmittedWork,
    /// Places outside its workspace that the agent tried to write to.
    pub refused_paths: Vec<String>,
    /// Why the worker could not save what is in the workspace, if it could not.
    pub unsaved: Option<String>,
}

/// What becomes of submitted work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionVerdict {
    /// Whether its commits stay on the task's branch. Work that is sent back stays as well: the next
    /// agent goes on from it.
    pub keeps_work: bool,
    /// Why it may not go to its checks, if it may not.
    pub unmet: Option<UnmetResult>,
}

/// Decides whether submitted work may go to its checks, and whether it stays.
pub fn judge_submission(submission: Submission) -> SubmissionVerdict {
    let Submission { is_done, .. } = submission;
    let tried_outside = is_done && !submission.refused_paths.is_empty();
    let outside =
        tried_outside.then_some(SubmissionFault::OutsideWorkspace(submission.refused_paths));
    let unsaved = submission.unsaved.map(SubmissionFault::WorkUnsaved);
    let around = outside.or(unsaved);
    let (keeps_work, fault) = match submission.work {
        SubmittedWork::Refused(why) => (false, Some(SubmissionFault::BundleRefused(why))),
        SubmittedWork::Missing { ignored_paths } => {
            let missing = is_done.then_some(SubmissionFault::NoChange { ignored_paths });
            (false, around.or(missing))
        }
        SubmittedWork::Found(fault) => {
            let keeps_work = fault.as_ref().is_none_or(SubmissionFault::keeps_work);
            // Who was cut short is told what is unfinished; what it broke is judged when it says done.
            let fault = fault.filter(|_| is_done || !keeps_work);
            (keeps_work, around.or(fault))
        }
    };
    SubmissionVerdict {
        keeps_work,
        unmet: fault.map(SubmissionFault::into_unmet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(is_done: bool, work: SubmittedWork) -> Submission {
        Submission {
            is_done,
            work,
            refused_paths: Vec::new(),
            unsaved: None,
        }
    }

    fn found(fault: SubmissionFault) -> SubmittedWork {
        SubmittedWork::Found(Some(fault))
    }

    fn missing() -> SubmittedWork {
        SubmittedWork::Missing {
            ignored_paths: Vec::new(),
        }
    }

    #[test]
    fn what_was_brought_decides_whether_it_is_checked_and_kept() {
        let rewritten = || SubmissionFault::HistoryRewritten {
            base: "c0ffee".to_owned(),
        };
        let protected = || SubmissionFault::ProtectedPath {
            path: ".omoi.yaml".to_owned(),
            protected: vec![".omoi.yaml".to_owned()],
        };
        let weakened = || SubmissionFault::TestsWeakened(vec!["tests/a.py".to_owned()]);
        let refused = || SubmittedWork::Refused("a submodule".to_owned());
        for (is_done, work, keeps_work, code) in [
            (true, SubmittedWork::Found(None), true, None),
            (false, SubmittedWork::Found(None), true, None),
            (true, refused(), false, Some(UnmetCode::BundleRefused)),
            (false, refused(), false, Some(UnmetCode::BundleRefused)),
            (true, missing(), false, Some(UnmetCode::NoChange)),
            (false, missing(), false, None),
            (
                true,
                found(rewritten()),
                false,
                Some(UnmetCode::HistoryRewritten),
            ),
            (
                false,
                found(rewritten()),
                false,
                Some(UnmetCode::HistoryRewritten),
            ),
            (
                true,
                found(protected()),
                false,
                Some(UnmetCode::ProtectedPath),
            ),
            (true, found(weakened()), true, Some(UnmetCode::TestWeakened)),
            // It is judged when the agent says done.
            (false, found(weakened()), true, None),
        ] {
            let verdict = judge_submission(submission(is_done, work.clone()));
            let found = (verdict.keeps_work, verdict.unmet.map(|unmet| unmet.code));
            assert_eq!(found, (keeps_work, code), "{is_done} {work:?}");
        }
    }

    #[test]
    fn what_the_workspace_suffered_comes_before_what_the_commits_break() {
        let weakened = || {
            found(SubmissionFault::TestsWeakened(vec![
                "tests/a.py".to_owned(),
            ]))
        };
        let outside = vec!["/etc/passwd".to_owned()];
        let unsaved = Some("no space".to_owned());
        for (is_done, work, refused_paths, unsaved, code) in [
            (
                true,
                weakened(),
                &outside,
                None,
                Some(UnmetCode::OutsideWorkspace),
            ),
            (
                true,
                weakened(),
                &outside,
                unsaved.clone(),
                Some(UnmetCode::OutsideWorkspace),
            ),
            (
                true,
                weakened(),
                &vec![],
                unsaved.clone(),
                Some(UnmetCode::WorkUnsaved),
            ),
            (false, missing(), &outside, None, None),
            (
                false,
                missing(),
                &outside,
                unsaved.clone(),
                Some(UnmetCode::WorkUnsaved),
            ),
            (
                true,
                missing(),
                &outside,
                None,
                Some(UnmetCode::OutsideWorkspace),
            ),
            (
                true,
                SubmittedWork::Found(None),
                &vec![],
                unsaved,
                Some(UnmetCode::WorkUnsaved),
            ),
        ] {
            let verdict = judge_submission(Submission {
                refused_paths: refused_paths.clone(),
                unsaved: unsaved.clone(),
                ..submission(is_done, work)
            });
            let found = verdict.unmet.map(|unmet| unmet.code);
            assert_eq!(found, code, "{is_done} {refused_paths:?} {unsaved:?}");
        }
    }

    #[test]
    fn the_next_round_is_told_what_to_mend() {
        let ignored = SubmittedWork::Missing {
            ignored_paths: vec!["build/a".to_owned()],
        };
        let long = SubmissionFault::MarkersTooLong {
            limit_bytes: 4,
            paths: vec!["x".repeat(3_000)],
        };
        for (work, feedback, recommendation) in [
            (
                ignored,
                "the agent reported success but made no commits; the repository's ignore rules hide \
                 the files it wrote: build/a"
                    .to_owned(),
                "Write files where `.gitignore` does not hide them, or change `.gitignore`.",
            ),
            (
                found(SubmissionFault::MarkersLeft(vec![
                    "a.py".to_owned(),
                    "b.py".to_owned(),
                ])),
                "conflict markers are left in a.py, b.py".to_owned(),
                "Resolve every conflict; keep what both sides meant.",
            ),
            (
                found(long),
                format!(
                    "lines that start with a conflict marker are more than 4 bytes long together; \
                     they are in {}",
                    "x".repeat(REPEATED_CHARS_MAX)
                ),
                "Take those lines out, or leave the file out of the work.",
            ),
        ] {
            let verdict = judge_submission(submission(true, work));
            let told = verdict.unmet.map(|unmet| (unmet.feedback, unmet.recommendations));
            let expected = (feedback, vec![recommendation.to_owned()]);
            assert_eq!(told, Some(expected));
        }
    }
}
