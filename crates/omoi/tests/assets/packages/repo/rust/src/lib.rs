//! Counts.

/// Two.
pub fn two() -> u32 {
    numerals::one() + 1
}

#[test]
fn two_is_one_more_than_one() {
    assert_eq!(two(), 2);
}
