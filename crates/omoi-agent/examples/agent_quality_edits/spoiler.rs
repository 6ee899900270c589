//! How models spoil the text that they remember, the same for equal seeds.

use crate::edit_case::EditCase;

/// One way to spoil an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spoiling {
    /// Every line stands deeper.
    Deeper,
    /// The whole stands at the margin.
    AtMargin,
    /// Tabs for blanks, or blanks for tabs.
    OtherBlanks,
    /// Blanks at line ends come or go.
    TrailingBlanks,
    /// Line ends of another system.
    LineEnds,
    /// Quotation marks of a typesetter.
    Typographic,
    /// A line beside the change that is not so any more.
    StaleContext,
    /// The line numbers of `read`.
    LineNumbers,
    /// The last line end is missing.
    NoLastLineEnd,
    /// The first line has lost its indentation.
    FirstLineIndent,
}

const ALL: [Spoiling; 10] = [
    Spoiling::Deeper,
    Spoiling::AtMargin,
    Spoiling::OtherBlanks,
    Spoiling::TrailingBlanks,
    Spoiling::LineEnds,
    Spoiling::Typographic,
    Spoiling::StaleContext,
    Spoiling::LineNumbers,
    Spoiling::NoLastLineEnd,
    Spoiling::FirstLineIndent,
];

/// An edit as a model would ask for it.
pub(crate) struct SpoiledEdit {
    pub(crate) spoiling: Spoiling,
    pub(crate) old: String,
    pub(crate) new: String,
    /// The line of `old` that is stale.
    stale: Option<usize>,
}

/// Spoils `case` by the first way from `seed` on that changes it; none when it changes in no way.
pub(crate) fn spoil_case(case: &EditCase, seed: usize) -> Option<SpoiledEdit> {
    let ways = (0..ALL.len()).map(|n| ALL[(seed + n) % ALL.len()]);
    let mut spoiled = ways.filter_map(|spoiling| spoil_by(case, spoiling));
    let plain = case.old.concat();
    spoiled.find(|spoiled| spoiled.old != plain && spoiled.old != spoiled.new)
}

/// Lines of an edit, before and after.
struct EditLines {
    old: Vec<String>,
    new: Vec<String>,
}

impl EditLines {
    /// Changes every line that is not blank.
    fn each_line(&mut self, change: impl Fn(&str) -> String) {
        for line in self.old.iter_mut().chain(&mut self.new) {
            if !line.trim().is_empty() {
                *line = change(line);
            }
        }
    }
}

fn spoil_by(case: &EditCase, spoiling: Spoiling) -> Option<SpoiledEdit> {
    let mut lines = EditLines {
        old: case.old.clone(),
        new: case.new.clone(),
    };
    let mut stale = None;
    match spoiling {
        Spoiling::Deeper => lines.each_line(|line| format!("    {line}")),
        Spoiling::AtMargin => {
            let all = lines.old.iter().chain(&lines.new);
            let depths = all
                .filter(|line| !line.trim().is_empty())
                .map(|line| line.len() - line.trim_start().len());
            let depth = depths.min()?;
            lines.each_line(|line| line[depth..].to_owned());
        }
        Spoiling::OtherBlanks => {
            let unit = blank_unit(case)?;
            lines.each_line(|line| other_blanks(line, unit));
        }
        Spoiling::TrailingBlanks => lines.each_line(other_trailing_blanks),
        Spoiling::LineEnds => {
            for line in lines.old.iter_mut().chain(&mut lines.new) {
                let (body, end) = split_end(line);
                let other = match end {
                    "\r\n" => "\n",
                    "\n" => "\r\n",
                    end => end,
                };
                *line = format!("{body}{other}");
            }
        }
        Spoiling::Typographic => spoil_quotes(case, &mut lines),
        Spoiling::StaleContext => stale = Some(spoil_context(case, &mut lines)?),
        Spoiling::LineNumbers => {
            for lines in [&mut lines.old, &mut lines.new] {
                for (n, line) in lines.iter_mut().enumerate() {
                    *line = format!("{:>6}\t{line}", case.first + n + 1);
                }
            }
        }
        Spoiling::NoLastLineEnd => {
            for lines in [&mut lines.old, &mut lines.new] {
                if let Some(last) = lines.last_mut() {
                    *last = split_end(last).0.to_owned();
                }
            }
        }
        Spoiling::FirstLineIndent => {
            for line in [lines.old.first_mut()?, lines.new.first_mut()?] {
                *line = line.trim_start_matches([' ', '\t']).to_owned();
            }
        }
    }
    Some(SpoiledEdit {
        spoiling,
        old: lines.old.concat(),
        new: lines.new.concat(),
        stale,
    })
}

/// Lines that are new come as the model writes programs.
fn spoil_quotes(case: &EditCase, lines: &mut EditLines) {
    for line in &mut lines.old {
        *line = typographic(line);
    }
    let n_new = lines.new.len();
    for (n, line) in lines.new.iter_mut().enumerate() {
        if n < case.kept[0] || n >= n_new - case.kept[1] {
            *line = typographic(line);
        }
    }
}

/// Makes a line at an edge stale; gives which.
fn spoil_context(case: &EditCase, lines: &mut EditLines) -> Option<usize> {
    let n = stale_line(case)?;
    let other = other_words(&lines.old[n])?;
    let from_end = lines.old.len() - n;
    let in_new = match n < case.kept[0] {
        true => n,
        false => lines.new.len() - from_end,
    };
    lines.old[n] = other.clone();
    lines.new[in_new] = other;
    Some(n)
}

fn other_trailing_blanks(line: &str) -> String {
    let (body, end) = split_end(line);
    match body.trim_end() {
        trimmed if trimmed.len() < body.len() => format!("{trimmed}{end}"),
        trimmed => format!("{trimmed}  {end}"),
    }
}

/// A line and what ends it.
pub(crate) fn split_end(line: &str) -> (&str, &str) {
    let body = line.trim_end_matches(['\r', '\n']);
    (body, &line[body.len()..])
}

/// The blanks that are one level in the file; none where a tab for a level would tear lines of the edit apart.
fn blank_unit(case: &EditCase) -> Option<&'static str> {
    let indent =
        |line: &str| line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned();
    let depths = case
        .text
        .lines()
        .map(|line| indent(line).matches(' ').count());
    let depths: Vec<usize> = depths.filter(|depth| *depth > 0).collect();
    let of_four = depths.iter().filter(|depth| *depth % 4 == 0).count();
    let (unit, width) = match 10 * of_four >= 9 * depths.len() {
        true => ("    ", 4),
        false => ("  ", 2),
    };
    let mut edited = case
        .old
        .iter()
        .chain(&case.new)
        .filter(|line| !line.trim().is_empty());
    let is_whole = edited.all(|line| {
        let indent = indent(line);
        let n_blanks = indent.matches(' ').count();
        n_blanks % width == 0 && (n_blanks == 0 || !indent.contains('\t'))
    });
    is_whole.then_some(unit)
}

fn other_blanks(line: &str, unit: &str) -> String {
    let body = line.trim_start_matches([' ', '\t']);
    let indent = &line[..line.len() - body.len()];
    let indent = match indent.contains('\t') {
        true => indent.replace('\t', unit),
        false => indent.replace(unit, "\t"),
    };
    format!("{indent}{body}")
}

fn typographic(line: &str) -> String {
    line.replace('"', "\u{201d}").replace('\'', "\u{2019}")
}

/// A kept line at the edge of the edit that says something, with another kept line on its side or the other.
fn stale_line(case: &EditCase) -> Option<usize> {
    let edges = [0, case.old.len() - 1];
    let is_kept = [case.kept[0] > 0, case.kept[1] > 0];
    let others = case.kept[0] + case.kept[1] > 1;
    let mut fit = edges.into_iter().zip(is_kept).filter(|(n, is_kept)| {
        *is_kept && others && case.old[*n].chars().filter(|c| c.is_alphanumeric()).count() > 6
    });
    fit.next().map(|(n, _)| n)
}

/// The line with one of its words another.
fn other_words(line: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = line.split(|c| !is_word(c)).filter(|word| word.len() > 3);
    let word = words.next()?;
    Some(line.replacen(word, "previously", 1))
}

/// Whether one place of the file and no other is what the spoiled text means: lines compared without blanks
/// around them and by plain marks, those that the spoiling names left out.
pub(crate) fn is_recoverable(case: &EditCase, spoiled: &SpoiledEdit) -> bool {
    let plain = |line: &str| {
        let line = line
            .replace(['\u{201c}', '\u{201d}'], "\"")
            .replace('\u{2019}', "'");
        line.trim().to_owned()
    };
    let file: Vec<String> = case.text.lines().map(plain).collect();
    // What the edit means by its lines, wherever the spoiling wrote numbers before them.
    let lines: Vec<String> = case.old.iter().map(|line| plain(line)).collect();
    let fits = |at: usize| {
        let there = &file[at..at + lines.len()];
        let pairs = there.iter().zip(&lines).enumerate();
        let mut compared = pairs.filter(|(n, _)| spoiled.stale != Some(*n));
        compared.all(|(_, (there, line))| there == line)
    };
    let says_something = lines
        .iter()
        .enumerate()
        .filter(|(n, line)| spoiled.stale != Some(*n) && line.len() > 2)
        .count();
    let places = (0..=file.len().saturating_sub(lines.len())).filter(|at| fits(*at));
    says_something > 0 && places.count() == 1
}
