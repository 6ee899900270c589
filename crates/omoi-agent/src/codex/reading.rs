//! Commands that only read, for attempts that are offered no shell: the program reads files by commands
//! alone. What they may read is judged by the words that can name a file.

use super::search_words::pattern_places;

/// Programs that write nothing and start nothing, whatever they are told beside [`WRITING_FLAGS`].
const READERS: [&str; 10] = [
    "cat", "find", "grep", "head", "ls", "nl", "pwd", "rg", "tail", "wc",
];
/// Flags by which some of them write or start a program.
const WRITING_FLAGS: [&str; 9] = [
    "-delete", "-exec", "-execdir", "-fls", "-fprint", "-fprint0", "-fprintf", "-ok", "-okdir",
];

/// Flags by which `find` goes where no word says: links that it comes across, names in a file.
const FOLLOWING_FLAGS: [&str; 2] = ["-follow", "-files0-from"];

/// Long flags that only choose what is read or shown. Others are refused: programs take a flag by its beginning
/// too, and some start a program, follow links or take names from a file.
const LONG_FLAGS: [&str; 41] = [
    "--after-context",
    "--all",
    "--almost-all",
    "--before-context",
    "--bytes",
    "--chars",
    "--color",
    "--column",
    "--context",
    "--count",
    "--exclude",
    "--exclude-dir",
    "--extended-regexp",
    "--file",
    "--files",
    "--files-with-matches",
    "--files-without-match",
    "--fixed-strings",
    "--glob",
    "--heading",
    "--hidden",
    "--human-readable",
    "--ignore-case",
    "--include",
    "--invert-match",
    "--iglob",
    "--line-number",
    "--line-regexp",
    "--lines",
    "--max-count",
    "--max-depth",
    "--no-filename",
    "--no-heading",
    "--no-ignore",
    "--only-matching",
    "--quiet",
    "--recursive",
    "--regexp",
    "--smart-case",
    "--type",
    "--word-regexp",
];

/// The words of `command` that can name a file, where it only reads: known programs one after another or
/// piped, plain words, nothing that a shell would write or start. None where it does more, or is not
/// understood.
pub(super) fn paths_read(command: &str) -> Option<Vec<String>> {
    let commands = split_commands(command)?;
    if commands.is_empty() || !commands.iter().all(|words| is_reader(words)) {
        return None;
    }
    Some(
        commands
            .iter()
            .flat_map(|words| argument_paths(words))
            .collect(),
    )
}

/// What may be a path in the arguments of one command; a pattern of a search is none.
fn argument_paths(words: &[String]) -> Vec<String> {
    let Some((program, arguments)) = words.split_first() else {
        return Vec::new();
    };
    let patterns = pattern_places(program, arguments);
    let judged = arguments.iter().enumerate();
    let judged = judged.filter(|(at, _)| !patterns.contains(at));
    judged.flat_map(|(_, word)| paths_in(word)).collect()
}

/// What may be a path in an argument: the word, or the value of a flag. In a group of short flags it
/// may begin anywhere.
fn paths_in(word: &str) -> Vec<String> {
    if let Some(flag) = word.strip_prefix("--") {
        let value = flag.split_once('=').map(|(_, value)| value.to_owned());
        return value.into_iter().collect();
    }
    match word.strip_prefix('-') {
        Some(flags) => {
            let ends = flags.char_indices().skip(1);
            ends.map(|(at, _)| flags[at..].to_owned()).collect()
        }
        None => vec![word.to_owned()],
    }
}

fn is_reader(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    if program == "sed" {
        return prints_lines(arguments);
    }
    let is_writing = |word: &String| {
        let flag = word.split_once('=').map_or(word.as_str(), |(flag, _)| flag);
        let is_unknown = flag.len() > 2 && flag.starts_with("--") && !LONG_FLAGS.contains(&flag);
        WRITING_FLAGS.contains(&flag)
            || FOLLOWING_FLAGS.contains(&flag)
            || is_unknown
            || has_bad_letter(program, word)
    };
    READERS.contains(&program.as_str()) && !arguments.iter().any(is_writing)
}

/// Whether a group of short flags makes the program start another, or follow links on its way.
fn has_bad_letter(program: &str, word: &str) -> bool {
    let bad: &[char] = match program {
        "grep" => &['R'],
        "rg" => &['L', 'z'],
        "find" | "ls" => &['L', 'H'],
        _ => &[],
    };
    let is_group = word.starts_with('-') && !word.starts_with("--");
    is_group && word.contains(bad)
}

/// `sed -n 3,9p FILE…`: the one form that can do nothing but print.
fn prints_lines(arguments: &[String]) -> bool {
    let [flag, script, files @ ..] = arguments else {
        return false;
    };
    let Some(lines) = script.strip_suffix('p') else {
        return false;
    };
    let is_number = |text: &str| {
        !text.is_empty() && (text == "$" || text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_range = match lines.split_once(',') {
        Some((from, to)) => is_number(from) && is_number(to),
        None => is_number(lines),
    };
    flag == "-n" && is_range && !files.iter().any(|file| file.starts_with('-'))
}

/// The words of each command; none where a shell would do more than start them.
fn split_commands(text: &str) -> Option<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut chars = text.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        // Within double quotes these mean something still.
                        '$' | '`' | '\\' if c == '"' => return None,
                        other => quoted.push(other),
                    }
                }
            }
            ' ' | '\t' => commands.last_mut()?.extend(word.take()),
            '|' | ';' | '&' => {
                commands.last_mut()?.extend(word.take());
                if c == '&' && chars.next() != Some('&') {
                    return None;
                }
                commands.push(Vec::new());
            }
            '\n' | '$' | '`' | '\\' | '<' | '>' | '(' | ')' | '{' | '}' | '#' | '!' | '~' => {
                return None;
            }
            // Where a pattern leads is known to the shell alone.
            '*' | '?' | '[' => return None,
            other => word.get_or_insert_default().push(other),
        }
    }
    commands.last_mut()?.extend(word);
    Some(commands)
}

#[cfg(test)]
mod tests {
    use super::paths_read;

    #[test]
    fn commands_that_only_read_are_known() {
        for command in [
            "ls -la",
            "cat src/a.rs",
            "cat 'a file' | head -n 5",
            "nl -ba \"a\" | sed -n 1,20p",
            "sed -n '7p' a",
            "find . -type f -path './*.py'",
            "grep -rnE -e 'def x' .",
            "pwd && ls; wc -l a",
            "rg -n todo src",
            "rg --files --hidden -g x src",
            "grep -r --include=x.py --line-number def src",
        ] {
            assert!(paths_read(command).is_some(), "{command}");
        }
    }

    #[test]
    fn what_writes_starts_or_is_not_understood_is_no_reading() {
        for command in [
            "",
            "cat a > b",
            "cat a | tee b",
            "cat a &",
            "ls || rm b",
            "ls && rm b",
            "ls\nrm b",
            "cat $(rm b)",
            "cat \"$(rm b)\"",
            "cat `rm b`",
            "find . -name a -delete",
            "find . -exec rm b ';'",
            "find . -fprint b",
            "rg --pre 'sh x' a",
            "rg --pre=x a",
            "git grep -O'touch b' x",
            "sed -i s/a/b/ c",
            "sed -n '1w b' a",
            "sed -n 1p -i a",
            "X=1 cat a",
            "/bin/cat a",
            "c\\at a",
            "cat *",
            "ls src/?.rs",
            "grep -rR x .",
            "grep --dereference-recursive x .",
            "rg -nL x",
            "rg --follow x",
            "grep --deref -r x .",
            "ls -RL .",
            "wc --files0-from=list",
            "find -files0-from list",
            "rg --search-zip x",
            "rg -z x",
            "find -L . -name a",
            "cat 'a",
            "ls;",
        ] {
            assert!(paths_read(command).is_none(), "{command}");
        }
    }

    #[test]
    fn every_word_that_can_name_a_file_is_told() {
        for (command, want) in [
            ("ls", &[][..]),
            ("cat a ../b", &["a", "../b"]),
            (
                "grep -nf/x --file=/y -e z .",
                &["f/x", "/x", "x", "/y", "."],
            ),
            // A route is a pattern, not a path; the file behind it is judged.
            ("grep -rn \"/api/login\" src", &["n", "src"]),
            ("rg -A 3 '/users/:id' ../x", &["3", "../x"]),
            ("grep -e /a -e /b /etc/passwd", &["/etc/passwd"]),
            ("grep --regexp /a /etc/passwd", &["/etc/passwd"]),
            // Nothing is spared where a word could be a file after all.
            ("rg --files /etc", &["/etc"]),
            ("rg -g -e /etc/passwd -e x", &["/etc/passwd"]),
            ("rg -ge /etc/passwd -e x", &["e", "/etc/passwd"]),
            ("grep -y /etc/passwd x", &["/etc/passwd", "x"]),
            ("grep -f /etc/passwd x", &["/etc/passwd", "x"]),
            ("grep x -- /etc/passwd", &["x", "/etc/passwd"]),
            ("cat a | head -n 5 b", &["a", "5", "b"]),
            ("sed -n 1,5p '/a b'", &["1,5p", "/a b"]),
        ] {
            assert_eq!(paths_read(command).unwrap_or_default(), want, "{command}");
        }
    }
}
