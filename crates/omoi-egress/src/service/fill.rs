//! Files on their way into the cache: fetched by tasks of their own as fast as the registry gives them, and
//! read behind by everybody who wants them. A client that reads slowly holds up nobody.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use omoi_runtime::clock::{Clocked, with_deadline};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::download::{ArtefactDownload, broken_stream, cache_failed, package_arrival};
use super::{
    CacheKey, CachedArtefact, EgressSession, PackageVersion, Refusal, RefusalReason, Timestamp,
};
use crate::upstream::whole_too_slow;

/// Bytes that a reader is given at once.
const CHUNK_BYTES: u64 = 64 << 10;

/// Every file that is on its way. They end with this value.
#[derive(Default)]
pub(super) struct ArtefactFills {
    running: Arc<Mutex<HashMap<CacheKey, Arc<ArtefactFill>>>>,
    tasks: Mutex<JoinSet<()>>,
}

/// One file on its way.
pub(super) struct ArtefactFill {
    /// The version that it is of.
    pub(super) version: PackageVersion,
    /// When that was published.
    pub(super) published_at: Option<Timestamp>,
    /// The size that the registry declared.
    pub(super) declared_bytes: Option<u64>,
    key: CacheKey,
    file: Arc<File>,
    state: watch::Receiver<FillState>,
    /// Who is given it.
    takers: Mutex<Vec<Arc<EgressSession>>>,
}

/// How far a file has come.
#[derive(Clone)]
enum FillState {
    /// So many bytes may be read.
    Running(u64),
    /// It is in the cache.
    Kept(Arc<CachedArtefact>),
    /// It did not come.
    Failed(Refusal),
}

impl ArtefactFills {
    /// The fill of `key`, if it is on its way.
    pub(super) fn find(&self, key: &CacheKey) -> Option<Arc<ArtefactFill>> {
        let running = lock(&self.running);
        let fill = running.get(key)?;
        let has_failed = matches!(*fill.state.borrow(), FillState::Failed(_));
        (!has_failed).then(|| Arc::clone(fill))
    }

    /// Starts to fetch a file.
    pub(super) fn start(
        &self,
        download: ArtefactDownload,
        time_max: Duration,
        clock: Clocked,
    ) -> io::Result<Arc<ArtefactFill>> {
        let (sender, state) = watch::channel(FillState::Running(0));
        let key = download.cache_key().clone();
        let fill = Arc::new(ArtefactFill {
            version: download.expected_version().clone(),
            published_at: download.published_at(),
            declared_bytes: download.declared_bytes(),
            key: key.clone(),
            file: Arc::new(download.open_written()?),
            state,
            takers: Mutex::default(),
        });
        lock(&self.running).insert(key.clone(), Arc::clone(&fill));
        let running = Arc::clone(&self.running);
        let filled = Arc::clone(&fill);
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let version = filled.version.clone();
            let fetching = download.fetch_whole(|readable| {
                sender.send_replace(FillState::Running(readable));
            });
            let fetched = with_deadline(clock.as_ref(), time_max, fetching).await;
            let late = |passed| whole_too_slow(&version, passed);
            match fetched.map_err(late).and_then(|fetched| fetched) {
                Ok(artefact) => {
                    filled.keep_arrivals(&artefact).await;
                    sender.send_replace(FillState::Kept(Arc::new(artefact)));
                }
                Err(refusal) => {
                    sender.send_replace(FillState::Failed(refusal));
                }
            }
            lock(&running).remove(&key);
        });
        Ok(fill)
    }
}

impl ArtefactFill {
    /// Remembers who is given the file, so that it stands on the receipt of each.
    pub(super) fn add_taker(&self, session: &Arc<EgressSession>) {
        lock(&self.takers).push(Arc::clone(session));
    }

    async fn keep_arrivals(&self, artefact: &CachedArtefact) {
        let takers = std::mem::take(&mut *lock(&self.takers));
        for session in takers {
            // Who may have no more is refused where the file is given out.
            let arrival = package_arrival(&self.key, artefact);
            if let Err(refusal) = session.keep_arrival(arrival).await {
                session.note_refusal(&refusal);
            }
        }
    }

    /// Waits until the file is in the cache.
    pub(super) async fn kept_artefact(&self) -> Result<Arc<CachedArtefact>, Refusal> {
        let mut state = self.state.clone();
        loop {
            match state.borrow_and_update().clone() {
                FillState::Running(_) => {}
                FillState::Kept(artefact) => return Ok(artefact),
                FillState::Failed(refusal) => return Err(refusal),
            }
            state.changed().await.map_err(|_| self.abandoned())?;
        }
    }

    fn abandoned(&self) -> Refusal {
        Refusal::new(RefusalReason::RegistryUnreachable, &self.version)
            .with_detail("this process stops")
    }
}

/// Reads a file behind its fill.
pub struct FillReader {
    fill: Arc<ArtefactFill>,
    session: Arc<EgressSession>,
    state: watch::Receiver<FillState>,
    offset: u64,
}

impl FillReader {
    pub(super) fn new(fill: Arc<ArtefactFill>, session: Arc<EgressSession>) -> Self {
        Self {
            state: fill.state.clone(),
            fill,
            session,
            offset: 0,
        }
    }

    /// The size that the registry declared.
    pub fn declared_bytes(&self) -> Option<u64> {
        self.fill.declared_bytes
    }

    /// The bytes as the client may have them; it ends with an error when the file is not what it should be.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::try_unfold(self, |mut reader| async move {
            match reader.next_chunk().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, reader))),
                Err(refusal) => Err(broken_stream(&reader.session, refusal)),
            }
        })
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        let readable = loop {
            let state = self.state.borrow_and_update().clone();
            match state {
                FillState::Running(readable) if readable > self.offset => break readable,
                FillState::Running(_) => {}
                FillState::Failed(refusal) => return Err(refusal),
                FillState::Kept(artefact) => {
                    let arrival = package_arrival(&self.fill.key, &artefact);
                    self.session.keep_arrival(arrival).await?;
                    if self.offset >= artefact.bytes {
                        return Ok(None);
                    }
                    break artefact.bytes;
                }
            }
            let changed = self.state.changed().await;
            changed.map_err(|_| self.fill.abandoned())?;
        };
        let (file, offset) = (Arc::clone(&self.fill.file), self.offset);
        let length = (readable - offset).min(CHUNK_BYTES) as usize;
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset).map(|()| bytes)
        });
        let read = reading
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let bytes = read.map_err(|error| cache_failed(&self.fill.version, &error))?;
        self.offset += length as u64;
        Ok(Some(bytes.into()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves it whole, so that a panic elsewhere says nothing about it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
