//! Line ends of what is put in, in files that have both kinds.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::line_places::TextLine;

/// Whether some lines of `text` end with a carriage return before the line feed, and some without.
pub fn has_both_ends(text: &str) -> bool {
    let n_lines = text.matches('\n').count();
    let n_returns = text.matches("\r\n").count();
    n_returns > 0 && n_returns < n_lines
}

/// `new`, which replaces `region`: lines that stay keep their ends, others have that of the line that they replace or
/// stand below, and `line_end` where there is none.
pub(super) fn with_region_ends(region: &str, new: &str, line_end: &str) -> String {
    let region = TextLine::split_text(region);
    let given = TextLine::split_text(new);
    let stood: Vec<&str> = region.iter().map(|line| line.text).collect();
    let wanted: Vec<&str> = given.iter().map(|line| line.text).collect();
    let mut out = String::with_capacity(new.len());
    let mut last_end = line_end;
    for op in capture_diff_slices(Algorithm::Myers, &stood, &wanted) {
        let replaced = match op {
            DiffOp::Equal { old_index, len, .. } => old_index..old_index + len,
            DiffOp::Replace {
                old_index, old_len, ..
            } => old_index..old_index + old_len,
            DiffOp::Insert { .. } | DiffOp::Delete { .. } => 0..0,
        };
        for (n, line) in given[op.new_range()].iter().enumerate() {
            out.push_str(line.text);
            let end = region[replaced.clone()].get(n).map(|line| line.end);
            last_end = end.filter(|end| !end.is_empty()).unwrap_or(last_end);
            if !line.end.is_empty() {
                out.push_str(last_end);
            }
        }
    }
    out
}
