//! Whether a criterion asks for anything: it is not met by whatever runs, says more than the demand
//! it belongs to, and is not said of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::evaluate::prose::{Quotations, content_stems, says_something, specific_stems};
use crate::wording::{fold_text, split_words};

/// Words of criteria that every program meets by being there.
const TRIVIAL_WORDS: &str = "accept application appear available behave behaviour behavior bug case \
    code complete correct crash describe do done error exception expect expected fail failure \
    feature fine finish function functionality give given good happen implement implementation \
    intend intended issue none nothing occur ok operation pass perform problem program project \
    proper properly ready requirement run satisfied satisfy script software specify start succeed \
    success successful suite support test thing tool user usual well work";

/// Words that say of a demand that it is met, and not how one sees it.
const VERIFYING_WORDS: &str = "available check complete confirm demonstrate done ensure exist finish \
    fulfil function get implement meet met pass possible prove provide satisfy see seen show support test \
    validate verify work";

static TRIVIAL: LazyLock<BTreeSet<String>> = LazyLock::new(|| content_stems(TRIVIAL_WORDS));
static VERIFYING: LazyLock<BTreeSet<String>> = LazyLock::new(|| content_stems(VERIFYING_WORDS));

/// Why a criterion asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptyCriterion {
    /// Anything that runs meets it.
    Trivial,
    /// It would fit any project.
    General,
    /// It repeats what it belongs to.
    Repeats,
    /// It holds whatever happens.
    AlwaysTrue,
}

impl EmptyCriterion {
    /// What is wrong, and what would be right.
    pub(super) const fn fault_text(self) -> &'static str {
        match self {
            Self::Trivial => "anything that runs meets it; say what is done, and what is seen then",
            Self::General => {
                "it would fit any project; name what is looked at here and what it must be"
            }
            Self::Repeats => "it repeats the demand; say by what one sees that the demand is met",
            Self::AlwaysTrue => "it holds whatever happens; say which of the two must hold",
        }
    }
}

/// What a criterion belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct CriterionDemand<'a> {
    /// A name or a wish.
    pub(super) title: &'a str,
    /// The demand in full.
    pub(super) text: &'a str,
}

/// Why `criterion` of `demand` asks for nothing; none when it does.
pub(super) fn find_emptiness(
    criterion: &str,
    demand: CriterionDemand<'_>,
) -> Option<EmptyCriterion> {
    if is_always_true(criterion) {
        return Some(EmptyCriterion::AlwaysTrue);
    }
    if repeats_demand(criterion, demand) {
        return Some(EmptyCriterion::Repeats);
    }
    if says_something(criterion) {
        return None;
    }
    Some(if content_stems(criterion).is_subset(&TRIVIAL) {
        EmptyCriterion::Trivial
    } else {
        EmptyCriterion::General
    })
}

/// The sentence of the demand again, or its title with words that fit everything.
fn repeats_demand(criterion: &str, demand: CriterionDemand<'_>) -> bool {
    if split_words(demand.text).len() >= 4 {
        let (of, n_taken) = Quotations::new(4, [demand.text]).count_taken(criterion);
        let n_demand = split_words(demand.text).len();
        if n_taken * 10 >= of * 7 && n_taken * 10 >= n_demand * 6 {
            return true;
        }
    }
    let quotes = criterion.contains('`') || criterion.chars().any(char::is_numeric);
    if !quotes && only_says_it_works(criterion, demand) {
        return true;
    }
    let own = without_verifying(content_stems(criterion));
    if says_demand_again(&own, criterion, demand) {
        return true;
    }
    let title = content_stems(demand.title);
    // One word in common is no repetition: a criterion has to name its subject.
    own.len() >= 2 && !quotes && own.is_subset(&title) && own.len() + 1 >= title.len()
}

/// `stems` without the words that say of a demand that it is met.
pub(super) fn without_verifying(mut stems: BTreeSet<String>) -> BTreeSet<String> {
    stems.retain(|stem| !VERIFYING.contains(stem));
    stems
}

/// `It can be seen that the system does A`, of the demand to do A: no word and no figure is added,
/// and few are left out.
fn says_demand_again(own: &BTreeSet<String>, criterion: &str, demand: CriterionDemand<'_>) -> bool {
    let told = content_stems(demand.text);
    let figures = |text: &str| -> BTreeSet<String> {
        let counted = split_words(text).into_iter();
        counted
            .filter(|word| word.contains(char::is_numeric))
            .collect()
    };
    let adds_figure = !figures(criterion).is_subset(&figures(demand.text));
    let n_taken = Quotations::new(4, [demand.text]).count_taken(criterion).1;
    own.len() >= 3
        && own.is_subset(&told)
        && !adds_figure
        && n_taken * 2 >= split_words(criterion).len()
        && own.len() * 2 >= told.len()
}

/// `The search works as expected`: what the demand is about, and that it is met.
fn only_says_it_works(criterion: &str, demand: CriterionDemand<'_>) -> bool {
    const WORKS: &[&str] = &[
        "available",
        "correct",
        "correctly",
        "done",
        "expected",
        "function",
        "functional",
        "functions",
        "implemented",
        "intended",
        "properly",
        "successful",
        "successfully",
        "supported",
        "work",
        "working",
        "works",
    ];
    let says = split_words(criterion)
        .iter()
        .any(|word| WORKS.contains(&word.as_str()));
    let mut about = specific_stems(criterion);
    about.retain(|stem| !VERIFYING.contains(stem));
    let mut known = content_stems(demand.title);
    known.extend(content_stems(demand.text));
    says && (1..=2).contains(&about.len()) && about.is_subset(&known)
}

/// `A or not A`, `what is shown is shown`.
fn is_always_true(criterion: &str) -> bool {
    let folded = fold_text(criterion);
    if let Some((one, other)) = folded.split_once(" or ") {
        let (one, other) = (content_stems(one), content_stems(other));
        let denies = ["not", "no"]
            .iter()
            .any(|deny| split_words(&folded).contains(&(*deny).to_owned()));
        let opposites = [("succ", "fail"), ("pass", "fail"), ("true", "false")];
        let holds = |set: &BTreeSet<String>, start: &str| set.iter().any(|s| s.starts_with(start));
        let is_either = opposites
            .iter()
            .any(|(a, b)| holds(&one, a) && holds(&other, b) && one.len() <= 3 && other.len() <= 2);
        let is_denied = denies && !other.is_empty() && other.is_subset(&one)
            || denies && !one.is_empty() && one == other;
        if is_denied || is_either {
            return true;
        }
    }
    let counted = split_words(&folded);
    let content: Vec<String> = counted
        .iter()
        .flat_map(|word| content_stems(word))
        .collect();
    let distinct: BTreeSet<&String> = content.iter().collect();
    distinct.len() == 1 && content.len() >= 2 && !criterion.contains('`')
}

/// Texts that are said of more than one item, with how often. Takes item and text.
pub(super) fn count_repeated<'a>(
    criteria: impl IntoIterator<Item = (usize, &'a str)>,
) -> (usize, usize) {
    let mut items: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut n_all = 0;
    for (item, criterion) in criteria {
        n_all += 1;
        items.entry(fold_text(criterion)).or_default().insert(item);
    }
    let n_again = items
        .values()
        .filter(|of| of.len() > 1)
        .map(BTreeSet::len)
        .sum();
    (n_again, n_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_that_ask_for_nothing_are_told_apart() {
        use EmptyCriterion::{AlwaysTrue, General, Repeats, Trivial};
        let demand = CriterionDemand {
            title: "Skip ignored links",
            text: "WHEN a link matches a pattern, THE SYSTEM SHALL not report it.",
        };
        for (criterion, expected) in [
            ("The program works as expected.", Some(Trivial)),
            ("There is no error", Some(Trivial)),
            ("All tests pass", Some(Trivial)),
            ("The exit code is 0", Some(General)),
            ("The result is good", Some(General)),
            ("Skip ignored links is verified", Some(Repeats)),
            (
                "When a link matches a pattern, the system shall not report it.",
                Some(Repeats),
            ),
            (
                "It is tested that: WHEN a link matches a pattern, THE SYSTEM SHALL not report it.",
                Some(Repeats),
            ),
            (
                "A warning is printed or no warning is printed",
                Some(AlwaysTrue),
            ),
            (
                "Either the tag is chosen or it is not chosen",
                Some(AlwaysTrue),
            ),
            ("The command either succeeds or fails", Some(AlwaysTrue)),
            ("What is shown is shown", Some(AlwaysTrue)),
            ("The link `a.md` is not reported", None),
            ("A link that matches is left out of the report", None),
            ("Standard output is empty or holds one line", None),
            ("The exit code is 2", None),
        ] {
            assert_eq!(find_emptiness(criterion, demand), expected, "{criterion}");
        }
    }

    #[test]
    fn what_is_said_of_several_items_is_counted() {
        let criteria = [(0, "Works."), (1, "works"), (1, "Prints 3"), (2, "Works")];
        assert_eq!(count_repeated(criteria), (3, 4));
        assert_eq!(count_repeated([(0, "a"), (0, "a")]), (0, 2));
    }
}
