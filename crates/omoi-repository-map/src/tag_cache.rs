//! The tags of files by the object name of their content, in memory and as bytes of a file.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::language::DefinitionKind;
use crate::source_tags::{Definition, FileTags};

/// What the bytes of a cache begin with; another number makes older ones no cache.
const MAGIC: &[u8] = b"omoi-tags 1\n";
/// Most bytes of one name of a cache.
const NAME_BYTES_MAX: usize = 400;

/// The object name of a file's content.
pub type BlobId = [u8; 20];

/// A name, counted in the order in which names were first met.
pub(crate) type NameId = u32;

/// Something defined, by the number of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CachedDefinition {
    pub(crate) name: NameId,
    pub(crate) kind: DefinitionKind,
    pub(crate) line: u32,
}

/// A name with how often it stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameCount {
    pub(crate) name: NameId,
    pub(crate) count: u32,
}

/// The tags of one content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CachedTags {
    pub(crate) definitions: Vec<CachedDefinition>,
    pub(crate) references: Vec<NameCount>,
    pub(crate) words: Vec<NameCount>,
}

/// Tags of many contents; names that occur in several are kept once.
#[derive(Clone, Debug, Default)]
pub struct TagCache {
    text: String,
    /// Where each name ends in `text`.
    name_ends: Vec<u32>,
    numbers: HashMap<Box<str>, NameId>,
    tags: HashMap<BlobId, CachedTags>,
}

impl PartialEq for TagCache {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl TagCache {
    /// Whether the tags of this content are here.
    pub fn has_tags(&self, blob: &BlobId) -> bool {
        self.tags.contains_key(blob)
    }

    /// Contents whose tags are here.
    pub fn n_blobs(&self) -> usize {
        self.tags.len()
    }

    /// Keeps the tags of a content.
    pub fn insert_tags(&mut self, blob: BlobId, tags: &FileTags) {
        self.number_names();
        let definitions = tags.definitions.iter().map(|definition| {
            let Definition { name, kind, line } = definition;
            CachedDefinition {
                name: self.number_of(name),
                kind: *kind,
                line: *line,
            }
        });
        let definitions = definitions.collect();
        let references = self.count_names(&tags.references);
        let words = self.count_names(&tags.words);
        let cached = CachedTags {
            definitions,
            references,
            words,
        };
        self.tags.insert(blob, cached);
    }

    /// The same without contents that `kept` does not have.
    pub fn retain_blobs(&self, kept: &HashSet<BlobId>) -> Self {
        let mut cache = Self::default();
        let mut blobs: Vec<&BlobId> = self
            .tags
            .keys()
            .filter(|blob| kept.contains(*blob))
            .collect();
        blobs.sort_unstable();
        for blob in blobs {
            if let Some(tags) = self.read_tags(blob) {
                cache.insert_tags(*blob, &tags);
            }
        }
        cache
    }

    /// The tags of a content, names written out.
    pub fn read_tags(&self, blob: &BlobId) -> Option<FileTags> {
        let cached = self.tags.get(blob)?;
        let counts = |counts: &[NameCount]| {
            let named = counts.iter();
            named
                .map(|counted| (self.name_of(counted.name).to_owned(), counted.count))
                .collect()
        };
        Some(FileTags {
            definitions: cached
                .definitions
                .iter()
                .map(|definition| Definition {
                    name: self.name_of(definition.name).to_owned(),
                    kind: definition.kind,
                    line: definition.line,
                })
                .collect(),
            references: counts(&cached.references),
            words: counts(&cached.words),
        })
    }

    pub(crate) fn cached_tags(&self, blob: &BlobId) -> Option<&CachedTags> {
        self.tags.get(blob)
    }

    pub(crate) fn n_names(&self) -> usize {
        self.name_ends.len()
    }

    pub(crate) fn name_of(&self, name: NameId) -> &str {
        let index = name as usize;
        let start = match index {
            0 => Some(0),
            index => self.name_ends.get(index - 1).map(|end| *end as usize),
        };
        let end = self.name_ends.get(index).map(|end| *end as usize);
        match (start, end) {
            (Some(start), Some(end)) => self.text.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    fn count_names(&mut self, counts: &std::collections::BTreeMap<String, u32>) -> Vec<NameCount> {
        let counts = counts.iter();
        counts
            .map(|(name, count)| NameCount {
                name: self.number_of(name),
                count: *count,
            })
            .collect()
    }

    /// Makes the index of names, which a cache that was read from bytes does without until it grows.
    fn number_names(&mut self) {
        if self.numbers.len() == self.n_names() {
            return;
        }
        let names = (0..self.n_names() as NameId).map(|name| (self.name_of(name).into(), name));
        self.numbers = names.collect();
    }

    fn number_of(&mut self, name: &str) -> NameId {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.name_ends.len() as NameId;
        self.text.push_str(name);
        self.name_ends.push(self.text.len() as u32);
        self.numbers.insert(name.into(), number);
        number
    }

    /// The cache as bytes of a file; equal caches that grew alike have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        push_number(&mut bytes, self.n_names() as u64);
        for name in 0..self.n_names() as NameId {
            let name = self.name_of(name);
            push_number(&mut bytes, name.len() as u64);
            bytes.extend_from_slice(name.as_bytes());
        }
        let mut blobs: Vec<(&BlobId, &CachedTags)> = self.tags.iter().collect();
        blobs.sort_unstable_by_key(|(blob, _)| **blob);
        push_number(&mut bytes, blobs.len() as u64);
        for (blob, tags) in blobs {
            bytes.extend_from_slice(blob);
            push_number(&mut bytes, tags.definitions.len() as u64);
            for definition in &tags.definitions {
                push_number(&mut bytes, definition.name.into());
                push_number(&mut bytes, definition.kind.as_code().into());
                push_number(&mut bytes, definition.line.into());
            }
            for counts in [&tags.references, &tags.words] {
                push_number(&mut bytes, counts.len() as u64);
                for counted in counts {
                    push_number(&mut bytes, counted.name.into());
                    push_number(&mut bytes, counted.count.into());
                }
            }
        }
        bytes
    }

    /// Reads what [`TagCache::to_bytes`] wrote; none when the bytes are not a whole cache.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = CacheBytes(bytes.strip_prefix(MAGIC)?);
        let mut cache = Self::default();
        for _ in 0..rest.take_count()? {
            let length = rest.take_count()?;
            let name = rest
                .take_bytes(length)
                .filter(|_| length <= NAME_BYTES_MAX)?;
            cache.text.push_str(std::str::from_utf8(name).ok()?);
            cache.name_ends.push(u32::try_from(cache.text.len()).ok()?);
        }
        let n_names = cache.n_names();
        for _ in 0..rest.take_count()? {
            let blob: BlobId = rest.take_bytes(20)?.try_into().ok()?;
            let mut definitions = Vec::new();
            for _ in 0..rest.take_count()? {
                definitions.push(CachedDefinition {
                    name: rest.take_name(n_names)?,
                    kind: DefinitionKind::from_code(rest.take_u32()?)?,
                    line: rest.take_u32()?,
                });
            }
            let tags = CachedTags {
                definitions,
                references: rest.take_counts(n_names)?,
                words: rest.take_counts(n_names)?,
            };
            cache.tags.insert(blob, tags);
        }
        rest.0.is_empty().then_some(cache)
    }
}

/// What is left to read.
struct CacheBytes<'b>(&'b [u8]);

impl<'b> CacheBytes<'b> {
    fn take_bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take_number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take_u32(&mut self) -> Option<u32> {
        u32::try_from(self.take_number()?).ok()
    }

    /// How many things follow; each takes a byte at least.
    fn take_count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.take_number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    fn take_name(&mut self, n_names: usize) -> Option<NameId> {
        self.take_u32().filter(|name| (*name as usize) < n_names)
    }

    fn take_counts(&mut self, n_names: usize) -> Option<Vec<NameCount>> {
        let length = self.take_count()?;
        let mut counts = Vec::with_capacity(length);
        for _ in 0..length {
            counts.push(NameCount {
                name: self.take_name(n_names)?,
                count: self.take_u32()?,
            });
        }
        Some(counts)
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use proptest::prelude::*;

    use super::*;

    fn any_tags() -> impl Strategy<Value = FileTags> {
        let names = || prop::collection::btree_map("[a-zä]{1,4}", 1_u32..500, 0..6);
        let definition = ("[a-z]{1,4}", 0_u32..6, any::<u32>()).prop_map(|(name, kind, line)| {
            let kind = DefinitionKind::from_code(kind).unwrap();
            Definition { name, kind, line }
        });
        let definitions = prop::collection::vec(definition, 0..6);
        (definitions, names(), names()).prop_map(|(definitions, references, words)| FileTags {
            definitions,
            references,
            words,
        })
    }

    proptest! {
        /// What is kept comes back, through bytes too, and grows on.
        #[test]
        fn caches_come_back_from_bytes(
            files in prop::collection::btree_map(any::<BlobId>(), any_tags(), 0..6),
            more in any_tags(),
        ) {
            let mut cache = TagCache::default();
            for (blob, tags) in &files {
                cache.insert_tags(*blob, tags);
            }
            let mut back = TagCache::from_bytes(&cache.to_bytes()).unwrap();
            prop_assert_eq!(&back, &cache);
            back.insert_tags([7; 20], &more);
            prop_assert_eq!(back.read_tags(&[7; 20]), Some(more));
            for (blob, tags) in files.iter().filter(|(blob, _)| **blob != [7; 20]) {
                let read = back.read_tags(blob);
                prop_assert_eq!(read.as_ref(), Some(tags));
            }
            let kept: HashSet<BlobId> = files.keys().take(2).copied().collect();
            let fewer = back.retain_blobs(&kept);
            prop_assert_eq!(fewer.n_blobs(), kept.len());
            prop_assert!(fewer.to_bytes().len() <= back.to_bytes().len());
        }

        /// A torn or foreign file is no cache, and nothing worse.
        #[test]
        fn torn_bytes_are_no_cache(tags in any_tags(), cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut cache = TagCache::default();
            cache.insert_tags([1; 20], &tags);
            let bytes = cache.to_bytes();
            prop_assert!(TagCache::from_bytes(&bytes[..cut.index(bytes.len())]).is_none());
            let _ = TagCache::from_bytes(&[MAGIC, &noise].concat());
        }
    }
}
