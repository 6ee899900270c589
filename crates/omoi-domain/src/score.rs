//! The task score: which of several eligible tasks starts first.
//!
//! Priority, age, deadline, how many tasks wait for it and how often it failed give an ordinary
//! score of at most 1.25. A task that waits longer than the starvation limit gets a floor that
//! rises above every ordinary score, so nothing waits behind newcomers for more than nine hours.

use std::cmp::Ordering;

use crate::task::Priority;
use crate::time::Timestamp;

/// How much the floor of a starving task rises with every [`STARVATION_STEP_S`].
pub const STARVATION_STEP: f64 = 0.05;
/// Seconds of further waiting that raise the floor by one step.
pub const STARVATION_STEP_S: f64 = 1_800.0;
/// Where the floor stops; above every ordinary score.
pub const STARVATION_FLOOR_MAX: f64 = 1.30;

/// Weights, ceilings and factors of the score; the `task_queue` section of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreWeights {
    /// Weight of the priority.
    pub w_p: f64,
    /// Weight of the age.
    pub w_a: f64,
    /// Weight of a near deadline.
    pub w_d: f64,
    /// Weight of the number of waiting tasks.
    pub w_b: f64,
    /// Weight of the retries left.
    pub w_r: f64,
    /// Seconds of waiting that give full marks for age.
    pub age_ceiling: f64,
    /// Seconds before a deadline at which it starts to count.
    pub sla_urgency_window: f64,
    /// Factor on the whole score inside that window and after the deadline.
    pub sla_boost_multiplier: f64,
    /// Seconds of waiting after which a task is starving.
    pub starvation_limit: f64,
    /// The least score of a task that has just begun to starve.
    pub starvation_floor_score: f64,
    /// Number of waiting tasks that gives full marks.
    pub blocker_ceiling: f64,
}

impl Default for ScoreWeights {
    fn default() -> Self {
        Self {
            w_p: 0.45,
            w_a: 0.20,
            w_d: 0.15,
            w_b: 0.15,
            w_r: 0.05,
            age_ceiling: 3_600.0,
            sla_urgency_window: 900.0,
            sla_boost_multiplier: 1.25,
            starvation_limit: 7_200.0,
            starvation_floor_score: 0.6,
            blocker_ceiling: 10.0,
        }
    }
}

/// What the score of one task depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreFacts {
    /// How much it matters.
    pub priority: Priority,
    /// When it was first queued; retries do not move it.
    pub queued_at: Timestamp,
    /// When it should be done.
    pub deadline_at: Option<Timestamp>,
    /// Pending or blocked tasks that depend directly on it.
    pub n_dependents: u32,
    /// Retries that the task has used.
    pub retry_count: u32,
    /// Retries that the task is allowed.
    pub max_retries: u32,
}

/// The score of `task` at `now`; greater starts earlier.
pub fn task_score(weights: &ScoreWeights, now: Timestamp, task: &ScoreFacts) -> f64 {
    let waited_s = now.seconds_since(task.queued_at).max(0.0);
    let slack_s = task.deadline_at.map(|at| at.seconds_since(now));
    let priority = match task.priority {
        Priority::Critical => 1.0,
        Priority::High => 0.75,
        Priority::Medium => 0.5,
        Priority::Low => 0.25,
    };
    let age = (waited_s / weights.age_ceiling).min(1.0);
    let deadline = slack_s.map_or(0.0, |slack| {
        (1.0 - slack / weights.sla_urgency_window).clamp(0.0, 1.0)
    });
    let blockers = (f64::from(task.n_dependents) / weights.blocker_ceiling).min(1.0);
    let used = f64::from(task.retry_count) / f64::from(task.max_retries.max(1));
    let retries = (1.0 - used).max(0.0);
    let mut score = weights.w_p * priority
        + weights.w_a * age
        + weights.w_d * deadline
        + weights.w_b * blockers
        + weights.w_r * retries;
    if slack_s.is_some_and(|slack| slack <= weights.sla_urgency_window) {
        score *= weights.sla_boost_multiplier;
    }
    score.max(starvation_floor(weights, waited_s))
}

/// The least score of a task that has waited `waited_s` seconds; zero before it starves.
fn starvation_floor(weights: &ScoreWeights, waited_s: f64) -> f64 {
    let starving_s = waited_s - weights.starvation_limit;
    if starving_s < 0.0 {
        return 0.0;
    }
    let steps = (starving_s / STARVATION_STEP_S).floor();
    (weights.starvation_floor_score + STARVATION_STEP * steps).min(STARVATION_FLOOR_MAX)
}

/// A scored task, for [`compare_ranked`].
#[derive(Clone, Debug, PartialEq)]
pub struct RankedTask<Id> {
    /// The task's score, from [`task_score`].
    pub score: f64,
    /// When it was first queued.
    pub queued_at: Timestamp,
    /// Row id of the task.
    pub id: Id,
}

/// Which of two tasks starts first: greater score, then queued earlier, then smaller id.
pub fn compare_ranked<Id: Ord>(a: &RankedTask<Id>, b: &RankedTask<Id>) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then(a.queued_at.cmp(&b.queued_at))
        .then_with(|| a.id.cmp(&b.id))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW_S: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_eleven_vectors_hold() {
        use Priority::{Critical, High, Low, Medium};
        for (priority, age, slack, n_dependents, retry_count, expected) in [
            (Medium, 0, None, 0, 0, 0.275),
            (Critical, 1800, Some(450), 5, 1, 0.916_667),
            (High, 3600, Some(-10), 0, 0, 0.921_875),
            (Medium, 3600, Some(901), 0, 0, 0.475),
            (Medium, 3600, Some(900), 0, 0, 0.59375),
            (Critical, 3600, Some(0), 10, 0, 1.25),
            (High, 600, None, 3, 2, 0.4325),
            (Low, 0, None, 0, 3, 0.1125),
            (Low, 7200, None, 0, 0, 0.6),
            (Low, 12_600, None, 0, 0, 0.75),
            (Low, 32_400, None, 0, 0, 1.3),
        ] {
            let task = ScoreFacts {
                priority,
                queued_at: at(NOW_S - age),
                deadline_at: slack.map(|s| at(NOW_S + s)),
                n_dependents,
                retry_count,
                max_retries: 3,
            };
            let got = task_score(&ScoreWeights::default(), at(NOW_S), &task);
            assert!(
                (got - expected).abs() < 1e-6,
                "{task:?}: {got}, not {expected}"
            );
        }
    }

    fn newcomer() -> impl Strategy<Value = ScoreFacts> {
        let priority = prop::sample::select(Priority::ALL.to_vec());
        let slack = prop::option::of(-600i64..3_600);
        (priority, slack, 0u32..20, 0u32..4).prop_map(|(priority, slack, n_dependents, retries)| {
            ScoreFacts {
                priority,
                queued_at: at(0),
                deadline_at: slack.map(at),
                n_dependents,
                retry_count: retries,
                max_retries: 3,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// One slot, more arrivals than it can serve: whoever has waited nine hours is served
        /// before everything queued after it.
        #[test]
        fn nobody_waits_behind_newcomers_for_more_than_nine_hours(
            kinds in prop::collection::vec(newcomer(), 1..12),
            arrival_s in 60i64..600,
            service_s in 300i64..1_800,
        ) {
            let weights = ScoreWeights::default();
            let mut waiting: Vec<(ScoreFacts, u32)> = Vec::new();
            let (mut arrived, mut served_starving) = (0u32, 0);
            for now_s in (0..40 * 3_600).step_by(service_s as usize) {
                while i64::from(arrived) * arrival_s <= now_s {
                    let born_s = i64::from(arrived) * arrival_s;
                    let mut task = kinds[arrived as usize % kinds.len()].clone();
                    let slack_s = task.deadline_at.map(|d| d.as_micros() / 1_000_000);
                    task.deadline_at = slack_s.map(|s| at(born_s + s));
                    task.queued_at = at(born_s);
                    waiting.push((task, arrived));
                    arrived += 1;
                }
                let now = at(now_s);
                let ranked = |(task, id): &(ScoreFacts, u32)| RankedTask {
                    score: task_score(&weights, now, task),
                    queued_at: task.queued_at,
                    id: *id,
                };
                let best = (0..waiting.len())
                    .min_by(|a, b| compare_ranked(&ranked(&waiting[*a]), &ranked(&waiting[*b])));
                let Some(best) = best else { continue };
                let (picked, _) = waiting.remove(best);
                for (left, _) in &waiting {
                    if now.since(left.queued_at) >= Duration::from_hours(9) {
                        served_starving += 1;
                        prop_assert!(picked.queued_at <= left.queued_at, "{picked:?} passed {left:?}");
                    }
                }
            }
            // The property must not hold for want of a queue.
            prop_assert!(served_starving > 0 || arrival_s >= service_s / 2);
        }
    }
}
