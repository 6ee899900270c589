//! Says words of wording.

/// The first word that is said.
pub fn first() -> &'static str {
    wording::FIRST
}

#[test]
fn the_first_word_is_a_greeting() {
    assert_eq!(first(), "hello");
}
