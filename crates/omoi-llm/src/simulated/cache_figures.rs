//! Token counts of a request, by what of them a prompt cache holds.
//!
//! Nothing is remembered. What a cache would hold follows from the request itself: the request before it
//! in the same conversation was the same up to the model's last message.

use serde_json::Value as Json;

use super::Dialect;

/// A token is taken to be this many bytes.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PromptTokens {
    /// Neither read from the cache nor written to it.
    pub(super) fresh: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    /// The cache keeps what is written for an hour.
    pub(super) is_long_lived: bool,
}

impl PromptTokens {
    pub(super) fn token_total(self) -> u64 {
        self.fresh + self.cache_read + self.cache_write
    }
}

/// Counts the tokens of a request of `body_bytes` bytes.
pub(super) fn count_prompt(wire: Dialect, body: &Json, body_bytes: usize) -> PromptTokens {
    let total = (body_bytes as u64).div_ceil(BYTES_PER_TOKEN);
    let places = match wire {
        Dialect::Messages => CachePlaces::of_marks(body),
        Dialect::ChatCompletions => CachePlaces::of_history(body, "messages"),
        Dialect::Responses => CachePlaces::of_history(body, "input"),
    };
    let tokens = |bytes: u64| (bytes / BYTES_PER_TOKEN).min(total);
    let cached = tokens(places.marked);
    let cache_read = tokens(places.seen).min(cached);
    let cache_write = match wire {
        Dialect::Messages => cached - cache_read,
        // What these vendors write costs nothing extra, and is not told.
        Dialect::ChatCompletions | Dialect::Responses => 0,
    };
    PromptTokens {
        fresh: total - cache_read - cache_write,
        cache_read,
        cache_write,
        is_long_lived: places.is_long_lived,
    }
}

/// Where in a request caching ends, in bytes of JSON from its beginning.
#[derive(Default)]
struct CachePlaces {
    /// The end of the last part that is to be cached.
    marked: u64,
    /// The end of what the request before this one left in the cache.
    seen: u64,
    is_long_lived: bool,
}

impl CachePlaces {
    /// Caching by marks: tools, system and messages are read in this order, and each mark ends a part
    /// that is kept.
    fn of_marks(body: &Json) -> Self {
        let mut places = Self::default();
        let mut walk = MarkWalk::default();
        for part in list_of(&body["tools"])
            .iter()
            .chain(list_of(&body["system"]))
        {
            walk.pass_part(part, &mut places);
        }
        if let Some(text) = body["system"].as_str() {
            walk.bytes += text.len() as u64;
        }
        let messages = list_of(&body["messages"]);
        let last_answer = messages
            .iter()
            .rposition(|message| message["role"] == "assistant");
        // What was marked when the model gave its last answer, and what could have been.
        let (mut marked_before, mut end_before) = (0, 0);
        for (index, message) in messages.iter().enumerate() {
            if Some(index) == last_answer {
                (marked_before, end_before) = (places.marked, walk.bytes);
            }
            match message["content"].as_str() {
                Some(text) => walk.bytes += text.len() as u64,
                None => {
                    for part in list_of(&message["content"]) {
                        walk.pass_part(part, &mut places);
                    }
                }
            }
        }
        if last_answer.is_some() {
            // A mark behind the last answer moves along: it stood at the end of the request before.
            let moves_along = places.marked > end_before;
            places.seen = if moves_along {
                end_before
            } else {
                marked_before
            };
        }
        places
    }

    /// Caching without marks: all that was in the request before.
    fn of_history(body: &Json, key: &str) -> Self {
        let messages = list_of(&body[key]);
        let Some(last_answer) = messages.iter().rposition(is_answer) else {
            return Self::default();
        };
        let before_answer = messages[..last_answer]
            .iter()
            .rposition(|message| !is_answer(message))
            .map_or(0, |index| index + 1);
        let size = |value: &Json| value.to_string().len() as u64;
        let seen = size(&body["tools"])
            + size(&body["instructions"])
            + messages[..before_answer].iter().map(size).sum::<u64>();
        Self {
            marked: seen,
            seen,
            is_long_lived: false,
        }
    }
}

/// Whether an entry of the conversation is what the model said.
pub(super) fn is_answer(message: &Json) -> bool {
    message["role"] == "assistant"
        || matches!(
            message["type"].as_str(),
            Some("function_call" | "custom_tool_call" | "reasoning")
        )
}

#[derive(Default)]
struct MarkWalk {
    bytes: u64,
}

impl MarkWalk {
    fn pass_part(&mut self, part: &Json, places: &mut CachePlaces) {
        self.bytes += part.to_string().len() as u64;
        if let Some(mark) = part.get("cache_control").filter(|mark| !mark.is_null()) {
            places.marked = self.bytes;
            places.is_long_lived = mark["ttl"] == "1h";
        }
    }
}

fn list_of(value: &Json) -> &[Json] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Counts `cache_control` where the vendor reads it: in tools, system and content blocks.
pub(super) fn count_marks(body: &Json) -> usize {
    let marks = |parts: &Json| {
        let parts = list_of(parts).iter();
        parts
            .filter(|part| part.get("cache_control").is_some())
            .count()
    };
    let messages = list_of(&body["messages"]).iter();
    let messages: usize = messages.map(|message| marks(&message["content"])).sum();
    messages + marks(&body["system"]) + marks(&body["tools"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn count(wire: Dialect, body: &Json) -> PromptTokens {
        let bytes = body.to_string().len();
        let tokens = count_prompt(wire, body, bytes);
        assert_eq!(tokens.token_total(), (bytes as u64).div_ceil(4));
        tokens
    }

    /// A conversation of `turns` answers; the last question is marked if `rolling`, the system prompt always.
    fn marked(turns: usize, rolling: bool) -> Json {
        let mark = json!({"type": "ephemeral", "ttl": "1h"});
        let mut messages = Vec::new();
        for _ in 0..turns {
            messages.push(
                json!({"role": "user", "content": [{"type": "text", "text": "q".repeat(400)}]}),
            );
            messages.push(json!({"role": "assistant", "content": "a".repeat(400)}));
        }
        let mut last = json!({"type": "text", "text": "q".repeat(400)});
        if rolling {
            last["cache_control"] = mark.clone();
        }
        messages.push(json!({"role": "user", "content": [last]}));
        json!({
            "system": [{"type": "text", "text": "s".repeat(4000), "cache_control": mark}],
            "messages": messages,
        })
    }

    #[test]
    fn the_share_read_from_a_marked_cache_grows_with_the_conversation() {
        let none = count(
            Dialect::Messages,
            &json!({"messages": [{"role": "user", "content": "q"}]}),
        );
        assert_eq!((none.cache_read, none.cache_write), (0, 0));
        let first = count(Dialect::Messages, &marked(0, true));
        assert_eq!(first.cache_read, 0);
        assert!(first.cache_write > 1100 && first.is_long_lived);
        let mut before = first;
        for turns in 1..4 {
            let now = count(Dialect::Messages, &marked(turns, true));
            // All that the request before had, its mark apart, is there.
            let had = before.cache_read + before.cache_write;
            assert!(
                now.cache_read.abs_diff(had) < 20,
                "{now:?} after {before:?}"
            );
            assert!(now.cache_write > 190 && now.fresh < 100, "{now:?}");
            before = now;
        }
        // A mark that stays where it is keeps what it kept.
        let system = count(Dialect::Messages, &marked(0, false)).cache_write;
        for turns in 1..4 {
            let now = count(Dialect::Messages, &marked(turns, false));
            assert_eq!((now.cache_read, now.cache_write), (system, 0));
        }
    }

    #[test]
    fn without_marks_all_but_the_last_turn_is_cached() {
        let chat = |turns: usize| {
            let mut messages = vec![json!({"role": "system", "content": "s".repeat(4000)})];
            for _ in 0..turns {
                messages.push(json!({"role": "user", "content": "q".repeat(400)}));
                messages.push(json!({"role": "assistant", "content": "a".repeat(400)}));
            }
            messages.push(json!({"role": "user", "content": "q".repeat(400)}));
            json!({"messages": messages})
        };
        assert_eq!(count(Dialect::ChatCompletions, &chat(0)).cache_read, 0);
        let reads = [1, 2, 3].map(|turns| count(Dialect::ChatCompletions, &chat(turns)).cache_read);
        assert!(reads[0] > 1100 && reads[1] > reads[0] + 200 && reads[2] > reads[1] + 200);
        // Several items of one answer are one turn.
        let items = json!({"input": [
            {"role": "user", "content": "q".repeat(400)},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "o".repeat(400)},
        ]});
        let read = count(Dialect::Responses, &items).cache_read;
        assert!((100..120).contains(&read), "{read}");
    }
}
