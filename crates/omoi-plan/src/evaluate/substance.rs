//! Rules for the prose of every phase a model writes: its words stand in order, are its own, and say
//! something of this project.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::prose::{
    ProsePassage, Quotations, WordOrder, is_english, is_not_english, prose_passages,
    says_something, specific_stems, without_numbers,
};
use crate::evaluate::score_criteria::score_criteria;
use crate::evaluate::sheet::MarkSheet;
use crate::outputs::RequirementsOutput;
use crate::sections::section_schema;
use crate::wording::split_words;

/// Odd neighbours from which prose is out of order, where they are this share of the function words.
const ODD_MIN: usize = 3;
const ODD_SHARE_MIN: f64 = 0.03;
/// The same for the texts of one field, which are fewer.
const FIELD_ODD_MIN: usize = 2;
const FIELD_ODD_SHARE_MIN: f64 = 0.15;
/// Longer texts without a sentence that may stand.
const HEAPS_MAX: usize = 1;

/// Fewest words of a text that counts as taken over, and the share of it that was.
const TAKEN_WORDS_MIN: usize = 5;
const TAKEN_SHARE_MIN: f64 = 0.7;
/// Texts taken over from which an output is a copy.
const TAKEN_TEXTS_MIN: usize = 3;

/// Codes of what was taken over, and the share of all words from which it is the whole request.
const ORDERS_COPIED: &str = "copied_from_instructions";
const REQUEST_COPIED: &str = "copied_from_request";
const REQUEST_SHARE_MIN: f64 = 0.25;

/// Share of empty words in the texts of a field from which it says nothing.
const HOLLOW_SHARE_MIN: f64 = 0.5;
/// The same for fields that are labels rather than sentences: `Entry point` is a fair purpose.
const HOLLOW_LABELS_SHARE_MIN: f64 = 0.8;
const LABELS: &[&str] = &["key_files[].purpose", "related_to_feature[].relevance"];

/// Share of words that the request and the phases before know, below which an output is about
/// something else; judged from this many words on.
const KNOWN_SHARE_MIN: f64 = 0.2;
const KNOWN_WORDS_MIN: usize = 8;
/// Share of items without a known word from which an output is about something else.
const STRANGE_SHARE_MIN: f64 = 0.6;

/// Checks the prose of `output`.
pub(super) fn check_substance(
    phase: Phase,
    output: &Value,
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    if matches!(phase, Phase::Sync | Phase::Complete) || phase.is_document() {
        return;
    }
    let texts = prose_passages(output);
    in_order(&texts, facts, sheet);
    own_words(phase, &texts, facts, sheet);
    says_of_project(phase, &texts, sheet);
    numbered_copies(phase, &texts, sheet);
    about_the_request(phase, &texts, facts, sheet);
}

fn group_passages<'p, 't>(
    texts: &'p [ProsePassage<'t>],
) -> BTreeMap<&'p str, Vec<&'p ProsePassage<'t>>> {
    let mut groups: BTreeMap<&str, Vec<&ProsePassage<'_>>> = BTreeMap::new();
    for passage in texts {
        groups.entry(&passage.group).or_default().push(passage);
    }
    groups
}

/// The words form sentences. What follows what is known of English alone.
fn in_order(texts: &[ProsePassage<'_>], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    if is_not_english(&facts.request) {
        return;
    }
    let mut whole = WordOrder::default();
    let mut worst: Option<(&str, WordOrder)> = None;
    for (group, passages) in group_passages(texts) {
        let mut order = WordOrder::default();
        for passage in passages {
            order.add_text(passage.text);
            whole.add_text(passage.text);
        }
        let is_odd = order.odd.len() >= FIELD_ODD_MIN && order.odd_share() >= FIELD_ODD_SHARE_MIN;
        let is_worse = worst
            .as_ref()
            .is_none_or(|(_, w)| w.odd.len() < order.odd.len());
        if is_odd && is_worse {
            worst = Some((group, order));
        }
    }
    let scattered = whole.odd.len() >= ODD_MIN && whole.odd_share() >= ODD_SHARE_MIN;
    let found = worst.or_else(|| scattered.then_some(("", whole.clone())));
    if let Some((group, order)) = found {
        let shown: Vec<&str> = order.odd.iter().map(String::as_str).take(4).collect();
        let message = format!(
            "the words are out of order ({}); write sentences that can be read",
            shown.join(" · ")
        );
        sheet.add_blocker("words_out_of_order", group, message);
    }
    if whole.n_heaps > HEAPS_MAX && is_english(&facts.request) {
        let message = format!(
            "{} texts are heaps of words without a sentence; say in sentences what is meant",
            whole.n_heaps
        );
        sheet.add_blocker("words_without_sentence", "", message);
    }
}

/// What stands here was written for this phase and not taken over from what was given.
fn own_words(
    phase: Phase,
    texts: &[ProsePassage<'_>],
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    let request = Quotations::new(4, [facts.request.as_str()]);
    let instructions = Quotations::new(3, [facts.instructions]);
    let earlier = earlier_texts(phase, facts);
    let earlier = Quotations::new(4, earlier.iter().map(String::as_str));
    for (from, quotations, words_min, code) in [
        ("the request", &request, TAKEN_WORDS_MIN + 3, REQUEST_COPIED),
        (
            "the instructions of the phase",
            &instructions,
            TAKEN_WORDS_MIN - 1,
            ORDERS_COPIED,
        ),
        (
            "the phases before",
            &earlier,
            TAKEN_WORDS_MIN,
            "copied_from_earlier_phase",
        ),
    ] {
        let taken: Vec<&ProsePassage<'_>> = texts
            .iter()
            .filter(|passage| {
                let (of, mut n) = quotations.count_taken(passage.text);
                if code == ORDERS_COPIED {
                    let asked = ORDERS
                        .get(&phase)
                        .map_or(0, |asked| asked.count_taken(passage.text).1);
                    n = n.max(asked);
                }
                // Tests may be called what the criteria say.
                let is_test_name = passage.path.starts_with("testing_strategy");
                of >= words_min && n as f64 >= TAKEN_SHARE_MIN * of as f64 && !is_test_name
            })
            .collect();
        // A request may be a specification, whose sentences are taken up where they belong.
        let is_much = taken.len() >= TAKEN_TEXTS_MIN || is_whole_core(phase, &taken, texts);
        if code == REQUEST_COPIED && is_much {
            let n_taken: usize = taken.iter().map(|p| split_words(p.text).len()).sum();
            let n_all: usize = texts.iter().map(|p| split_words(p.text).len()).sum();
            if (n_taken as f64) < REQUEST_SHARE_MIN * n_all as f64 {
                continue;
            }
        }
        if let [first, ..] = taken.as_slice()
            && is_much
        {
            let message = format!(
                "{} texts are taken over from {from}, `{}` for one; say it in words of your own, \
                 with what this phase adds",
                taken.len(),
                first.path
            );
            sheet.add_blocker(code, first.path.clone(), message);
        }
    }
}

/// Whether every text that a small plan hangs on, and more than one, was taken over.
fn is_whole_core(phase: Phase, taken: &[&ProsePassage<'_>], texts: &[ProsePassage<'_>]) -> bool {
    if phase != Phase::Tasks {
        return false;
    }
    let is_core = |p: &&ProsePassage<'_>| core_fields(phase).contains(&p.group.as_str());
    let of = texts.iter().filter(is_core).count();
    of >= 2 && taken.iter().copied().filter(is_core).count() == of
}

/// What the prompt of each phase tells the model to write, beside its instructions.
static ORDERS: LazyLock<BTreeMap<Phase, Quotations>> = LazyLock::new(|| {
    let of_phase = |phase: &Phase| {
        let mut orders: Vec<String> = score_criteria(*phase)
            .iter()
            .map(|c| c.asks.to_owned())
            .collect();
        collect_descriptions(&section_schema(*phase), &mut orders);
        (
            *phase,
            Quotations::new(3, orders.iter().map(String::as_str)),
        )
    };
    Phase::ALL_WORKING.iter().map(of_phase).collect()
});

fn collect_descriptions(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => found.push(text.clone()),
                    _ => collect_descriptions(value, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_descriptions(item, found)),
        _ => {}
    }
}

/// What `phase` must not hand back: the account of the code as requirements of the product, and the
/// demands as the way to meet them.
fn earlier_texts(phase: Phase, facts: &EvaluationFacts) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(explore) = facts.explore.as_ref().filter(|_| phase == Phase::Prd) {
        found.push(explore.codebase_summary.clone());
        found.extend(explore.key_files.iter().map(|f| f.purpose.clone()));
        found.extend(
            explore
                .relevant_patterns
                .iter()
                .map(|p| p.description.clone()),
        );
        found.extend(
            explore
                .related_to_feature
                .iter()
                .map(|r| r.relevance.clone()),
        );
    }
    if let Some(requirements) = &facts.requirements {
        if phase == Phase::Design {
            found.extend(demand_texts(requirements));
        }
        if phase == Phase::Tasks {
            found.extend(requirements.requirements.iter().map(|r| r.text.clone()));
        }
    }
    found
}

fn demand_texts(requirements: &RequirementsOutput) -> impl Iterator<Item = String> {
    let each = requirements.requirements.iter();
    each.flat_map(|r| {
        std::iter::once(&r.text)
            .chain(&r.acceptance_criteria)
            .cloned()
    })
}

/// The fields of `phase` that everything else hangs on.
const fn core_fields(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Explore => &[
            "codebase_summary",
            "key_files[].purpose",
            "discovery_questions[].questions[]",
            "feature_summary.problem_statement",
            "related_to_feature[].relevance",
        ],
        Phase::Prd => &[
            "overview.problem_statement",
            "overview.solution_summary",
            "goals.primary[]",
            "user_stories[].acceptance_criteria[]",
        ],
        Phase::Requirements => &["requirements[].text"],
        Phase::Design => &["architecture_overview", "components[].responsibility"],
        Phase::Tasks => &["tickets[].description", "tasks[].description"],
        Phase::Sync | Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => &[],
    }
}

/// The texts that matter could not stand in the plan of any other project.
fn says_of_project(phase: Phase, texts: &[ProsePassage<'_>], sheet: &mut MarkSheet) {
    let groups = group_passages(texts);
    for field in core_fields(phase) {
        let passages = groups.get(field).map_or(&[][..], Vec::as_slice);
        let hollow: Vec<_> = passages
            .iter()
            .filter(|passage| !says_something(passage.text))
            .collect();
        let of = passages.len();
        let least = if LABELS.contains(field) {
            HOLLOW_LABELS_SHARE_MIN
        } else {
            HOLLOW_SHARE_MIN
        };
        let is_much = hollow.len() >= 2 && hollow.len() as f64 >= least * of as f64;
        // A single label may be short; a single sentence has to say something.
        let is_all = hollow.len() == of && !LABELS.contains(field);
        if let [first, ..] = hollow.as_slice()
            && (is_much || is_all)
        {
            let shown: String = first.text.chars().take(60).collect();
            let message = format!(
                "{} of {of} texts would fit any project, `{shown}` for one; name what it is about \
                 here: the part, the value, what is seen",
                hollow.len()
            );
            sheet.add_blocker("says_nothing", first.path.clone(), message);
        }
    }
}

/// Items that are one item with other numbers.
fn numbered_copies(phase: Phase, texts: &[ProsePassage<'_>], sheet: &mut MarkSheet) {
    let fields: &[&str] = match phase {
        Phase::Prd => &["user_stories[].want"],
        Phase::Requirements => &["requirements[].text", "requirements[].title"],
        Phase::Design => &["components[].responsibility"],
        Phase::Tasks => &["tickets[].description", "tasks[].description"],
        Phase::Explore => &["discovery_questions[].questions[]", "key_files[].purpose"],
        Phase::Sync | Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => &[],
    };
    let groups = group_passages(texts);
    for field in fields {
        let passages = groups.get(field).map_or(&[][..], Vec::as_slice);
        let bare: Vec<String> = passages.iter().map(|p| without_numbers(p.text)).collect();
        let distinct: BTreeSet<&String> = bare.iter().collect();
        let n_copies = bare.len() - distinct.len();
        if n_copies > 0 && n_copies * 2 + 1 >= bare.len() {
            let path = passages.last().map_or(*field, |p| p.path.as_str());
            let message = format!(
                "{} of {} say the same but for numbers; keep one and say in the others what differs",
                n_copies + 1,
                bare.len()
            );
            sheet.add_blocker("numbered_copies", path, message);
        }
    }
}

/// The words are those of the request and of the phases before.
fn about_the_request(
    phase: Phase,
    texts: &[ProsePassage<'_>],
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    let Some(explore) = facts.explore.as_ref().filter(|_| phase != Phase::Explore) else {
        return;
    };
    // A plan may be in another language than the request, and then shares no word with it.
    if facts.request.is_empty() || is_not_english(&facts.request) {
        return;
    }
    let mut known = specific_stems(&facts.request);
    let mut add = |value: Result<Value, serde_json::Error>| {
        for passage in value.iter().flat_map(prose_passages) {
            known.extend(specific_stems(passage.text));
        }
    };
    add(serde_json::to_value(explore));
    if let Some(prd) = facts.prd.as_ref().filter(|_| phase != Phase::Prd) {
        add(serde_json::to_value(prd));
    }
    if matches!(phase, Phase::Design | Phase::Tasks) {
        add(serde_json::to_value(&facts.requirements));
    }
    let field = match phase {
        Phase::Prd => "user_stories[].",
        Phase::Requirements => "requirements[].",
        Phase::Design => "",
        _ => "tasks[].",
    };
    let about: Vec<&ProsePassage<'_>> = texts
        .iter()
        .filter(|p| p.group.starts_with(field))
        .collect();
    let mine: BTreeSet<String> = about.iter().flat_map(|p| specific_stems(p.text)).collect();
    let n_known = mine.intersection(&known).count();
    let is_foreign =
        mine.len() >= KNOWN_WORDS_MIN && (n_known as f64) < KNOWN_SHARE_MIN * mine.len() as f64;
    let (n_strange, of) = strange_items(phase, texts, &known);
    let are_strange = n_strange >= 2 && n_strange as f64 >= STRANGE_SHARE_MIN * of as f64;
    if is_foreign || are_strange {
        let message = format!(
            "{n_known} of {} words that carry content occur in the request or the phases before, \
             and {n_strange} of {of} items share none with them; plan what was asked for",
            mine.len()
        );
        sheet.add_blocker("another_feature", field.trim_end_matches("[]."), message);
    }
}

/// The items of `phase` that have no word in common with what is `known`, and all items.
fn strange_items(
    phase: Phase,
    texts: &[ProsePassage<'_>],
    known: &BTreeSet<String>,
) -> (usize, usize) {
    let section = match phase {
        Phase::Prd => "user_stories[",
        Phase::Requirements => "requirements[",
        Phase::Design => "components[",
        _ => "tasks[",
    };
    let mut items: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for passage in texts.iter().filter(|p| p.path.starts_with(section)) {
        let item = passage.path.split(']').next().unwrap_or_default();
        let stems = items.entry(item).or_default();
        stems.extend(specific_stems(passage.text));
    }
    let n_strange = items
        .values()
        .filter(|stems| stems.is_disjoint(known))
        .count();
    (n_strange, items.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn word_order_is_judged_in_english_alone() {
        let german = "Die Seite zeigt die Schlagworte an. Der Filter zeigt die passenden Zeilen an. \
            Die Suche nimmt beide Angaben an.";
        let output =
            json!({ "overview": { "problem_statement": german, "solution_summary": german } });
        let is_refused = |request: &str| {
            let facts = EvaluationFacts {
                request: request.to_owned(),
                ..EvaluationFacts::default()
            };
            let mut sheet = MarkSheet::new(&[]);
            in_order(&prose_passages(&output), &facts, &mut sheet);
            let evaluation = sheet.into_evaluation();
            let mut codes = evaluation.blockers.iter().map(|b| b.code.as_str());
            codes.any(|code| code == "words_out_of_order")
        };
        assert!(is_refused("Show the tags of an entry and filter by them."));
        assert!(!is_refused(
            "Zeige die Schlagworte an und filtere danach, zusammen mit der Suche."
        ));
    }
}
