//! Which commits to take back, and how.

use std::collections::BTreeSet;

use crate::id::TaskId;

/// A merge that landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedWork {
    /// The task whose commits it brought.
    pub task: TaskId,
    /// The head commit of that task's branch.
    pub incoming: String,
    /// The commit of the integration branch by which it landed.
    pub commit: String,
    /// Whether the task resolves a conflict.
    pub is_resolution: bool,
}

/// A step of the integration branch: everything that landed by one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchLanding {
    /// The branch after it.
    pub commit: String,
    /// The branch before it.
    pub before: String,
    /// Every task that landed by it: for a resolution also those whose conflict it resolves.
    pub tasks: BTreeSet<TaskId>,
    /// Whether it holds a resolution.
    pub is_resolution: bool,
    /// What it merged: whose head.
    pub brought: Vec<(TaskId, String)>,
}

/// One three-way merge on the way to a tree without some work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeBackStep {
    /// What landed between `before` and `commit` is taken back.
    TakeBack {
        /// The branch after it.
        commit: String,
        /// The branch before it.
        before: String,
    },
    /// The branch `incoming` is merged again, from where it left `before`.
    MergeAgain {
        /// The head commit of that branch.
        incoming: String,
        /// The integration branch before it was merged first.
        before: String,
    },
}

/// The landings among `chain`, oldest first: the commits of the integration branch after `start`,
/// along first parents. Work whose commit is not among them is in none.
pub fn branch_landings(start: &str, chain: &[String], merges: &[MergedWork]) -> Vec<BranchLanding> {
    let mut before = start.to_owned();
    let mut found = Vec::new();
    for commit in chain {
        let here: Vec<&MergedWork> = merges.iter().filter(|m| m.commit == *commit).collect();
        if here.is_empty() {
            continue;
        }
        let merged = here.iter().filter(|m| m.incoming != *commit);
        found.push(BranchLanding {
            commit: commit.clone(),
            before: std::mem::replace(&mut before, commit.clone()),
            tasks: here.iter().map(|m| m.task).collect(),
            is_resolution: here.iter().any(|m| m.is_resolution),
            brought: merged
                .filter(|m| !m.is_resolution)
                .map(|m| (m.task, m.incoming.clone()))
                .collect(),
        });
    }
    found
}

/// The ways to a tree without the work of `serving`, the plain one first; each begins with the tree
/// of the newest landing. Empty when nothing of it landed.
///
/// The plain way takes back, newest first, every landing of that work. A resolution that came after
/// it rewrote lines of both sides, so that taking back the first side alone conflicts there. The
/// other way puts such resolutions aside first, and then merges what they brought again.
pub fn take_back_ways(
    landings: &[BranchLanding],
    serving: &BTreeSet<TaskId>,
) -> Vec<Vec<TakeBackStep>> {
    let is_wanted = |landing: &&BranchLanding| !landing.tasks.is_disjoint(serving);
    let Some(oldest) = landings.iter().position(|landing| is_wanted(&landing)) else {
        return Vec::new();
    };
    let later = &landings[oldest..];
    let wanted: Vec<&BranchLanding> = later.iter().filter(is_wanted).collect();
    let with_resolutions: Vec<&BranchLanding> = later
        .iter()
        .filter(|landing| is_wanted(landing) || landing.is_resolution)
        .collect();
    let mut ways = vec![steps_without(&wanted, serving)];
    if with_resolutions.len() > wanted.len() {
        ways.push(steps_without(&with_resolutions, serving));
    }
    ways
}

/// Takes back `landings` and merges again what others had in them.
fn steps_without(landings: &[&BranchLanding], serving: &BTreeSet<TaskId>) -> Vec<TakeBackStep> {
    let back = landings.iter().rev().map(|landing| TakeBackStep::TakeBack {
        commit: landing.commit.clone(),
        before: landing.before.clone(),
    });
    let again = landings.iter().flat_map(|landing| {
        let others = landing
            .brought
            .iter()
            .filter(|(task, _)| !serving.contains(task));
        others.map(|(_, incoming)| TakeBackStep::MergeAgain {
            incoming: incoming.clone(),
            before: landing.before.clone(),
        })
    });
    back.chain(again).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::task;
    use super::*;

    fn merged(n: u128, incoming: &str, commit: &str) -> MergedWork {
        MergedWork {
            task: task(n),
            incoming: incoming.to_owned(),
            commit: commit.to_owned(),
            is_resolution: n >= 90,
        }
    }

    /// 1 is fast-forwarded to a, 2 conflicts with it and lands by resolution 91 as r, 3 is merged
    /// as m, 4 is fast-forwarded in two commits, and its second round lands as e.
    fn history() -> Vec<BranchLanding> {
        let chain = ["a", "r", "m", "d", "d2", "e"].map(str::to_owned);
        branch_landings(
            "plan",
            &chain,
            &[
                merged(4, "e", "e"),
                merged(1, "a", "a"),
                merged(91, "r", "r"),
                merged(2, "b", "r"),
                merged(3, "c", "m"),
                merged(4, "d2", "d2"),
                merged(5, "x", "elsewhere"),
            ],
        )
    }

    fn told(tasks: &[u128]) -> Vec<String> {
        let serving = tasks.iter().map(|n| task(*n)).collect();
        take_back_ways(&history(), &serving)
            .iter()
            .map(|way| in_words(way))
            .collect()
    }

    fn in_words(way: &[TakeBackStep]) -> String {
        let steps = way.iter().map(|step| match step {
            TakeBackStep::TakeBack { commit, before } => format!("-{commit} to {before}"),
            TakeBackStep::MergeAgain { incoming, before } => format!("+{incoming} from {before}"),
        });
        steps.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_landing_knows_what_stood_before_it() {
        let found = history();
        let pairs = found.iter().map(|l| (l.before.as_str(), l.commit.as_str()));
        assert_eq!(
            pairs.collect::<Vec<_>>(),
            [
                ("plan", "a"),
                ("a", "r"),
                ("r", "m"),
                ("m", "d2"),
                ("d2", "e")
            ]
        );
        assert_eq!(found[1].tasks, BTreeSet::from([task(2), task(91)]));
        assert!(found[1].is_resolution && !found[2].is_resolution);
    }

    #[test]
    fn every_landing_of_the_work_is_taken_back_newest_first() {
        assert_eq!(told(&[3]), ["-m to r"]);
        assert_eq!(told(&[4]), ["-e to d2, -d2 to m"]);
        assert_eq!(told(&[3, 4]), ["-e to d2, -d2 to m, -m to r"]);
    }

    #[test]
    fn the_second_side_goes_with_its_resolution() {
        assert_eq!(told(&[2]), ["-r to a"]);
        assert_eq!(told(&[1, 2]), ["-r to a, -a to plan"]);
    }

    #[test]
    fn the_first_side_goes_around_the_resolution_where_the_plain_way_conflicts() {
        assert_eq!(told(&[1]), ["-a to plan", "-r to a, -a to plan, +b from a"]);
    }

    #[test]
    fn nothing_landed_is_nothing_to_take_back() {
        assert!(told(&[5]).is_empty());
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn work_that_landed_with_other_work_leaves_that_in() {
        let chain = ["r".to_owned()];
        let all = [
            merged(91, "r", "r"),
            merged(2, "b", "r"),
            merged(3, "c", "r"),
        ];
        let found = branch_landings("plan", &chain, &all);
        let ways = take_back_ways(&found, &BTreeSet::from([task(2)]));
        assert_eq!(in_words(&ways[0]), "-r to plan, +c from plan");
    }
}
