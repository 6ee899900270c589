//! Live events: one reader for each organisation in a process, which feeds all who listen there.

mod fan_out;
mod frame;
mod listener_seats;
mod org_reader;
mod reader_book;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use omoi_domain::actor::Actor;
use omoi_domain::id::OrgId;
use omoi_domain::live::event_filter::LiveFilter;
use omoi_runtime::bus::{Bus, BusProbeError, probe_bus};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_store::{StoreError, Tenant, events};

use self::fan_out::{FanOut, Receiver};
pub use self::frame::LiveFrame;
use self::listener_seats::ListenerSeats;
pub use self::listener_seats::{
    LISTENERS_MAX, ListenerSeat, ListenersFull, ORGANISATION_LISTENERS_MAX,
};
use self::org_reader::OrgReader;
use self::reader_book::{EnteredFanOut, ReaderBook};
pub use self::subscription::{LiveControl, LiveItem, LiveSubscription, ReaderAccess};

/// Where those who listen to events of this process subscribe. Cheap to clone.
#[derive(Clone)]
pub struct LiveEvents {
    bus: Arc<dyn Bus>,
    clock: Clocked,
    lifecycle: LifecycleHandle,
    readers: ReaderBook,
    seats: ListenerSeats,
}

impl LiveEvents {
    /// Nobody listens yet, and nothing is read.
    pub fn new(bus: Arc<dyn Bus>, clock: Clocked, lifecycle: LifecycleHandle) -> Self {
        Self {
            bus,
            clock,
            lifecycle,
            readers: ReaderBook::default(),
            seats: ListenerSeats::default(),
        }
    }

    /// A place for one more connection of `actor`, which listens to `organisations`; free again when it is dropped.
    ///
    /// # Errors
    /// Where `actor` holds [`LISTENERS_MAX`] in this process, or one of `organisations` [`ORGANISATION_LISTENERS_MAX`].
    pub fn take_seat(
        &self,
        actor: Actor,
        organisations: &[OrgId],
    ) -> Result<ListenerSeat, ListenersFull> {
        self.seats.take_seat(actor, organisations)
    }

    /// How long a hint on `topic` takes through the bus and back.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn probe_bus(&self, topic: String) -> Result<Duration, BusProbeError> {
        probe_bus(self.bus.as_ref(), self.clock.as_ref(), topic).await
    }

    /// Listens to the organisation of `tenant`: to what happens after the event `known_seq`, or from now on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_subscription(
        &self,
        tenant: &Tenant,
        access: ReaderAccess,
        filter: LiveFilter,
        known_seq: Option<i64>,
    ) -> Result<LiveSubscription, StoreError> {
        let fan_out = self.fan_out_of(tenant).await?;
        let mut subscription = LiveSubscription::new(
            tenant.clone(),
            self.clock.clone(),
            fan_out,
            Receiver::new(access, filter),
        );
        if let Some(known_seq) = known_seq {
            subscription.begin_after(known_seq).await?;
        }
        Ok(subscription)
    }

    /// The reader of the organisation, which counts one subscription more; starts one where none is at work.
    async fn fan_out_of(&self, tenant: &Tenant) -> Result<Arc<FanOut>, StoreError> {
        // Hints from here on reach the reader, so that nothing falls between this and what it reads first.
        let hints = self.bus.subscribe_hints();
        let head = tenant.read(async |tx| events::head(tx).await).await?;
        let fan_out = match self.readers.enter_fan_out(tenant.org(), head) {
            EnteredFanOut::Running(running) => return Ok(running),
            EnteredFanOut::New(fan_out) => fan_out,
        };
        let reader = OrgReader {
            tenant: tenant.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            hints,
            fan_out: Arc::clone(&fan_out),
            readers: self.readers.clone(),
        };
        // It outlives the request of the first who listens, and reads for others.
        self.lifecycle
            .spawn_detached("live event reader", SpawnKind::Work, reader.run());
        Ok(fan_out)
    }
}
