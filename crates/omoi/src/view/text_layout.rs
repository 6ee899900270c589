//! Small pieces of text: widths, colours, durations, and nothing a terminal would obey.

use std::borrow::Cow;
use std::path::Path;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use omoi_domain::money::NanoUsd;

/// The narrowest terminal lines are laid out for.
pub(crate) const WIDTH_MIN: usize = 80;
/// The widest: longer lines are hard to read.
const WIDTH_MAX: usize = 140;

/// Where lines go: how wide it is and whether it shows colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputPage {
    /// Width of a line in columns.
    pub(crate) width: usize,
    /// Whether colour may be used.
    pub(crate) colour: bool,
}

impl OutputPage {
    /// A page of `columns`, within what reads well.
    pub(crate) fn new(columns: usize, colour: bool) -> Self {
        Self {
            width: columns.clamp(WIDTH_MIN, WIDTH_MAX),
            colour,
        }
    }

    /// `text` in bold, where colour is on.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint_code("1", text)
    }

    /// `text` in a dim colour, where colour is on.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint_code("2", text)
    }

    /// `text` in green, where colour is on.
    pub(crate) fn green(self, text: &str) -> String {
        self.paint_code("32", text)
    }

    /// `text` in red, where colour is on.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint_code("31", text)
    }

    fn paint_code(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `text` on one line with control characters written out, so that no program's output can move a
/// cursor, change a title or hide what it says.
pub(crate) fn clean_line(text: &str) -> String {
    text.lines()
        .map(escape_controls)
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// As [`clean_line`], but lines stay lines.
pub(crate) fn clean_lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| escape_controls(line).trim_end().to_owned())
        .collect()
}

fn escape_controls(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => shown.push_str("    "),
            character if character.is_control() || is_bidi(character) => {
                shown.extend(character.escape_unicode());
            }
            character => shown.push(character),
        }
    }
    shown
}

/// Characters that change the order in which others are shown.
fn is_bidi(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Columns that `text` takes; it has no colour in it.
pub(crate) fn display_width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns`, cut with an ellipsis.
pub(crate) fn fit_columns(text: &str, columns: usize) -> Cow<'_, str> {
    if display_width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut used = 0;
    for character in text.chars() {
        let next = character.width().unwrap_or(0);
        if used + next + 1 > columns {
            break;
        }
        shown.push(character);
        used += next;
    }
    Cow::Owned(format!("{}…", shown.trim_end()))
}

/// `text` in exactly `columns`, to the left.
pub(crate) fn align_left(text: &str, columns: usize) -> String {
    let shown = fit_columns(text, columns);
    format!(
        "{shown}{}",
        " ".repeat(columns.saturating_sub(display_width(&shown)))
    )
}

/// `text` in exactly `columns`, to the right.
pub(crate) fn align_right(text: &str, columns: usize) -> String {
    let shown = fit_columns(text, columns);
    format!(
        "{}{shown}",
        " ".repeat(columns.saturating_sub(display_width(&shown)))
    )
}

/// `cells` three blanks apart, on as many lines of `columns` as they need. A cell is never cut: it
/// may be a command to copy.
pub(crate) fn flow_cells(cells: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cell in cells.iter().filter(|cell| !cell.is_empty()) {
        match lines.last_mut() {
            Some(line) if display_width(line) + 3 + display_width(cell) <= columns => {
                line.push_str("   ");
                line.push_str(cell);
            }
            _ => lines.push(cell.clone()),
        }
    }
    lines
}

/// `text` broken at blanks into lines of at most `columns`; a longer word goes on in the next line, so
/// that nothing of it is lost.
pub(crate) fn wrap_text(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if display_width(line) + 1 + display_width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(split_word(word, columns)),
        }
    }
    lines
}

/// `word` in pieces of at most `columns`.
fn split_word(word: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for character in word.chars() {
        let next = character.width().unwrap_or(0);
        if used + next > columns && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
        used += next;
    }
    pieces
}

/// A running clock: `0:38`, `1:02:03`.
pub(crate) fn format_clock(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// How long something took: `0.3 s`, `6.1 s`, then as [`format_clock`].
pub(crate) fn format_duration(ms: i64) -> String {
    if ms < 60_000 {
        format!("{:.1} s", ms.max(0) as f64 / 1000.0)
    } else {
        format_clock(ms)
    }
}

/// `950 tokens`, `84k tokens`, `1.2M tokens`.
pub(crate) fn format_tokens(count: i64) -> String {
    match count {
        ..1_000 => format!("{count} tokens"),
        1_000..1_000_000 => format!("{}k tokens", count / 1_000),
        _ => format!("{:.1}M tokens", count as f64 / 1e6),
    }
}

/// An amount with two digits: `$0.42`.
pub(crate) fn format_usd(amount: NanoUsd) -> String {
    format!("${:.2}", amount.as_usd())
}

/// `1 task`, `7 tasks`, `3 criteria`.
pub(crate) fn count_noun(n: u64, one: &str) -> String {
    match (n, one) {
        (1, _) => format!("1 {one}"),
        (_, "criterion") => format!("{n} criteria"),
        _ => format!("{n} {one}s"),
    }
}

/// The first seven characters of a commit.
pub(crate) fn short_sha(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

/// A path with `~` for the home folder.
pub(crate) fn tilde_path(path: &Path, home: Option<&Path>) -> String {
    let below = home
        .filter(|home| home.parent().is_some())
        .and_then(|home| path.strip_prefix(home).ok());
    let shown = match below {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    };
    clean_line(&shown)
}

#[cfg(test)]
mod tests {
    use omoi_protocol::shell_word::shell_word;

    use super::*;

    #[test]
    fn nothing_is_shown_that_a_terminal_would_obey() {
        for (text, shown) in [
            ("plain", "plain"),
            ("a\n\n b\r\n", "a  b"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\tb\u{7}", "a    b\\u{7}"),
            ("x\u{202e}y", "x\\u{202e}y"),
            ("naïve 日本", "naïve 日本"),
        ] {
            assert_eq!(clean_line(text), shown);
        }
    }

    #[test]
    fn text_fits_its_columns() {
        for (text, columns, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab…"),
            ("日本語", 5, "日本…"),
            ("", 2, ""),
        ] {
            assert_eq!(fit_columns(text, columns), shown);
            assert_eq!(display_width(&align_left(text, columns)), columns, "{text}");
            assert_eq!(
                display_width(&align_right(text, columns)),
                columns,
                "{text}"
            );
        }
        let cells = ["explore 0.92", "prd 0.88", "design 0.90"].map(str::to_owned);
        assert_eq!(
            flow_cells(&cells, 23),
            ["explore 0.92   prd 0.88", "design 0.90"]
        );
        assert_eq!(wrap_text("one two  three", 7), ["one two", "three"]);
    }

    #[test]
    fn figures_are_short() {
        let shown = [0, 38_400, 725_000, 3_723_000].map(format_clock);
        assert_eq!(shown, ["0:00", "0:38", "12:05", "1:02:03"]);
        assert_eq!(
            [40, 1_240, 61_000].map(format_duration),
            ["0.0 s", "1.2 s", "1:01"]
        );
        let shown = [0, 999, 84_321, 1_250_000].map(format_tokens);
        assert_eq!(
            shown,
            ["0 tokens", "999 tokens", "84k tokens", "1.2M tokens"]
        );
        assert_eq!(format_usd(NanoUsd::from_nanos(1_234_567_890)), "$1.23");
        assert_eq!(count_noun(1, "criterion"), "1 criterion");
        assert_eq!(count_noun(2, "criterion"), "2 criteria");
        assert_eq!(count_noun(0, "task"), "0 tasks");
    }

    #[test]
    fn paths_and_words_can_be_copied() {
        let home = Path::new("/home/ada");
        assert_eq!(tilde_path(Path::new("/home/ada/x"), Some(home)), "~/x");
        assert_eq!(
            tilde_path(Path::new("/home/adam/x"), Some(home)),
            "/home/adam/x"
        );
        assert_eq!(tilde_path(Path::new("/tmp"), Some(Path::new("/"))), "/tmp");
        assert_eq!(shell_word("omoi/tags"), "omoi/tags");
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
    }
}
