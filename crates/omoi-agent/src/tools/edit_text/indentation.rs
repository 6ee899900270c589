//! Carries the indentation of remembered lines over to that of the file.

use std::collections::BTreeMap;

/// How the indentation of what the model gave becomes that of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IndentChange {
    /// As it is.
    Kept,
    /// The file's lines begin with this besides.
    Added(String),
    /// The file's lines lack this beginning.
    Removed(String),
    /// Another unit, and so many levels deeper.
    Units {
        given_unit: String,
        file_unit: String,
        levels: isize,
    },
}

/// A line as the model gave it, and the file's line that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinePair<'a> {
    pub(super) given: &'a str,
    pub(super) file: &'a str,
}

impl IndentChange {
    /// Each change that all `pairs` show. `given` are all lines of the model, `file` those of the file: they
    /// tell what one level is.
    pub(super) fn all_of_pairs<'a>(
        pairs: &[LinePair<'_>],
        given: impl Iterator<Item = &'a str>,
        file: impl Iterator<Item = &'a str>,
    ) -> Vec<Self> {
        let pairs: Vec<LinePair<'_>> = pairs
            .iter()
            .filter(|pair| !pair.given.trim().is_empty())
            .map(|pair| LinePair {
                given: indent_of(pair.given),
                file: indent_of(pair.file),
            })
            .collect();
        if pairs.iter().all(|pair| pair.given == pair.file) {
            return vec![Self::Kept];
        }
        let units = match (indent_unit(given), indent_unit(file)) {
            (Some(given), Some(file)) if given != file => Self::by_units(&pairs, given, file),
            _ => None,
        };
        let margin = Self::by_margin(&pairs);
        units.into_iter().chain(margin).collect()
    }

    fn by_units(pairs: &[LinePair<'_>], given_unit: String, file_unit: String) -> Option<Self> {
        let levels = level_shift(pairs, &given_unit, &file_unit)?;
        Some(Self::Units {
            given_unit,
            file_unit,
            levels,
        })
    }

    fn by_margin(pairs: &[LinePair<'_>]) -> Option<Self> {
        let first = pairs.first()?;
        if let Some(added) = first.file.strip_suffix(first.given) {
            let is_added = |pair: &LinePair<'_>| pair.file.strip_suffix(pair.given) == Some(added);
            let is_all = pairs.iter().all(is_added);
            return is_all.then(|| Self::Added(added.to_owned()));
        }
        let removed = first.given.strip_suffix(first.file)?;
        let is_removed = |pair: &LinePair<'_>| pair.given.strip_suffix(pair.file) == Some(removed);
        let is_all = pairs.iter().all(is_removed);
        is_all.then(|| Self::Removed(removed.to_owned()))
    }

    /// `line` of the model with the file's indentation; none when it has no such place. A line of blanks alone has none
    /// and stays as it was given.
    pub(super) fn carry_over(&self, line: &str) -> Option<String> {
        match self {
            _ if line.trim().is_empty() => Some(line.to_owned()),
            Self::Kept => Some(line.to_owned()),
            Self::Added(added) => Some(format!("{added}{line}")),
            Self::Removed(removed) => line.strip_prefix(removed.as_str()).map(str::to_owned),
            Self::Units {
                given_unit,
                file_unit,
                levels,
            } => {
                let (depth, rest) = split_levels(line, given_unit);
                if !indent_of(rest).is_empty() {
                    return None;
                }
                let depth = usize::try_from(depth as isize + levels).ok()?;
                Some(format!("{}{rest}", file_unit.repeat(depth)))
            }
        }
    }
}

/// The blanks that `line` begins with.
pub(super) fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn split_levels<'a>(line: &'a str, unit: &str) -> (usize, &'a str) {
    let mut rest = line;
    let mut depth = 0;
    while let Some(deeper) = rest.strip_prefix(unit) {
        rest = deeper;
        depth += 1;
    }
    (depth, rest)
}

fn level_shift(pairs: &[LinePair<'_>], given_unit: &str, file_unit: &str) -> Option<isize> {
    let mut shift = None;
    for pair in pairs {
        let (given, given_rest) = split_levels(pair.given, given_unit);
        let (file, file_rest) = split_levels(pair.file, file_unit);
        let levels = file as isize - given as isize;
        if !given_rest.is_empty() || !file_rest.is_empty() || *shift.get_or_insert(levels) != levels
        {
            return None;
        }
    }
    shift
}

/// What one level is: the most frequent step inwards from one line to the next.
fn indent_unit<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
    let mut before = None;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let indent = indent_of(line);
        if let Some(before) = before
            && let Some(step) = indent.strip_prefix(before)
            && (step == "\t" || step.len() >= 2)
        {
            *steps.entry(step).or_default() += 1;
        }
        before = Some(indent);
    }
    let most = steps.iter().max_by_key(|(_, count)| **count)?;
    Some((*most.0).to_owned())
}
