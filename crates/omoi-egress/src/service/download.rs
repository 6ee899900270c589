//! Files of packages: judged by age, summed up on their way, kept when the sum is right.

use std::io;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::OwnedMutexGuard;

use super::{
    AgeDecision, CacheKey, CachedArtefact, EgressSession, PackageArrival, PackageVersion,
    RegistryAccess, RegistryCall, RegistryReply, RegistryService, RegistrySite, ReplyContent,
    Timestamp,
};
use crate::cache::{ArtefactWriter, CachePartition, RegistryCache};
use crate::document::ArtefactFacts;
use crate::package::ArtefactSum;
use crate::refusal::{Refusal, RefusalReason};
use crate::upstream::{ARTEFACT_BYTES_MAX, UpstreamArtefact, UpstreamRequest};

/// Up to this size a client hears nothing before the sum is checked, so that a refusal is an answer. Beyond
/// it bytes go out as they come, or clients would take the silence for a dead registry.
const CHECKED_FIRST_BYTES: u64 = 8 << 20;

/// The media type of every file.
const FILE_TYPE: &str = "application/octet-stream";

/// A file on its way from a registry into the cache and to a client.
pub struct ArtefactDownload {
    session: std::sync::Arc<EgressSession>,
    cache: RegistryCache,
    upstream: UpstreamArtefact,
    writer: ArtefactWriter,
    file: ExpectedFile,
    /// Held back until the sum is checked, so that a client never has the whole of a wrong file.
    last_chunk: Bytes,
    /// Others who want the same file wait for this one.
    _turn: OwnedMutexGuard<()>,
}

/// What a file must turn out to be.
struct ExpectedFile {
    key: CacheKey,
    version: PackageVersion,
    published_at: Option<Timestamp>,
    sum: ArtefactSum,
}

impl RegistryService {
    pub(super) async fn answer_artefact(
        &self,
        call: &RegistryCall,
        path: &str,
    ) -> Result<RegistryReply, Refusal> {
        let key = CacheKey {
            partition: call.address.partition.clone(),
            host: call.address.host.clone(),
            path: path.to_owned(),
        };
        let turn = self.parts.locks.lock(&key).await;
        if let Some(artefact) = self.parts.cache.find_artefact(&key).await {
            check_age(
                &call.session,
                &artefact.package_version(),
                artefact.published_at,
            )?;
            return self.answer_cached(call, &key, &artefact).await;
        }
        if call.access != RegistryAccess::Fetch {
            return Err(Refusal::new(
                RefusalReason::NotCached,
                artefact_subject(call, path),
            ));
        }
        let content = match self.find_facts(call).await? {
            // A version that the documents do not list is not asked for: its number could be a message.
            None => ReplyContent::Missing,
            Some(facts) => match self.begin_download(call, key.clone(), facts, turn).await? {
                None => ReplyContent::Missing,
                Some(download) if download.is_large() => ReplyContent::Arriving(Box::new(download)),
                Some(mut download) => {
                    while download.take_chunk().await?.is_some() {}
                    let artefact = download.finish().await?;
                    return self.answer_cached(call, &key, &artefact).await;
                }
            },
        };
        Ok(RegistryReply {
            content_type: FILE_TYPE,
            content,
        })
    }

    async fn answer_cached(
        &self,
        call: &RegistryCall,
        key: &CacheKey,
        artefact: &CachedArtefact,
    ) -> Result<RegistryReply, Refusal> {
        let opened = self.parts.cache.open_artefact(key, artefact).await;
        let file = opened.map_err(|error| cache_failed(&artefact.package_version(), &error))?;
        call.session.note_arrival(arrival(key, artefact))?;
        Ok(RegistryReply {
            content_type: FILE_TYPE,
            content: ReplyContent::Cached {
                file,
                bytes: artefact.bytes,
            },
        })
    }

    /// Asks the registry for a file whose facts are known; `None` when it does not have it after all.
    async fn begin_download(
        &self,
        call: &RegistryCall,
        key: CacheKey,
        facts: ArtefactFacts,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Option<ArtefactDownload>, Refusal> {
        let session = &call.session;
        let version = facts.version;
        if facts.published_at.is_some() {
            check_age(session, &version, facts.published_at)?;
        }
        let missing = || Refusal::new(RefusalReason::SumMissing, &version);
        let sum = facts.sum.ok_or_else(missing)?;
        session.count_request(&version.to_string())?;
        let host = match call.address.site {
            // The site for people would only redirect there.
            RegistrySite::CratesApi if key.partition == CachePartition::Public => {
                RegistrySite::CratesFiles.public_host()
            }
            _ => key.host.as_str(),
        };
        let request = UpstreamRequest {
            host,
            path: &key.path,
            accept: "*/*",
            etag: None,
            credential: call.address.credential.as_ref(),
        };
        let fetched = self.parts.upstream.fetch_artefact(request).await;
        let Some(upstream) = fetched.map_err(|refusal| about(refusal, &version))? else {
            return Ok(None);
        };
        let published_at = facts.published_at.or(upstream.modified_at);
        check_age(session, &version, published_at)?;
        let begun = self.parts.cache.begin_artefact().await;
        let writer = begun.map_err(|error| cache_failed(&version, &error))?;
        Ok(Some(ArtefactDownload {
            session: session.clone(),
            cache: self.parts.cache.clone(),
            upstream,
            writer: writer.with_sum(sum.algorithm),
            file: ExpectedFile {
                key,
                version,
                published_at,
                sum,
            },
            last_chunk: Bytes::new(),
            _turn: turn,
        }))
    }
}

impl ArtefactDownload {
    /// The size that the registry declared.
    pub fn declared_bytes(&self) -> Option<u64> {
        self.upstream.declared_bytes
    }

    fn is_large(&self) -> bool {
        self.upstream
            .declared_bytes
            .is_none_or(|bytes| bytes > CHECKED_FIRST_BYTES)
    }

    /// The bytes as the client may have them; it ends with an error when the file is not what it should be.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::try_unfold(Some(self), |download| async {
            let Some(mut download) = download else {
                return Ok(None);
            };
            match download.take_chunk().await {
                Ok(Some(chunk)) => Ok(Some((chunk, Some(download)))),
                Ok(None) => {
                    let session = download.session.clone();
                    let last_chunk = std::mem::take(&mut download.last_chunk);
                    let finished = download.finish().await;
                    finished.map_err(|refusal| broken(&session, refusal))?;
                    Ok(Some((last_chunk, None)))
                }
                Err(refusal) => Err(broken(&download.session, refusal)),
            }
        })
    }

    /// Takes the next bytes in and gives the ones before, which may go out; `None` at the end.
    async fn take_chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        let version = &self.file.version;
        let next = self.upstream.next_chunk().await;
        let Some(chunk) = next.map_err(|refusal| about(refusal, version))? else {
            return Ok(None);
        };
        self.session
            .count_download(&version.to_string(), chunk.len() as u64)?;
        if self.writer.written_bytes() + chunk.len() as u64 > ARTEFACT_BYTES_MAX {
            return Err(Refusal::new(RefusalReason::TooLarge, version)
                .with_detail(format_args!("at most {} MiB", ARTEFACT_BYTES_MAX >> 20)));
        }
        let appended = self.writer.append(&chunk).await;
        appended.map_err(|error| cache_failed(version, &error))?;
        Ok(Some(std::mem::replace(&mut self.last_chunk, chunk)))
    }

    /// Checks the sum and keeps the file.
    async fn finish(mut self) -> Result<CachedArtefact, Refusal> {
        let file = self.file;
        let met = self.writer.meets_sum(&file.sum).await;
        if !met.map_err(|error| cache_failed(&file.version, &error))? {
            return Err(
                Refusal::new(RefusalReason::SumDiffers, &file.version).with_detail(format_args!(
                    "{} bytes, {}",
                    self.writer.written_bytes(),
                    file.sum.algorithm
                )),
            );
        }
        let package = &file.version.package;
        let artefact = CachedArtefact {
            registry: package.registry,
            name: package.name.clone(),
            version: file.version.version.clone(),
            published_at: file.published_at,
            digest: self.writer.content_digest(),
            bytes: self.writer.written_bytes(),
        };
        let kept = self
            .cache
            .keep_artefact(&file.key, self.writer, &artefact)
            .await;
        kept.map_err(|error| cache_failed(&file.version, &error))?;
        self.session.note_arrival(arrival(&file.key, &artefact))?;
        Ok(artefact)
    }
}

fn arrival(key: &CacheKey, artefact: &CachedArtefact) -> PackageArrival {
    PackageArrival {
        version: artefact.package_version(),
        file: key.path.rsplit('/').next().unwrap_or_default().to_owned(),
        digest: artefact.digest.clone(),
        bytes: artefact.bytes,
    }
}

/// Refuses a version that is too young, or of unknown age.
pub(super) fn check_age(
    session: &EgressSession,
    version: &PackageVersion,
    published_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    match session.age_rule().decide(version, published_at) {
        AgeDecision::Admitted => Ok(()),
        AgeDecision::TooYoung(from) => Err(Refusal::new(RefusalReason::VersionTooYoung, version)
            .with_detail(format_args!(
                "it comes in from {} {} UTC on",
                from.calendar_date(),
                from.time_of_day()
            ))),
        AgeDecision::Unknown => Err(Refusal::new(RefusalReason::AgeUnknown, version)),
    }
}

/// Says which file a refusal of its registry is about.
fn about(refusal: Refusal, version: &PackageVersion) -> Refusal {
    let host = format!("{}: {}", refusal.subject, refusal.detail);
    Refusal::new(refusal.reason, version).with_detail(host.trim_end_matches([':', ' ']))
}

fn artefact_subject(call: &RegistryCall, path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    match (&call.item, call.item.package_name()) {
        (super::RegistryItem::CrateFile { version, .. }, Some(package)) => {
            package.at_version(version).to_string()
        }
        (_, Some(package)) => format!("{package} ({file})"),
        (_, None) => file.to_owned(),
    }
}

fn cache_failed(version: &PackageVersion, error: &io::Error) -> Refusal {
    Refusal::new(RefusalReason::CacheFailed, version).with_detail(error)
}

/// Remembers a refusal that comes too late to be an answer, and breaks the connection with it.
fn broken(session: &EgressSession, refusal: Refusal) -> io::Error {
    session.note_refusal(&refusal);
    io::Error::other(refusal)
}
