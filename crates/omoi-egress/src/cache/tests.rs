#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]

use std::time::Duration;

use omoi_runtime::clock::{Clock as _, ManualClock};

use super::*;
use crate::package::{ArtefactSum, SumAlgorithm};

const MIB: usize = 1 << 20;

struct Fixture {
    _folder: tempfile::TempDir,
    cache: RegistryCache,
    clock: ManualClock,
}

fn fixture(bytes_max: usize) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let root = folder.path().join("cache");
    let cache = RegistryCache::open(root, bytes_max as u64, Arc::new(clock.clone())).unwrap();
    Fixture {
        _folder: folder,
        cache,
        clock,
    }
}

fn key(partition: CachePartition, path: &str) -> CacheKey {
    CacheKey {
        partition,
        host: "registry.npmjs.org".to_owned(),
        path: path.to_owned(),
    }
}

async fn keep(cache: &RegistryCache, key: &CacheKey, content: &[u8]) -> CachedArtefact {
    let mut writer = cache.begin_artefact().await.unwrap();
    writer.append(content).await.unwrap();
    let artefact = CachedArtefact {
        registry: PackageRegistry::Npm,
        name: "a".to_owned(),
        version: "1.0.0".to_owned(),
        published_at: None,
        digest: writer.content_digest(),
        bytes: writer.written_bytes(),
    };
    cache.keep_artefact(key, writer, &artefact).await.unwrap();
    artefact
}

#[tokio::test]
async fn documents_come_back_as_they_were_kept() {
    let fixture = fixture(MIB);
    let key = key(CachePartition::Public, "/a");
    assert_eq!(fixture.cache.read_document(&key).await, None);
    let document = CachedDocument {
        body: Bytes::from_static(b"line\nline\n"),
        etag: Some("\"x\"".to_owned()),
        fetched_at: fixture.clock.now(),
        modified_at: Some(fixture.clock.now()),
        first_seen: fixture.clock.now(),
    };
    fixture.cache.write_document(&key, &document).await.unwrap();
    assert_eq!(fixture.cache.read_document(&key).await, Some(document));
}

#[tokio::test]
async fn half_a_file_is_none() {
    let fixture = fixture(MIB);
    let key = key(CachePartition::Public, "/a");
    let artefact = keep(&fixture.cache, &key, b"content").await;
    assert_eq!(
        fixture.cache.find_artefact(&key).await,
        Some(artefact.clone())
    );
    let path = fixture
        .cache
        .artefact_path(&key.partition, &artefact.digest);
    std::fs::write(fixture.cache.root.join(path), b"cont").unwrap();
    assert_eq!(fixture.cache.find_artefact(&key).await, None);
    let document = CachedDocument {
        body: Bytes::from_static(b"whole"),
        etag: None,
        fetched_at: fixture.clock.now(),
        modified_at: None,
        first_seen: fixture.clock.now(),
    };
    fixture.cache.write_document(&key, &document).await.unwrap();
    let path = fixture.cache.root.join(fixture.cache.document_path(&key));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(fixture.cache.read_document(&key).await, None);
}

#[tokio::test]
async fn one_organisation_does_not_see_the_packages_of_another() {
    let fixture = fixture(MIB);
    let ours = key(CachePartition::Private("ours".into()), "/a");
    keep(&fixture.cache, &ours, b"secret").await;
    for other in [
        CachePartition::Private("theirs".into()),
        CachePartition::Public,
    ] {
        assert_eq!(fixture.cache.find_artefact(&key(other, "/a")).await, None);
    }
    assert!(fixture.cache.find_artefact(&ours).await.is_some());
}

#[tokio::test]
async fn what_was_used_longest_ago_goes_first_also_after_a_start() {
    let fixture = fixture(MIB);
    let keys: Vec<CacheKey> = (0..3)
        .map(|number| key(CachePartition::Public, &format!("/{number}")))
        .collect();
    for (number, key) in keys.iter().enumerate() {
        keep(&fixture.cache, key, &vec![number as u8; MIB / 3]).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    // The first is used again, so the second is the oldest.
    assert!(fixture.cache.find_artefact(&keys[0]).await.is_some());
    fixture.clock.advance(Duration::from_secs(1));
    let fourth = key(CachePartition::Public, "/3");
    keep(&fixture.cache, &fourth, &vec![3; MIB / 3]).await;
    let mut held = Vec::new();
    for key in keys.iter().chain([&fourth]) {
        held.push(fixture.cache.find_artefact(key).await.is_some());
    }
    assert_eq!(held, [true, false, true, true]);
    assert!(fixture.cache.used_bytes() <= MIB as u64);
    let root = fixture.cache.root.to_path_buf();
    let again = RegistryCache::open(root, MIB as u64, Arc::new(fixture.clock.clone())).unwrap();
    assert_eq!(again.used_bytes(), fixture.cache.used_bytes());
}

#[tokio::test]
async fn what_was_not_kept_leaves_nothing() {
    let fixture = fixture(MIB);
    let mut writer = fixture.cache.begin_artefact().await.unwrap();
    writer.append(b"half").await.unwrap();
    drop(writer);
    let left = std::fs::read_dir(fixture.cache.root.join("partial"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
    assert_eq!(fixture.cache.used_bytes(), 0);
}

#[tokio::test]
async fn a_sum_is_met_by_its_own_bytes_alone() {
    let fixture = fixture(MIB);
    let expected = ArtefactSum::from_hex(SumAlgorithm::Sha256, &sha256_hex(b"content")).unwrap();
    for (content, algorithm, is_met) in [
        (&b"content"[..], SumAlgorithm::Sha256, true),
        (b"content", SumAlgorithm::Sha512, false),
        (b"contenu", SumAlgorithm::Sha256, false),
    ] {
        let mut writer = fixture
            .cache
            .begin_artefact()
            .await
            .unwrap()
            .with_sum(algorithm);
        writer.append(&content[..3]).await.unwrap();
        writer.append(&content[3..]).await.unwrap();
        assert_eq!(
            writer.meets_sum(&expected).await.unwrap(),
            is_met,
            "{content:?} {algorithm}"
        );
    }
    let mut writer = fixture.cache.begin_artefact().await.unwrap();
    assert!(!writer.meets_sum(&expected).await.unwrap());
}
