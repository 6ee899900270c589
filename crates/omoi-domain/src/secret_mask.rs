//! Takes known secrets out of text that others wrote: a provider that echoes a key, a command that
//! prints a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::Value;

/// Text shown instead of a secret.
pub const MASK: &str = "****";
/// Least length of a secret of letters only that is searched for by itself.
const WORD_CHARS_MIN: usize = 16;
/// Least length of a secret of letters and others that is searched for by itself.
const MIXED_CHARS_MIN: usize = 8;

/// The secrets that one process knows. Cheap to clone.
///
/// A short or plain password, such as `postgres`, is a word that honest text holds too: it is masked
/// only where it stands in an address, between `:` and `@`.
#[derive(Clone, Default)]
pub struct SecretMask(Arc<[String]>);

impl SecretMask {
    /// A mask over `secrets`; empty ones are left out.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut patterns = Vec::new();
        for secret in secrets {
            add_patterns(&mut patterns, secret.as_ref());
        }
        Self::from_patterns(patterns)
    }

    /// This mask over one more secret.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> Self {
        let mut patterns = self.0.to_vec();
        add_patterns(&mut patterns, secret);
        Self::from_patterns(patterns)
    }

    /// This mask over the secrets of `other` too.
    #[must_use]
    pub fn joined_with(&self, other: &Self) -> Self {
        Self::from_patterns(self.0.iter().chain(other.0.iter()).cloned().collect())
    }

    fn from_patterns(mut patterns: Vec<String>) -> Self {
        // A secret within another one must not leave the rest of the longer one behind.
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        Self(patterns.into())
    }

    /// `text` with [`MASK`] in place of every known secret.
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for pattern in self.0.iter() {
            if masked.contains(pattern.as_str()) {
                let instead = match pattern.starts_with(':') && pattern.ends_with('@') {
                    true => format!(":{MASK}@"),
                    false => MASK.to_owned(),
                };
                masked = Cow::Owned(masked.replace(pattern.as_str(), &instead));
            }
        }
        masked
    }

    /// Whether `text` holds a known secret.
    pub fn holds_secret(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| text.contains(pattern.as_str()))
    }

    /// Masks every text in `value`, names of fields included.
    pub fn mask_json(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.mask_text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            Value::Object(fields) => {
                for (name, mut value) in std::mem::take(fields) {
                    self.mask_json(&mut value);
                    fields.insert(self.mask_text(&name).into_owned(), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMask")
            .field("n_patterns", &self.0.len())
            .finish()
    }
}

/// The ways in which `secret` may be written: as it is, within JSON, within an address, as base64.
fn add_patterns(patterns: &mut Vec<String>, secret: &str) {
    let secret = secret.trim();
    if secret.is_empty() {
        return;
    }
    let quoted = Value::String(secret.to_owned()).to_string();
    let escaped = quoted[1..quoted.len() - 1].to_owned();
    let encoded = percent_encoded(secret);
    let is_recognizable = is_recognizable(secret);
    if is_recognizable {
        patterns.extend(base64_forms(secret));
    }
    for written in [secret.to_owned(), escaped, encoded] {
        if is_recognizable {
            patterns.push(written);
        } else {
            patterns.push(format!(":{written}@"));
        }
    }
}

/// Whether honest text will not hold `secret` by chance.
fn is_recognizable(secret: &str) -> bool {
    let n = secret.chars().count();
    let is_mixed =
        secret.chars().any(char::is_alphabetic) && secret.chars().any(|c| !c.is_alphabetic());
    n >= WORD_CHARS_MIN || (n >= MIXED_CHARS_MIN && is_mixed)
}

/// `secret` in both alphabets of base64, without what depends on what follows it.
fn base64_forms(secret: &str) -> [String; 2] {
    let whole = &secret.as_bytes()[..secret.len() - secret.len() % 3];
    [BASE64_STANDARD.encode(whole), BASE64_URL_SAFE.encode(whole)]
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "sk-ant-0123456789abcdef";

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mask = SecretMask::new([
            KEY,
            "pa\"ss/w0rd",
            "postgres",
            "",
            "abc",
            "sk-local-secret",
            "ends-in-9\"",
            "sk-ant-0123456789abcdef-longer",
        ]);
        for (text, expected) in [
            ("nothing here", "nothing here"),
            ("key sk-ant-0123456789abcdef.", "key ****."),
            ("sk-ant-0123456789abcdef-longer", "****"),
            ("sk-ant-0123456789abcdefsk-ant-0123456789abcdef", "********"),
            (r#"{"p": "pa\"ss/w0rd"}"#, r#"{"p": "****"}"#),
            ("http://u:pa%22ss%2Fw0rd@h/", "http://u:****@h/"),
            ("a postgres server", "a postgres server"),
            (
                "postgres://postgres:postgres@host/db",
                "postgres://postgres:****@host/db",
            ),
            ("redis://:abc@host", "redis://:****@host"),
            ("key sk-local-secret.", "key ****."),
            (r#"{"p": "ends-in-9\""}"#, r#"{"p": "****"}"#),
            ("abc", "abc"),
            // `u:sk-ant-0123456789abcdef` of a header would begin elsewhere; this is the key itself.
            ("c2stYW50LTAxMjM0NTY3ODlhYmNkZWY=", "****ZWY="),
        ] {
            assert_eq!(mask.mask_text(text), expected);
        }
        assert!(!format!("{mask:?}").contains("sk-ant"));
    }

    #[test]
    fn every_text_of_a_report_is_masked() {
        let mask = SecretMask::default().with_secret(KEY);
        let mut report = json!({"a": [KEY, {"b": format!("x{KEY}y")}], KEY: 3, "n": null});
        mask.mask_json(&mut report);
        assert_eq!(
            report,
            json!({"a": ["****", {"b": "x****y"}], "****": 3, "n": null})
        );
        assert_eq!(SecretMask::default().mask_text(KEY), KEY);
        let both = mask.joined_with(&SecretMask::new(["other-secret-1"]));
        assert_eq!(
            both.mask_text(&format!("{KEY} other-secret-1")),
            "**** ****"
        );
    }
}
