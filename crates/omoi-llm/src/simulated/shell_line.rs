//! Command lines for what no offered tool does: POSIX `sh`, `find`, `grep`, and `perl` for edits.

/// An edit of one file.
pub(super) struct FileEdit<'a> {
    pub(super) path: &'a str,
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    pub(super) replace_all: bool,
}

/// Writes `content` to the byte, the folders of its path included.
pub(super) fn write_file(path: &str, content: &str) -> String {
    let (quoted, content) = (quote_word(path), quote_word(content));
    let write = format!("printf '%s' {content} > {quoted}");
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => {
            format!("mkdir -p {} && {write}", quote_word(folder))
        }
        _ => write,
    }
}

/// Replaces a text that must occur exactly once, or at least once where all are replaced.
const EDIT_SCRIPT: &str = r#"my ($p, $o, $n, $all) = @ARGV;
open my $f, "<:raw", $p or die "$p: $!\n"; local $/; my $t = <$f>; close $f;
my $c = () = $t =~ /\Q$o\E/g;
die "$p: the text occurs $c times\n" if $c == 0 or $c > 1 && !$all;
$t =~ s/\Q$o\E/$n/g;
open $f, ">:raw", $p or die "$p: $!\n"; print $f $t or die; close $f or die;"#;

pub(super) fn edit_file(edit: &FileEdit<'_>) -> String {
    let words = [EDIT_SCRIPT, edit.path, edit.old, edit.new].map(quote_word);
    let all = u8::from(edit.replace_all);
    format!("perl -e {} {all}", words.join(" "))
}

pub(super) fn read_file(path: &str) -> String {
    format!("cat {}", quote_word(path))
}

/// Lists files whose path fits; `*` crosses folders here, so it may list more than the pattern means.
pub(super) fn find_files(pattern: &str, path: Option<&str>) -> String {
    let folder = path.unwrap_or(".");
    let pattern = pattern.replace("**/", "*").replace("**", "*");
    let pattern = format!("{}/{pattern}", folder.trim_end_matches('/'));
    format!(
        "find {} -type f -path {}",
        quote_word(folder),
        quote_word(&pattern)
    )
}

pub(super) fn search_text(pattern: &str, path: Option<&str>, glob: Option<&str>) -> String {
    let only = glob.map(|glob| format!(" --include={}", quote_word(glob)));
    format!(
        "grep -rnE{} -e {} {}",
        only.unwrap_or_default(),
        quote_word(pattern),
        quote_word(path.unwrap_or("."))
    )
}

/// One word of a command line, whatever is in it.
fn quote_word(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    #![allow(
        clippy::disallowed_methods,
        reason = "the commands of a test run where it stands"
    )]

    use std::{path::Path, process::Command};

    use super::*;

    fn run(folder: &Path, line: &str) -> (bool, String) {
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", line]).current_dir(folder).output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// Texts that a shell or a pattern would change if it saw more in them than bytes.
    const TEXTS: [&str; 6] = [
        "",
        "one line, no end",
        "two\nlines\n",
        "it's \"quoted\" $HOME `id` \\n %s %d \\\\ !x\n",
        "-n\n",
        "Ünï 日本\t\r\n\n\n",
    ];

    #[test]
    fn files_are_written_and_edited_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
        for text in TEXTS {
            for path in ["plain.txt", "a b/it's.txt", "deep/er/x", "./-n"] {
                let (ok, said) = run(folder.path(), &write_file(path, text));
                assert!(ok, "{said}");
                assert_eq!(read(path), text);
            }
            let before = format!("a $x {text} (b) a $x\n");
            std::fs::write(folder.path().join("e"), &before).unwrap();
            let edit = |old, new, replace_all| {
                let edit = FileEdit {
                    path: "e",
                    old,
                    new,
                    replace_all,
                };
                run(folder.path(), &edit_file(&edit))
            };
            let (ok, said) = edit("a $x", "y", false);
            assert!(!ok && said.contains("e: the text occurs 2 times"), "{said}");
            let (ok, said) = edit("gone", "y", true);
            assert!(!ok && said.contains("e: the text occurs 0 times"), "{said}");
            assert_eq!(read("e"), before);
            assert!(edit("(b)", text, false).0);
            assert!(edit("a $x", "$1 \\", true).0);
            assert_eq!(read("e"), format!("$1 \\ {text} {text} $1 \\\n"));
        }
    }

    #[test]
    fn files_are_found_and_searched() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["top.py", "a/in.py", "a/b/deep.py", "a/in.md"] {
            run(folder.path(), &write_file(path, "def test_it():\n"));
        }
        let lines = |line: &str| {
            let mut lines: Vec<_> = run(folder.path(), line)
                .1
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(
            lines(&find_files("**/*.py", None)),
            ["./a/b/deep.py", "./a/in.py", "./top.py"]
        );
        assert_eq!(lines(&find_files("*.md", Some("a"))), ["a/in.md"]);
        assert_eq!(
            lines(&search_text("def test_(it|no)", Some("a"), Some("*.py"))),
            ["a/b/deep.py:1:def test_it():", "a/in.py:1:def test_it():"]
        );
        assert_eq!(lines(&read_file("top.py")), ["def test_it():"]);
    }
}
