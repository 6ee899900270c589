//! The second opinion on a plan, in words.

use omoi_domain::event::PlanJudged;
use omoi_domain::opinion::CheckDoubt;
use omoi_protocol::api::OpinionView;

use super::text_layout::{OutputPage, clean_line, count_noun, wrap_text};

/// A second opinion, from wherever it is known.
pub(crate) struct OpinionFacts<'a> {
    model: &'a str,
    is_same_model: bool,
    doubts: &'a [CheckDoubt],
    skipped: Option<&'a str>,
}

impl<'a> From<&'a PlanJudged> for OpinionFacts<'a> {
    fn from(judged: &'a PlanJudged) -> Self {
        Self {
            model: &judged.model,
            is_same_model: judged.is_same_model,
            doubts: &judged.doubts,
            skipped: judged.skipped.as_deref(),
        }
    }
}

impl<'a> From<&'a OpinionView> for OpinionFacts<'a> {
    fn from(view: &'a OpinionView) -> Self {
        Self {
            model: &view.model,
            is_same_model: view.is_same_model,
            doubts: &view.doubts,
            skipped: view.skipped.as_deref(),
        }
    }
}

/// Who was asked, and what came of it.
pub(crate) fn opinion_headline(opinion: &OpinionFacts<'_>) -> String {
    if let Some(why) = opinion.skipped {
        return format!("no second opinion on the plan: {}", clean_line(why));
    }
    let who = match opinion.is_same_model {
        true => format!(
            "{}, the plan's own model, asked afresh",
            clean_line(opinion.model)
        ),
        false => clean_line(opinion.model),
    };
    let blocking = opinion.doubts.iter().filter(|doubt| doubt.blocking).count();
    let blocking = match blocking {
        0 => String::new(),
        n => format!(", {n} blocking"),
    };
    let doubts = count_noun(opinion.doubts.len() as u64, "doubt");
    format!("second opinion on the plan ({who}): {doubts}{blocking}")
}

/// The opinion with every doubt, for a page.
pub(crate) fn opinion_lines(view: &OpinionView, page: OutputPage) -> Vec<String> {
    let mut lines = wrap_text(&opinion_headline(&view.into()), page.width);
    for doubt in &view.doubts {
        let grade = match (doubt.blocking, view.was_sent_back) {
            (true, true) => "blocking, sent back to the planner",
            (true, false) => "blocking",
            (false, _) => "remark",
        };
        let text = format!(
            "{} for {} ({grade}): {}",
            clean_line(&doubt.check),
            clean_line(&doubt.criterion),
            clean_line(&doubt.how)
        );
        for (index, line) in wrap_text(&text, page.width - 4).into_iter().enumerate() {
            let front = if index == 0 { "  - " } else { "    " };
            lines.push(format!("{front}{line}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_that_gave_the_opinion_is_named() {
        for (model, is_same_model, skipped, expected) in [
            (
                "author",
                true,
                None,
                "second opinion on the plan (author, the plan's own model, asked afresh): 0 doubts",
            ),
            (
                "reader",
                false,
                None,
                "second opinion on the plan (reader): 0 doubts",
            ),
            (
                "reader",
                false,
                Some("it was out"),
                "no second opinion on the plan: it was out",
            ),
        ] {
            let opinion = OpinionFacts {
                model,
                is_same_model,
                doubts: &[],
                skipped,
            };
            assert_eq!(opinion_headline(&opinion), expected);
        }
    }
}
