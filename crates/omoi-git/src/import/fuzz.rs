//! Fuzz targets: what an agent's bundle is made of, as far as it is read here and not by git.

use omoi_testkit::fuzz::FuzzTarget;

use super::ImportLimits;
use super::bundle::parse_header;
use super::quarantine::indexed_ids;
use super::trees::parse_tree;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// A bundle: its pack begins where the header says, and nothing is above its limit.
#[test]
fn git_bundle() {
    let limits = ImportLimits {
        refs_max: 3,
        ..ImportLimits::default()
    };
    FuzzTarget::new(CRATE, "git_bundle").run(|input| {
        if let Ok(header) = parse_header(input, &limits) {
            assert!(input[header.pack_at..].starts_with(b"PACK"));
            assert!((1..=limits.refs_max).contains(&header.tips.len()));
            assert!(header.objects <= limits.objects_max);
        }
    });
}

/// A tree: entries take up all of it, each with the bytes of its name.
#[test]
fn git_tree() {
    FuzzTarget::new(CRATE, "git_tree").run(|input| {
        let Some(entries) = parse_tree(input) else {
            return;
        };
        let names: usize = entries.iter().map(|entry| entry.name.len()).sum();
        // A mode of any length, a blank, a zero and an object's name.
        assert!(names + entries.len() * 22 <= input.len());
        assert_eq!(entries.is_empty(), input.is_empty());
    });
}

/// An index of a pack: as many names as it counts.
#[test]
fn pack_index() {
    FuzzTarget::new(CRATE, "pack_index").run(|input| {
        if let Some(ids) = indexed_ids(input) {
            assert!(ids.len() * 20 <= input.len());
            assert!(ids.iter().all(|id| id.as_str().len() == 40));
        }
    });
}
