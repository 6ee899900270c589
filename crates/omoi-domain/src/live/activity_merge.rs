//! Keeps what agents at work say from flooding those who watch: of one agent at most ten frames a second.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::AttemptId;
use crate::time::Timestamp;

/// Least time between two frames of one agent's activity.
pub const ACTIVITY_PAUSE: Duration = Duration::from_millis(100);
/// Items of one agent that are held at most: then all go, also before their time.
pub const HELD_ITEMS_MAX: usize = 64;

/// Activity of agents on its way to frames.
///
/// The first of an agent goes at once, what follows within [`ACTIVITY_PAUSE`] is held and goes together. While
/// anything is held, so is the activity of every agent, and other events push all of it out before them: what a
/// receiver is told stays in the order of the log, so that the number of the frame it was told last says what it
/// has. Other events may therefore make more than ten frames, and so may an agent that says more than
/// [`HELD_ITEMS_MAX`] things in between.
#[derive(Debug)]
pub struct ActivityMerge<T> {
    held: Vec<(AttemptId, Vec<T>)>,
    /// When each agent that was heard lately may have its next frame.
    free_at: BTreeMap<AttemptId, Timestamp>,
}

impl<T> ActivityMerge<T> {
    /// Nothing held.
    pub const fn new() -> Self {
        Self {
            held: Vec::new(),
            free_at: BTreeMap::new(),
        }
    }

    /// Takes in the activity `item` of `agent`; gives it back where it may go at once.
    pub fn offer_activity(&mut self, agent: AttemptId, item: T, now: Timestamp) -> Option<T> {
        self.free_at.retain(|_, at| *at > now);
        if self.held.is_empty() && !self.free_at.contains_key(&agent) {
            self.free_at.insert(agent, now + ACTIVITY_PAUSE);
            return Some(item);
        }
        match self.held.iter_mut().find(|(holder, _)| *holder == agent) {
            Some((_, items)) => items.push(item),
            None => self.held.push((agent, vec![item])),
        }
        None
    }

    /// When what is held has to go; none when nothing is.
    pub fn next_release(&self) -> Option<Timestamp> {
        let times = self.held.iter().map(|(agent, _)| self.free_at.get(agent));
        // One that waits for others alone may go with them.
        let latest = times.flatten().max().copied();
        match self.held.is_empty() {
            true => None,
            false => Some(latest.unwrap_or(Timestamp::from_micros(0))),
        }
    }

    /// Whether what is held has to go at `now`: its time has come, an agent holds [`HELD_ITEMS_MAX`] items, or its
    /// time lies further ahead than it ever can, as the clock was set back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let is_full = |(_, items): &(AttemptId, Vec<T>)| items.len() >= HELD_ITEMS_MAX;
        self.held.iter().any(is_full)
            || self
                .next_release()
                .is_some_and(|due| due <= now || due.since(now) > ACTIVITY_PAUSE)
    }

    /// Lets all go that is held, the items of each agent together, agents in the order of their first.
    pub fn release_held(&mut self, now: Timestamp) -> Vec<Vec<T>> {
        let held = std::mem::take(&mut self.held);
        let groups = held.into_iter().map(|(agent, items)| {
            self.free_at.insert(agent, now + ACTIVITY_PAUSE);
            items
        });
        groups.collect()
    }
}

impl<T> Default for ActivityMerge<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn agent(n: u128) -> AttemptId {
        AttemptId::from_uuid(Uuid::from_u128(n))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn what_follows_at_once_goes_together() {
        let mut merge = ActivityMerge::new();
        assert_eq!(merge.offer_activity(agent(1), 1, at(0)), Some(1));
        assert_eq!(merge.offer_activity(agent(2), 2, at(10)), Some(2));
        assert_eq!(merge.next_release(), None);
        assert_eq!(merge.offer_activity(agent(1), 3, at(20)), None);
        assert_eq!(merge.offer_activity(agent(2), 4, at(30)), None);
        // Held because another is: it comes later in the log.
        assert_eq!(merge.offer_activity(agent(3), 5, at(40)), None);
        assert_eq!(merge.offer_activity(agent(1), 6, at(50)), None);
        assert_eq!(merge.next_release(), Some(at(110)));
        assert_eq!(merge.release_held(at(110)), [vec![3, 6], vec![4], vec![5]]);
        assert_eq!(merge.next_release(), None);
        assert_eq!(merge.offer_activity(agent(1), 7, at(209)), None);
        assert_eq!(merge.release_held(at(210)), [[7]]);
        assert_eq!(merge.offer_activity(agent(1), 8, at(310)), Some(8));
    }

    #[test]
    fn what_is_held_goes_at_its_time_when_it_is_much_or_when_the_clock_is_set_back() {
        let mut merge = ActivityMerge::new();
        assert!(!merge.is_due(at(0)));
        merge.offer_activity(agent(1), 0, at(1_000));
        assert!(!merge.is_due(at(5_000)), "nothing is held");
        merge.offer_activity(agent(1), 1, at(1_010));
        assert!(!merge.is_due(at(1_099)) && merge.is_due(at(1_100)));
        assert!(!merge.is_due(at(1_000)), "as far ahead as can be");
        assert!(merge.is_due(at(999)), "the clock was set back");
        let n_max = i32::try_from(HELD_ITEMS_MAX).unwrap();
        for n in 2..n_max {
            assert_eq!(merge.offer_activity(agent(1), n, at(1_010)), None);
            assert!(!merge.is_due(at(1_010)), "{n} are held");
        }
        merge.offer_activity(agent(2), 0, at(1_010));
        assert!(!merge.is_due(at(1_010)), "as many, of two agents");
        merge.offer_activity(agent(1), n_max, at(1_010));
        assert!(merge.is_due(at(1_010)));
        merge.release_held(at(1_010));
        assert!(!merge.is_due(at(1_200)));
    }

    proptest! {
        /// Frames are numbered by their first event: all before that number has been told by then, nothing is
        /// lost or told twice, nothing waits longer than the pause, and no agent has frames closer together.
        #[test]
        fn the_number_of_a_frame_says_what_was_told(steps in prop::collection::vec((1..4_u128, 0..60_i64), 1..200)) {
            let mut merge = ActivityMerge::<(i64, i64, u128)>::new();
            let mut frames = Vec::new();
            let mut now = 0;
            for (seq, (n, pause_ms)) in (1..).zip(steps) {
                now += pause_ms;
                if let Some(due) = merge.next_release().filter(|due| *due <= at(now)) {
                    let due_ms = due.as_micros() / 1_000;
                    let groups = merge.release_held(due);
                    frames.extend(groups.into_iter().map(|items| (due_ms, items[0].2, items)));
                }
                if let Some(item) = merge.offer_activity(agent(n), (seq, now, n), at(now)) {
                    frames.push((now, n, vec![item]));
                }
            }
            if let Some(due) = merge.next_release() {
                let due_ms = due.as_micros() / 1_000;
                let rest = merge.release_held(due).into_iter();
                frames.extend(rest.map(|items| (due_ms, items[0].2, items)));
            }
            let mut told: Vec<i64> = Vec::new();
            let mut last_at = BTreeMap::new();
            for (sent_ms, n, items) in &frames {
                for (seq, taken_ms, from) in items {
                    prop_assert!(from == n && sent_ms - taken_ms <= 100);
                    told.push(*seq);
                }
                let first = items[0].0;
                let n_before = told.iter().filter(|seq| **seq <= first).count();
                prop_assert_eq!(i64::try_from(n_before).unwrap(), first);
                if let Some(before) = last_at.insert(*n, *sent_ms) {
                    prop_assert!(sent_ms - before >= 100);
                }
            }
            told.sort_unstable();
            let n_told = i64::try_from(told.len()).unwrap();
            prop_assert_eq!(told, (1..=n_told).collect::<Vec<_>>());
        }
    }
}
