//! What stands in a prompt, and what it loses when it is too long.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use super::*;

#[test]
fn the_map_stands_at_the_end_of_what_stays_the_same() {
    let (plain, told) = (
        system_prompt("no network", "").unwrap(),
        system_prompt("no network", "a.rs: 1 fn a\n").unwrap(),
    );
    assert!(!plain.contains("Map of the repository"), "{plain}");
    let map = told.strip_prefix(plain.as_str()).unwrap();
    assert!(map.starts_with("\n\nMap of the repository\n"), "{map}");
    assert!(map.ends_with("\n\na.rs: 1 fn a\n"), "{map}");
}

#[test]
fn a_prompt_that_is_too_long_loses_what_matters_least() {
    let values = context! { title => "Add tags", description => "Do it" };
    let of = |neighbours: usize, design: usize, request: usize| {
        let extras = PromptExtras {
            neighbours: vec!["n".repeat(neighbours)],
            design: "d".repeat(design),
            request: "ü".repeat(request),
        };
        let text = fit_prompt(&values, extras).unwrap();
        let length = text.chars().count();
        assert!(length <= PROMPT_CHARS_MAX, "{length}");
        let count = |c: char| text.chars().filter(|found| *found == c).count();
        [
            count('n') >= neighbours,
            count('d') >= design,
            count('ü') == request,
        ]
    };
    assert_eq!(of(10_000, 20_000, 20_000), [true, true, true]);
    assert_eq!(of(30_000, 20_000, 20_000), [false, true, true]);
    assert_eq!(of(30_000, 50_000, 20_000), [false, false, true]);
    assert_eq!(of(30_000, 50_000, 70_000), [false, false, false]);
}
