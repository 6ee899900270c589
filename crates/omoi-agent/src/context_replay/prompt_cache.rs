//! What two kinds of prompt caches hold of a request: one that keeps what is marked, and one that keeps every
//! beginning by itself.

use std::collections::BTreeSet;

use omoi_llm::wire::anthropic::MessagesRequest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Blocks before a mark at which a cache looks for a beginning that it has.
const LOOKBACK_BLOCKS: usize = 20;
/// Bytes of the pieces that a cache of beginnings keeps: about 128 tokens.
const PIECE_BYTES: usize = 512;

/// What was sent before.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    /// Digests of the beginnings that ended at a mark.
    marked: BTreeSet<[u8; 32]>,
    /// The last request, without its marks.
    last: Vec<u8>,
}

/// One request, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheRead {
    pub(super) bytes: usize,
    /// What the cache by marks had of it.
    pub(super) marked_bytes: usize,
    /// What the cache of beginnings had of it.
    pub(super) prefix_bytes: usize,
}

/// The end of one block of a request.
struct BlockEnd {
    at: usize,
    digest: [u8; 32],
    is_marked: bool,
}

impl PromptCache {
    /// Reads `request` and keeps of it what each cache keeps.
    pub(super) fn read_request(
        &mut self,
        request: &MessagesRequest,
    ) -> Result<CacheRead, serde_json::Error> {
        let mut written = WrittenRequest::default();
        written.push_bytes(&serde_json::to_vec(&request.tools)?);
        written.push_blocks("system", &serde_json::to_value(&request.system)?);
        for message in &request.messages {
            let message = serde_json::to_value(message)?;
            let role = message["role"].as_str().unwrap_or_default();
            written.push_blocks(role, &message["content"]);
        }
        let WrittenRequest { bytes, ends, .. } = written;
        let marks = ends.iter().enumerate().filter(|(_, end)| end.is_marked);
        let found = marks.filter_map(|(index, _)| {
            let near = &ends[index.saturating_sub(LOOKBACK_BLOCKS)..=index];
            let hit = near
                .iter()
                .rev()
                .find(|end| self.marked.contains(&end.digest));
            hit.map(|end| end.at)
        });
        let common = bytes.iter().zip(&self.last).take_while(|(a, b)| a == b);
        let read = CacheRead {
            bytes: bytes.len(),
            marked_bytes: found.max().unwrap_or(0),
            prefix_bytes: common.count() / PIECE_BYTES * PIECE_BYTES,
        };
        let marked = ends.iter().filter(|end| end.is_marked);
        self.marked.extend(marked.map(|end| end.digest));
        self.last = bytes;
        Ok(read)
    }
}

/// A request as its model reads it, with the places where caching may end.
#[derive(Default)]
struct WrittenRequest {
    bytes: Vec<u8>,
    digest: Sha256,
    ends: Vec<BlockEnd>,
}

impl WrittenRequest {
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    fn push_blocks(&mut self, role: &str, content: &Value) {
        self.push_bytes(role.as_bytes());
        for block in content.as_array().map(Vec::as_slice).unwrap_or_default() {
            let mut block = block.clone();
            let mark = block
                .as_object_mut()
                .and_then(|map| map.remove("cache_control"));
            self.push_bytes(block.to_string().as_bytes());
            self.ends.push(BlockEnd {
                at: self.bytes.len(),
                digest: self.digest.clone().finalize().into(),
                is_marked: mark.is_some(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    fn request(texts: &[&str], marked: &[usize]) -> MessagesRequest {
        let messages = texts.iter().enumerate().map(|(index, text)| {
            let mut block = json!({"type": "text", "text": text.repeat(600)});
            if marked.contains(&index) {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            json!({"role": if index % 2 == 0 { "user" } else { "assistant" }, "content": [block]})
        });
        let messages: Vec<Value> = messages.collect();
        let wire = json!({"model": "m", "max_tokens": 1, "messages": messages});
        serde_json::from_value(wire).unwrap()
    }

    #[test]
    fn a_cache_by_marks_needs_a_mark_and_one_of_beginnings_does_not() {
        let mut cache = PromptCache::default();
        let first = cache.read_request(&request(&["a"], &[0])).unwrap();
        assert_eq!((first.marked_bytes, first.prefix_bytes), (0, 0));
        let second = cache
            .read_request(&request(&["a", "b", "c"], &[0, 2]))
            .unwrap();
        assert_eq!(second.marked_bytes, first.bytes);
        assert_eq!(second.prefix_bytes, first.bytes / 512 * 512);
        // Its mark moves on; the place before is found by looking back.
        let third = cache
            .read_request(&request(&["a", "b", "c", "d", "e"], &[4]))
            .unwrap();
        assert_eq!(third.marked_bytes, second.bytes);
        let unmarked = cache
            .read_request(&request(&["a", "b", "c", "d", "e"], &[]))
            .unwrap();
        assert_eq!(unmarked.marked_bytes, 0);
        assert!(unmarked.prefix_bytes > third.bytes - 512);
        let changed = cache
            .read_request(&request(&["x", "b", "c", "d", "e"], &[0, 4]))
            .unwrap();
        assert_eq!((changed.marked_bytes, changed.prefix_bytes), (0, 0));
    }
}
