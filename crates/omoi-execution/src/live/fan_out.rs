//! The frames of an organisation, and those who receive them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::event::{Event, LoggedEvent};
use omoi_domain::id::OrgId;
use omoi_domain::live::activity_merge::ActivityMerge;
use omoi_domain::live::event_filter::LiveFilter;
use omoi_domain::live::frame_queue::{FrameQueue, QueuedItem};
use omoi_domain::time::Timestamp;
use tokio::sync::Notify;

use super::frame::{LiveFrame, split_activity};
use super::subscription::ReaderAccess;

/// Most frames that are kept for those who come back.
const RING_FRAMES_MAX: usize = 1_000;
/// Most bytes of them.
const RING_BYTES_MAX: usize = 4 << 20;

/// What one receiver has not taken yet.
pub(super) struct Receiver {
    state: Mutex<ReceiverState>,
    news: Notify,
}

struct ReceiverState {
    queue: FrameQueue<Arc<LiveFrame>>,
    access: ReaderAccess,
    filter: LiveFilter,
    /// The last event that it read from the log itself; none while it reads on.
    known_seq: Option<i64>,
    is_over: bool,
}

/// What a receiver is told next.
pub(super) enum ReceivedItem {
    /// A frame, or a gap in its place.
    Queued(QueuedItem<Arc<LiveFrame>>),
    /// The reader has ended.
    Over,
}

impl Receiver {
    pub(super) fn new(access: ReaderAccess, filter: LiveFilter) -> Self {
        Self {
            state: Mutex::new(ReceiverState {
                queue: FrameQueue::new(),
                access,
                filter,
                known_seq: None,
                is_over: false,
            }),
            news: Notify::new(),
        }
    }

    pub(super) fn change_filter(&self, filter: LiveFilter) {
        self.lock().filter = filter;
    }

    pub(super) fn change_access(&self, access: ReaderAccess) {
        self.lock().access = access;
    }

    /// Whether it asked for the frame and may read it.
    pub(super) fn wants_frame(&self, frame: &LiveFrame) -> bool {
        self.lock().wants_frame(frame)
    }

    /// What it is told of costs now.
    pub(super) fn cost_sight(&self) -> CostSight {
        CostSight::of_permissions(self.lock().access.permissions)
    }

    /// Waits for what comes next. May be dropped while waiting.
    pub(super) async fn next_item(&self) -> ReceivedItem {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.lock();
                while let Some(item) = state.queue.take_next() {
                    // What it may not read any more, or does not ask for, is not told, though it waited.
                    if !matches!(&item, QueuedItem::Frame(frame) if !state.wants_frame(frame)) {
                        return ReceivedItem::Queued(item);
                    }
                }
                if state.is_over {
                    return ReceivedItem::Over;
                }
            }
            news.await;
        }
    }

    fn push_frame(&self, frame: &Arc<LiveFrame>) {
        let mut state = self.lock();
        if state.wants_frame(frame) {
            let n_bytes = frame.text.len();
            state
                .queue
                .push_frame(frame.seqs, n_bytes, Arc::clone(frame));
            self.news.notify_one();
        }
    }

    /// Queues what it does not know of `events`, of which `frame` was made.
    fn push_unknown(&self, frame: &Arc<LiveFrame>, events: &[LoggedEvent]) {
        let known_seq = self.lock().known_seq.unwrap_or_default();
        if frame.seqs.first > known_seq {
            self.push_frame(frame);
            return;
        }
        let n_known = events.partition_point(|event| event.stored.seq <= known_seq);
        let unknown = events.get(n_known..).unwrap_or_default();
        if let Some(rest) = LiveFrame::of_events(unknown, frame.known_seq.max(known_seq)) {
            self.push_frame(&Arc::new(rest));
        }
    }

    /// The last event that it knows once all up to `at` was handed out; none while something waits for it.
    fn settled_seq(&self, at: i64) -> Option<i64> {
        let state = self.lock();
        let known_seq = state.known_seq.filter(|_| state.queue.is_empty());
        known_seq.map(|known_seq| known_seq.max(at))
    }

    fn set_known(&self, seq: i64) {
        self.lock().known_seq = Some(seq);
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, ReceiverState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReceiverState {
    fn may_read(&self, frame: &LiveFrame) -> bool {
        self.access.may_read(&frame.facts)
    }

    fn wants_frame(&self, frame: &LiveFrame) -> bool {
        self.may_read(frame) && self.filter.is_asked(&frame.facts)
    }
}

/// Hands the frames of one organisation to its receivers.
pub(super) struct FanOut {
    org: OrgId,
    state: Mutex<FanOutState>,
    /// Told when a subscription ends.
    pub(super) subscriptions_changed: Notify,
}

struct FanOutState {
    /// Those who listen, also while they still read the log.
    n_subscriptions: usize,
    receivers: Vec<Arc<Receiver>>,
    ring: VecDeque<Arc<LiveFrame>>,
    ring_bytes: usize,
    /// The event before the first of the ring.
    ring_after: i64,
    /// The last event that was taken in.
    at: i64,
    merge: ActivityMerge<LoggedEvent>,
    is_over: bool,
}

impl FanOut {
    /// One with one subscription.
    pub(super) fn new(org: OrgId, head: i64) -> Self {
        Self {
            org,
            state: Mutex::new(FanOutState {
                n_subscriptions: 1,
                receivers: Vec::new(),
                ring: VecDeque::new(),
                ring_bytes: 0,
                ring_after: head,
                at: head,
                merge: ActivityMerge::new(),
                is_over: false,
            }),
            subscriptions_changed: Notify::new(),
        }
    }

    pub(super) const fn org_id(&self) -> OrgId {
        self.org
    }

    /// The last event that was taken in.
    pub(super) fn last_taken(&self) -> i64 {
        self.lock().at
    }

    /// Counts one more subscription; false when it takes none any more.
    pub(super) fn enter_fan_out(&self) -> bool {
        let mut state = self.lock();
        if !state.is_over {
            state.n_subscriptions += 1;
        }
        !state.is_over
    }

    /// Ends a subscription.
    pub(super) fn leave_fan_out(&self, receiver: &Arc<Receiver>) {
        let mut state = self.lock();
        state.n_subscriptions = state.n_subscriptions.saturating_sub(1);
        state
            .receivers
            .retain(|other| !Arc::ptr_eq(other, receiver));
        drop(state);
        self.subscriptions_changed.notify_one();
    }

    /// Whether somebody listens.
    pub(super) fn is_used(&self) -> bool {
        self.lock().n_subscriptions > 0
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// When held activity has to go.
    pub(super) fn next_release(&self) -> Option<Timestamp> {
        self.lock().merge.next_release()
    }

    /// Takes in the next events of the log.
    pub(super) fn take_in(&self, events: Vec<LoggedEvent>, now: Timestamp) {
        let mut state = self.lock();
        for event in events {
            state.at = event.stored.seq;
            state.take_event(event, now);
            state.release_due(now);
        }
    }

    /// Lets held activity go that has to.
    pub(super) fn release_due(&self, now: Timestamp) {
        self.lock().release_due(now);
    }

    /// The last event that `receiver` knows of or did not ask for, with all before it; none while something is on
    /// its way to it, or it still reads the log.
    pub(super) fn settled_seq(&self, receiver: &Receiver) -> Option<i64> {
        let state = self.lock();
        match state.merge.next_release() {
            Some(_) => None,
            None => receiver.settled_seq(state.at),
        }
    }

    /// Has `receiver` get what follows the event `known_seq`, which it knows; false where that has to be read from
    /// the log first.
    pub(super) fn admit_receiver(
        &self,
        receiver: &Arc<Receiver>,
        known_seq: i64,
        now: Timestamp,
    ) -> bool {
        let mut state = self.lock();
        if state.is_over {
            return false;
        }
        // What is held now has not been told: those who know it would be told again.
        state.release_held(now);
        let is_covered = known_seq >= state.ring_after
            && !state
                .ring
                .iter()
                .any(|f| f.seqs.first <= known_seq && known_seq < f.seqs.last);
        if !is_covered {
            return false;
        }
        for frame in state
            .ring
            .iter()
            .filter(|frame| frame.seqs.first > known_seq)
        {
            receiver.push_frame(frame);
        }
        receiver.set_known(known_seq);
        state.receivers.push(Arc::clone(receiver));
        true
    }

    /// Ends it, where nobody listens; tells whether it did.
    pub(super) fn end_unused(&self) -> bool {
        let mut state = self.lock();
        state.is_over |= state.n_subscriptions == 0;
        state.is_over
    }

    /// Ends it for all who listen.
    pub(super) fn end_all(&self) {
        let mut state = self.lock();
        state.is_over = true;
        for receiver in &state.receivers {
            receiver.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, FanOutState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FanOutState {
    fn take_event(&mut self, event: LoggedEvent, now: Timestamp) {
        if !event.stored.event.kind().is_told() {
            return;
        }
        let told = match &event.stored.event {
            Event::AgentActivity(activity) => {
                let agent = activity.attempt_id;
                self.merge.offer_activity(agent, event, now)
            }
            _ => {
                self.release_held(now);
                Some(event)
            }
        };
        if let Some(event) = told {
            self.send_frame(std::slice::from_ref(&event), event.stored.seq);
        }
    }

    fn release_due(&mut self, now: Timestamp) {
        if self.merge.is_due(now) {
            self.release_held(now);
        }
    }

    /// Sends all that is held, in the order of what is told first.
    fn release_held(&mut self, now: Timestamp) {
        let held = self.merge.release_held(now);
        let last_seqs = held.iter().filter_map(|events| events.last());
        let Some(last) = last_seqs.map(|event| event.stored.seq).max() else {
            return;
        };
        let mut parts: Vec<_> = held.into_iter().flat_map(split_activity).collect();
        let first_seq = |events: &Vec<LoggedEvent>| events.first().map(|event| event.stored.seq);
        parts.sort_by_key(first_seq);
        // Once a part is sent, what comes before the first of the next has been told.
        let next_firsts = parts.iter().skip(1).filter_map(first_seq);
        let known_seqs: Vec<i64> = next_firsts.map(|next| next - 1).chain([last]).collect();
        for (events, known_seq) in parts.iter().zip(known_seqs) {
            self.send_frame(events, known_seq);
        }
    }

    fn send_frame(&mut self, events: &[LoggedEvent], known_seq: i64) {
        let Some(frame) = LiveFrame::of_events(events, known_seq).map(Arc::new) else {
            return;
        };
        for receiver in &self.receivers {
            receiver.push_unknown(&frame, events);
        }
        self.ring_bytes += frame.text.len();
        self.ring.push_back(frame);
        while self.ring.len() > RING_FRAMES_MAX || self.ring_bytes > RING_BYTES_MAX {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= oldest.text.len();
            self.ring_after = self.ring_after.max(oldest.seqs.last);
        }
    }
}

#[cfg(test)]
mod tests;
