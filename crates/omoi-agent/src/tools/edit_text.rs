//! Edits of a text, each put where it belongs or refused.
//!
//! A model gives the text it remembers, and its memory drifts: line ends, blanks at line ends, indentation,
//! neighbouring lines that changed since. A place is taken only when it is the one that fits; lines that an
//! edit keeps stay as the file has them.

mod indentation;
mod line_ends;
mod line_places;
mod near_places;

use serde::Deserialize;

pub use self::line_ends::has_both_ends;
use self::line_ends::with_region_ends;
use self::line_places::{FoundPlace, LinePlace, TextLine, find_lines};
use self::near_places::describe_near_places;

const BOM: char = '\u{feff}';
/// Least width of the numbers that `read` puts before lines; numbers in data are seldom padded to it.
const NUMBER_WIDTH_MIN: usize = 6;
/// Lines by which edits since the last `read` may have moved a numbered line.
const NUMBER_SHIFT_MAX: usize = 200;
/// Line numbers that a refusal names.
const NAMED_LINES_MAX: usize = 10;

/// One replacement, as the model asks for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEdit {
    /// The text to replace, as the model remembers it.
    pub old: String,
    /// What takes its place.
    pub new: String,
    /// Whether every occurrence is replaced.
    #[serde(default)]
    pub replace_all: bool,
}

/// In what the text of the file differed from what the model gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextDrift {
    /// In nothing.
    Exact,
    /// In its line ends.
    LineEnds,
    /// In blanks at the ends of lines.
    TrailingBlanks,
    /// In its indentation, or in typographic characters.
    Indentation,
    /// In lines around the change, which the edit keeps.
    StaleContext,
}

impl TextDrift {
    /// What the model is told of it.
    pub(super) const fn as_words(self) -> Option<&'static str> {
        match self {
            Self::Exact => None,
            Self::LineEnds => Some("line ends"),
            Self::TrailingBlanks => Some("blanks at line ends"),
            Self::Indentation => Some("indentation or typographic characters"),
            Self::StaleContext => Some("lines around the change, which stay as the file has them"),
        }
    }
}

/// A text with its edits made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedText {
    /// The whole new text.
    pub text: String,
    /// Places replaced.
    pub n_places: usize,
    /// The largest drift that was bridged.
    pub drift: TextDrift,
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    #[error("`old` is empty; use `write` to make a file")]
    EmptyOld,
    #[error("`old` and `new` are equal; nothing would change")]
    Equal,
    #[error("`old` does not occur; read the file and give its text as it stands{near}")]
    NotFound { near: String },
    #[error(
        "`old` occurs {count} times (lines {lines}); give more of the text around it, or set `replace_all`"
    )]
    NotUnique { count: usize, lines: String },
    #[error(
        "`old` fits {count} places about equally well (lines {lines}); read the file and give the exact text of one"
    )]
    Ambiguous { count: usize, lines: String },
}

/// The edit that was refused, counted from 0, and why.
#[derive(Debug)]
pub struct RefusedEdit {
    pub index: usize,
    pub refusal: EditRefusal,
}

/// Makes `edits` one after the other, all or none.
pub fn apply_edits(text: &str, edits: &[TextEdit]) -> Result<EditedText, RefusedEdit> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let mut edited = EditedText {
        text: body.to_owned(),
        n_places: 0,
        drift: TextDrift::Exact,
    };
    for (index, edit) in edits.iter().enumerate() {
        let next =
            apply_edit(&edited.text, edit).map_err(|refusal| RefusedEdit { index, refusal })?;
        edited.text = next.text;
        edited.n_places += next.n_places;
        edited.drift = edited.drift.max(next.drift);
    }
    if body.len() < text.len() {
        edited.text.insert(0, BOM);
    }
    Ok(edited)
}

fn apply_edit(text: &str, edit: &TextEdit) -> Result<EditedText, EditRefusal> {
    let old = edit.old.strip_prefix(BOM).unwrap_or(&edit.old);
    let new = edit.new.strip_prefix(BOM).unwrap_or(&edit.new);
    if old.is_empty() {
        return Err(EditRefusal::EmptyOld);
    }
    if old == new {
        return Err(EditRefusal::Equal);
    }
    if let Some(edited) = replace_exact(text, TextPair { old, new }, edit.replace_all)? {
        // Line ends are the file's in any case.
        return if edited.text == text {
            Err(EditRefusal::Equal)
        } else {
            Ok(edited)
        };
    }
    let numbered = without_line_numbers(old).filter(|numbered| numbered.stands_in(text));
    let unnumbered_new;
    let (old, new) = match &numbered {
        Some(numbered) => {
            unnumbered_new = strip_line_numbers(new, numbered.first);
            (numbered.text.as_str(), unnumbered_new.as_str())
        }
        None => (old, new),
    };
    let edited = match replace_exact(text, TextPair { old, new }, edit.replace_all)? {
        Some(edited) => edited,
        None => replace_lines(text, old, new)?,
    };
    // What differs from the file by its drift alone asks for no change.
    if edited.text == text {
        return Err(not_found(text, old));
    }
    Ok(edited)
}

/// What is replaced by what.
struct TextPair<'a> {
    old: &'a str,
    new: &'a str,
}

/// Replaces text that is there to the letter, but for its line ends.
fn replace_exact(
    text: &str,
    pair: TextPair<'_>,
    replace_all: bool,
) -> Result<Option<EditedText>, EditRefusal> {
    let mut drift = TextDrift::Exact;
    let mut ranges: Vec<(usize, usize)> = find_text(text, pair.old)
        .into_iter()
        .map(|at| (at, at + pair.old.len()))
        .collect();
    if ranges.is_empty() && (text.contains("\r\n") || pair.old.contains("\r\n")) {
        drift = TextDrift::LineEnds;
        ranges = find_despite_line_ends(text, pair.old);
    }
    match ranges.len() {
        0 => return Ok(None),
        2.. if !replace_all => {
            let starts = ranges.iter().map(|(start, _)| line_number(text, *start));
            return Err(EditRefusal::NotUnique {
                count: ranges.len(),
                lines: name_lines(starts),
            });
        }
        _ => {}
    }
    let is_mixed = has_both_ends(text);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    ranges.dedup_by(|later, earlier| later.0 < earlier.1);
    for (start, end) in &ranges {
        out.push_str(&text[done..*start]);
        let region = &text[*start..*end];
        let line_end = line_end_at(text, *start);
        out.push_str(&match is_mixed {
            false => with_line_ends(pair.new, line_end),
            true => with_region_ends(region, pair.new, line_end),
        });
        done = *end;
    }
    out.push_str(&text[done..]);
    Ok(Some(EditedText {
        text: out,
        n_places: ranges.len(),
        drift,
    }))
}

/// Where `old` stands in `text`, line ends compared as equal.
fn find_despite_line_ends(text: &str, old: &str) -> Vec<(usize, usize)> {
    let plain = text.replace("\r\n", "\n");
    // Where a carriage return is missing in the plain text.
    let mut dropped = Vec::new();
    for (n, (at, _)) in text.match_indices("\r\n").enumerate() {
        dropped.push(at - n);
    }
    let in_text = |at: usize| at + dropped.partition_point(|gone| *gone < at);
    let old = old.replace("\r\n", "\n");
    let found = find_text(&plain, &old).into_iter();
    found
        .map(|at| (in_text(at), in_text(at + old.len())))
        .collect()
}

/// Where `old` stands in `text`. Of places that overlap, as those of blank lines do, one is named; where
/// there is but one such, its overlapping neighbour too, so that it does not pass for the only place.
fn find_text(text: &str, old: &str) -> Vec<usize> {
    let mut starts: Vec<usize> = text.match_indices(old).map(|(at, _)| at).collect();
    if let [at] = starts[..] {
        let next = at + text[at..].chars().next().map_or(1, char::len_utf8);
        starts.extend(text[next..].find(old).map(|found| next + found));
    }
    starts
}

/// Replaces whole lines that are there but for a drift.
fn replace_lines(text: &str, old: &str, new: &str) -> Result<EditedText, EditRefusal> {
    let lines = TextLine::split_text(text);
    let old_lines: Vec<&str> = old.lines().collect();
    let new_lines: Vec<&str> = new.lines().collect();
    let place = match find_lines(&lines, &old_lines, &new_lines) {
        FoundPlace::One(place) => place,
        FoundPlace::Nothing => return Err(not_found(text, old)),
        FoundPlace::Several(firsts) => {
            return Err(EditRefusal::Ambiguous {
                count: firsts.len(),
                lines: name_lines(firsts.iter().map(|first| first + 1)),
            });
        }
    };
    let LinePlace {
        first,
        end,
        replacement,
        drift,
    } = place;
    let mut out: String = lines[..first].iter().map(TextLine::whole_line).collect();
    let line_end = match lines.get(first).or(lines.last()) {
        Some(line) if !line.end.is_empty() => line.end,
        _ => line_end_at(text, 0),
    };
    // A line that is put behind the last one needs that one ended.
    if !out.is_empty() && !out.ends_with('\n') && !replacement.is_empty() {
        out.push_str(line_end);
    }
    let is_unended = lines.last().is_some_and(|line| line.end.is_empty());
    let asks_for_end = new.ends_with('\n') && !old.ends_with('\n');
    let mut line_end = line_end;
    for (n, line) in replacement.iter().enumerate() {
        let is_last = end == lines.len() && n + 1 == replacement.len();
        // Where line ends are mixed, added lines have that of the line above.
        line_end = line.end.filter(|kept| !kept.is_empty()).unwrap_or(line_end);
        out.push_str(&line.text);
        if !is_last || !is_unended || asks_for_end {
            out.push_str(line_end);
        }
    }
    out.extend(lines[end..].iter().map(TextLine::whole_line));
    Ok(EditedText {
        text: out,
        n_places: 1,
        drift,
    })
}

fn not_found(text: &str, old: &str) -> EditRefusal {
    EditRefusal::NotFound {
        near: describe_near_places(text, old),
    }
}

/// Lines that `read` gave with their numbers.
struct NumberedLines {
    /// The lines without their numbers.
    text: String,
    /// Number of the first.
    first: usize,
}

impl NumberedLines {
    /// Whether the first line stands about where its number says. Data may begin with numbers too.
    fn stands_in(&self, file: &str) -> bool {
        let wanted = self.text.lines().next().map(str::trim);
        let from = self.first.saturating_sub(1 + NUMBER_SHIFT_MAX);
        let mut near = file.lines().skip(from).take(1 + 2 * NUMBER_SHIFT_MAX);
        near.any(|line| Some(line.trim()) == wanted)
    }
}

/// `text` without the numbers that `read` puts before lines, when each line has one and they count up.
fn without_line_numbers(text: &str) -> Option<NumberedLines> {
    let mut first = None;
    let mut expected = None;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (number, rest) = split_line_number(line)?;
        if expected.is_some_and(|expected: usize| expected != number) {
            return None;
        }
        first = first.or(Some(number));
        expected = Some(number.checked_add(1)?);
        out.push_str(rest);
    }
    let text = out;
    first.map(|first| NumberedLines { text, first })
}

/// The number that `read` puts before a line, and the line.
fn split_line_number(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.split_once('\t')?;
    let number = (number.len() >= NUMBER_WIDTH_MIN).then(|| number.trim_start().parse());
    Some((number?.ok()?, rest))
}

/// New lines for lines that were given with their numbers from `first` on: those of kept lines need not count up with
/// those of added ones, which often have none. A number that no line there has is part of its line.
fn strip_line_numbers(new: &str, first: usize) -> String {
    let last = first.saturating_add(new.lines().count() + NUMBER_SHIFT_MAX);
    let strip = |line| match split_line_number(line) {
        Some((number, rest)) if (first..=last).contains(&number) => rest,
        _ => line,
    };
    new.split_inclusive('\n').map(strip).collect()
}

/// `text` with the line ends of the place that it comes to.
pub(super) fn with_line_ends(text: &str, line_end: &str) -> String {
    let plain = text.replace("\r\n", "\n");
    match line_end {
        "\r\n" => plain.replace('\n', "\r\n"),
        _ => plain,
    }
}

/// The line end in use at `at`: of its own line, else of the line before.
pub(super) fn line_end_at(text: &str, at: usize) -> &'static str {
    let next = text[at..].find('\n').map(|n| at + n);
    match next.or_else(|| text[..at].rfind('\n')) {
        Some(n) if text[..n].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

pub(super) fn line_number(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

pub(super) fn name_lines(lines: impl Iterator<Item = usize>) -> String {
    let mut named: Vec<String> = lines
        .take(NAMED_LINES_MAX + 1)
        .map(|line| line.to_string())
        .collect();
    if named.len() > NAMED_LINES_MAX {
        named.truncate(NAMED_LINES_MAX);
        named.push("…".to_owned());
    }
    named.join(", ")
}

#[cfg(test)]
mod tests;
