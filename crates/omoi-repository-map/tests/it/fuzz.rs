//! Fuzz targets: sources, and the bytes of a cache.

use omoi_repository_map::file_ranking::{MapQuestion, TreeFile, rank_files};
use omoi_repository_map::language::SourceLanguage;
use omoi_repository_map::map_text::{MAP_TOKENS_MAX, render_map};
use omoi_repository_map::source_tags::TagReader;
use omoi_repository_map::tag_cache::TagCache;
use omoi_testkit::fuzz::FuzzTarget;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// Text in every language has tags of its lines, and a map within its bound.
#[test]
fn source() {
    FuzzTarget::new(CRATE, "source").run(|input| {
        let mut reader = TagReader::default();
        let mut cache = TagCache::default();
        let mut files = Vec::new();
        let n_lines = input.split(|byte| *byte == b'\n').count();
        for (n, language) in (0_u8..).zip(SourceLanguage::ALL) {
            let tags = reader.read_tags(language, input);
            for definition in &tags.definitions {
                assert!(
                    (1..=n_lines).contains(&(definition.line as usize)),
                    "{definition:?}"
                );
            }
            cache.insert_tags([n; 20], &tags);
            let path = format!("file{n}");
            files.push(TreeFile {
                path,
                blob: [n; 20],
            });
        }
        let text = String::from_utf8_lossy(input).into_owned();
        let question = MapQuestion {
            text,
            files: Vec::new(),
        };
        let ranking = rank_files(&cache, &files, &question);
        assert_eq!(ranking.order.len(), files.len());
        assert!(render_map(&cache, &files, &ranking).len() <= 3 * MAP_TOKENS_MAX);
    });
}

/// Bytes are a cache that says the same again, or none.
#[test]
fn tag_cache() {
    FuzzTarget::new(CRATE, "tag_cache").run(|input| {
        if let Some(cache) = TagCache::from_bytes(input) {
            let again = TagCache::from_bytes(&cache.to_bytes());
            assert_eq!(again.as_ref(), Some(&cache));
            let files = [TreeFile {
                path: "a.rs".to_owned(),
                blob: [0; 20],
            }];
            let ranking = rank_files(&cache, &files, &MapQuestion::default());
            render_map(&cache, &files, &ranking);
        }
    });
}
