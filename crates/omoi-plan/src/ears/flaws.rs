//! Wordings that make a demand weak, vague or unmeasurable.

/// Why a wording is flagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Announces instead of demanding.
    Weak,
    /// Leaves the list open.
    Vague,
    /// Names a quality without a figure.
    Unmeasured,
}

/// A flagged wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flagged {
    /// The words found, lower case.
    pub phrase: &'static str,
    /// Why it is flagged.
    pub flaw: Flaw,
}

const FLAGGED: &[Flagged] = &[
    flag("will be", Flaw::Weak),
    flag("is going to", Flaw::Weak),
    flag("etc", Flaw::Vague),
    flag("and so on", Flaw::Vague),
    flag("fast", Flaw::Unmeasured),
    flag("quickly", Flaw::Unmeasured),
    flag("user-friendly", Flaw::Unmeasured),
    flag("appropriate", Flaw::Unmeasured),
    flag("robust", Flaw::Unmeasured),
    flag("as needed", Flaw::Unmeasured),
];

const fn flag(phrase: &'static str, flaw: Flaw) -> Flagged {
    Flagged { phrase, flaw }
}

/// The flagged wordings in `text`, each once, as whole words.
pub fn flagged(text: &str) -> Vec<Flagged> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
        .filter(|w| !w.is_empty())
        .collect();
    let holds = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|w| w == phrase)
    };
    FLAGGED
        .iter()
        .copied()
        .filter(|f| holds(f.phrase))
        .collect()
}
