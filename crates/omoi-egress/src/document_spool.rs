//! A document on its way here: in memory while it is small, on disk beyond that.
//!
//! A registry may send one so slowly that it takes minutes. Until it is whole it takes no turn of the
//! [`DocumentMemory`], so that it holds up nobody else's.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::cache::RegistryCache;
use crate::document_memory::{DocumentMemory, LARGE_BYTES, LargeTurn};

/// What has come of a document.
pub(crate) struct DocumentSpool<'a> {
    cache: &'a RegistryCache,
    bytes: u64,
    /// All of it, until it is a large one.
    head: BytesMut,
    file: Option<File>,
}

impl<'a> DocumentSpool<'a> {
    /// Nothing yet; what does not fit into memory goes into a file without a name in the folder of `cache`.
    pub(crate) fn new(cache: &'a RegistryCache) -> Self {
        Self {
            cache,
            bytes: 0,
            head: BytesMut::new(),
            file: None,
        }
    }

    /// Bytes that have come.
    pub(crate) const fn n_bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.bytes += chunk.len() as u64;
        if self.file.is_none() && self.bytes <= LARGE_BYTES {
            self.head.extend_from_slice(chunk);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = File::from_std(self.cache.spool_bytes(&[])?);
                file.write_all(&std::mem::take(&mut self.head)).await?;
                none.insert(file)
            }
        };
        file.write_all(chunk).await
    }

    /// The whole document in memory, with the right to hold it where it is large.
    pub(crate) async fn load(self, memory: &DocumentMemory) -> io::Result<(Bytes, LargeTurn)> {
        let Some(mut file) = self.file else {
            return Ok((self.head.freeze(), None));
        };
        file.flush().await?;
        file.rewind().await?;
        let turn = memory.take_turn(self.bytes).await;
        let mut body = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or_default());
        file.read_to_end(&mut body).await?;
        Ok((body.into(), turn))
    }
}
