#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn edit(old: &str, new: &str) -> TextEdit {
    TextEdit {
        old: old.to_owned(),
        new: new.to_owned(),
        replace_all: false,
    }
}

fn apply(text: &str, old: &str, new: &str) -> Result<EditedText, EditRefusal> {
    apply_edits(text, &[edit(old, new)]).map_err(|refused| refused.refusal)
}

#[test]
fn drifted_text_finds_its_one_place() {
    use TextDrift::{Exact, Indentation, LineEnds, StaleContext, TrailingBlanks};
    let stale =
        "fn alpha() {\n    prepare_all(1);\n    let total = 1;\n    finish_all(total);\n}\n";
    // The text, what is asked for, and what has to come of it.
    let cases = [
        (Exact, "a\nb\n", "b", "c", "a\nc\n"),
        (Exact, "\u{feff}a\nb\n", "\u{feff}a", "c", "\u{feff}c\nb\n"),
        (Exact, "a\r\nb\r\n", "b", "c\nd", "a\r\nc\r\nd\r\n"),
        (Exact, "a\nb", "b", "c", "a\nc"),
        (
            LineEnds,
            "a\r\nb\r\nc\r\n",
            "a\nb\n",
            "x\ny\nz\n",
            "x\r\ny\r\nz\r\nc\r\n",
        ),
        (LineEnds, "a\nb\nc\n", "a\r\nb", "x\r\ny", "x\ny\nc\n"),
        (TrailingBlanks, "a  \nb\nc\n", "a\nb", "a\nx", "a  \nx\nc\n"),
        (TrailingBlanks, "a\nb", "a \nb ", "a \nx ", "a\nx "),
        (
            Indentation,
            "if x:\n    prepare()\n    finish()\n",
            "prepare()\nfinish()\n",
            "prepare()\nleave()\n",
            "if x:\n    prepare()\n    leave()\n",
        ),
        (
            Indentation,
            "if x:\n\tprepare()\n\tif y:\n\t\tb()\n",
            "if x:\n    prepare()\n    if y:\n        b()",
            "if x:\n    prepare()\n    if y:\n        c()\n        d()",
            "if x:\n\tprepare()\n\tif y:\n\t\tc()\n\t\td()\n",
        ),
        (
            Indentation,
            "x:\n  prepare\n  finish\n",
            "      prepare\n      finish",
            "      prepare\n        c\n      finish",
            "x:\n  prepare\n    c\n  finish\n",
        ),
        (
            Indentation,
            "say(\u{201c}hello\u{201d})\nend()\n",
            "say(\"hello\")\nend()",
            "say(\"hello\")\nstop()",
            "say(\u{201c}hello\u{201d})\nstop()\n",
        ),
        (
            StaleContext,
            stale,
            "fn alpha() {\n    prepare_all(0);\n    let total = 1;\n    finish_all(total);\n",
            "fn alpha() {\n    prepare_all(0);\n    let total = 2;\n    finish_all(total);\n",
            "fn alpha() {\n    prepare_all(1);\n    let total = 2;\n    finish_all(total);\n}\n",
        ),
        (
            Exact,
            "a\nb\n",
            "     1\ta\n     2\tb\n",
            "     1\tx\n     2\tb\n",
            "x\nb\n",
        ),
    ];
    for (drift, text, old, new, want) in cases {
        let edited = apply(text, old, new).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"));
        assert_eq!(edited.text, want, "{text:?} {old:?}");
        assert_eq!(edited.drift, drift, "{text:?} {old:?}");
    }
}

#[test]
fn a_row_of_a_table_is_no_numbered_line() {
    let numbered = "     2\t123456\tAlice\n";
    let with_row = "     2\t123456\tAlice\n123457\tBob\n";
    let edited = apply("a\n123456\tAlice\n", numbered, with_row).unwrap();
    assert_eq!(edited.text, "a\n123456\tAlice\n123457\tBob\n");
}

#[test]
fn line_ends_and_blank_lines_stay_as_they_are() {
    let cases = [
        // A file of both line ends: kept lines keep theirs, added ones have that of the line that they replace or follow.
        (
            "a\r\nb\nc\r\n",
            "a\nb\nc\n",
            "a\nx\ny\nc\n",
            "a\r\nx\ny\nc\r\n",
        ),
        (
            "  begin_work()\r\n  do_work()\n  end_work()\r\n",
            "begin_work()\ndo_work()\nend_work()\n",
            "begin_work()\ndo_work()\nmore()\nend_work()\n",
            "  begin_work()\r\n  do_work()\n  more()\n  end_work()\r\n",
        ),
        // Blanks of an added line that has nothing else, below another indentation.
        (
            "    fn run_all_that_is_there_to_run() {\n    }\n",
            "fn run_all_that_is_there_to_run() {\n}\n",
            "fn run_all_that_is_there_to_run() {\n  \n}\n",
            "    fn run_all_that_is_there_to_run() {\n  \n    }\n",
        ),
        // The end of the last line is asked for.
        (
            "    fn run_all_that_is_there_to_run() {\n    }",
            "fn run_all_that_is_there_to_run() {\n}",
            "fn run_all_that_is_there_to_run() {\n    stop();\n}\n",
            "    fn run_all_that_is_there_to_run() {\n        stop();\n    }\n",
        ),
        (
            "    fn run_all_that_is_there_to_run() {\n    }",
            "fn run_all_that_is_there_to_run() {\n}\n",
            "fn run_all_that_is_there_to_run() {\n    stop();\n}\n",
            "    fn run_all_that_is_there_to_run() {\n        stop();\n    }",
        ),
    ];
    for (text, old, new, want) in cases {
        let edited = apply(text, old, new).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"));
        assert_eq!(edited.text, want, "{text:?} {old:?}");
    }
}

#[test]
fn what_fits_no_one_place_is_refused_with_the_nearest() {
    let twice = "fn a() {\n    run();\n}\nfn b() {\n    run();\n}\n";
    // Each is like a place, and none is the place.
    let cases = [
        ("id\tname\nfoo\n", "3\tfoo", "bar", "does not occur"),
        ("a\nb\n", "", "x", "`old` is empty"),
        ("a\nb\n", "a", "a", "nothing would change"),
        ("a\na\n", "a", "b", "occurs 2 times (lines 1, 2)"),
        (
            twice,
            "run();\n}",
            "walk();\n}",
            "occurs 2 times (lines 2, 5)",
        ),
        (twice, "  run();\n  }", "walk();\n  }", "fits 2 places"),
        (
            twice,
            "run(); \n}",
            "walk();\n}",
            "fits 2 places about equally well (lines 2, 5)",
        ),
        (
            "let total = sum(values);\n",
            "let total = sum(items);",
            "x",
            "lines 1 to 1:\n     1\tlet total = sum(values);",
        ),
        (
            "if ready:\n  prepare()\n",
            "    if ready:\n      prepare()",
            "if ready:\n      finish()",
            "does not occur",
        ),
        (
            "run();\n\n\n",
            "\r\n\r\n",
            "x\r\n\r\n",
            "occurs 2 times (lines 1, 2)",
        ),
        // A brace, and a `return`, of another block.
        (
            "fn a() {\n    one();\n}\n",
            "    }\n",
            "    } else {\n        two();\n    }\n",
            "does not occur",
        ),
        (
            "def f():\n    if x:\n        run()\n    return None\n",
            "            return None\n",
            "            return 1\n",
            "does not occur",
        ),
        // Rows that begin with a number, not lines with theirs.
        (
            "100001\tred\n100002\tfoo\n",
            "100009\tfoo\n",
            "100009\tbar\n",
            "does not occur",
        ),
    ];
    for (text, old, new, says) in cases {
        let refusal = apply(text, old, new).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text:?} {old:?}: {refusal}");
    }
}

/// Equal lines are the worst case of a search that begins anew at each.
#[test]
fn many_equal_lines_are_searched_in_linear_time() {
    let (text, old) = ("x = 1\n".repeat(200_000), "x = 1 \n".repeat(50_000));
    let refusal = apply(&text, &old, "y").unwrap_err().to_string();
    assert!(refusal.contains("fits 150001 places"), "{refusal}");
}

#[test]
fn several_edits_are_made_in_order_or_not_at_all() {
    let edits = [edit("a", "b"), edit("b\nb", "c"), edit("c", "d\ne")];
    let edited = apply_edits("a\nb\n", &edits).unwrap();
    assert_eq!((edited.text.as_str(), edited.n_places), ("d\ne\n", 3));
    let refused = apply_edits("a\nb\n", &[edit("a", "x"), edit("z", "y")]).unwrap_err();
    assert_eq!(refused.index, 1);
}

/// How a model spoils what it remembers.
#[derive(Clone, Copy, Debug)]
enum Spoiling {
    Deeper,
    Shallower,
    Blanks,
    LineEnds,
    Stale,
}

const WORDS: [&str; 6] = [
    "alpha(one);",
    "beta(two);",
    "gamma(three, four);",
    "}",
    "",
    "return delta;",
];

/// A line: one of few, so that places are alike, or one of its own.
fn any_line() -> impl Strategy<Value = String> {
    let indent = select(vec!["", "  ", "    "]);
    let word = prop_oneof![
        2 => select(WORDS.to_vec()).prop_map(str::to_owned),
        1 => "[a-z]{6,9}\\([a-z]{3,6}\\);",
    ];
    (indent, word).prop_map(|(indent, word)| {
        if word.is_empty() {
            word
        } else {
            format!("{indent}{word}")
        }
    })
}

fn spoil_line(spoiling: Spoiling, line: &str) -> String {
    match spoiling {
        _ if line.is_empty() => String::new(),
        Spoiling::Deeper => format!("    {line}"),
        Spoiling::Shallower => line.strip_prefix("  ").unwrap_or(line).to_owned(),
        Spoiling::Blanks => format!("{line}  "),
        Spoiling::LineEnds | Spoiling::Stale => line.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A spoiled edit is made at the place that was meant, or refused.
    #[test]
    fn no_edit_is_made_at_a_wrong_place(
        lines in prop::collection::vec(any_line(), 4..40),
        at in any::<prop::sample::Index>(),
        length in 1_usize..6,
        changed in any::<prop::sample::Index>(),
        stale in any::<prop::sample::Index>(),
        spoiling in select(vec![Spoiling::Deeper, Spoiling::Shallower, Spoiling::Blanks, Spoiling::LineEnds, Spoiling::Stale]),
    ) {
        let first = at.index(lines.len());
        let end = (first + length).min(lines.len());
        let changed = first + changed.index(end - first);
        let new_line = "changed_line(here);";
        let mut old: Vec<String> = lines[first..end].to_vec();
        let stale = stale.index(old.len());
        if matches!(spoiling, Spoiling::Stale) && first + stale != changed {
            old[stale] = "was_otherwise(then);".to_owned();
        }
        let mut new = old.clone();
        let indent_end = lines[changed].len() - lines[changed].trim_start().len();
        let indent = lines[changed][..indent_end].to_owned();
        new[changed - first] = format!("{indent}{new_line}");
        let line_end = if matches!(spoiling, Spoiling::LineEnds) { "\r\n" } else { "\n" };
        let spoiled = |lines: &[String]| lines.iter().map(|line| spoil_line(spoiling, line) + line_end).collect::<String>();
        let text = lines.join("\n") + "\n";
        // A line at the margin cannot come out further.
        let at_margin = |line: &String| !line.is_empty() && !line.starts_with(' ');
        prop_assume!(!matches!(spoiling, Spoiling::Shallower) || !old.iter().chain(&new).any(at_margin));
        let (old, new) = (spoiled(&old), spoiled(&new));
        // What stands elsewhere to the letter means that place.
        prop_assume!(!text.contains(&old) || text.match_indices(&old).count() > 1);
        let mut want = lines.clone();
        want[changed] = format!("{indent}{new_line}");
        let want: Vec<String> = want.iter().map(|line| line.trim_end().to_owned()).collect();
        if let Ok(edited) = apply(&text, &old, &new) {
            let got: Vec<String> = edited.text.lines().map(|line| line.trim_end().to_owned()).collect();
            prop_assert_eq!(got, want);
        }
    }

    /// What an edit does not touch stays byte for byte, and no text makes it panic.
    #[test]
    fn any_texts_are_taken(text in "\u{feff}?[ab \\t\\r\\n\u{e9}]{0,40}", old in "[ab \\t\\r\\n\u{e9}]{0,8}", new in "[ab \\t\\r\\n\u{e9}]{0,8}") {
        if let Ok(edited) = apply(&text, &old, &new) {
            prop_assert_ne!(&edited.text, &text);
            prop_assert_eq!(edited.text.starts_with(BOM), text.starts_with(BOM));
        }
    }
}
