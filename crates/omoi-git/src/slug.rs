//! Short names for branches, made from titles.

/// The usual length of a slug in a task's branch name.
pub const SLUG_CHARS: usize = 25;

/// `title` in lower case with letters, digits and hyphens only, at most `chars_max` long.
///
/// Blanks become hyphens, everything else is dropped; what is left of nothing is `work`.
pub fn title_slug(title: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            c if (c == '-' || c.is_whitespace()) && !out.is_empty() && !out.ends_with('-') => {
                out.push('-');
            }
            _ => {}
        }
    }
    out.truncate(chars_max);
    let out = out.trim_matches('-');
    if out.is_empty() { "work" } else { out }.to_owned()
}

/// `name`, then `name-2`, `name-3` and so on: what to try when names are taken.
pub fn numbered_names(name: &str) -> impl Iterator<Item = String> {
    let first = std::iter::once(name.to_owned());
    first.chain((2_u32..).map(move |n| format!("{name}-{n}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let cases = [
            ("Add tags to todos", "add-tags-to-todos"),
            ("  Fix: the `parser` (again!)  ", "fix-the-parser-again"),
            (
                "A very long title that goes on and on",
                "a-very-long-title-that-go",
            ),
            ("cut at the hyphen hereee yes", "cut-at-the-hyphen-hereee"),
            ("tabs\tand\nlines -- dashes", "tabs-and-lines-dashes"),
            ("日本語", "work"),
            ("---", "work"),
            ("", "work"),
        ];
        for (title, want) in cases {
            assert_eq!(title_slug(title, SLUG_CHARS), want, "{title}");
        }
        let names: Vec<_> = numbered_names("a").take(3).collect();
        assert_eq!(names, ["a", "a-2", "a-3"]);
    }
}
