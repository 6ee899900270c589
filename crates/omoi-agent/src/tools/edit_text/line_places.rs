//! Finds the place of whole lines in spite of a drift.

use std::borrow::Cow;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::TextDrift;
use super::indentation::{IndentChange, LinePair, indent_of};

/// Share of the context's weight that has to be there still.
const CONTEXT_SHARE_MIN: f64 = 0.6;
/// How much less of it the second best place may have.
const CONTEXT_MARGIN: f64 = 0.25;
/// Weight of all lines that speak for a place with stale context.
const EVIDENCE_MIN: usize = 12;
/// Weight of one line alone that speaks for a place with another indentation.
const ONE_LINE_EVIDENCE_MIN: usize = 24;
/// Lines of context that are compared; more of them are too slow to place.
const CONTEXT_LINES_MAX: usize = 400;
/// Places looked at; a change that fits more of them says too little.
const PLACES_MAX: usize = 500;
/// Lines that may have come between the lines of the context.
const CONTEXT_SLACK: usize = 8;
const LINE_WEIGHT_MAX: usize = 40;

/// A line of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextLine<'a> {
    /// Its text without its end.
    pub(super) text: &'a str,
    /// Its end; empty for a last line without one.
    pub(super) end: &'a str,
    whole: &'a str,
}

impl<'a> TextLine<'a> {
    pub(super) fn split_text(text: &'a str) -> Vec<Self> {
        let lines = text.split_inclusive('\n').map(|whole| {
            let text = whole.strip_suffix('\n').unwrap_or(whole);
            let text = text.strip_suffix('\r').unwrap_or(text);
            Self {
                text,
                end: &whole[text.len()..],
                whole,
            }
        });
        lines.collect()
    }

    /// The line with its end.
    pub(super) fn whole_line(&self) -> &'a str {
        self.whole
    }
}

/// A line that takes the place of others.
#[derive(Clone, Debug)]
pub(super) struct PlacedLine<'a> {
    pub(super) text: Cow<'a, str>,
    /// Its end when the file has it already.
    pub(super) end: Option<&'a str>,
}

/// Where an edit belongs, and the lines that come there.
#[derive(Clone, Debug)]
pub(super) struct LinePlace<'a> {
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) replacement: Vec<PlacedLine<'a>>,
    pub(super) drift: TextDrift,
}

/// What looking for lines has found.
#[derive(Clone, Debug)]
pub(super) enum FoundPlace<'a> {
    /// No place, or none that is sure.
    Nothing,
    /// The one place.
    One(LinePlace<'a>),
    /// The first lines of places that fit about equally well.
    Several(Vec<usize>),
}

/// Where `old` belongs in `lines`, by the smallest drift that finds any place.
pub(super) fn find_lines<'a>(lines: &[TextLine<'a>], old: &[&str], new: &[&str]) -> FoundPlace<'a> {
    if old.iter().all(|line| line.trim().is_empty()) {
        return FoundPlace::Nothing;
    }
    let file_keys: Vec<&str> = lines.iter().map(|line| line.text.trim_end()).collect();
    let old_keys: Vec<&str> = old.iter().map(|line| line.trim_end()).collect();
    let search = LineSearch { lines, old, new };
    let starts = find_runs(&file_keys, &old_keys);
    if !starts.is_empty() {
        return search.whole_place(&starts, TextDrift::TrailingBlanks);
    }
    let file_keys: Vec<Cow<'_, str>> = lines.iter().map(|line| loose_key(line.text)).collect();
    let old_keys: Vec<Cow<'_, str>> = old.iter().map(|line| loose_key(line)).collect();
    let starts = find_runs(&file_keys, &old_keys);
    if !starts.is_empty() {
        // A brace or a `return` at another depth may be a line of another block.
        let is_sure = starts.len() > 1 || search.keeps_indent(starts[0]) || says_enough(&old_keys);
        return match is_sure {
            true => search.whole_place(&starts, TextDrift::Indentation),
            false => FoundPlace::Nothing,
        };
    }
    search.stale_place(&file_keys, &old_keys)
}

/// Whether lines that stand at another indentation can be no others than those that were meant.
fn says_enough(keys: &[Cow<'_, str>]) -> bool {
    let weights = keys.iter().map(|key| line_weight(key));
    let evidence: usize = weights.clone().sum();
    let n_lines = weights.filter(|weight| *weight > 1).count();
    let least = if n_lines > 1 {
        EVIDENCE_MIN
    } else {
        ONE_LINE_EVIDENCE_MIN
    };
    evidence >= least
}

struct LineSearch<'s, 'a> {
    lines: &'s [TextLine<'a>],
    old: &'s [&'s str],
    new: &'s [&'s str],
}

impl<'a> LineSearch<'_, 'a> {
    /// Whether `old` has the indentation of the lines from `first` on.
    fn keeps_indent(&self, first: usize) -> bool {
        let mut pairs = self.old.iter().zip(&self.lines[first..]);
        pairs.all(|(old, line)| indent_of(old) == indent_of(line.text))
    }

    /// The place where every line of `old` stands.
    fn whole_place(&self, starts: &[usize], drift: TextDrift) -> FoundPlace<'a> {
        let [first] = *starts else {
            return FoundPlace::Several(starts.to_vec());
        };
        let end = first + self.old.len();
        let region = &self.lines[first..end];
        let replacement = self
            .replace_region(region, self.old, self.new)
            .or_else(|| self.replace_begun_line(region));
        replacement.map_or(FoundPlace::Nothing, |replacement| {
            FoundPlace::One(LinePlace {
                first,
                end,
                replacement,
                drift,
            })
        })
    }

    /// The same when only the first line lost its indentation, as it does when a text is taken from within
    /// a line on.
    fn replace_begun_line(&self, region: &[TextLine<'a>]) -> Option<Vec<PlacedLine<'a>>> {
        let (old_first, new_first) = (self.old.first()?, self.new.first()?);
        let lacks_indent = |line: &str| indent_of(line).is_empty();
        if self.old.len() < 2 || !lacks_indent(old_first) || !lacks_indent(new_first) {
            return None;
        }
        let indent = indent_of(region.first()?.text);
        let (old_first, new_first) = (
            format!("{indent}{old_first}"),
            format!("{indent}{new_first}"),
        );
        let mut old = self.old.to_vec();
        old[0] = &old_first;
        let mut new = self.new.to_vec();
        new[0] = &new_first;
        self.replace_region(region, &old, &new)
    }

    /// `region`, which `old` stands for line by line, changed as `old` is changed to `new`.
    fn replace_region(
        &self,
        region: &[TextLine<'a>],
        old: &[&str],
        new: &[&str],
    ) -> Option<Vec<PlacedLine<'a>>> {
        let pairs = old.iter().zip(region);
        let pairs: Vec<LinePair<'_>> = pairs
            .map(|(given, line)| LinePair {
                given,
                file: line.text,
            })
            .collect();
        let changes = self.indent_changes(&pairs);
        if changes.is_empty() {
            return None;
        }
        let mut replacement = Vec::new();
        for op in capture_diff_slices(Algorithm::Myers, old, new) {
            match op {
                DiffOp::Equal { old_index, len, .. } => {
                    let kept = &region[old_index..old_index + len];
                    replacement.extend(kept.iter().map(PlacedLine::of_file));
                }
                DiffOp::Delete { .. } => {}
                DiffOp::Insert {
                    new_index, new_len, ..
                }
                | DiffOp::Replace {
                    new_index, new_len, ..
                } => {
                    replacement
                        .extend(carry_lines(&changes, &new[new_index..new_index + new_len])?);
                }
            }
        }
        Some(replacement)
    }

    fn indent_changes(&self, pairs: &[LinePair<'_>]) -> Vec<IndentChange> {
        let given = self.old.iter().chain(self.new).copied();
        let file = self.lines.iter().map(|line| line.text);
        IndentChange::all_of_pairs(pairs, given, file)
    }

    /// The place where the lines that change stand, with enough of those around them.
    fn stale_place(&self, file_keys: &[Cow<'_, str>], old_keys: &[Cow<'_, str>]) -> FoundPlace<'a> {
        let Some(change) = ContextChange::of_lines(self.old, self.new) else {
            return FoundPlace::Nothing;
        };
        let starts = change.find_starts(file_keys, old_keys);
        if starts.len() > PLACES_MAX {
            return FoundPlace::Nothing;
        }
        let fits = starts.iter();
        let mut fits: Vec<ContextFit> = fits
            .map(|start| change.fit_context(*start, file_keys, old_keys))
            .collect();
        fits.sort_by(|a, b| b.share.total_cmp(&a.share));
        let Some(best) = fits.first() else {
            return FoundPlace::Nothing;
        };
        let is_sure = best.is_beside && best.evidence >= EVIDENCE_MIN;
        if !is_sure || best.share < CONTEXT_SHARE_MIN {
            return FoundPlace::Nothing;
        }
        let is_rival = |fit: &&ContextFit| fit.share > best.share - CONTEXT_MARGIN;
        let rivals: Vec<usize> = fits.iter().filter(is_rival).map(|fit| fit.first).collect();
        if rivals.len() > 1 {
            return FoundPlace::Several(rivals);
        }
        let place = self.replace_core(&change, best);
        place.map_or(FoundPlace::Nothing, FoundPlace::One)
    }

    fn replace_core(&self, change: &ContextChange, fit: &ContextFit) -> Option<LinePlace<'a>> {
        let n_old = self.old.len() - change.before - change.after;
        let core = fit.first..fit.first + n_old;
        let pairs = core.clone().map(|n| (change.before + n - fit.first, n));
        let pairs: Vec<LinePair<'_>> = pairs
            .chain(fit.matched.iter().copied())
            .map(|(given, file)| LinePair {
                given: self.old[given],
                file: self.lines[file].text,
            })
            .collect();
        let indents = self.indent_changes(&pairs);
        let new = &self.new[change.before..self.new.len() - change.after];
        Some(LinePlace {
            first: core.start,
            end: core.end,
            replacement: carry_lines(&indents, new)?,
            drift: TextDrift::StaleContext,
        })
    }
}

impl<'a> PlacedLine<'a> {
    fn of_file(line: &TextLine<'a>) -> Self {
        Self {
            text: Cow::Borrowed(line.text),
            end: Some(line.end),
        }
    }
}

/// `lines` with the file's indentation, when every change that says what it is says the same.
fn carry_lines<'a>(changes: &[IndentChange], lines: &[&str]) -> Option<Vec<PlacedLine<'a>>> {
    let carried = changes.iter().filter_map(|change| {
        let texts = lines.iter().map(|line| change.carry_over(line));
        texts.collect::<Option<Vec<String>>>()
    });
    let mut carried = carried.collect::<Vec<_>>();
    carried.dedup();
    if carried.len() != 1 {
        return None;
    }
    let texts = carried.pop()?.into_iter();
    let placed = texts.map(|text| PlacedLine {
        text: Cow::Owned(text),
        end: None,
    });
    Some(placed.collect())
}

/// An edit whose first and last lines stay: only what lies between them changes.
struct ContextChange {
    before: usize,
    after: usize,
}

/// How well the context fits at one place.
struct ContextFit {
    /// The first line that changes.
    first: usize,
    /// Share of the context's weight found.
    share: f64,
    /// Whether a line right beside the change is found.
    is_beside: bool,
    /// Weight of everything found.
    evidence: usize,
    /// Lines of the context found: in what the model gave, and in the file.
    matched: Vec<(usize, usize)>,
}

impl ContextChange {
    fn of_lines(old: &[&str], new: &[&str]) -> Option<Self> {
        let is_same = |(a, b): &(&&str, &&str)| a.trim_end() == b.trim_end();
        let before = old.iter().zip(new).take_while(is_same).count();
        let (old_rest, new_rest) = (&old[before..], &new[before..]);
        let after = old_rest.iter().rev().zip(new_rest.iter().rev());
        let after = after.take_while(is_same).count();
        (1..=CONTEXT_LINES_MAX)
            .contains(&(before + after))
            .then_some(Self { before, after })
    }

    /// Where the lines that change stand in the file, or what is put in goes.
    fn find_starts(&self, file_keys: &[Cow<'_, str>], old_keys: &[Cow<'_, str>]) -> Vec<usize> {
        let n_old = old_keys.len();
        let core = &old_keys[self.before..n_old - self.after];
        if !core.is_empty() {
            return find_runs(file_keys, core);
        }
        // Both lines beside it have to be there still: between them is the place.
        let is_gap = |at: &usize| {
            let fits_before = self.before == 0
                || at
                    .checked_sub(1)
                    .is_some_and(|n| file_keys[n] == old_keys[self.before - 1]);
            let fits_after =
                self.after == 0 || file_keys.get(*at) == Some(&old_keys[n_old - self.after]);
            fits_before && fits_after
        };
        (0..=file_keys.len()).filter(is_gap).collect()
    }

    fn fit_context(
        &self,
        first: usize,
        file_keys: &[Cow<'_, str>],
        old_keys: &[Cow<'_, str>],
    ) -> ContextFit {
        let after_old = old_keys.len() - self.after;
        let end = first + after_old - self.before;
        let from = first.saturating_sub(self.before + CONTEXT_SLACK);
        let to = (end + self.after + CONTEXT_SLACK).min(file_keys.len());
        let above = match_lines(&old_keys[..self.before], &file_keys[from..first]);
        let below = match_lines(&old_keys[after_old..], &file_keys[end..to]);
        let above = above.into_iter().map(|(old, file)| (old, from + file));
        let below = below
            .into_iter()
            .map(|(old, file)| (after_old + old, end + file));
        let matched: Vec<(usize, usize)> = above.chain(below).collect();
        let weigh = |keys: &[Cow<'_, str>]| keys.iter().map(|key| line_weight(key)).sum::<usize>();
        let core = weigh(&old_keys[self.before..after_old]);
        let context = weigh(old_keys) - core;
        let found: usize = matched
            .iter()
            .map(|(old, _)| line_weight(&old_keys[*old]))
            .sum();
        let beside = |(old, file): &(usize, usize)| {
            let is_above = *old + 1 == self.before && *file + 1 == first;
            is_above || (*old == after_old && *file == end)
        };
        ContextFit {
            first,
            share: found as f64 / context.max(1) as f64,
            is_beside: matched.iter().any(beside),
            evidence: core + found,
            matched,
        }
    }
}

/// The lines that both have, in order.
fn match_lines(old: &[Cow<'_, str>], file: &[Cow<'_, str>]) -> Vec<(usize, usize)> {
    let mut matched = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, file) {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = op
        {
            matched.extend((0..len).map(|n| (old_index + n, new_index + n)));
        }
    }
    matched
}

/// Where `wanted` stands in `lines`, each place; in linear time, by Knuth, Morris and Pratt.
fn find_runs<T: PartialEq>(lines: &[T], wanted: &[T]) -> Vec<usize> {
    if wanted.is_empty() {
        return Vec::new();
    }
    // Length of the longest beginning of `wanted` that also ends its first `n + 1` lines.
    let mut borders = vec![0; wanted.len()];
    for n in 1..wanted.len() {
        borders[n] = extend_run(&wanted[n], wanted, &borders, borders[n - 1]);
    }
    let mut starts = Vec::new();
    let mut length = 0;
    for (n, line) in lines.iter().enumerate() {
        if length == wanted.len() {
            length = borders[length - 1];
        }
        length = extend_run(line, wanted, &borders, length);
        if length == wanted.len() {
            starts.push(n + 1 - length);
        }
    }
    starts
}

/// Lines of `wanted` that stand up to and with `line`, when the first `length` stood before it.
fn extend_run<T: PartialEq>(line: &T, wanted: &[T], borders: &[usize], mut length: usize) -> usize {
    while length > 0 && wanted[length] != *line {
        length = borders[length - 1];
    }
    length + usize::from(wanted[length] == *line)
}

/// How much a line says: braces little, words more.
pub(super) fn line_weight(line: &str) -> usize {
    let words = line.chars().filter(|c| c.is_alphanumeric()).count();
    match words.min(LINE_WEIGHT_MAX) {
        0 if line.trim().is_empty() => 0,
        0 => 1,
        weight => weight,
    }
}

/// A line without its indentation, typographic characters as a keyboard has them.
pub(super) fn loose_key(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let plain = line.chars().map(|c| match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        other => other,
    });
    Cow::Owned(plain.collect())
}
