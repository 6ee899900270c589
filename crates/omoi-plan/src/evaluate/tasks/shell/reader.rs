//! The reader of shell text.

/// How a command is joined to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evaluate::tasks) enum CommandJoint {
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
    /// `&`.
    Background,
    /// `;`, a line break or the end.
    Sequence,
}

/// A simple command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evaluate::tasks) struct ShellCommand {
    /// Words without assignments, keywords and redirections.
    pub(in crate::evaluate::tasks) words: Vec<String>,
    /// What follows it.
    pub(in crate::evaluate::tasks) next: CommandJoint,
    /// Whether its end decides a condition or is turned round.
    pub(in crate::evaluate::tasks) is_condition: bool,
    /// Whether its output goes to a file or into a text.
    pub(in crate::evaluate::tasks) is_kept: bool,
    /// Whether it sets a variable and does nothing else.
    pub(in crate::evaluate::tasks) is_assignment: bool,
    /// Whether it asks how the command before it ended.
    pub(in crate::evaluate::tasks) asks_status: bool,
    /// Whether it opens (1) or closes (-1) a group.
    pub(in crate::evaluate::tasks) group: i8,
}

/// The commands of a text, and the functions it defines.
#[derive(Clone, Debug, Default)]
pub(in crate::evaluate::tasks) struct ShellText {
    pub(in crate::evaluate::tasks) commands: Vec<ShellCommand>,
    pub(in crate::evaluate::tasks) functions: Vec<String>,
}

/// Reads `text`.
pub(in crate::evaluate::tasks) fn read_shell(text: &str) -> ShellText {
    let mut reader = ShellReader::new(text);
    reader.run();
    reader.found
}

/// Words before a command that are none of it.
const OPENERS: &[&str] = &["if", "elif", "while", "until"];
const KEYWORDS: &[&str] = &["then", "else", "do", "time"];
const CLOSERS: &[&str] = &["fi", "done", "esac"];

struct ShellReader {
    chars: Vec<char>,
    at: usize,
    words: Vec<String>,
    is_kept: bool,
    group: i8,
    in_condition: bool,
    heredocs: Vec<String>,
    found: ShellText,
}

impl ShellReader {
    fn new(text: &str) -> Self {
        Self {
            chars: text.replace("\\\n", " ").chars().collect(),
            at: 0,
            words: Vec::new(),
            is_kept: false,
            group: 0,
            in_condition: false,
            heredocs: Vec::new(),
            found: ShellText::default(),
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn run(&mut self) {
        while self.at < self.chars.len() {
            match self.peek(0) {
                '\n' => {
                    self.end(CommandJoint::Sequence, 1);
                    self.skip_heredocs();
                }
                c if c.is_whitespace() => self.at += 1,
                '#' => self.skip_line(),
                '&' if self.peek(1) == '&' => self.end(CommandJoint::And, 2),
                '&' if self.peek(1) == '>' => {
                    self.at += 1;
                    self.redirect();
                }
                '&' => self.end(CommandJoint::Background, 1),
                '|' if self.peek(1) == '|' => self.end(CommandJoint::Or, 2),
                '|' => self.end(CommandJoint::Pipe, 1),
                ';' if self.peek(1) == ';' => self.end(CommandJoint::Sequence, 2),
                ';' => self.end(CommandJoint::Sequence, 1),
                '(' => self.parenthesis(),
                ')' => self.closing_parenthesis(),
                '>' | '<' => self.redirect(),
                _ => self.word(),
            }
        }
        self.end(CommandJoint::Sequence, 0);
    }

    fn skip_line(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.at += 1;
        }
    }

    fn parenthesis(&mut self) {
        let defines = self.peek(1) == ')' && self.words.len() == 1;
        if defines {
            self.found.functions.extend(self.words.pop());
            self.at += 2;
        } else {
            self.group += 1;
            self.at += 1;
        }
    }

    /// Ends a group, or a pattern of `case`, which is no command.
    fn closing_parenthesis(&mut self) {
        if self.group <= 0 && self.words.len() == 1 && self.found.commands.is_empty() {
            self.words.clear();
        }
        self.end(CommandJoint::Sequence, 1);
    }

    fn word(&mut self) {
        let mut word = String::new();
        while self.at < self.chars.len() {
            let c = self.peek(0);
            match c {
                c if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')') => break,
                '<' | '>' => {
                    let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
                    if is_number {
                        self.redirect();
                        return;
                    }
                    break;
                }
                '\'' => word.push_str(&self.until('\'')),
                '"' => self.double_quoted(&mut word),
                '`' => {
                    let inner = self.until('`');
                    self.nested(&inner);
                    word.push('$');
                }
                '\\' => {
                    word.push(self.peek(1));
                    self.at += 2;
                }
                '$' => self.dollar(&mut word),
                c => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        self.words.push(word);
    }

    /// What stands up to `end`, both left out.
    fn until(&mut self, end: char) -> String {
        self.at += 1;
        let from = self.at;
        while self.at < self.chars.len() && self.peek(0) != end {
            self.at += 1;
        }
        let inner = self.chars[from.min(self.chars.len())..self.at]
            .iter()
            .collect();
        self.at += 1;
        inner
    }

    fn double_quoted(&mut self, word: &mut String) {
        self.at += 1;
        while self.at < self.chars.len() && self.peek(0) != '"' {
            match self.peek(0) {
                '\\' => {
                    word.push(self.peek(1));
                    self.at += 2;
                }
                '$' => self.dollar(word),
                '`' => {
                    let inner = self.until('`');
                    self.nested(&inner);
                }
                c => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
    }

    /// `$(…)`, `$((…))`, `${…}` or a name.
    fn dollar(&mut self, word: &mut String) {
        word.push('$');
        self.at += 1;
        match self.peek(0) {
            '(' => {
                let is_sum = self.peek(1) == '(';
                let inner = self.balanced('(', ')');
                if !is_sum {
                    self.nested(&inner);
                }
            }
            '{' => word.push_str(&self.balanced('{', '}')),
            _ => {}
        }
    }

    fn balanced(&mut self, open: char, close: char) -> String {
        let from = self.at + 1;
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            let c = self.peek(0);
            self.at += 1;
            if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        let to = self.at.saturating_sub(1).max(from).min(self.chars.len());
        self.chars[from.min(to)..to].iter().collect()
    }

    /// Commands whose output becomes a text: how they end is lost, what they say is kept.
    fn nested(&mut self, inner: &str) {
        let inner = read_shell(inner);
        let kept = inner.commands.into_iter().map(|command| ShellCommand {
            is_kept: true,
            group: 0,
            ..command
        });
        self.found.commands.extend(kept);
        self.found.functions.extend(inner.functions);
    }

    /// A redirection; output counts as kept unless it is thrown away.
    fn redirect(&mut self) {
        let reads = self.peek(0) == '<';
        let heredoc = reads && self.peek(1) == '<' && self.peek(2) != '<';
        while matches!(self.peek(0), '<' | '>' | '|') {
            self.at += 1;
        }
        let duplicates = self.peek(0) == '&' || heredoc && self.peek(0) == '-';
        if duplicates {
            self.at += 1;
        }
        while self.peek(0) == ' ' {
            self.at += 1;
        }
        let held = std::mem::take(&mut self.words);
        if !matches!(self.peek(0), '\n' | ';' | '\0') {
            self.word();
        }
        let target = std::mem::replace(&mut self.words, held)
            .pop()
            .unwrap_or_default();
        if heredoc {
            self.heredocs.push(target);
        } else if !reads && !duplicates && target != "/dev/null" {
            self.is_kept = true;
        }
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while self.at < self.chars.len() {
                let from = self.at;
                self.skip_line();
                let line: String = self.chars[from..self.at].iter().collect();
                self.at += 1;
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    /// Ends the command that was read so far.
    fn end(&mut self, next: CommandJoint, n_chars: usize) {
        self.at += n_chars;
        let mut words = std::mem::take(&mut self.words);
        let mut group = std::mem::take(&mut self.group);
        let is_kept = std::mem::take(&mut self.is_kept);
        let mut is_turned = false;
        while let Some(first) = words.first() {
            match first.as_str() {
                word if OPENERS.contains(&word) => self.in_condition = true,
                word if KEYWORDS.contains(&word) => self.in_condition &= word == "time",
                word if CLOSERS.contains(&word) => {}
                "!" => is_turned = true,
                "{" => group += 1,
                "}" => group -= 1,
                "for" | "case" | "select" | "function" => words.truncate(1),
                _ => break,
            }
            words.remove(0);
        }
        let asks_status = words.iter().any(|word| word.contains("$?"));
        let n_before = words.len();
        let n_assigned = words.iter().take_while(|word| is_assignment(word)).count();
        words.drain(..n_assigned);
        let is_assignment = n_before > 0 && words.is_empty();
        if words.is_empty() && !is_assignment && group == 0 {
            // An empty line ends nothing; a joint after a closed group belongs to the group.
            if next != CommandJoint::Sequence
                && let Some(last) = self.found.commands.last_mut()
                && last.next == CommandJoint::Sequence
            {
                last.next = next;
            }
            return;
        }
        self.found.commands.push(ShellCommand {
            words,
            next,
            is_condition: self.in_condition || is_turned,
            is_kept,
            is_assignment,
            asks_status,
            group,
        });
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let read = read_shell(text);
        read.commands.iter().map(|c| c.words.join(" ")).collect()
    }

    #[test]
    fn commands_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("a 1 && b '2 3' || c; d", vec!["a 1", "b 2 3", "c", "d"]),
            (
                "if [ -f x ]; then :; else exit 1; fi",
                vec!["[ -f x ]", ":", "exit 1"],
            ),
            (
                "test \"$(./prog x)\" = 1 # no",
                vec!["./prog x", "test $ = 1"],
            ),
            ("A=1 B=2 ./prog >out 2>&1", vec!["./prog"]),
            ("cat <<EOF >x\nrm all\nEOF\nnext", vec!["cat", "next"]),
            (
                "f() { ls \"$1\" | wc -l; }\nf x",
                vec!["ls $1", "wc -l", "", "f x"],
            ),
            (
                "n=$((1 + 2)); for i in 1 2; do p \"$i\"; done",
                vec!["", "p $i"],
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_happens_to_end_and_output_is_known() {
        let read = read_shell("p || true\nq >out || code=$?\n! r\nif s; then t; fi\nu &\nv | w");
        let told: Vec<_> = read
            .commands
            .iter()
            .map(|c| (c.words.concat(), c.next, c.is_condition, c.is_kept))
            .collect();
        let plain = |word: &str, next| (word.to_owned(), next, false, false);
        assert_eq!(
            told,
            [
                plain("p", CommandJoint::Or),
                plain("true", CommandJoint::Sequence),
                ("q".to_owned(), CommandJoint::Or, false, true),
                plain("", CommandJoint::Sequence),
                ("r".to_owned(), CommandJoint::Sequence, true, false),
                ("s".to_owned(), CommandJoint::Sequence, true, false),
                plain("t", CommandJoint::Sequence),
                plain("u", CommandJoint::Background),
                plain("v", CommandJoint::Pipe),
                plain("w", CommandJoint::Sequence),
            ]
        );
        for broken in ["'", "\"$(", "${", "<<", "a >", "((", "))", "`", "\\"] {
            let _ = read_shell(broken);
        }
    }
}
