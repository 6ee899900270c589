//! What can be wrong with a scenario, where, and what to do about it.

use std::{fmt, io, sync::Arc};

/// A position in one of the files of a scenario; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The file as the scenario names it.
    pub file: Arc<str>,
    /// Line, or 0 when the whole file is meant.
    pub line: u32,
    /// Column in characters, or 0 when the whole file is meant.
    pub column: u32,
}

impl SourcePlace {
    /// The file as a whole.
    pub(super) fn whole_file(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Every error found in a scenario, in reading order.
#[derive(Debug)]
pub struct ScenarioErrors(pub Vec<ScenarioError>);

/// More errors than this are counted, not printed.
const ERRORS_PRINTED_MAX: usize = 50;

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().take(ERRORS_PRINTED_MAX).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {}", error.place, error.problem)?;
            if let Some(source) = std::error::Error::source(&error.problem) {
                write!(f, ": {source}")?;
            }
            if let Some(hint) = error.problem.remedy_hint() {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        match self.0.len().saturating_sub(ERRORS_PRINTED_MAX) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for ScenarioErrors {}

/// One error in a scenario.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ScenarioError {
    /// Place of the error: file, line, column.
    pub place: SourcePlace,
    /// What is wrong at that place.
    pub problem: ScenarioProblem,
}

/// What is wrong at one place of a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioProblem {
    /// A named file cannot be read.
    #[error("could not read `{path}`")]
    Unreadable {
        /// The path as written.
        path: String,
        /// Why the file cannot be read.
        #[source]
        source: io::Error,
    },
    /// One file is over its limit.
    #[error("`{path}` has more than {max_bytes} bytes")]
    FileTooLarge {
        /// The path as written.
        path: String,
        /// Most bytes that are allowed.
        max_bytes: usize,
    },
    /// All files together are over their limit.
    #[error("the scenario and the files it names have more than {max_bytes} bytes together")]
    ScenarioTooLarge {
        /// Most bytes that are allowed.
        max_bytes: usize,
    },
    /// A file holds bytes that are not text.
    #[error("`{path}` is not UTF-8 text")]
    NotUtf8 {
        /// The path as written.
        path: String,
    },
    /// A path leads out of the scenario's folder.
    #[error("`{path}` is not a path inside the folder of the scenario file")]
    PathOutside {
        /// The path as written.
        path: String,
    },
    /// Included lists name each other too deeply, or in a circle.
    #[error("`include` goes deeper than {max} files")]
    IncludeTooDeep {
        /// Most that are allowed.
        max: usize,
    },
    /// Scenarios extend each other too deeply, or in a circle.
    #[error("`extends` goes deeper than {max} scenarios")]
    ExtendsTooDeep {
        /// Most that are allowed.
        max: usize,
    },
    /// The file is not YAML.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// Message of the YAML parser.
        message: String,
    },
    /// The format version is not one this program knows.
    #[error("`version` is {found}, this program reads version 1")]
    Version {
        /// The text or value found there.
        found: String,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}` in {object}")]
    UnknownKey {
        /// Key of the mapping concerned.
        key: String,
        /// What has the key.
        object: &'static str,
        /// The keys it may have.
        known: &'static [&'static str],
    },
    /// A key that must be there is not.
    #[error("{object} has no `{key}`")]
    MissingKey {
        /// What lacks the key.
        object: &'static str,
        /// Key of the mapping concerned.
        key: &'static str,
    },
    /// A value of the wrong kind.
    #[error("`{key}` must be {expected}, found {found}")]
    WrongType {
        /// The key whose value it is.
        key: &'static str,
        /// What would be right.
        expected: &'static str,
        /// The text or value found there.
        found: String,
    },
    /// Something that must have keys has none.
    #[error("{object} must be a mapping, found {found}")]
    NotAMapping {
        /// What should be a mapping.
        object: &'static str,
        /// The text or value found there.
        found: String,
    },
    /// A number outside its bounds.
    #[error("`{key}` must be between {min} and {max}, found {found}")]
    OutOfRange {
        /// The key whose value it is.
        key: &'static str,
        /// Smallest number that is allowed.
        min: u64,
        /// Largest number that is allowed.
        max: u64,
        /// The text or value found there.
        found: String,
    },
    /// A value that is not one of a closed set.
    #[error("`{key}` cannot be `{found}`")]
    NotOneOf {
        /// The key whose value it is.
        key: &'static str,
        /// The text or value found there.
        found: String,
        /// The words that are allowed.
        allowed: &'static [&'static str],
    },
    /// A range of rounds or turns that cannot be read.
    #[error("`{key}` has a range `{text}` that cannot be read")]
    BadRange {
        /// Key concerned: `round` or `turn`.
        key: &'static str,
        /// Text that is no range.
        text: String,
    },
    /// A title pattern that cannot be read.
    #[error("`title` is not a valid pattern")]
    BadGlob {
        /// Why the pattern cannot be compiled.
        #[source]
        source: globset::Error,
    },
    /// A tool name that no model API accepts.
    #[error("`{name}` cannot be the name of a tool")]
    BadToolName {
        /// The refused name, as written.
        name: String,
    },
    /// Text with nothing in it.
    #[error("`{key}` is empty")]
    Empty {
        /// The key whose value it is.
        key: &'static str,
    },
    /// `$file` or `include` among other keys.
    #[error("`{key}` must be the only key of its mapping")]
    NotAlone {
        /// Key of the mapping concerned.
        key: &'static str,
    },
    /// More rules than a scenario may have.
    #[error("more than {max} rules")]
    TooManyRules {
        /// Most that are allowed.
        max: usize,
    },
    /// An entry that says nothing, or more than one thing.
    #[error("{object} must have exactly one of its kinds, found {found}")]
    NotExactlyOne {
        /// What the entry is.
        object: &'static str,
        /// The text or value found there.
        found: String,
        /// The kinds there are.
        kinds: &'static [&'static str],
    },
    /// Two rules of one name.
    #[error("a rule named `{name}` is already at {first}")]
    DuplicateName {
        /// The name that two rules share.
        name: String,
        /// The first of the two.
        first: SourcePlace,
    },
    /// A rule that can never match.
    #[error("rule `{rule}` is never reached: `{by}` at {at} matches everything it matches")]
    Unreachable {
        /// The rule that cannot match.
        rule: String,
        /// Name of the earlier rule that answers first.
        by: String,
        /// Where the earlier rule is.
        at: SourcePlace,
    },
    /// A fault or reply behind a fault that never ends.
    #[error("this is never reached: the fault at {at} has `times: always`")]
    BehindEndlessFault {
        /// Where the endless fault is.
        at: SourcePlace,
    },
    /// A rule without an answer.
    #[error("rule `{rule}` has no `reply`")]
    NoReply {
        /// Name of the rule without a reply.
        rule: String,
    },
    /// A call that is made in two ways.
    #[error("a call is either `unoffered` or `in_words`")]
    TwoManners,
    /// A tool input is broken, but the reply calls no tool.
    #[error("`broken_json: tool_input` needs a tool call in `reply`")]
    NoToolToBreak,
}

impl ScenarioProblem {
    /// What to do about it, where that is more than undoing what the message names.
    pub fn remedy_hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => {
                "paths are relative to the folder of the scenario file".to_owned()
            }
            Self::FileTooLarge { .. } => "split it into several files".to_owned(),
            Self::PathOutside { .. } => {
                "write a relative path without `..`, for example `assets/app.py`".to_owned()
            }
            Self::UnknownKey { key, known, .. } => did_you_mean(key, known),
            Self::NotOneOf { found, allowed, .. } => did_you_mean(found, allowed),
            Self::BadRange { .. } => {
                "write a number, `3..` (3 and up), `..=3` or `1..=3`, or a list of these".to_owned()
            }
            Self::BadGlob { .. } => {
                "`*`, `?`, `[a-z]` and `{a,b}` are patterns; put `\\` before one that is meant \
                 literally"
                    .to_owned()
            }
            Self::BadToolName { .. } => "use 1 to 64 letters, digits, `_` and `-`".to_owned(),
            Self::NotExactlyOne { kinds, .. } => format!("write one of {}", list_words(kinds)),
            Self::Unreachable { .. } => {
                "the first match wins: move the narrower rule up, or narrow the earlier one"
                    .to_owned()
            }
            Self::NoReply { .. } => {
                "add `reply: […]`, or `times: always` to the last fault".to_owned()
            }
            Self::IncludeTooDeep { .. } => {
                "an included file must not lead back to itself".to_owned()
            }
            Self::ExtendsTooDeep { .. } => "a scenario must not extend itself".to_owned(),
            Self::WrongType { expected, .. } if expected.starts_with("text") => {
                "put quotes around numbers, dates and true/false that are meant as text".to_owned()
            }
            Self::ScenarioTooLarge { .. }
            | Self::NotUtf8 { .. }
            | Self::Syntax { .. }
            | Self::Version { .. }
            | Self::MissingKey { .. }
            | Self::WrongType { .. }
            | Self::NotAMapping { .. }
            | Self::OutOfRange { .. }
            | Self::Empty { .. }
            | Self::NotAlone { .. }
            | Self::TooManyRules { .. }
            | Self::DuplicateName { .. }
            | Self::BehindEndlessFault { .. }
            | Self::TwoManners
            | Self::NoToolToBreak => return None,
        })
    }
}

fn did_you_mean(found: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|word| (edit_distance(found, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`? One of {}", list_words(known)),
        None => format!("one of {}", list_words(known)),
    }
}

fn list_words(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Edit distance by the usual two rows.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
