//! Files of packages: judged by age, summed up on their way, kept when the sum is right.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::fill::{ArtefactFill, FillReader};
use super::{
    AgeDecision, CacheKey, CachePartition, CachedArtefact, EgressSession, PackageArrival,
    PackageVersion, RegistryAccess, RegistryCall, RegistryReply, RegistryService, RegistrySite,
    ReplyContent, Timestamp,
};
use crate::cache::{ArtefactWriter, RegistryCache};
use crate::document::ArtefactFacts;
use crate::package::ArtefactSum;
use crate::refusal::{Refusal, RefusalReason};
use crate::upstream::{UpstreamArtefact, UpstreamRequest, too_large};

/// Up to this size a client hears nothing before the sum is checked, so that a refusal is an answer. Beyond
/// it bytes go out as they come, or clients would take the silence for a dead registry.
const CHECKED_FIRST_BYTES: u64 = 8 << 20;

/// The media type of every file.
const FILE_TYPE: &str = "application/octet-stream";

/// A file on its way from a registry into the cache.
pub(super) struct ArtefactDownload {
    /// Who asked first: the bytes count against that attempt.
    session: Arc<EgressSession>,
    /// Whether they were counted as a whole.
    is_counted: bool,
    cache: RegistryCache,
    upstream: UpstreamArtefact,
    writer: ArtefactWriter,
    bytes_max: u64,
    file: ExpectedFile,
    /// Held back until the sum is checked, so that a client never has the whole of a wrong file.
    last_chunk: Bytes,
}

/// Where a file comes from.
enum ArtefactOrigin {
    /// It lies in the cache.
    Cached(CachedArtefact),
    /// It is on its way, for this call or for an earlier one.
    Arriving {
        fill: Arc<ArtefactFill>,
        is_own: bool,
    },
    /// The registry does not have it.
    Missing,
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
        loop {
            match self.find_origin(call, &key).await? {
                ArtefactOrigin::Missing => {
                    return Ok(RegistryReply {
                        content_type: FILE_TYPE,
                        content: ReplyContent::Missing,
                    });
                }
                ArtefactOrigin::Cached(artefact) => {
                    return self.answer_cached(call, &key, &artefact).await;
                }
                ArtefactOrigin::Arriving { fill, is_own } => {
                    fill.add_taker(&call.session);
                    if is_large(fill.declared_bytes) {
                        let reader = FillReader::new(fill, call.session.clone());
                        return Ok(RegistryReply {
                            content_type: FILE_TYPE,
                            content: ReplyContent::Arriving(Box::new(reader)),
                        });
                    }
                    match fill.kept_artefact().await {
                        Ok(artefact) => return self.answer_cached(call, &key, &artefact).await,
                        // What the one who asked first may not have is no matter of this call.
                        Err(refusal) if !is_own && refusal.reason == RefusalReason::DownloadCap => {
                        }
                        Err(refusal) => return Err(refusal),
                    }
                }
            }
        }
    }

    /// Finds a file, and starts to fetch it where it must be. Who asks at the same time waits for that start,
    /// and then reads along.
    async fn find_origin(
        &self,
        call: &RegistryCall,
        key: &CacheKey,
    ) -> Result<ArtefactOrigin, Refusal> {
        let parts = &self.parts;
        let session = &call.session;
        let _turn = parts.locks.lock(key).await;
        if let Some(artefact) = parts.cache.find_artefact(key).await {
            check_age(session, &artefact.package_version(), artefact.published_at)?;
            return Ok(ArtefactOrigin::Cached(artefact));
        }
        if call.access != RegistryAccess::Fetch {
            let subject = artefact_subject(call, &key.path);
            return Err(Refusal::new(RefusalReason::NotCached, subject));
        }
        if let Some(fill) = parts.fills.find(key) {
            check_age(session, &fill.version, fill.published_at)?;
            return Ok(ArtefactOrigin::Arriving {
                fill,
                is_own: false,
            });
        }
        // A version that the documents do not list is not asked for: its number could be a message.
        let Some(facts) = self.find_facts(call).await? else {
            return Ok(ArtefactOrigin::Missing);
        };
        let Some(download) = self.begin_download(call, key.clone(), facts).await? else {
            return Ok(ArtefactOrigin::Missing);
        };
        let version = download.expected_version().clone();
        let time_max = parts.upstream.fetch_limits().artefact;
        let started = parts.fills.start(download, time_max, parts.clock.clone());
        let fill = started.map_err(|error| cache_failed(&version, &error))?;
        Ok(ArtefactOrigin::Arriving { fill, is_own: true })
    }

    async fn answer_cached(
        &self,
        call: &RegistryCall,
        key: &CacheKey,
        artefact: &CachedArtefact,
    ) -> Result<RegistryReply, Refusal> {
        let opened = self.parts.cache.open_artefact(key, artefact).await;
        let file = opened.map_err(|error| cache_failed(&artefact.package_version(), &error))?;
        let arrival = package_arrival(key, artefact);
        call.session.keep_arrival(arrival).await?;
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
            site: call.address.site,
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
        if let Some(bytes) = upstream.declared_bytes {
            session.count_download(&version.to_string(), bytes)?;
        }
        let begun = self.parts.cache.begin_artefact().await;
        let writer = begun.map_err(|error| cache_failed(&version, &error))?;
        Ok(Some(ArtefactDownload {
            session: session.clone(),
            is_counted: upstream.declared_bytes.is_some(),
            cache: self.parts.cache.clone(),
            upstream,
            writer: writer.with_sum(sum.algorithm),
            bytes_max: self.parts.upstream.fetch_limits().artefact_bytes,
            file: ExpectedFile {
                key,
                version,
                published_at,
                sum,
            },
            last_chunk: Bytes::new(),
        }))
    }
}

impl ArtefactDownload {
    pub(super) fn declared_bytes(&self) -> Option<u64> {
        self.upstream.declared_bytes
    }

    pub(super) fn expected_version(&self) -> &PackageVersion {
        &self.file.version
    }

    pub(super) fn published_at(&self) -> Option<Timestamp> {
        self.file.published_at
    }

    pub(super) fn cache_key(&self) -> &CacheKey {
        &self.file.key
    }

    /// The file for reading what was written so far.
    pub(super) fn open_written(&self) -> io::Result<File> {
        self.writer.open_written()
    }

    /// Fetches the whole file into the cache; `tell` hears how many bytes may go out.
    pub(super) async fn fetch_whole(
        mut self,
        tell: impl Fn(u64) + Send,
    ) -> Result<CachedArtefact, Refusal> {
        while self.take_chunk().await? {
            let held = self.last_chunk.len() as u64;
            tell(self.writer.written_bytes() - held);
        }
        self.finish().await
    }

    /// Takes the next bytes in; false at the end.
    async fn take_chunk(&mut self) -> Result<bool, Refusal> {
        let version = &self.file.version;
        let next = self.upstream.next_chunk().await;
        let Some(chunk) = next.map_err(|refusal| about(refusal, version))? else {
            return Ok(false);
        };
        if !self.is_counted {
            self.session
                .count_download(&version.to_string(), chunk.len() as u64)?;
        }
        if self.writer.written_bytes() + chunk.len() as u64 > self.bytes_max {
            return Err(too_large(version, self.bytes_max));
        }
        let failed = |error: io::Error| cache_failed(version, &error);
        self.writer.append(&chunk).await.map_err(failed)?;
        if is_large(self.upstream.declared_bytes) {
            // Readers are behind it already.
            self.writer.flush_written().await.map_err(failed)?;
        }
        self.last_chunk = chunk;
        Ok(true)
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
        Ok(artefact)
    }
}

pub(super) fn package_arrival(key: &CacheKey, artefact: &CachedArtefact) -> PackageArrival {
    PackageArrival {
        version: artefact.package_version(),
        file: key.path.rsplit('/').next().unwrap_or_default().to_owned(),
        digest: artefact.digest.clone(),
        bytes: artefact.bytes,
    }
}

fn is_large(declared_bytes: Option<u64>) -> bool {
    declared_bytes.is_none_or(|bytes| bytes > CHECKED_FIRST_BYTES)
}

/// Refuses a version that is too young, or of unknown age.
pub(super) fn check_age(
    session: &EgressSession,
    version: &PackageVersion,
    published_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    match session
        .age_rule(&session.egress_policy())
        .decide(version, published_at)
    {
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
    let about = Refusal {
        subject: version.to_string(),
        ..refusal
    };
    about.with_detail(host.trim_end_matches([':', ' ']))
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

pub(super) fn cache_failed(version: &PackageVersion, error: &io::Error) -> Refusal {
    Refusal::new(RefusalReason::CacheFailed, version).with_detail(error)
}

/// Remembers a refusal that comes too late to be an answer, and breaks the connection with it.
pub(super) fn broken_stream(session: &EgressSession, refusal: Refusal) -> io::Error {
    session.note_refusal(&refusal);
    io::Error::other(refusal)
}
