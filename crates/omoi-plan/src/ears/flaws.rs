//! Wordings that make a demand weak, vague or unmeasurable.

/// Why a wording is flagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordingFlaw {
    /// Announces instead of demanding.
    Weak,
    /// Leaves the list open.
    Vague,
    /// Names a quality without a figure.
    Unmeasured,
}

/// A flagged wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlaggedWording {
    /// The words found, lower case.
    pub phrase: &'static str,
    /// Why it is flagged.
    pub flaw: WordingFlaw,
}

const FLAGGED: &[FlaggedWording] = &[
    flag("will be", WordingFlaw::Weak),
    flag("is going to", WordingFlaw::Weak),
    flag("etc", WordingFlaw::Vague),
    flag("and so on", WordingFlaw::Vague),
    flag("fast", WordingFlaw::Unmeasured),
    flag("quickly", WordingFlaw::Unmeasured),
    flag("user-friendly", WordingFlaw::Unmeasured),
    flag("appropriate", WordingFlaw::Unmeasured),
    flag("robust", WordingFlaw::Unmeasured),
    flag("as needed", WordingFlaw::Unmeasured),
];

const fn flag(phrase: &'static str, flaw: WordingFlaw) -> FlaggedWording {
    FlaggedWording { phrase, flaw }
}

/// The flagged wordings in `text`, each once, as whole words.
pub fn flagged_wordings(text: &str) -> Vec<FlaggedWording> {
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
