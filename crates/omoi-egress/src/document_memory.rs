//! How much memory documents of registries take: large ones are held two at a time, whoever asks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A document beyond this size is a large one.
pub const LARGE_BYTES: u64 = 4 << 20;
/// Beyond this size, a document is read where it holds up nobody else's connections.
const ASIDE_BYTES: usize = 256 << 10;
/// Large documents that are in memory at once.
const LARGE_MAX: usize = 2;
/// Documents that are read aside at once.
const ASIDE_MAX: usize = 4;

/// The right to hold one large document.
pub type LargeTurn = Option<OwnedSemaphorePermit>;

/// Turns of documents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DocumentMemory {
    large: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

/// The work over a document did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("a document could not be read to its end")]
pub struct AsideError;

impl Default for DocumentMemory {
    fn default() -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            aside: Arc::new(Semaphore::new(ASIDE_MAX)),
        }
    }
}

impl DocumentMemory {
    /// Waits until a document of `bytes` may be held. Who holds one asks for no other.
    pub async fn take_turn(&self, bytes: u64) -> LargeTurn {
        if bytes <= LARGE_BYTES {
            return None;
        }
        // It is never closed.
        Arc::clone(&self.large).acquire_owned().await.ok()
    }

    /// Does `work` over `bytes` of a document, aside where that takes long.
    ///
    /// # Errors
    /// When it panics.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AsideError> {
        if bytes <= ASIDE_BYTES {
            return Ok(work());
        }
        let _turn = self.aside.acquire().await.map_err(|_| AsideError)?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| AsideError)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn two_large_documents_are_held_at_once_and_small_ones_always() {
        let memory = DocumentMemory::default();
        let first = memory.take_turn(LARGE_BYTES + 1).await;
        let second = memory.take_turn(u64::MAX).await;
        assert!(first.is_some() && second.is_some());
        assert!(memory.take_turn(u64::MAX).now_or_never().is_none());
        assert!(memory.take_turn(LARGE_BYTES).await.is_none());
        drop(first);
        assert!(memory.take_turn(u64::MAX).await.is_some());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let memory = DocumentMemory::default();
        let thread = std::thread::current().id();
        let aside = move || std::thread::current().id() != thread;
        assert!(memory.read_aside(usize::MAX, aside).await.unwrap());
        assert!(!memory.read_aside(1, aside).await.unwrap());
        let fails = memory.read_aside(usize::MAX, || panic!("no document"));
        fails.await.unwrap_err();
    }
}
