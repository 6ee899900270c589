//! The tokenising parser of EARS sentences and its printer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a sentence, decided by its clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarsKind {
    /// No clause: always holds.
    Ubiquitous,
    /// One WHEN clause.
    Event,
    /// One WHILE clause.
    State,
    /// One WHERE clause.
    Feature,
    /// One IF clause.
    Unwanted,
    /// Several clauses.
    Complex,
}

/// The word that opens a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EarsTrigger {
    /// An event.
    When,
    /// A state that lasts.
    While,
    /// A feature that is present.
    Where,
    /// Something unwanted.
    If,
}

impl EarsTrigger {
    pub(super) const ALL: [Self; 4] = [Self::When, Self::While, Self::Where, Self::If];

    /// The word, upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::When => "WHEN",
            Self::While => "WHILE",
            Self::Where => "WHERE",
            Self::If => "IF",
        }
    }
}

/// How binding a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EarsModality {
    /// Mandatory, or forbidden when negated.
    Shall,
    /// Mandatory, or forbidden when negated.
    Must,
    /// Recommended.
    Should,
    /// Optional.
    May,
}

impl EarsModality {
    pub(super) const ALL: [Self; 4] = [Self::Shall, Self::Must, Self::Should, Self::May];

    /// The word, upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shall => "SHALL",
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}

/// A condition of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EarsClause {
    /// The word that opens it.
    pub trigger: EarsTrigger,
    /// What follows, without the closing comma.
    pub text: String,
}

/// A parsed requirement sentence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EarsSentence {
    /// Decided by the clauses.
    pub kind: EarsKind,
    /// Conditions in the order written.
    pub clauses: Vec<EarsClause>,
    /// How binding it is.
    pub modality: EarsModality,
    /// Whether NOT follows the normative word.
    pub negated: bool,
    /// What the system does, without the closing period.
    pub action: String,
}

/// Why a sentence is not EARS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarsError {
    /// `THE SYSTEM SHALL` (or MUST, SHOULD, MAY) does not occur.
    #[error("no `THE SYSTEM SHALL` (or MUST, SHOULD, MAY) in the sentence")]
    NoSystemResponse,
    /// Text before the subject that no trigger opens.
    #[error("`{text}` stands before THE SYSTEM but opens with none of WHEN, WHILE, WHERE, IF")]
    NoTrigger {
        /// What stands there.
        text: String,
    },
    /// A trigger without text.
    #[error("nothing follows {}", trigger.as_str())]
    EmptyClause {
        /// The bare trigger.
        trigger: EarsTrigger,
    },
    /// Nothing follows the normative word.
    #[error("nothing follows the normative word")]
    NoAction,
    /// Two responses in one sentence.
    #[error("a second `THE SYSTEM …` follows; write one sentence per requirement")]
    SecondResponse,
    /// MAY NOT forbids or permits, depending on the reader.
    #[error("`MAY NOT` is ambiguous; write SHALL NOT or MAY")]
    MayNot,
}

impl EarsSentence {
    /// The condition as stored in a row: empty, the one clause's text, or all clauses in order.
    pub fn condition_text(&self) -> String {
        match self.clauses.as_slice() {
            [] => String::new(),
            [only] => only.text.clone(),
            many => many
                .iter()
                .map(|c| format!("{} {}", c.trigger.as_str(), c.text))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

impl fmt::Display for EarsSentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for clause in &self.clauses {
            write!(f, "{} {}, ", clause.trigger.as_str(), clause.text)?;
        }
        if self
            .clauses
            .last()
            .is_some_and(|c| c.trigger == EarsTrigger::If)
        {
            f.write_str("THEN ")?;
        }
        write!(f, "THE SYSTEM {} ", self.modality.as_str())?;
        if self.negated {
            f.write_str("NOT ")?;
        }
        write!(f, "{}.", self.action)
    }
}

/// Parses one requirement sentence.
pub fn parse_sentence(sentence: &str) -> Result<EarsSentence, EarsError> {
    let end = |c: char| matches!(c, '.' | ',') || c.is_whitespace();
    let tokens = tokenise_sentence(sentence.trim_end_matches(end));
    let subject = find_response(&tokens).ok_or(EarsError::NoSystemResponse)?;
    let clauses = read_clauses(without_then(&tokens[..subject]))?;
    let after = subject + 3;
    let modality = tokens[after - 1]
        .modality()
        .ok_or(EarsError::NoSystemResponse)?;
    let rest = without_commas(&tokens[after..]);
    let negated = rest.first().is_some_and(|t| t.is_word("not"));
    if negated && modality == EarsModality::May {
        return Err(EarsError::MayNot);
    }
    let action = without_commas(if negated { &rest[1..] } else { rest });
    if find_response(action).is_some() {
        return Err(EarsError::SecondResponse);
    }
    let action = join_tokens(action);
    if action.is_empty() {
        return Err(EarsError::NoAction);
    }
    Ok(EarsSentence {
        kind: kind_of(&clauses),
        clauses,
        modality,
        negated,
        action,
    })
}

/// The sentence for a `condition` and an `action` stored apart.
///
/// The condition may be empty or the word `General` (ubiquitous), may open with a trigger of its
/// own, or is read as an event.
pub fn compose_sentence(condition: &str, action: &str) -> Result<EarsSentence, EarsError> {
    let condition = condition.trim().trim_end_matches(',');
    let action = match parse_sentence(action) {
        Ok(whole) if whole.clauses.is_empty() => whole.to_string(),
        _ => format!("THE SYSTEM SHALL {action}"),
    };
    if condition.is_empty() || condition.eq_ignore_ascii_case("general") {
        return parse_sentence(&action);
    }
    let opens = tokenise_sentence(condition)
        .first()
        .is_some_and(|t| t.trigger().is_some());
    let sentence = if opens {
        format!("{condition}, {action}")
    } else {
        format!("WHEN {condition}, {action}")
    };
    parse_sentence(&sentence)
}

/// How many normative words (SHALL, MUST, SHOULD, MAY) `text` holds as whole words.
pub fn count_normative(text: &str) -> usize {
    tokenise_sentence(text)
        .iter()
        .filter(|t| t.modality().is_some())
        .count()
}

/// A piece of a sentence. Commas inside a word, as in `1,000`, belong to the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarsToken<'a> {
    Word(&'a str),
    Comma,
}

impl EarsToken<'_> {
    /// Whether this is `word` in any case, bold or italic marks aside.
    fn is_word(self, word: &str) -> bool {
        match self {
            Self::Word(raw) => raw.trim_matches(['*', '_']).eq_ignore_ascii_case(word),
            Self::Comma => false,
        }
    }

    fn trigger(self) -> Option<EarsTrigger> {
        EarsTrigger::ALL
            .into_iter()
            .find(|t| self.is_word(t.as_str()))
    }

    fn modality(self) -> Option<EarsModality> {
        EarsModality::ALL
            .into_iter()
            .find(|m| self.is_word(m.as_str()))
    }

    fn is_upper(self) -> bool {
        matches!(self, Self::Word(raw) if !raw.chars().any(char::is_lowercase))
    }
}

fn tokenise_sentence(text: &str) -> Vec<EarsToken<'_>> {
    let mut tokens = Vec::new();
    for chunk in text.split_whitespace() {
        let word = chunk.trim_matches(',');
        if chunk.starts_with(',') && tokens.last() != Some(&EarsToken::Comma) {
            tokens.push(EarsToken::Comma);
        }
        if !word.is_empty() {
            tokens.push(EarsToken::Word(word));
            if chunk.ends_with(',') {
                tokens.push(EarsToken::Comma);
            }
        }
    }
    tokens
}

fn join_tokens(tokens: &[EarsToken<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            EarsToken::Comma => text.push(','),
            EarsToken::Word(word) => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
    }
    text
}

/// Where `THE SYSTEM <modality>` starts, if it occurs.
fn find_response(tokens: &[EarsToken<'_>]) -> Option<usize> {
    tokens
        .windows(3)
        .position(|w| w[0].is_word("the") && w[1].is_word("system") && w[2].modality().is_some())
}

fn without_commas<'a, 't>(mut tokens: &'a [EarsToken<'t>]) -> &'a [EarsToken<'t>] {
    while let [EarsToken::Comma, rest @ ..] | [rest @ .., EarsToken::Comma] = tokens {
        tokens = rest;
    }
    tokens
}

/// Drops every THEN right before the subject, and the commas around it.
fn without_then<'a, 't>(tokens: &'a [EarsToken<'t>]) -> &'a [EarsToken<'t>] {
    let mut tokens = without_commas(tokens);
    while let [rest @ .., last] = tokens
        && last.is_word("then")
    {
        tokens = without_commas(rest);
    }
    tokens
}

/// Splits what stands before the subject into clauses.
///
/// A trigger opens a clause at the start and after a comma in any case; elsewhere only when
/// written in capitals, so that *asks where the file is* stays one clause.
fn read_clauses(tokens: &[EarsToken<'_>]) -> Result<Vec<EarsClause>, EarsError> {
    let opens = |at: usize| {
        let trigger = tokens[at].trigger()?;
        let boundary = at == 0 || tokens[at - 1] == EarsToken::Comma || tokens[at].is_upper();
        boundary.then_some(trigger)
    };
    let starts: Vec<(usize, EarsTrigger)> = (0..tokens.len())
        .filter_map(|at| opens(at).map(|trigger| (at, trigger)))
        .collect();
    if !tokens.is_empty() && starts.first().is_none_or(|(at, _)| *at > 0) {
        let end = starts.first().map_or(tokens.len(), |(at, _)| *at);
        return Err(EarsError::NoTrigger {
            text: join_tokens(without_commas(&tokens[..end])),
        });
    }
    let mut clauses = Vec::with_capacity(starts.len());
    for (n, &(at, trigger)) in starts.iter().enumerate() {
        let end = starts.get(n + 1).map_or(tokens.len(), |(next, _)| *next);
        let text = join_tokens(without_commas(&tokens[at + 1..end]));
        if text.is_empty() {
            return Err(EarsError::EmptyClause { trigger });
        }
        clauses.push(EarsClause { trigger, text });
    }
    Ok(clauses)
}

fn kind_of(clauses: &[EarsClause]) -> EarsKind {
    match clauses {
        [] => EarsKind::Ubiquitous,
        [only] => match only.trigger {
            EarsTrigger::When => EarsKind::Event,
            EarsTrigger::While => EarsKind::State,
            EarsTrigger::Where => EarsKind::Feature,
            EarsTrigger::If => EarsKind::Unwanted,
        },
        _ => EarsKind::Complex,
    }
}
