//! One who listens to the events of an organisation.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::event::{EventKind, LoggedEvent};
use omoi_domain::id::{ProjectId, UserId};
use omoi_domain::live::event_filter::{EventFacts, LiveFilter};
use omoi_domain::live::frame_queue::{QueuedItem, SeqRange};
use omoi_domain::live::replay_rule::{KnownPosition, ReplayStart};
use omoi_runtime::clock::Clocked;
use omoi_store::{StoreError, Tenant, events};

use super::fan_out::{FanOut, ReceivedItem, Receiver};
use super::frame::LiveFrame;

/// What one who listens may read in an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderAccess {
    /// Its permissions there.
    pub permissions: PermissionSet,
    /// The projects it is kept to; none where it may see them all.
    pub projects: Option<BTreeSet<ProjectId>>,
    /// The person who listens; none where it is no person.
    pub user: Option<UserId>,
}

impl ReaderAccess {
    /// Everything of the organisation that is not told to one person alone.
    pub const FULL: Self = Self {
        permissions: PermissionSet::FULL,
        projects: None,
        user: None,
    };

    /// Whether it may read an event that these facts are of.
    pub fn may_read(&self, facts: &EventFacts) -> bool {
        let project = facts.project_id;
        let is_in_sight = match &self.projects {
            Some(projects) => project.is_some_and(|project| projects.contains(&project)),
            None => true,
        };
        let is_told = facts.recipient.is_none_or(|user| self.user == Some(user));
        is_in_sight && is_told && self.may_read_kind(facts.kind)
    }

    /// Whether it may read events of `kind` where it sees their project.
    pub fn may_read_kind(&self, kind: EventKind) -> bool {
        self.permissions.contains(kind.read_permission())
    }
}

/// What one who listens is told.
#[derive(Clone, Debug)]
pub enum LiveItem {
    /// An event, or several activities of one agent.
    Frame(Arc<LiveFrame>),
    /// It was too slow: these events were dropped, and it has to read what it shows anew.
    Gap(SeqRange),
    /// What it missed cannot be told: it has to read everything anew, and is told what happens after this event.
    Reset(i64),
    /// Nothing more will be told: the process stops, or what reads the log failed. Who comes back reads on.
    Over,
}

/// Where a subscription is.
enum SubscriptionStage {
    /// It is to be told that it has to begin anew after this event.
    Reset(i64),
    /// It reads the log after this event.
    Replay(i64),
    /// It is told what happens.
    Live,
}

/// Receives the events of one organisation. Dropping it ends it.
pub struct LiveSubscription {
    tenant: Tenant,
    clock: Clocked,
    fan_out: Arc<FanOut>,
    receiver: Arc<Receiver>,
    stage: SubscriptionStage,
    replayed: VecDeque<Arc<LiveFrame>>,
}

/// Changes what a subscription is told while somebody else waits for that. Cheap to clone.
#[derive(Clone)]
pub struct LiveControl {
    fan_out: Arc<FanOut>,
    receiver: Arc<Receiver>,
}

impl LiveControl {
    /// What it asks for from now on.
    pub fn change_filter(&self, filter: LiveFilter) {
        self.receiver.change_filter(filter);
    }

    /// What it may read from now on, also of what waits.
    pub fn change_access(&self, access: ReaderAccess) {
        self.receiver.change_access(access);
    }

    /// The last event that it was told of or did not ask for, with all before it; none while it has still to be told
    /// something.
    pub fn settled_seq(&self) -> Option<i64> {
        self.fan_out.settled_seq(&self.receiver)
    }
}

impl LiveSubscription {
    /// A subscription that `fan_out` counts already.
    pub(super) fn new(
        tenant: Tenant,
        clock: Clocked,
        fan_out: Arc<FanOut>,
        receiver: Receiver,
    ) -> Self {
        let stage = SubscriptionStage::Replay(fan_out.last_taken());
        Self {
            tenant,
            clock,
            fan_out,
            receiver: Arc::new(receiver),
            stage,
            replayed: VecDeque::new(),
        }
    }

    /// Has it begin after the event `known_seq`, where that can be.
    pub(super) async fn begin_after(&mut self, known_seq: i64) -> Result<(), StoreError> {
        let position = self.tenant.read(async |tx| {
            Ok::<_, StoreError>(KnownPosition {
                known_seq,
                head_seq: events::head(tx).await?,
                next_at: events::occurred_after(tx, known_seq).await?,
            })
        });
        let position = position.await?;
        self.stage = match position.replay_start(self.clock.now()) {
            ReplayStart::After(seq) => SubscriptionStage::Replay(seq),
            ReplayStart::Reset => SubscriptionStage::Reset(position.head_seq),
        };
        Ok(())
    }

    /// Waits for what comes next. May be dropped while waiting.
    ///
    /// # Errors
    /// When the log cannot be read; asked again, it goes on where it was.
    pub async fn next_item(&mut self) -> Result<LiveItem, StoreError> {
        loop {
            if let Some(frame) = self.next_replayed() {
                return Ok(LiveItem::Frame(frame));
            }
            match self.stage {
                SubscriptionStage::Reset(seq) => {
                    self.stage = SubscriptionStage::Replay(seq);
                    return Ok(LiveItem::Reset(seq));
                }
                SubscriptionStage::Replay(seq) => {
                    if self.fan_out.is_over() {
                        return Ok(LiveItem::Over);
                    }
                    let now = self.clock.now();
                    if self.fan_out.admit_receiver(&self.receiver, seq, now) {
                        self.stage = SubscriptionStage::Live;
                    } else {
                        self.replay_batch(seq).await?;
                    }
                }
                SubscriptionStage::Live => {
                    return Ok(match self.receiver.next_item().await {
                        ReceivedItem::Queued(QueuedItem::Frame(frame)) => {
                            LiveItem::Frame(frame.seen_by(self.receiver.cost_sight()))
                        }
                        ReceivedItem::Queued(QueuedItem::Gap(seqs)) => LiveItem::Gap(seqs),
                        ReceivedItem::Over => LiveItem::Over,
                    });
                }
            }
        }
    }

    /// What comes next of what it missed, without waiting; none once it was told all of it. A subscription that is
    /// told what happens misses nothing.
    ///
    /// # Errors
    /// As those of [`LiveSubscription::next_item`].
    pub async fn next_missed(&mut self) -> Result<Option<LiveItem>, StoreError> {
        loop {
            if let Some(frame) = self.next_replayed() {
                return Ok(Some(LiveItem::Frame(frame)));
            }
            match self.stage {
                SubscriptionStage::Reset(seq) => {
                    self.stage = SubscriptionStage::Replay(seq);
                    return Ok(Some(LiveItem::Reset(seq)));
                }
                SubscriptionStage::Replay(seq) => {
                    self.replay_batch(seq).await?;
                    if matches!(self.stage, SubscriptionStage::Replay(now) if now == seq) {
                        return Ok(None);
                    }
                }
                SubscriptionStage::Live => return Ok(None),
            }
        }
    }

    /// The last event that it was told of or did not ask for, with all before it; none while it has still to be told
    /// something.
    pub fn settled_seq(&self) -> Option<i64> {
        match self.stage {
            SubscriptionStage::Live => self.fan_out.settled_seq(&self.receiver),
            SubscriptionStage::Replay(seq) if self.replayed.is_empty() => Some(seq),
            SubscriptionStage::Replay(_) | SubscriptionStage::Reset(_) => None,
        }
    }

    /// The event after which it begins, or goes on reading the log.
    pub fn begin_seq(&self) -> i64 {
        match self.stage {
            SubscriptionStage::Reset(seq) | SubscriptionStage::Replay(seq) => seq,
            SubscriptionStage::Live => self.fan_out.last_taken(),
        }
    }

    /// What changes it while it is waited for.
    pub fn live_control(&self) -> LiveControl {
        LiveControl {
            fan_out: Arc::clone(&self.fan_out),
            receiver: Arc::clone(&self.receiver),
        }
    }

    /// The next frame that was read from the log, and is asked for and may be read by it now.
    fn next_replayed(&mut self) -> Option<Arc<LiveFrame>> {
        loop {
            let frame = self.replayed.pop_front()?;
            if self.receiver.wants_frame(&frame) {
                return Some(frame.seen_by(self.receiver.cost_sight()));
            }
        }
    }

    /// Reads the next events after `seq` from the log.
    async fn replay_batch(&mut self, seq: i64) -> Result<(), StoreError> {
        let read = self
            .tenant
            .read(async |tx| events::logged_after(tx, seq).await);
        let batch: Vec<LoggedEvent> = read.await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        self.stage = SubscriptionStage::Replay(last.stored.seq);
        for event in batch {
            let frame = LiveFrame::of_event(&event);
            self.replayed.extend(
                frame
                    .filter(|frame| self.receiver.wants_frame(frame))
                    .map(Arc::new),
            );
        }
        Ok(())
    }
}

impl Drop for LiveSubscription {
    fn drop(&mut self) {
        self.fan_out.leave_fan_out(&self.receiver);
    }
}
