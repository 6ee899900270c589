//! Live events: one reader for each organisation in a process, which feeds all who listen there.

mod fan_out;
mod frame;
mod org_reader;
mod subscription;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use omoi_domain::id::OrgId;
use omoi_domain::live::event_filter::LiveFilter;
use omoi_runtime::bus::Bus;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_store::{StoreError, Tenant, events};

use self::fan_out::{FanOut, Receiver};
pub use self::frame::LiveFrame;
use self::org_reader::OrgReader;
pub use self::subscription::{LiveItem, LiveSubscription, ReaderAccess};

/// Where those who listen to events of this process subscribe. Cheap to clone.
#[derive(Clone)]
pub struct LiveEvents {
    bus: Arc<dyn Bus>,
    clock: Clocked,
    lifecycle: LifecycleHandle,
    readers: Arc<Mutex<BTreeMap<OrgId, Weak<FanOut>>>>,
}

impl LiveEvents {
    /// Nobody listens yet, and nothing is read.
    pub fn new(bus: Arc<dyn Bus>, clock: Clocked, lifecycle: LifecycleHandle) -> Self {
        Self {
            bus,
            clock,
            lifecycle,
            readers: Arc::default(),
        }
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
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let running = readers.get(&tenant.org()).and_then(Weak::upgrade);
        if let Some(running) = running.filter(|fan_out| fan_out.enter_fan_out()) {
            return Ok(running);
        }
        let fan_out = Arc::new(FanOut::new(tenant.org(), head));
        readers.insert(tenant.org(), Arc::downgrade(&fan_out));
        drop(readers);
        let reader = OrgReader {
            tenant: tenant.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            hints,
            fan_out: Arc::clone(&fan_out),
        };
        let run = reader.run();
        self.lifecycle
            .spawn("live event reader", SpawnKind::Work, run);
        Ok(fan_out)
    }
}
