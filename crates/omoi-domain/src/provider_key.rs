//! Keys that an organisation brings for providers of models: what such a key is, and for which providers.

/// Fewest characters of a key: of a shorter one, its last four would tell too much.
pub const PROVIDER_KEY_CHARS_MIN: usize = 16;
/// Most characters of a key.
pub const PROVIDER_KEY_CHARS_MAX: usize = 512;
/// Characters of a key that are told again.
const TOLD_CHARS: usize = 4;

/// The text is no key of a provider. It is never told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a provider's key has {PROVIDER_KEY_CHARS_MIN} to {PROVIDER_KEY_CHARS_MAX} letters, digits and signs, without spaces"
)]
pub struct BadProviderKey;

/// The deployment asks no such provider with a key that an organisation could bring its own for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this deployment asks no provider called `{named}` with a key; {}", told_list(.known))]
pub struct UnaskedProvider {
    /// The provider that was named.
    pub named: String,
    /// Those that it asks.
    pub known: Vec<String>,
}

fn told_list(known: &[String]) -> String {
    match known.is_empty() {
        true => "it asks none".to_owned(),
        false => format!("it asks {}", known.join(", ")),
    }
}

/// Checks that `named` is one of the providers that the deployment asks with a key.
///
/// # Errors
/// [`UnaskedProvider`], as a key that no question is asked with would be kept for nothing.
pub fn check_key_provider(named: &str, known: &[String]) -> Result<(), UnaskedProvider> {
    match known.iter().any(|one| one == named) {
        true => Ok(()),
        false => Err(UnaskedProvider {
            named: named.to_owned(),
            known: known.to_vec(),
        }),
    }
}

/// Checks that `text` can be a key: it is sent as a header.
///
/// # Errors
/// [`BadProviderKey`].
pub fn check_key_text(text: &str) -> Result<(), BadProviderKey> {
    let is_long = (PROVIDER_KEY_CHARS_MIN..=PROVIDER_KEY_CHARS_MAX).contains(&text.len());
    match is_long && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(BadProviderKey),
    }
}

/// What of a key people are told again, so that they know it from another.
pub fn key_ending(text: &str) -> String {
    let n_chars = text.chars().count();
    text.chars()
        .skip(n_chars.saturating_sub(TOLD_CHARS))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_word_that_can_be_sent_as_a_header() {
        let longest = "k".repeat(PROVIDER_KEY_CHARS_MAX);
        for (text, is_key) in [
            ("sk-ant-0123456789", true),
            ("0123456789abcdef", true),
            (longest.as_str(), true),
            ("0123456789abcde", false),
            ("", false),
            ("sk-ant-0123456789\n", false),
            ("sk-ant 0123456789abc", false),
            ("sk-änt-0123456789abc", false),
            (&format!("{longest}k"), false),
        ] {
            assert_eq!(check_key_text(text).is_ok(), is_key, "{text:?}");
        }
        assert_eq!(key_ending("sk-ant-01234567x4f9"), "x4f9");
    }

    #[test]
    fn a_key_is_brought_for_a_provider_that_is_asked_with_one() {
        let known = ["anthropic".to_owned(), "rack".to_owned()];
        assert_eq!(check_key_provider("rack", &known), Ok(()));
        for (named, known, says) in [
            ("openai", &known[..], "it asks anthropic, rack"),
            ("Rack", &known, "it asks anthropic, rack"),
            ("openai", &[], "it asks none"),
        ] {
            let refused = check_key_provider(named, known).unwrap_err();
            assert!(refused.to_string().ends_with(says), "{refused}");
        }
    }
}
