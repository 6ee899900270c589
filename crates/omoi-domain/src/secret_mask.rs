//! Takes known secrets out of text that others wrote: a provider that echoes a key, a command that
//! prints a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::Value;

use crate::planted_bug::{PlantedBug, is_planted};

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
pub struct SecretMask {
    patterns: Arc<[String]>,
    /// What was learned after masks of it were handed out.
    learned: Vec<LearnedSecrets>,
}

/// Secrets that become known while a process runs. Every mask that was made with it, and every copy of those, hides
/// them from then on.
#[derive(Clone, Default)]
pub struct LearnedSecrets(Arc<RwLock<Arc<[String]>>>);

impl LearnedSecrets {
    /// Adds `secrets`.
    pub fn learn_secrets<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) {
        let mut patterns = Vec::new();
        for secret in secrets {
            add_patterns(&mut patterns, secret.as_ref());
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        patterns.extend(known.iter().cloned());
        *known = in_order(patterns).into();
    }

    fn known_patterns(&self) -> Arc<[String]> {
        // It is replaced whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for LearnedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_patterns = self.known_patterns().len();
        f.debug_struct("LearnedSecrets")
            .field("n_patterns", &n_patterns)
            .finish()
    }
}

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
        let mut patterns = self.patterns.to_vec();
        add_patterns(&mut patterns, secret);
        Self {
            patterns: in_order(patterns).into(),
            learned: self.learned.clone(),
        }
    }

    /// This mask over what `learned` knows and will know.
    #[must_use]
    pub fn with_learned(mut self, learned: &LearnedSecrets) -> Self {
        self.learned.push(learned.clone());
        self
    }

    /// This mask over the secrets of `other` too.
    #[must_use]
    pub fn joined_with(&self, other: &Self) -> Self {
        let patterns = self.patterns.iter().chain(other.patterns.iter());
        let mut learned = self.learned.clone();
        learned.extend(other.learned.iter().cloned());
        Self {
            patterns: in_order(patterns.cloned().collect()).into(),
            learned,
        }
    }

    fn from_patterns(patterns: Vec<String>) -> Self {
        Self {
            patterns: in_order(patterns).into(),
            learned: Vec::new(),
        }
    }

    /// All that is hidden now, in the order in which it is searched for.
    fn all_patterns(&self) -> Arc<[String]> {
        let learned: Vec<_> = self
            .learned
            .iter()
            .map(LearnedSecrets::known_patterns)
            .collect();
        if learned.iter().all(|patterns| patterns.is_empty()) {
            return Arc::clone(&self.patterns);
        }
        let learned = learned.iter().flat_map(|patterns| patterns.iter());
        in_order(self.patterns.iter().chain(learned).cloned().collect()).into()
    }

    /// `text` with [`MASK`] in place of every known secret.
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if is_planted(PlantedBug::SecretMask) {
            return Cow::Borrowed(text);
        }
        let mut masked = Cow::Borrowed(text);
        for pattern in self.all_patterns().iter() {
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
        self.all_patterns()
            .iter()
            .any(|pattern| text.contains(pattern.as_str()))
    }

    /// Masks every text in `value`, names of fields included.
    pub fn mask_json(&self, value: &mut Value) {
        if self.all_patterns().is_empty() {
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
            .field("n_patterns", &self.all_patterns().len())
            .finish()
    }
}

/// A secret within another one must not leave the rest of the longer one behind.
fn in_order(mut patterns: Vec<String>) -> Vec<String> {
    patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    patterns.dedup();
    patterns
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
    #[test]
    fn what_is_learned_later_is_hidden_by_every_copy() {
        let learned = LearnedSecrets::default();
        let mask = SecretMask::new([KEY]).with_learned(&learned);
        let copies = [
            mask.clone(),
            mask.with_secret("own-token-1"),
            SecretMask::default().joined_with(&mask),
        ];
        let text = "late-secret-1 and late-secret-1-longer";
        assert!(
            copies
                .iter()
                .all(|copy| copy.mask_text(text) == text && !copy.holds_secret(text))
        );
        learned.learn_secrets(["late-secret-1", "late-secret-1-longer"]);
        for copy in copies {
            assert_eq!(copy.mask_text(text), "**** and ****");
            assert!(copy.holds_secret(text));
        }
        assert!(!format!("{learned:?}").contains("late-secret"));
    }
}
