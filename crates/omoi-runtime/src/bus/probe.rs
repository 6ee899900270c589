//! Whether hints come through a bus.

use std::time::Duration;

use super::{Bus, BusError, BusHint};
use crate::clock::{Clock, with_deadline};

/// How long a hint may take to come back.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// Why a hint did not come back.
#[derive(Debug, thiserror::Error)]
pub enum BusProbeError {
    /// It was not sent.
    #[error("the hint was not sent")]
    Unsent(#[source] BusError),
    /// Nobody who listens was told of it in time.
    #[error("the hint did not come back within {} s", .0.as_secs())]
    NotDelivered(Duration),
}

/// Sends a hint on `topic`, which no reader follows, and tells how long it took to come back to this process.
///
/// # Errors
/// [`BusProbeError`].
pub async fn probe_bus(
    bus: &dyn Bus,
    clock: &dyn Clock,
    topic: String,
) -> Result<Duration, BusProbeError> {
    let mut hints = bus.subscribe_hints();
    let sent_at = clock.now();
    let probe = BusHint::Appended { topic, seq: 0 };
    let sent = bus.publish_hint(probe.clone()).await;
    sent.map_err(BusProbeError::Unsent)?;
    let comes_back = async {
        loop {
            match hints.next_hint().await {
                Some(hint) if hint == probe => return true,
                Some(_) => {}
                None => return false,
            }
        }
    };
    match with_deadline(clock, PROBE_TIME_MAX, comes_back).await {
        Ok(true) => Ok(clock.now().since(sent_at)),
        Ok(false) | Err(_) => Err(BusProbeError::NotDelivered(PROBE_TIME_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use omoi_domain::time::Timestamp;

    use super::super::{HintSubscription, LocalBus};
    use super::*;
    use crate::clock::ManualClock;

    /// A bus whose hints reach nobody.
    #[derive(Debug, Default)]
    struct DeafBus(LocalBus);

    impl Bus for DeafBus {
        fn publish_hint(&self, _: BusHint) -> BoxFuture<'_, Result<(), BusError>> {
            async { Ok(()) }.boxed()
        }
        fn subscribe_hints(&self) -> HintSubscription {
            self.0.subscribe_hints()
        }
    }

    #[tokio::test]
    async fn a_hint_comes_back_or_the_probe_says_so() {
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let topic = || "probe.1".to_owned();
        let came = probe_bus(&LocalBus::default(), &clock, topic()).await;
        assert!(matches!(came, Ok(Duration::ZERO)), "{came:?}");
        let refused = probe_bus(&LocalBus::default(), &clock, "Not A Topic".to_owned()).await;
        assert!(
            matches!(refused, Err(BusProbeError::Unsent(_))),
            "{refused:?}"
        );
        let deaf = DeafBus::default();
        let lost = probe_bus(&deaf, &clock, topic());
        let late = async { clock.advance(PROBE_TIME_MAX) };
        let (lost, ()) = futures::join!(lost, late);
        assert!(
            matches!(lost, Err(BusProbeError::NotDelivered(_))),
            "{lost:?}"
        );
    }
}
