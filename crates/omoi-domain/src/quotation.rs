//! Text of others within a prompt: quoted line by line, with nothing in it that a reader does not see.
//!
//! Instructions come from our templates. What stands in a prompt beside them may be written by anybody, and must
//! neither look like a part of the template nor hold what only a machine reads.

use std::fmt::Write as _;

use crate::planted_bug::{PlantedBug, is_planted};

/// `text` with every character that shows nothing, or changes how others are shown, written as `\u{…}`. Line ends
/// of every kind become line feeds; tabs stay, and so do the joiners that scripts and emoji need.
fn visible_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                shown.push('\n');
            }
            '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push('\n'),
            '\n' | '\t' => shown.push(character),
            unseen if is_unseen(unseen) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(unseen));
            }
            seen => shown.push(seen),
        }
    }
    shown
}

/// `text` as a quotation: visible, and each of its lines behind `>`. It ends without a line feed.
pub fn quote_lines(text: &str) -> String {
    if is_planted(PlantedBug::Quotation) {
        return text.to_owned();
    }
    let visible = visible_text(text);
    let lines = visible
        .trim_end()
        .lines()
        .map(|line| match line.trim_end() {
            "" => ">".to_owned(),
            line => format!("> {line}"),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// `text` visible and on one line: line ends are written as `\n`. For names and titles within a template.
pub fn single_line(text: &str) -> String {
    visible_text(text).replace('\n', "\\n")
}

/// `text` visible, with the lines it has: what is a line end to some readers only is written as `\n` too. For text whose
/// lines are ours, such as JSON and maps.
pub fn visible_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(single_line).collect();
    lines.join("\n")
}

/// Whether `character` shows nothing by itself, or changes the order of its neighbours.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                // Selectors of variants, of which the last two of the first sixteen choose between text and emoji.
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                // Tags, which repeat ASCII unseen, and more selectors.
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_written_out() {
        for (text, expected) in [
            (
                "Plain, with ümlaut\tand tab\n",
                "Plain, with ümlaut\tand tab\n",
            ),
            ("a\r\nb\rc\u{2028}d\u{85}e\u{b}f", "a\nb\nc\nd\ne\nf"),
            ("\u{1b}[8mhidden\u{1b}[0m", "\\u{1b}[8mhidden\\u{1b}[0m"),
            ("nul\0", "nul\\u{0}"),
            ("\u{202e}abc\u{202c}", "\\u{202e}abc\\u{202c}"),
            ("\u{e0041}\u{e0042}", "\\u{e0041}\\u{e0042}"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("👩\u{200d}💻 ❤\u{fe0f}", "👩\u{200d}💻 ❤\u{fe0f}"),
            ("\u{fe01}", "\\u{fe01}"),
        ] {
            assert_eq!(visible_text(text), expected);
        }
    }

    #[test]
    fn no_line_of_a_quotation_stands_without_its_mark() {
        for (text, expected) in [
            ("one", "> one"),
            ("one\n\n# two  \n", "> one\n>\n> # two"),
            ("a\r# b\u{2028}# c", "> a\n> # b\n> # c"),
            ("", ""),
        ] {
            assert_eq!(quote_lines(text), expected);
        }
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(single_line("a.md\n\n# Rules\r"), "a.md\\n\\n# Rules\\n");
        assert_eq!(single_line("src/a b.rs"), "src/a b.rs");
        assert_eq!(
            visible_lines("{\n  \"a\u{2028}b\"\n}\n"),
            "{\n  \"a\\nb\"\n}\n"
        );
    }
}
