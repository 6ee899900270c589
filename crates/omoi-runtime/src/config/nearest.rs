//! The known name most like a mistyped one.

/// The candidate within a third of `name`'s length in edits, or `None`.
pub(super) fn nearest_name<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    candidates
        // Swapped letters are likelier than missing ones, so equal lengths go first.
        .map(|word| {
            (
                edit_distance(name, word),
                word.len().abs_diff(name.len()),
                word,
            )
        })
        .filter(|(edits, _, _)| *edits <= limit)
        .min()
        .map(|(_, _, word)| word)
}

/// Single-character edits between two words; swapped neighbours count as one.
fn edit_distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<_>, Vec<_>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let swap = usize::from(from[i - 1] != to[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["model", "mode", "base_url", "timeout_seconds"];
        for (name, expected) in [
            ("modle", Some("model")),
            ("mdoe", Some("mode")),
            ("timeout_secs", Some("timeout_seconds")),
            ("baseurl", Some("base_url")),
            ("x", None),
            ("temperature", None),
        ] {
            assert_eq!(nearest_name(name, known.into_iter()), expected, "{name}");
        }
    }
}
