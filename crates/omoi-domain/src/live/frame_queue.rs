//! The frames that wait for one receiver: bounded, and what did not fit is named.

use std::collections::VecDeque;

use crate::id::OrgId;

/// Most frames that wait.
pub const QUEUED_FRAMES_MAX: usize = 1_000;
/// Most bytes of them.
pub const QUEUED_BYTES_MAX: usize = 4 << 20;

/// A run of events of one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The organisation.
    pub org: OrgId,
    /// The first event.
    pub first: i64,
    /// The last one; the same where it is one.
    pub last: i64,
}

/// What the receiver is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuedItem<F> {
    /// The events of this range were dropped; it has to read what it shows anew.
    Gap(SeqRange),
    /// A frame.
    Frame(F),
}

struct QueuedFrame<F> {
    seqs: SeqRange,
    n_bytes: usize,
    frame: F,
}

/// Frames of a receiver that it has not taken yet.
///
/// A receiver that is too slow costs a bounded room: when the bounds are passed all that waits is dropped, and
/// one gap for each organisation says so before the frames that follow.
pub struct FrameQueue<F> {
    gaps: Vec<SeqRange>,
    frames: VecDeque<QueuedFrame<F>>,
    n_bytes: usize,
    n_bytes_max: usize,
}

impl<F> FrameQueue<F> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self::bounded(QUEUED_BYTES_MAX)
    }

    const fn bounded(n_bytes_max: usize) -> Self {
        Self {
            gaps: Vec::new(),
            frames: VecDeque::new(),
            n_bytes: 0,
            n_bytes_max,
        }
    }

    /// Adds the frame of `seqs`, which has `n_bytes`; drops what waits where that is too much.
    pub fn push_frame(&mut self, seqs: SeqRange, n_bytes: usize, frame: F) {
        let is_full = self.frames.len() >= QUEUED_FRAMES_MAX
            || self.n_bytes.saturating_add(n_bytes) > self.n_bytes_max;
        if is_full && !self.frames.is_empty() {
            self.drop_frames();
        }
        self.n_bytes = self.n_bytes.saturating_add(n_bytes);
        self.frames.push_back(QueuedFrame {
            seqs,
            n_bytes,
            frame,
        });
    }

    /// Tells of events that could not be had, as if they had been dropped here.
    pub fn push_gap(&mut self, seqs: SeqRange) {
        self.drop_frames();
        self.widen_gap(seqs);
    }

    /// Takes what comes next.
    pub fn take_next(&mut self) -> Option<QueuedItem<F>> {
        if !self.gaps.is_empty() {
            return Some(QueuedItem::Gap(self.gaps.remove(0)));
        }
        let next = self.frames.pop_front()?;
        self.n_bytes = self.n_bytes.saturating_sub(next.n_bytes);
        Some(QueuedItem::Frame(next.frame))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.frames.is_empty()
    }

    fn drop_frames(&mut self) {
        for dropped in std::mem::take(&mut self.frames) {
            self.widen_gap(dropped.seqs);
        }
        self.n_bytes = 0;
    }

    fn widen_gap(&mut self, seqs: SeqRange) {
        match self.gaps.iter_mut().find(|gap| gap.org == seqs.org) {
            Some(gap) => {
                gap.first = gap.first.min(seqs.first);
                gap.last = gap.last.max(seqs.last);
            }
            None => self.gaps.push(seqs),
        }
    }
}

impl<F> Default for FrameQueue<F> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const SMALL: usize = 64;

    fn range(org: u128, first: i64, last: i64) -> SeqRange {
        let org = OrgId::from_uuid(Uuid::from_u128(org));
        SeqRange { org, first, last }
    }

    fn taken(queue: &mut FrameQueue<i64>) -> Vec<QueuedItem<i64>> {
        std::iter::from_fn(|| queue.take_next()).collect()
    }

    #[test]
    fn a_full_queue_becomes_one_gap_before_what_follows() {
        let mut queue = FrameQueue::new();
        let n_frames = i64::try_from(QUEUED_FRAMES_MAX).unwrap();
        for seq in 1..=n_frames {
            queue.push_frame(range(1, seq, seq), 10, seq);
        }
        assert_eq!(queue.gaps, []);
        queue.push_frame(range(1, n_frames + 1, n_frames + 1), 10, n_frames + 1);
        let gap = QueuedItem::Gap(range(1, 1, n_frames));
        assert_eq!(taken(&mut queue), [gap, QueuedItem::Frame(n_frames + 1)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn bytes_count_as_frames_do_and_one_large_frame_passes() {
        let mut queue = FrameQueue::bounded(SMALL);
        queue.push_frame(range(1, 1, 1), SMALL * 2, 1);
        queue.push_frame(range(2, 5, 6), SMALL, 2);
        queue.push_frame(range(1, 2, 2), 1, 3);
        let gaps = [range(1, 1, 1), range(2, 5, 6)].map(QueuedItem::Gap);
        let [first, second] = gaps;
        assert_eq!(taken(&mut queue), [first, second, QueuedItem::Frame(3)]);
        assert_eq!(queue.n_bytes, 0);
    }

    #[test]
    fn a_gap_from_outside_takes_what_waits_with_it() {
        let mut queue = FrameQueue::new();
        queue.push_frame(range(1, 4, 4), 1, 4);
        queue.push_gap(range(1, 5, 90));
        queue.push_frame(range(1, 91, 91), 1, 91);
        let gap = QueuedItem::Gap(range(1, 4, 90));
        assert_eq!(taken(&mut queue), [gap, QueuedItem::Frame(91)]);
    }

    proptest! {
        /// Whatever the receiver's pace: in each organisation every event is told or lies in a gap, in its order.
        #[test]
        fn every_event_is_told_or_named(steps in prop::collection::vec((0..3_u8, 1..3_u128, 0..40_usize), 1..300)) {
            let mut queue = FrameQueue::bounded(SMALL);
            let mut heads = [0_i64; 3];
            let mut told = [0_i64; 3];
            let mut items = Vec::new();
            for (step, org, n_bytes) in steps {
                if step == 0 {
                    items.extend(queue.take_next());
                } else {
                    let at = usize::try_from(org).unwrap();
                    heads[at] += 1;
                    let seqs = range(org, heads[at], heads[at]);
                    queue.push_frame(seqs, n_bytes, seqs);
                }
                prop_assert!(queue.n_bytes <= SMALL);
            }
            items.extend(std::iter::from_fn(|| queue.take_next()));
            for item in items {
                let (QueuedItem::Gap(seqs) | QueuedItem::Frame(seqs)) = item;
                let at = usize::try_from(seqs.org.as_uuid().as_u128()).unwrap();
                prop_assert_eq!(seqs.first, told[at] + 1);
                told[at] = seqs.last;
            }
            prop_assert_eq!(told, heads);
        }
    }
}
