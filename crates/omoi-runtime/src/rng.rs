//! Randomness as a parameter.

use std::fmt;
use std::sync::{Arc, Mutex};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::sync::lock;

/// A source of random numbers; clones draw from the same stream.
///
/// Cryptographically strong when made by [`Rng::from_os`]; a seeded one is for tests and replays.
#[derive(Clone)]
pub struct Rng(Arc<Mutex<StdRng>>);

/// The operating system gave no entropy.
#[derive(Debug, thiserror::Error)]
#[error("could not read entropy from the operating system")]
pub struct NoEntropy(#[source] rand::rngs::SysError);

impl Rng {
    /// A generator seeded by the operating system.
    ///
    /// # Errors
    /// Returns [`NoEntropy`] when the system call fails.
    pub fn from_os() -> Result<Self, NoEntropy> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(NoEntropy)?;
        Ok(Self(Arc::new(Mutex::new(rng))))
    }

    /// A generator whose stream is fixed by `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// An independent generator seeded from this one; give one to each concurrent part whose
    /// stream must not depend on how the parts interleave.
    pub fn fork(&self) -> Self {
        let mut seed = [0; 32];
        self.fill_bytes(&mut seed);
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    /// Fills `bytes` with random ones.
    pub fn fill_bytes(&self, bytes: &mut [u8]) {
        lock(&self.0).fill_bytes(bytes);
    }

    /// A number of the whole 64-bit range.
    pub fn next_u64(&self) -> u64 {
        lock(&self.0).next_u64()
    }

    /// A number in `[0, 1)`.
    pub fn unit_fraction(&self) -> f64 {
        lock(&self.0).random()
    }

    /// A number in `0..bound`, or 0 when `bound` is 0.
    pub fn number_below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        lock(&self.0).random_range(0..bound)
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The inner state would let a reader predict tokens.
        f.write_str("Rng")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_seed_fixes_the_stream() {
        let draw = |rng: &Rng| {
            [
                rng.next_u64(),
                rng.number_below(10),
                rng.unit_fraction().to_bits(),
            ]
        };
        assert_eq!(draw(&Rng::seeded(7)), draw(&Rng::seeded(7)));
        assert_eq!(draw(&Rng::seeded(7).fork()), draw(&Rng::seeded(7).fork()));
        assert_ne!(draw(&Rng::seeded(7)), draw(&Rng::seeded(8)));
        let shared = Rng::seeded(7);
        assert_ne!(
            draw(&shared),
            draw(&shared.clone()),
            "clones share one stream"
        );
        let (a, b) = (Rng::from_os().unwrap(), Rng::from_os().unwrap());
        assert_ne!(draw(&a), draw(&b));
        assert!((0..1000).all(|_| shared.number_below(3) < 3 && (0.0..1.0).contains(&shared.unit_fraction())));
    }
}
