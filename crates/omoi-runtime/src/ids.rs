//! Fresh row ids from the given clock and rng.

use uuid::{Builder, Uuid};

use crate::clock::Clock;
use crate::rng::Rng;

/// A version 7 UUID for this instant.
///
/// The 12 bits after the milliseconds hold the microseconds, so ids made in different
/// microseconds sort by time; within one microsecond their order is random.
pub fn uuid_v7(clock: &dyn Clock, rng: &Rng) -> Uuid {
    let micros = u64::try_from(clock.now().as_micros()).unwrap_or(0);
    let fraction = (micros % 1000) * 4096 / 1000;
    let mut tail = [0; 10];
    rng.fill_bytes(&mut tail);
    tail[0] = (fraction >> 8) as u8;
    tail[1] = fraction as u8;
    Builder::from_unix_timestamp_millis(micros / 1000, &tail).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use omoi_domain::time::Timestamp;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_sort_by_time_and_repeat_by_seed() {
        let made = |seed| {
            let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
            let rng = Rng::seeded(seed);
            let ids = (0..2_500).map(|_| {
                clock.advance(Duration::from_micros(1));
                uuid_v7(&clock, &rng)
            });
            ids.collect::<Vec<_>>()
        };
        let ids = made(1);
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
        assert_eq!(ids[0].get_variant(), uuid::Variant::RFC4122);
        assert_eq!(ids, made(1));
        assert_ne!(ids, made(2));
    }
}
