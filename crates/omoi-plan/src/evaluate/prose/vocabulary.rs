//! Words reduced to stems, and which of them fit any project whatever.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::wording::split_words;

/// Longest stem, in characters: enough to tell words apart, short enough to join their forms.
const STEM_CHARS_MAX: usize = 7;

/// Words that carry the grammar of a sentence and none of its content.
const FUNCTION_WORDS: &str = "a an the of in on at by for with from to into as than between within \
    without through over under after before per about against and or but nor is are was were be \
    been being has have had does do did can may must should shall will would could might cannot it \
    they he she we i you them us him that which when if while because so who what where how whether \
    unless not only also there then their his her my our your its every each no this these those \
    any all some both too just one two more most other another same own such even still yet here \
    once across along among around behind toward towards out off system s t ll re ve d m";

/// Words that are true of any project: of work on it, of programs as such, of praise.
///
/// A text that is made of them alone could stand in any plan.
const GENERAL_WORDS: &str = "base codebase consist day repository several able accept acceptance accomplish accordance according account \
    accurate accurately achieve action actual adaptable add additional adequate adequately \
    administration advanced agent agile aim allow already application apply approach appropriate \
    architecture arise art ask asked asks aspect assume assure attention attract available avoid \
    aware base basic become begin behave behavior behaviour benefit best better bring bug build \
    business care careful carefully case catch cause certain change check choose clean clear code \
    codebase come comfortable command commit committed common compelling compile complete \
    component comprehensive computation concern condition confidence configuration consider \
    consideration consistent constraint contain content context convenience convenient convention \
    correct corresponding coupled coupling cover create criteria criterion critical current \
    cutting day deadline deal debt decide defence defense define delight deliver deliverable \
    demand depend dependable depth described description design desired detail develop developer \
    development different directly do document documentation done down easy ecosystem edge effect \
    effective effectively effectiveness efficiency efficient effort either elegant else empower \
    enable end engage enhance enhanced enough ensure enterprise entire error especially essential \
    etc evaluator everyone everything evolve excellence excellent exception execute executed \
    exist exit expect expectation expected experience experienced explicit explore extend \
    extensible extra facilitate fail failure fast feature feedback figure file find fine finish \
    finished first flexibility flexible flow focus follow form foundation friendly fulfil fulfill \
    full function functional functionality future gate general get give given go goal good \
    graceful gracefully great green growth guarantee handle handled happen happy harmony help \
    helpful hold holistic human idea impact implement implementation implemented important \
    improve improvement include independent individual information infrastructure innovative \
    input instruction integration intelligent intend intended interact interface intuitive \
    involve issue keep kind know known large last lead learn least let leverage logic look loose \
    loosely low made main maintain maintainability maintainable major make manner matter maximum \
    mean meaningful means measurable measure meet mentioned merge merged met method metric \
    milestone mind minimal modern modular modularity module most natural necessary necessity need \
    needed new nice none nothing occur ok open operation optimal optimise optimize organised \
    outlined output outstanding overall overcome overview part pass passed pattern peace people \
    perfect perform performance permit phase plan platform please possible potential powerful \
    practice present principle priority problem process produce product productive productivity \
    professional program programme progress project promote proper properly prove proven provide \
    purpose quality question quick quickly rapid readiness ready real reasonable reasonably \
    recommend refactor relate relevant reliability reliable reliably request requested require \
    required requirement resilient resolve respect respective respectively respond response \
    responsibility responsible result return review reviewer rich right risk robust role rule run \
    safe satisfaction satisfied satisfy satisfying scalability scalable scale scope score \
    seamless seamlessly secure securely security see sensible separate separation serve service \
    set setup shape show significant simple simplicity simply single situation small smart smooth \
    smoothly software solid solution solve something sophisticated sort source specific \
    specification specified sprint stability stable stage stakeholder standard start state stated \
    step story strategy strive strong structure style succeed success successful successfully \
    sufficient suit suitable suite summary superior supply support sure sustainable synergy \
    tackle take task team technical technology test testable tested testing therein thereof thing \
    think thorough thoughtful throughout ticket time together top transparent true trust trusted \
    trustworthy try type underlying unique usability use useable used useful user usual usually \
    utilise utilize valid validate valuable value various verified verify visible want way well \
    whole wish work working works world write written wrong yes";

static FUNCTION: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| FUNCTION_WORDS.split_whitespace().collect());

static GENERAL: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| GENERAL_WORDS.split_whitespace().map(stem_of).collect());

/// The stems of the words of `text` that carry content, names taken apart at their joints.
pub(in crate::evaluate) fn content_stems(text: &str) -> BTreeSet<String> {
    let plain = without_ids(text);
    let parts = split_joints(&plain);
    let counted = split_words(&parts).into_iter().filter(|word| {
        let is_number = word.chars().all(char::is_numeric);
        let is_letter = word.len() == 1;
        !is_number && !is_letter && !FUNCTION.contains(word.as_str())
    });
    counted.map(|word| stem_of(&word)).collect()
}

/// The stems of `text` that do not fit any project whatever.
pub(in crate::evaluate) fn specific_stems(text: &str) -> BTreeSet<String> {
    let mut found = content_stems(text);
    found.retain(|stem| !GENERAL.contains(stem));
    found
}

/// Whether `text` says something that would not fit any project: a word of its own, a figure, or
/// something quoted.
pub(in crate::evaluate) fn says_something(text: &str) -> bool {
    let quotes = text.contains('`') || text.matches('"').count() >= 2;
    quotes || has_figure(text) || !specific_stems(text).is_empty()
}

/// `text` in lower case without numbers, ids and the words that number things.
pub(in crate::evaluate) fn without_numbers(text: &str) -> String {
    const LABELS: &[&str] = &[
        "case",
        "criterion",
        "item",
        "no",
        "number",
        "part",
        "point",
        "step",
        "story",
        "task",
        "ticket",
        "variant",
        "version",
    ];
    let plain = without_ids(text);
    let kept = split_words(&plain)
        .into_iter()
        .filter(|word| !word.chars().all(char::is_numeric) && !LABELS.contains(&word.as_str()));
    kept.collect::<Vec<_>>().join(" ")
}

/// A number of 2 or more that does not merely count what stands before it, as in `criterion 2`.
fn has_figure(text: &str) -> bool {
    const COUNTED: &[&str] = &[
        "case",
        "criterion",
        "item",
        "no",
        "number",
        "part",
        "requirement",
        "step",
        "story",
        "task",
        "test",
        "ticket",
        "variant",
        "version",
        "least",
    ];
    let plain = without_ids(text).to_lowercase();
    let tokens: Vec<&str> = plain
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';'))
        .filter(|token| token.contains(char::is_alphanumeric))
        .collect();
    let ends_bracketed = plain.trim_end_matches(['.', ' ']).ends_with(')');
    tokens.iter().enumerate().any(|(n, token)| {
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
        let counts = n > 0 && COUNTED.contains(&tokens[n - 1]);
        let is_bracketed = n + 1 == tokens.len() && ends_bracketed;
        let is_figure = match bare.parse::<f64>() {
            Ok(figure) => figure >= 2.0,
            Err(_) => is_measure(bare),
        };
        !counts && !is_bracketed && is_figure
    })
}

/// `2024-10-27`, `02:30`, `10ms`: a figure that is more than a number. `2nd` counts.
fn is_measure(token: &str) -> bool {
    let is_ordinal = ["st", "nd", "rd", "th"]
        .iter()
        .any(|ending| token.ends_with(ending));
    token.starts_with(|c: char| c.is_ascii_digit()) && !is_ordinal
}

/// `text` without ids such as `REQ-TAGS-FUNC-001` or `US-002`.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let mut parts = bare.split('-');
        let has_prefix = parts
            .next()
            .is_some_and(|p| p.len() >= 2 && p.chars().all(|c| c.is_ascii_uppercase()));
        let last = bare.rsplit('-').next().unwrap_or_default();
        let last = last.split('#').next().unwrap_or_default();
        has_prefix && bare.contains('-') && last.len() == 3 && last.parse::<u16>().is_ok()
    };
    let kept = text.split_whitespace().filter(|word| !is_id(word));
    kept.collect::<Vec<_>>().join(" ")
}

/// `text` with a blank wherever a name joins words: `runAdd` and `run_add` are `run` and `add`.
fn split_joints(text: &str) -> String {
    let mut split = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        if c.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
            split.push(' ');
        }
        split.push(if c == '_' { ' ' } else { c });
        before = c;
    }
    split
}

/// What the forms of a word have in common, roughly.
fn stem_of(word: &str) -> String {
    let mut stem = word.to_lowercase();
    if !stem.is_ascii() {
        return stem.chars().take(STEM_CHARS_MAX).collect();
    }
    if stem.len() > 3 && stem.ends_with('s') && !stem.ends_with("ss") {
        stem.pop();
    }
    for ending in ["ing", "ed", "ly", "er"] {
        if stem.len() > ending.len() + 3 && stem.ends_with(ending) {
            stem.truncate(stem.len() - ending.len());
            break;
        }
    }
    if stem.len() > 3 && stem.ends_with('e') {
        stem.pop();
    }
    if stem.len() > 3 && stem.ends_with('i') {
        stem.pop();
        stem.push('y');
    }
    stem.truncate(STEM_CHARS_MAX);
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for (one, other) in [
            ("remove", "removed"),
            ("tags", "tag"),
            ("printing", "prints"),
            ("runAdd", "run_add"),
            ("Überträge", "überträge"),
        ] {
            assert_eq!(content_stems(one), content_stems(other), "{one} {other}");
        }
        assert!(content_stems("the 42 of REQ-TAGS-FUNC-001 and US-002").is_empty());
    }

    #[test]
    fn what_fits_any_project_says_nothing() {
        for text in [
            "It works as expected",
            "The feature is available",
            "The user is satisfied",
            "Case 3 is handled",
            "The gate passes with a score of at least 0.70",
            "The command exits with 0",
            "Implements requirement REQ-QUOTE-FUNC-001.",
            "THE SYSTEM SHALL be robust and fast as needed (3).",
            "All tests pass and the code is reviewed",
        ] {
            assert!(!says_something(text), "{text}");
        }
        for text in [
            "2024-10-27 has two",
            "It is done in 10ms",
            "The exit code is 2",
            "`list` prints it",
            "The output is \"done\"",
            "A damaged row is named with its line",
            "No more than 8 at once",
            "標籤儲存於資料庫",
            "Die Datei enthält zwei Zeilen",
        ] {
            assert!(says_something(text), "{text}");
        }
    }

    #[test]
    fn copies_with_a_number_are_the_same() {
        assert_eq!(
            without_numbers("to list patterns, case 1"),
            without_numbers("To list patterns, case 2 (US-003)")
        );
        assert_ne!(
            without_numbers("lists tags"),
            without_numbers("lists dates")
        );
    }
}
