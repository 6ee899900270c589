//! The places of a text that are most like one that was not found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::line_places::{line_weight, loose_key};
use crate::tools::shorten_text;

const PLACES_SHOWN_MAX: usize = 3;
const LINES_SHOWN_MAX: usize = 8;
const LINE_CHARS_MAX: usize = 160;
/// A word of fewer characters is in every line.
const WORD_CHARS_MIN: usize = 3;

/// Up to three places as lines with their numbers, the most alike first; empty when nothing is alike.
pub(super) fn describe_near_places(text: &str, old: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let old: Vec<&str> = old.lines().collect();
    let mut shown = String::new();
    for start in near_starts(&lines, &old) {
        let end = (start + old.len().clamp(1, LINES_SHOWN_MAX)).min(lines.len());
        let _ = write!(shown, "\n\nnear it are lines {} to {end}:", start + 1);
        for (n, line) in lines[start..end].iter().enumerate() {
            let line = shorten_text(line, LINE_CHARS_MAX);
            let _ = write!(shown, "\n{:>6}\t{line}", start + n + 1);
        }
    }
    shown
}

fn near_starts(lines: &[&str], old: &[&str]) -> Vec<usize> {
    let mut scores = equal_line_scores(lines, old);
    if scores.is_empty() {
        scores = common_word_scores(lines, old);
    }
    let mut starts: Vec<(usize, usize)> = scores.into_iter().collect();
    starts.sort_by_key(|(start, score)| (usize::MAX - score, *start));
    let mut chosen: Vec<usize> = Vec::new();
    for (start, _) in starts {
        if chosen
            .iter()
            .all(|other| other.abs_diff(start) >= old.len().max(2))
        {
            chosen.push(start);
        }
        if chosen.len() == PLACES_SHOWN_MAX {
            break;
        }
    }
    chosen
}

/// Each start that an equal line speaks for, with the weight of those lines.
fn equal_line_scores(lines: &[&str], old: &[&str]) -> BTreeMap<usize, usize> {
    let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (n, line) in old.iter().enumerate() {
        let key = loose_key(line);
        if line_weight(&key) > 1 {
            places.entry(key).or_default().push(n);
        }
    }
    let mut scores = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let key = loose_key(line);
        for n in places.get(&key).into_iter().flatten() {
            *scores.entry(at.saturating_sub(*n)).or_default() += line_weight(&key);
        }
    }
    scores
}

/// Each start that a line with common words speaks for.
fn common_word_scores(lines: &[&str], old: &[&str]) -> BTreeMap<usize, usize> {
    let mut scores = BTreeMap::new();
    let Some((n, heaviest)) = old
        .iter()
        .enumerate()
        .max_by_key(|(_, line)| line_weight(line))
    else {
        return scores;
    };
    let wanted: BTreeSet<&str> = words_of(heaviest).collect();
    for (at, line) in lines.iter().enumerate() {
        let common: BTreeSet<&str> = words_of(line)
            .filter(|word| wanted.contains(word))
            .collect();
        if 2 * common.len() > wanted.len() {
            scores.insert(at.saturating_sub(n), common.len());
        }
    }
    scores
}

fn words_of(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.chars().count() >= WORD_CHARS_MIN)
}
