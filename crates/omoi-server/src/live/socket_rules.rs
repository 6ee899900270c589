//! How much a receiver may send over a socket, and when it is taken for gone.

use std::collections::VecDeque;
use std::time::Duration;

use omoi_domain::time::Timestamp;

/// Bytes of one message at most.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// Messages in [`MESSAGES_SPAN`] at most.
const MESSAGES_MAX: usize = 20;
/// The time over which messages are counted.
const MESSAGES_SPAN: Duration = Duration::from_mins(1);
/// Time between two pings, and for the answer to one.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(20);

/// The messages of the last minute.
#[derive(Debug, Default)]
pub(super) struct MessageAllowance(VecDeque<Timestamp>);

impl MessageAllowance {
    /// Counts a message; false where it is one too many.
    pub(super) fn take_message(&mut self, now: Timestamp) -> bool {
        let is_counted = |at: &Timestamp| now.since(*at) < MESSAGES_SPAN;
        while self.0.front().is_some_and(|at| !is_counted(at)) {
            self.0.pop_front();
        }
        if self.0.len() >= MESSAGES_MAX {
            return false;
        }
        self.0.push_back(now);
        true
    }
}

/// What becomes of a receiver at the time of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatStep {
    /// It is asked whether it is there.
    Ping,
    /// It did not answer the last time.
    Silent,
}

/// When a receiver is asked whether it is there, and whether it answered.
#[derive(Debug)]
pub(super) struct Heartbeat {
    next_at: Timestamp,
    is_asked: bool,
}

impl Heartbeat {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            next_at: now + HEARTBEAT,
            is_asked: false,
        }
    }

    /// When [`Heartbeat::next_step`] is due.
    pub(super) const fn due_at(&self) -> Timestamp {
        self.next_at
    }

    /// What is to be done now that it is due.
    pub(super) fn next_step(&mut self, now: Timestamp) -> HeartbeatStep {
        if self.is_asked {
            return HeartbeatStep::Silent;
        }
        self.is_asked = true;
        self.next_at = now + HEARTBEAT;
        HeartbeatStep::Ping
    }

    /// Takes in an answer; false where nothing was asked, so that it is a message like others.
    pub(super) const fn take_pong(&mut self) -> bool {
        std::mem::replace(&mut self.is_asked, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }

    #[test]
    fn twenty_messages_a_minute_are_taken() {
        let mut allowance = MessageAllowance::default();
        for n in 0..20 {
            assert!(allowance.take_message(at(n)), "{n}");
        }
        assert!(!allowance.take_message(at(20)) && !allowance.take_message(at(59)));
        assert!(allowance.take_message(at(60)) && !allowance.take_message(at(60)));
        assert!(allowance.take_message(at(61)));
    }

    #[test]
    fn who_does_not_answer_one_ping_until_the_next_is_gone() {
        let mut heartbeat = Heartbeat::new(at(0));
        assert!(!heartbeat.take_pong(), "nothing was asked");
        for n in 1..4 {
            assert_eq!(heartbeat.due_at(), at(20 * n));
            assert_eq!(heartbeat.next_step(at(20 * n)), HeartbeatStep::Ping);
            assert!(heartbeat.take_pong() && !heartbeat.take_pong());
        }
        assert_eq!(heartbeat.next_step(at(80)), HeartbeatStep::Ping);
        assert_eq!(heartbeat.next_step(at(100)), HeartbeatStep::Silent);
    }
}
