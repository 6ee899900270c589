//! Which models in use end soon, and whether the price list is old.

use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_llm::catalogue::{ModelCatalogue, ModelEnd, provider_at};
use omoi_llm::route::RouteTable;

use super::{DoctorFinding, FindingMark};
use crate::view::text_layout::{clean_line, count_noun};

/// A list older than this may name wrong prices.
const LIST_AGE_MAX: Duration = Duration::from_hours(60 * 24);
const DAY: u64 = 86_400;

/// What is to be said about the models of `routes` at `now`.
pub(super) fn age_findings(
    routes: &RouteTable,
    list: &ModelCatalogue,
    now: Timestamp,
) -> Vec<DoctorFinding> {
    let mut findings: Vec<DoctorFinding> = Vec::new();
    let mut add = |finding: DoctorFinding| {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    for (_, route) in routes.all_routes() {
        let entry = list.find_entry(provider_at(&route.base_url), &route.model);
        let Some((entry, end)) = entry.and_then(|entry| Some((entry, entry.ends_on?))) else {
            continue;
        };
        let name = clean_line(&route.model);
        let text = match entry.end_at(now) {
            ModelEnd::Served => continue,
            ModelEnd::EndsSoon => {
                let days = end.begins_at().since(now).as_secs().div_ceil(DAY);
                format!("{name} ends on {end}, in {}", count_noun(days, "day"))
            }
            ModelEnd::Retired => format!("{name} ended on {end}"),
        };
        let next = match list.successor_of(entry, now) {
            Some(next) => format!("name another one, for example {}", next.id),
            None => "name another one".to_owned(),
        };
        add(DoctorFinding::new("model", FindingMark::Note, text).with_next_step(next));
    }
    for note in routes.route_notes() {
        add(DoctorFinding::new(
            "model",
            FindingMark::Note,
            clean_line(&note),
        ));
    }
    if now.since(list.generated_on.begins_at()) > LIST_AGE_MAX {
        let text = format!("the list of models and prices is of {}", list.generated_on);
        let next = "update omoi; from a clone: cargo xtask models";
        add(DoctorFinding::new("model", FindingMark::Note, text).with_next_step(next));
    }
    findings
}

#[cfg(test)]
mod tests {
    use omoi_llm::route::{LlmSettings, ModelServer, ProviderKey};

    use super::*;

    /// What is said about `model` on `date`.
    fn age_lines(model: &str, date: &str) -> Vec<String> {
        let mut list = ModelCatalogue::load_embedded().unwrap();
        list.generated_on = "2026-11-01".to_owned().try_into().unwrap();
        let now = Timestamp::of_date(date).unwrap();
        let settings = LlmSettings {
            anthropic: ModelServer {
                base_url: None,
                key: ProviderKey::Header("k".into()),
                model: Some(model.to_owned()),
                max_tokens: 1,
            },
            ..LlmSettings::default()
        };
        let routes = RouteTable::resolve_all(&settings, &list, now).unwrap();
        let findings = age_findings(&routes, &list, now);
        assert!(findings.iter().all(|f| f.mark == FindingMark::Note));
        let lines = findings.into_iter().map(|f| match f.next {
            Some(next) => format!("{} → {next}", f.text),
            None => f.text,
        });
        lines.collect()
    }

    #[test]
    fn models_that_end_within_thirty_days_and_old_lists_are_told() {
        const OLD: &str = "claude-sonnet-4-5";
        const NEXT: &str = "name another one, for example claude-sonnet-5-5";
        assert_eq!(age_lines(OLD, "2026-10-30"), [""; 0]);
        assert_eq!(
            age_lines(OLD, "2026-10-31"),
            [format!(
                "claude-sonnet-4-5 ends on 2026-11-30, in 30 days → {NEXT}"
            )]
        );
        assert_eq!(
            age_lines(OLD, "2026-11-29"),
            [format!(
                "claude-sonnet-4-5 ends on 2026-11-30, in 1 day → {NEXT}"
            )]
        );
        assert_eq!(
            age_lines(OLD, "2026-11-30"),
            [format!("claude-sonnet-4-5 ended on 2026-11-30 → {NEXT}")]
        );
        assert_eq!(age_lines("claude-sonnet-5-5", "2026-12-31"), [""; 0]);
        assert_eq!(
            age_lines("claude-sonnet-5-5", "2027-01-01"),
            [
                "the list of models and prices is of 2026-11-01 → update omoi; from a clone: cargo xtask models"
            ]
        );
        let unknown = age_lines("claude-novel-9", "2026-11-02");
        assert!(
            unknown[0].contains("the price of `claude-novel-9` is not known"),
            "{unknown:?}"
        );
    }
}
