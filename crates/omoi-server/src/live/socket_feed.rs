//! The events of every organisation that a receiver belongs to, one after another.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, AbortHandle, BoxStream, SelectAll, StreamExt as _};

use omoi_domain::id::OrgId;
use omoi_domain::live::event_filter::LiveFilter;
use omoi_domain::live::live_cursor::LiveCursor;
use omoi_execution::live::{LiveControl, LiveItem, LiveSubscription};
use omoi_store::StoreError;

use super::access_watch::AccessWatch;
use crate::api::ApiSurface;

/// What comes next, and in which organisation.
pub(super) struct FeedItem {
    pub(super) org: OrgId,
    pub(super) item: Result<LiveItem, StoreError>,
}

/// What a receiver is told.
pub(super) struct SocketFeed {
    surface: ApiSurface,
    filter: LiveFilter,
    organisations: BTreeMap<OrgId, FeedLine>,
    items: SelectAll<BoxStream<'static, FeedItem>>,
}

/// The events of one organisation.
struct FeedLine {
    control: LiveControl,
    /// The event after which it began.
    begin_seq: i64,
    end: AbortHandle,
}

impl Drop for FeedLine {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl SocketFeed {
    /// What the holder of `watch` may read of what `filter` asks for, after `positions` or from now on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn open(
        surface: ApiSurface,
        watch: &AccessWatch,
        filter: LiveFilter,
        positions: &BTreeMap<OrgId, i64>,
    ) -> Result<Self, StoreError> {
        let mut feed = Self {
            surface,
            filter,
            organisations: BTreeMap::new(),
            items: SelectAll::new(),
        };
        feed.begin_after(watch, positions).await?;
        Ok(feed)
    }

    /// What is asked for.
    pub(super) const fn asked_filter(&self) -> &LiveFilter {
        &self.filter
    }

    /// The event after which each organisation began.
    pub(super) fn begin_seqs(&self) -> BTreeMap<OrgId, i64> {
        let lines = self.organisations.iter();
        lines.map(|(org, line)| (*org, line.begin_seq)).collect()
    }

    /// Waits for what comes next. May be dropped while waiting.
    pub(super) async fn next_item(&mut self) -> FeedItem {
        match self.items.next().await {
            Some(item) => item,
            // Each line says that it ends before it does.
            None => std::future::pending().await,
        }
    }

    /// What comes next, where that is there.
    pub(super) fn take_ready(&mut self) -> Option<FeedItem> {
        use futures::FutureExt as _;
        self.items.next().now_or_never().flatten()
    }

    /// What is asked for from now on.
    pub(super) fn change_filter(&mut self, filter: LiveFilter) {
        for line in self.organisations.values() {
            line.control.change_filter(filter.clone());
        }
        self.filter = filter;
    }

    /// Begins anew: after `positions`, in the organisations that they leave out from now on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn begin_after(
        &mut self,
        watch: &AccessWatch,
        positions: &BTreeMap<OrgId, i64>,
    ) -> Result<(), StoreError> {
        self.organisations.clear();
        self.items.clear();
        for org in organisations_of(watch) {
            self.join(watch, org, positions.get(&org).copied()).await?;
        }
        Ok(())
    }

    /// Follows what the holder of `watch` may do now: leaves organisations that they left, and joins others from now
    /// on. False where none is left.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn change_access(&mut self, watch: &AccessWatch) -> Result<bool, StoreError> {
        let now_in = organisations_of(watch);
        self.organisations.retain(|org, _| now_in.contains(org));
        for org in &now_in {
            match (self.organisations.get(org), watch.access_in(*org)) {
                (Some(line), Some(access)) => line.control.change_access(access),
                _ => self.join(watch, *org, None).await?,
            }
        }
        Ok(!self.organisations.is_empty())
    }

    /// How far the receiver is, while nothing is on its way to it.
    pub(super) fn settled_cursor(&self) -> Option<LiveCursor> {
        let lines = self.organisations.iter();
        let positions: Option<BTreeMap<OrgId, i64>> = lines
            .map(|(org, line)| Some((*org, line.control.settled_seq()?)))
            .collect();
        let positions = positions?;
        match (positions.len(), positions.values().next()) {
            (1, Some(seq)) => Some(LiveCursor::Single(*seq)),
            _ => Some(LiveCursor::ByOrganisation(positions)),
        }
    }

    async fn join(
        &mut self,
        watch: &AccessWatch,
        org: OrgId,
        known_seq: Option<i64>,
    ) -> Result<(), StoreError> {
        let Some(access) = watch.access_in(org) else {
            return Ok(());
        };
        let tenant = self.surface.rows_of(org, watch.current_holder().actor);
        let filter = self.filter.clone();
        let live = &self.surface.parts.live;
        let opened = live.open_subscription(&tenant, access, filter, known_seq);
        let subscription = opened.await?;
        let (control, begin_seq) = (subscription.live_control(), subscription.begin_seq());
        let (items, end) = stream::abortable(items_of(subscription, org));
        self.items.push(items.boxed());
        let line = FeedLine {
            control,
            begin_seq,
            end,
        };
        self.organisations.insert(org, line);
        Ok(())
    }
}

/// The organisations that the holder of `watch` belongs to.
pub(super) fn organisations_of(watch: &AccessWatch) -> BTreeSet<OrgId> {
    watch
        .current_holder()
        .reaches
        .iter()
        .map(|reach| reach.org)
        .collect()
}

fn items_of(
    subscription: LiveSubscription,
    org: OrgId,
) -> impl futures::Stream<Item = FeedItem> + Send + 'static {
    stream::unfold(subscription, move |mut subscription| async move {
        let item = subscription.next_item().await;
        Some((FeedItem { org, item }, subscription))
    })
}
