//! The order in which calls of our tools run. Codex runs the calls of an answer side by side and in any
//! order; here each waits until those before it in the answer have ended, as calls of the native loop do.

use std::collections::BTreeSet;

/// Calls that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct CallOrder {
    waiting: Vec<String>,
    ended: BTreeSet<String>,
    is_round_open: bool,
}

impl CallOrder {
    /// A call of a round begins.
    pub(super) fn open_round(&mut self) {
        self.is_round_open = true;
    }

    /// Whether calls have begun whose round has not ended.
    pub(super) fn is_round_open(&self) -> bool {
        self.is_round_open
    }

    /// The call `id` waits.
    pub(super) fn add_waiting(&mut self, id: String) {
        self.open_round();
        self.waiting.push(id);
    }

    /// The call `id` has ended.
    pub(super) fn end_call(&mut self, id: &str) {
        self.open_round();
        self.ended.insert(id.to_owned());
    }

    /// Whether calls wait.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Ids of the calls that wait.
    pub(super) fn waiting_ids(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(String::as_str)
    }

    /// Takes the next call that may run: every call before it in `answer` has ended. A call that is not
    /// in the answer does not wait.
    pub(super) fn take_ready(&mut self, answer: &[String]) -> Option<String> {
        let is_ready = |id: &String| {
            let mut before = answer.iter().take_while(|call| *call != id);
            !answer.contains(id) || before.all(|call| self.ended.contains(call))
        };
        let at = self.waiting.iter().position(is_ready)?;
        Some(self.waiting.remove(at))
    }

    /// Takes the first call that waits, whatever has not ended: some call of the answer never does.
    pub(super) fn take_first(&mut self, answer: &[String]) -> Option<String> {
        let place = |id: &String| answer.iter().position(|call| call == id);
        let waiting = self.waiting.iter().enumerate();
        let (at, _) = waiting.min_by_key(|(_, id)| place(id))?;
        Some(self.waiting.remove(at))
    }

    /// Forgets the calls of the round that ended.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_run_in_the_order_of_the_answer_however_they_come() {
        let answer = ["a", "b", "c"].map(str::to_owned);
        let mut order = CallOrder::default();
        let ready = |order: &mut CallOrder| order.take_ready(&answer);
        order.add_waiting("c".to_owned());
        order.add_waiting("a".to_owned());
        assert_eq!(ready(&mut order).as_deref(), Some("a"));
        order.add_waiting("b".to_owned());
        assert_eq!(ready(&mut order), None);
        order.end_call("a");
        assert_eq!(ready(&mut order).as_deref(), Some("b"));
        assert_eq!(ready(&mut order), None);
        order.end_call("b");
        assert_eq!(ready(&mut order).as_deref(), Some("c"));
        assert!(!order.has_waiting());
    }

    #[test]
    fn a_call_that_never_ends_does_not_hold_the_others_for_ever() {
        let answer = ["lost", "b", "c"].map(str::to_owned);
        let mut order = CallOrder::default();
        order.add_waiting("c".to_owned());
        order.add_waiting("b".to_owned());
        assert_eq!(order.take_ready(&answer), None);
        assert_eq!(order.take_first(&answer).as_deref(), Some("b"));
        // One that no answer names is nobody's turn.
        order.add_waiting("x".to_owned());
        assert_eq!(order.take_ready(&answer).as_deref(), Some("x"));
        order.clear();
        assert!(!order.has_waiting());
    }
}
