//! The second opinion on a plan, in words.

use omoi_domain::event::PlanJudged;
use omoi_domain::opinion::CheckDoubt;
use omoi_protocol::control::OpinionView;

use super::text::{Page, clean, count, wrap};

/// A second opinion, from wherever it is known.
pub(crate) struct Opinion<'a> {
    model: &'a str,
    is_same_model: bool,
    doubts: &'a [CheckDoubt],
    skipped: Option<&'a str>,
}

impl<'a> From<&'a PlanJudged> for Opinion<'a> {
    fn from(judged: &'a PlanJudged) -> Self {
        Self {
            model: &judged.model,
            is_same_model: judged.is_same_model,
            doubts: &judged.doubts,
            skipped: judged.skipped.as_deref(),
        }
    }
}

impl<'a> From<&'a OpinionView> for Opinion<'a> {
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
pub(crate) fn headline(opinion: &Opinion<'_>) -> String {
    if let Some(why) = opinion.skipped {
        return format!("no second opinion on the plan: {}", clean(why));
    }
    let who = match opinion.is_same_model {
        true => format!(
            "{}, the plan's own model, asked afresh",
            clean(opinion.model)
        ),
        false => clean(opinion.model),
    };
    let blocking = opinion.doubts.iter().filter(|doubt| doubt.blocking).count();
    let blocking = match blocking {
        0 => String::new(),
        n => format!(", {n} blocking"),
    };
    let doubts = count(opinion.doubts.len() as u64, "doubt");
    format!("second opinion on the plan ({who}): {doubts}{blocking}")
}

/// The opinion with every doubt, for a page.
pub(crate) fn lines(view: &OpinionView, page: Page) -> Vec<String> {
    let mut lines = wrap(&headline(&view.into()), page.width);
    for doubt in &view.doubts {
        let grade = match (doubt.blocking, view.was_sent_back) {
            (true, true) => "blocking, sent back to the planner",
            (true, false) => "blocking",
            (false, _) => "remark",
        };
        let text = format!(
            "{} for {} ({grade}): {}",
            clean(&doubt.check),
            clean(&doubt.criterion),
            clean(&doubt.how)
        );
        for (index, line) in wrap(&text, page.width - 4).into_iter().enumerate() {
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
            let opinion = Opinion {
                model,
                is_same_model,
                doubts: &[],
                skipped,
            };
            assert_eq!(headline(&opinion), expected);
        }
    }
}
