//! What the requirements demand: each something, with criteria that ask for it, of this feature.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::task::Priority;

use crate::ears;
use crate::evaluate::acceptance::{
    CriterionDemand, EmptyCriterion, count_repeated, find_emptiness,
};
use crate::evaluate::claims::{CodeMentions, KnownNames, check_claims};
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::prose::{content_stems, is_english, says_something, specific_stems};
use crate::evaluate::read::{list_at, text_at, texts_at};
use crate::evaluate::sheet::MarkSheet;
use crate::outputs::prd::StoryPriority;

/// Share of criteria that are said of several requirements.
const REPEATED_SHARE_MAX: f64 = 0.3;
/// Share of requirements that demand nothing.
const EMPTY_SHARE_MIN: f64 = 0.5;
/// Made-up names from which the demands rest on nothing, where they outnumber the true ones.
const MADE_UP_MIN: usize = 3;

/// Verbs that promise what follows without saying what happens.
const PROMISES: &[&str] = &[
    "allow",
    "enable",
    "ensure",
    "handle",
    "have",
    "implement",
    "include",
    "offer",
    "provide",
    "support",
];

/// Checks what `output` demands.
pub(super) fn check_requirements_meaning(
    output: &Value,
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    let requirements = list_at(output, "requirements");
    for (n, requirement) in requirements.iter().enumerate() {
        check_form(n, requirement, sheet);
        check_criteria(n, requirement, sheet);
    }
    check_verbs(requirements, facts, sheet);
    check_repeated(requirements, sheet);
    check_demands(requirements, sheet);
    check_musts(requirements, facts, sheet);
    check_names(requirements, facts, sheet);
}

/// Keywords stand where the notation has them.
fn check_form(n: usize, requirement: &Value, sheet: &mut MarkSheet) {
    if let Some(fault) = ears::misplaced_keyword(text_at(requirement, "text")) {
        let path = format!("requirements[{n}].text");
        sheet.add_blocker("ears_keyword_misplaced", path, fault.to_string());
    }
}

/// At least one criterion asks for something, and none is met by whatever runs.
fn check_criteria(n: usize, requirement: &Value, sheet: &mut MarkSheet) {
    let demand = CriterionDemand {
        title: text_at(requirement, "title"),
        text: text_at(requirement, "text"),
    };
    let criteria = texts_at(requirement, "acceptance_criteria");
    let found: Vec<Option<EmptyCriterion>> =
        criteria.iter().map(|c| find_emptiness(c, demand)).collect();
    let all_empty = !found.is_empty() && found.iter().all(Option::is_some);
    for (k, (criterion, empty)) in criteria.iter().zip(found).enumerate() {
        let Some(empty) = empty else {
            continue;
        };
        let alone = matches!(empty, EmptyCriterion::Trivial | EmptyCriterion::AlwaysTrue);
        if !(alone || all_empty) {
            continue;
        }
        let shown: String = criterion.chars().take(80).collect();
        let message = format!("`{shown}`: {}", empty.fault_text());
        let path = format!("requirements[{n}].acceptance_criteria[{k}]");
        sheet.add_blocker("criterion_asks_nothing", path, message);
    }
}

/// What the system shall do begins with what can be done.
fn check_verbs(requirements: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    if !is_english(&facts.request) {
        return;
    }
    let begins_oddly = |requirement: &&Value| {
        ears::parse_sentence(text_at(requirement, "text"))
            .is_ok_and(|s| !begins_with_verb(&s.action))
    };
    let n_odd = requirements.iter().filter(begins_oddly).count();
    if n_odd >= 2 && n_odd as f64 >= EMPTY_SHARE_MIN * requirements.len() as f64 {
        let message = format!(
            "in {n_odd} of {} sentences no verb follows SHALL; say what the system does, as in \
             `SHALL print the line`",
            requirements.len()
        );
        sheet.add_blocker("shall_without_verb", "requirements", message);
    }
}

/// Whether the first word of `action` may be the plain form of a verb, or goes before one.
fn begins_with_verb(action: &str) -> bool {
    const NO_VERBS: &[&str] = &[
        "a", "an", "and", "are", "he", "is", "it", "its", "of", "or", "so", "that", "the", "their",
        "them", "there", "these", "they", "this", "those", "was", "were", "which",
    ];
    const VERBS: &[&str] = &[
        "always", "besides", "embed", "exceed", "proceed", "shed", "succeed",
    ];
    let action = action.trim_start();
    let word: String = action.chars().take_while(|c| c.is_alphanumeric()).collect();
    let word = word.to_lowercase();
    if word.is_empty() || VERBS.contains(&word.as_str()) {
        return true;
    }
    let is_plural = word.len() > 3
        && word.ends_with('s')
        && !["ss", "us", "as"].iter().any(|end| word.ends_with(end));
    let is_participle = word.len() > 6 && (word.ends_with("ed") || word.ends_with("ing"));
    let is_figure = word.starts_with(|c: char| c.is_ascii_digit());
    !(is_plural || is_participle || is_figure || NO_VERBS.contains(&word.as_str()))
}

fn check_repeated(requirements: &[Value], sheet: &mut MarkSheet) {
    let all = requirements
        .iter()
        .enumerate()
        .flat_map(|(n, requirement)| {
            let criteria = texts_at(requirement, "acceptance_criteria").into_iter();
            criteria.map(move |text| (n, text))
        });
    let (n_again, of) = count_repeated(all);
    if n_again >= 3 && n_again as f64 > REPEATED_SHARE_MAX * of as f64 {
        let message = format!(
            "{n_again} of {of} criteria are said of several requirements; say for each what shows \
             that it is met"
        );
        sheet.add_blocker("criteria_repeated", "requirements", message);
    }
}

/// What the system shall do is neither its condition again nor the promise to do what the title says.
fn check_demands(requirements: &[Value], sheet: &mut MarkSheet) {
    let empty: Vec<usize> = requirements
        .iter()
        .enumerate()
        .filter(|(_, requirement)| demands_nothing(requirement))
        .map(|(n, _)| n)
        .collect();
    if let [first, ..] = empty.as_slice()
        && empty.len() as f64 >= EMPTY_SHARE_MIN * requirements.len() as f64
    {
        let message = format!(
            "{} of {} sentences demand nothing beyond their condition or their title; say what the \
             system does",
            empty.len(),
            requirements.len()
        );
        sheet.add_blocker(
            "demands_nothing",
            format!("requirements[{first}].text"),
            message,
        );
    }
}

fn demands_nothing(requirement: &Value) -> bool {
    let Ok(sentence) = ears::parse_sentence(text_at(requirement, "text")) else {
        return false;
    };
    let own = content_stems(&sentence.action);
    let condition = content_stems(&sentence.condition_text());
    let is_condition = !own.is_empty() && own.is_subset(&condition);
    let first = sentence
        .action
        .split_whitespace()
        .next()
        .unwrap_or_default();
    let promises = PROMISES.contains(&first.to_lowercase().as_str());
    let own = specific_stems(&sentence.action);
    let title = specific_stems(text_at(requirement, "title"));
    let says_nothing = !says_something(&sentence.action);
    is_condition || says_nothing || promises && !own.is_empty() && own.is_subset(&title)
}

/// A story that must be there is not left to requirements that may be dropped.
fn check_musts(requirements: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let Some(prd) = &facts.prd else {
        return;
    };
    let mut highest: BTreeMap<&str, bool> = BTreeMap::new();
    for requirement in requirements {
        let low = Priority::parse(text_at(requirement, "priority")) == Some(Priority::Low);
        for story in texts_at(requirement, "user_stories") {
            *highest.entry(story).or_default() |= !low;
        }
    }
    let musts = prd
        .user_stories
        .iter()
        .filter(|s| s.priority == StoryPriority::Must);
    for story in musts.filter(|s| highest.get(s.id.as_str()) == Some(&false)) {
        let message = format!(
            "`{}` is a must, and every requirement that serves it is LOW; give it the priority of \
             what has to be there",
            story.id
        );
        sheet.add_blocker("must_served_low", "requirements", message);
    }
}

/// Demands and criteria name what is there or was asked for.
fn check_names(requirements: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    if !facts.repo.names.is_complete() {
        return;
    }
    let mut known = KnownNames::default();
    known.add_text(&facts.request);
    if let Some(Ok(explore)) = facts.explore.as_ref().map(serde_json::to_string) {
        known.add_text(&explore);
    }
    if let Some(Ok(prd)) = facts.prd.as_ref().map(serde_json::to_string) {
        known.add_text(&prd);
    }
    let told = requirements.iter().flat_map(|requirement| {
        let criteria = texts_at(requirement, "acceptance_criteria");
        criteria.into_iter().chain([text_at(requirement, "text")])
    });
    let mut mentions = CodeMentions::in_texts(told);
    // Files of criteria are examples, and so are words in back ticks.
    mentions.paths.clear();
    mentions
        .names
        .retain(|name| name.contains('_') || name.chars().skip(1).any(char::is_uppercase));
    let found = check_claims(&mentions, &known, facts);
    if found.made_up.len() >= MADE_UP_MIN && found.made_up.len() > found.n_true {
        let message = format!(
            "nothing in the repository, the request or the phases before is called {}; demand what \
             can be seen from outside, or name what is there",
            found.made_up.join(", ")
        );
        sheet.add_blocker("made_up_names", "requirements", message);
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::requirements::meaning::begins_with_verb;

    #[test]
    fn verbs_are_told_from_what_follows_them() {
        for action in [
            "print it",
            "not redirect",
            "`exit` with 2",
            "always keep it",
            "process each row",
            "bring it back",
            "within 2 s answer",
            "need no more",
        ] {
            assert!(begins_with_verb(action), "{action}");
        }
        for action in [
            "days and time names",
            "the line print",
            "2 with exit",
            "skipped the counts",
        ] {
            assert!(!begins_with_verb(action), "{action}");
        }
    }
}
