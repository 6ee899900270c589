//! What stands in a request: words, pictures, documents.

use serde_json::{Map, Value};

use crate::token_estimate::{IMAGE_TOKENS, estimate_text};

/// What a page of a document costs: a full page of text, and the picture of it that vendors read besides.
const PAGE_TOKENS: u64 = 3_000 + IMAGE_TOKENS;
/// Bytes of a document that are a page. A page of text alone has about 8 KiB with its fonts, one of pictures more.
const PAGE_BYTES: u64 = 8 * 1_024;
/// The most pages of a document that vendors read.
const PAGES_MAX: u64 = 600;
/// Fields whose inside is words to the model, whatever it looks like.
const WORDS_ONLY: [&str; 3] = ["input", "input_schema", "parameters"];

/// Tokens of a part of a request, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentCount {
    /// Of words, by their characters.
    pub(super) words: u64,
    /// Of pictures.
    pub(super) images: u64,
    /// Of documents, by their bytes.
    pub(super) documents: u64,
}

impl ContentCount {
    /// Takes in `value`, a field of a request.
    pub(super) fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => self.words += 1,
            Value::String(text) => self.words += estimate_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(fields) => self.add_fields(fields),
        }
    }

    fn add_fields(&mut self, fields: &Map<String, Value>) {
        let text_of = |name: &str| fields.get(name).and_then(Value::as_str);
        let kind = text_of("type").unwrap_or_default();
        if let ("base64", Some(data)) = (kind, text_of("data")) {
            return self.add_file(text_of("media_type").unwrap_or_default(), data);
        }
        for (name, value) in fields {
            self.words += estimate_text(name);
            match (name.as_str(), value) {
                (name, Value::Object(_)) if WORDS_ONLY.contains(&name) => {
                    self.words += estimate_text(&value.to_string());
                }
                ("image_url", value) => self.add_address(value.get("url").unwrap_or(value)),
                ("file_data", Value::String(data)) if !data.starts_with("data:") => {
                    self.add_file("", data);
                }
                ("file_data" | "file_url", value) => self.add_address(value),
                (_, value) => self.add_value(value),
            }
        }
    }

    /// The file that `address` is, as `data:`. Another address is words: nobody fetches what it names.
    fn add_address(&mut self, address: &Value) {
        let data = address.as_str().and_then(|text| text.strip_prefix("data:"));
        match data.and_then(|data| data.split_once(',')) {
            Some((kind, data)) => self.add_file(kind, data),
            None => self.add_value(address),
        }
    }

    /// A file of a media type, as base64.
    fn add_file(&mut self, media_type: &str, data: &str) {
        if media_type.starts_with("image/") {
            self.images += IMAGE_TOKENS;
        } else {
            let bytes = data.len() as u64 / 4 * 3;
            let pages = bytes.div_ceil(PAGE_BYTES).clamp(1, PAGES_MAX);
            self.documents += pages * PAGE_TOKENS;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_count_by_their_bytes_and_pictures_do_not() {
        let pdf = |bytes: usize| {
            json!([{"type": "document", "source":
            {"type": "base64", "media_type": "application/pdf", "data": "A".repeat(bytes)}}])
        };
        let file = |data: String| json!([{"type": "input_file", "file_data": data}]);
        let data = "A".repeat(32_768);
        let (page, picture) = (PAGE_TOKENS, IMAGE_TOKENS);
        for (value, documents, images) in [
            (pdf(4), page, 0),
            (pdf(32_768), 3 * page, 0),
            (pdf(20 << 20), PAGES_MAX * page, 0),
            (
                file(format!("data:application/pdf;base64,{data}")),
                3 * page,
                0,
            ),
            (file(data.clone()), 3 * page, 0),
            (
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
                0,
                picture,
            ),
            (
                json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
                0,
                picture,
            ),
            // What a tool is called with is words.
            (
                json!({"type": "tool_use", "input": {"file_id": "a", "type": "base64", "data": "b"}}),
                0,
                0,
            ),
            (
                json!({"type": "text", "text": "data:application/pdf;base64,QUFB"}),
                0,
                0,
            ),
        ] {
            let mut count = ContentCount::default();
            count.add_value(&value);
            assert_eq!(
                (count.documents, count.images),
                (documents, images),
                "{:.120}",
                value.to_string()
            );
        }
    }

    #[test]
    fn what_looks_like_a_file_in_words_is_read_as_words() {
        let words = |value: Value| {
            let mut count = ContentCount::default();
            count.add_value(&value);
            count.words
        };
        let long = "word ".repeat(1_000);
        let call = json!({"type": "tool_use", "input": {"type": "base64", "data": long}});
        assert!(words(call) >= 1_000);
        let said = json!({"type": "text", "text": format!("data:x;base64,{long}")});
        assert!(words(said) >= 1_000);
    }
}
