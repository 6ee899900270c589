//! Which words of a search are patterns, which are no paths whatever they look like. Only where every flag is
//! known: a word that could be a file is none of them.

/// Flags of one letter.
struct ProgramLetters {
    program: &'static str,
    /// Those without a value.
    plain: &'static str,
    /// Those with one.
    valued: &'static str,
}

/// The letters of the programs that search.
const LETTERS: [ProgramLetters; 2] = [
    ProgramLetters {
        program: "grep",
        plain: "EFGHIPTZachilnoqrsvwx",
        valued: "ABCDdm",
    },
    ProgramLetters {
        program: "rg",
        plain: "FHINPSUcilnoqsvwx",
        valued: "ABCMTgjmt",
    },
];
/// Long flags that take a value.
const LONG_VALUES: [&str; 11] = [
    "--after-context",
    "--before-context",
    "--context",
    "--exclude",
    "--exclude-dir",
    "--glob",
    "--iglob",
    "--include",
    "--max-count",
    "--max-depth",
    "--type",
];

/// What the words of a search have told so far.
#[derive(Default)]
struct SearchWords {
    patterns: Vec<usize>,
    operands: Vec<usize>,
    /// Its patterns are named by flags, or it has none: every operand is a file.
    has_own_patterns: bool,
}

/// The places of the patterns in the words of `program`; none where it is no search, or a flag is not known.
pub(super) fn pattern_places(program: &str, words: &[String]) -> Vec<usize> {
    let known = LETTERS.iter().find(|known| known.program == program);
    let Some(found) = known.and_then(|known| read_words(words, known)) else {
        return Vec::new();
    };
    let first = found.operands.first().filter(|_| !found.has_own_patterns);
    found.patterns.iter().chain(first).copied().collect()
}

fn read_words(words: &[String], known: &ProgramLetters) -> Option<SearchWords> {
    let mut found = SearchWords::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.strip_prefix("--") {
            // The rest would be operands: nobody asks for it.
            Some("") => return None,
            Some(_) => at += found.take_long(word, at),
            None => match word.strip_prefix('-').filter(|flags| !flags.is_empty()) {
                Some(flags) => at += found.take_letters(flags, at, known)?,
                None => found.operands.push(at),
            },
        }
        at += 1;
    }
    Some(found)
}

impl SearchWords {
    /// Takes a long flag; gives how many words behind it are its value.
    fn take_long(&mut self, word: &str, at: usize) -> usize {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        let behind = usize::from(value.is_none());
        match flag {
            "--regexp" => {
                self.has_own_patterns = true;
                self.patterns.push(at + behind);
                behind
            }
            "--file" => {
                self.has_own_patterns = true;
                behind
            }
            "--files" => {
                self.has_own_patterns = true;
                0
            }
            flag if LONG_VALUES.contains(&flag) => behind,
            _ => 0,
        }
    }

    /// Takes a group of letters; gives how many words behind it are the value of its last.
    fn take_letters(&mut self, flags: &str, at: usize, known: &ProgramLetters) -> Option<usize> {
        for (n, letter) in flags.char_indices() {
            let is_last = n + letter.len_utf8() == flags.len();
            match letter {
                // A value in the same word is judged with it.
                'e' | 'f' => {
                    self.has_own_patterns = true;
                    if letter == 'e' && is_last {
                        self.patterns.push(at + 1);
                    }
                    return Some(usize::from(is_last));
                }
                letter if known.valued.contains(letter) => return Some(usize::from(is_last)),
                letter if known.plain.contains(letter) => {}
                _ => return None,
            }
        }
        Some(0)
    }
}
