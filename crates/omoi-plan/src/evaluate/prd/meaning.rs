//! What the product requirements ask for: something that somebody must have, that can be seen, and
//! that rests on what is there.

use serde_json::Value;

use crate::evaluate::acceptance::{
    CriterionDemand, EmptyCriterion, count_repeated, find_emptiness, without_verifying,
};
use crate::evaluate::claims::{CodeMentions, KnownNames, check_claims};
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::prose::{content_stems, prose_passages};
use crate::evaluate::read::{list_at, text_at, texts_at};
use crate::evaluate::sheet::MarkSheet;
use crate::outputs::prd::StoryPriority;

/// Made-up names from which the frame rests on nothing, where they outnumber the true ones.
const MADE_UP_MIN: usize = 2;
/// Share of criteria that are said of several stories.
const REPEATED_SHARE_MAX: f64 = 0.5;
/// Share of stories whose criteria repeat their wishes.
const RESTATED_SHARE_MIN: f64 = 0.5;

/// The parts that speak of the code the feature is built on.
const FRAME: &[&str] = &["assumptions", "constraints", "scope.dependencies"];

/// Checks what `output` asks for.
pub(super) fn check_prd_meaning(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let stories = list_at(output, "user_stories");
    let is_must =
        |s: &&Value| StoryPriority::parse(text_at(s, "priority")) == Some(StoryPriority::Must);
    if stories.len() > 1 && !stories.iter().any(|s| is_must(&s)) {
        let message = "no story is a `must`, so nothing would have to be built; say without which \
                       stories the feature is not there";
        sheet.add_blocker("nothing_must", "user_stories", message);
    }
    check_criteria(stories, sheet);
    check_frame(output, facts, sheet);
}

fn check_criteria(stories: &[Value], sheet: &mut MarkSheet) {
    let all = stories.iter().enumerate().flat_map(|(n, story)| {
        texts_at(story, "acceptance_criteria")
            .into_iter()
            .map(move |text| (n, text))
    });
    let (n_again, of) = count_repeated(all);
    if n_again >= 2 && n_again as f64 > REPEATED_SHARE_MAX * of as f64 {
        let message = format!(
            "{n_again} of {of} criteria are said of several stories; say for each what shows that \
             it is met"
        );
        sheet.add_blocker("criteria_repeated", "user_stories", message);
    }
    let restated: Vec<usize> = stories
        .iter()
        .enumerate()
        .filter(|(_, story)| restates_wish(story))
        .map(|(n, _)| n)
        .collect();
    if let [first, ..] = restated.as_slice()
        && restated.len() as f64 >= RESTATED_SHARE_MIN * stories.len() as f64
    {
        let message = format!(
            "the criteria of {} stories repeat the wish; say by what one sees that it is met",
            restated.len()
        );
        let path = format!("user_stories[{first}].acceptance_criteria");
        sheet.add_blocker("criteria_restate_wish", path, message);
    }
}

/// Whether every criterion of `story` is its wish again, or holds whatever happens.
fn restates_wish(story: &Value) -> bool {
    let want = text_at(story, "want");
    let demand = CriterionDemand {
        title: want,
        text: want,
    };
    let mut wished = content_stems(want);
    wished.extend(content_stems(text_at(story, "role")));
    let is_wish = |criterion: &&str| {
        let own = without_verifying(content_stems(criterion));
        let quotes = criterion.contains('`') || criterion.chars().any(char::is_numeric);
        let empty = find_emptiness(criterion, demand);
        !own.is_empty() && !quotes && own.is_subset(&wished)
            || matches!(
                empty,
                Some(EmptyCriterion::Repeats | EmptyCriterion::AlwaysTrue)
            )
    };
    let criteria = texts_at(story, "acceptance_criteria");
    !criteria.is_empty() && criteria.iter().all(is_wish)
}

/// Constraints, assumptions and dependencies name what is there.
fn check_frame(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let of_frame = prose_passages(output)
        .into_iter()
        .filter(|p| FRAME.iter().any(|part| p.path.starts_with(part)));
    let told: Vec<&str> = of_frame.map(|p| p.text).collect();
    let mentions = CodeMentions::in_texts(told);
    if mentions == CodeMentions::default() || !facts.repo.names.is_complete() {
        return;
    }
    let mut known = KnownNames::default();
    known.add_text(&facts.request);
    if let Some(Ok(explore)) = facts.explore.as_ref().map(serde_json::to_string) {
        known.add_text(&explore);
    }
    let found = check_claims(&mentions, &known, facts);
    if found.made_up.len() >= MADE_UP_MIN && found.made_up.len() > found.n_true {
        let message = format!(
            "nothing in the repository is called {}; rest the plan on what is there",
            found.made_up.join(", ")
        );
        sheet.add_blocker("made_up_names", "constraints", message);
    }
}
