//! `omoi models list`: the price list for people and for scripts.

use std::process::ExitCode;

use serde::Serialize;

use omoi_domain::model_price::{PriceTier, ServiceLevel};
use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;
use omoi_llm::catalogue::{ModelCatalogue, ModelEnd, ModelEntry, ModelFeature, ModelKind};
use omoi_llm::options::LlmOptions;
use omoi_runtime::clock::{Clock as _, SystemClock};

use crate::ErrorHint;
use crate::cli::command_context::{CommandContext, ConfigOverrides};
use crate::cli::error_report::UsageError;
use crate::composition;
use crate::view::text_layout::{
    OutputPage, align_left, clean_line, count_noun, display_width, wrap_text,
};

/// Whose models to show.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Only models of this provider, or `all`
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// One model for scripts.
#[derive(Serialize)]
struct ListedModel<'a> {
    #[serde(flatten)]
    entry: &'a ModelEntry,
    /// Whether it is served today.
    state: ModelEnd,
    /// Whether a key for its provider is here.
    key_here: bool,
}

/// Prints the models of the providers that are asked for.
pub(crate) fn list_models(
    context: &CommandContext,
    arguments: &ListArgs,
) -> anyhow::Result<ExitCode> {
    let config = context.load_settings(&ConfigOverrides::default())?.config;
    let options = LlmOptions::from_config(&config);
    let list = composition::model_catalogue(&options)?;
    let with_key = options.servers.providers_with_key();
    let shown = shown_providers(&list, arguments.provider.as_deref(), &with_key)?;
    let now = SystemClock.now();
    let told = told_settings(&options, now)?;
    let entries = list.models.iter().filter(|e| e.kind == ModelKind::Chat);
    let entries: Vec<&ModelEntry> = entries
        .filter(|entry| shown.contains(&entry.provider.as_str()))
        .collect();
    if context.is_json() {
        let models = entries.iter().map(|entry| ListedModel {
            entry,
            state: entry.end_at(now),
            key_here: with_key.contains(&entry.provider.as_str()),
        });
        context.print_json(&serde_json::json!({
            "source": list.source,
            "generated_on": list.generated_on,
            "models": models.collect::<Vec<_>>(),
            "settings": told,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = ModelPage {
        page: context.stdout_page(),
        now,
    };
    let mut lines = Vec::new();
    for provider in &shown {
        let of_provider = entries.iter().filter(|entry| entry.provider == *provider);
        let of_provider: Vec<&ModelEntry> = of_provider.copied().collect();
        lines.extend(page.provider_lines(provider, &of_provider, with_key.contains(provider)));
    }
    for text in &told {
        lines.extend(wrap_text(&clean_line(text), page.page.width));
    }
    lines.extend(page.closing_lines(&list, &shown));
    context.print_lines(&lines)?;
    Ok(ExitCode::SUCCESS)
}

/// What the models of each role are told of `models.settings`, or why they cannot be.
fn told_settings(options: &LlmOptions, now: Timestamp) -> anyhow::Result<Vec<String>> {
    if options.servers.role_settings.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match composition::live_routes(options, now)? {
        Err(error) => vec![error.to_string()],
        Ok(routes) => {
            let roles = RouteName::ALL.iter();
            roles
                .flat_map(|role| routes.settings_notes(*role))
                .collect()
        }
    })
}

/// The providers that are asked for; without a word those that a key is here for, else the two whose
/// formats everybody speaks.
fn shown_providers<'a>(
    list: &'a ModelCatalogue,
    asked: Option<&str>,
    with_key: &[&str],
) -> anyhow::Result<Vec<&'a str>> {
    let mut all: Vec<&str> = list.models.iter().map(|e| e.provider.as_str()).collect();
    all.dedup();
    let pick = |wanted: &[&str]| -> Vec<&'a str> {
        let known = all.iter().copied();
        known.filter(|name| wanted.contains(name)).collect()
    };
    let shown = match asked {
        Some("all") => all.clone(),
        Some(name) => pick(&[name]),
        None => {
            let keyed = pick(with_key);
            match keyed.is_empty() {
                true => pick(&["anthropic", "openai"]),
                false => keyed,
            }
        }
    };
    if shown.is_empty() {
        let name = asked.unwrap_or_default();
        let error = UsageError(format!("the list has no models of `{name}`"));
        let hint = ErrorHint(format!("it has those of {}", all.join(", ")));
        return Err(anyhow::Error::new(error).context(hint));
    }
    Ok(shown)
}

/// Where lines go, and what day it is.
struct ModelPage {
    page: OutputPage,
    now: Timestamp,
}

impl ModelPage {
    fn provider_lines(&self, provider: &str, models: &[&ModelEntry], key: bool) -> Vec<String> {
        let key = if key { "key here" } else { "no key here" };
        let mut lines = vec![format!("{} ({key})", self.page.bold(provider))];
        let names = models.iter().map(|entry| display_width(&entry.id));
        let width = names.max().unwrap_or(0).min(NAME_COLUMNS_MAX);
        for entry in models {
            lines.extend(self.model_lines(entry, width));
        }
        lines.push(String::new());
        lines
    }

    fn model_lines(&self, entry: &ModelEntry, width: usize) -> Vec<String> {
        let indent = width + 4;
        let told = wrap_text(&describe_model(entry, self.now), self.page.width - indent);
        let fits = display_width(&entry.id) <= width;
        let mut lines = Vec::new();
        if !fits {
            lines.push(format!("  {}", entry.id));
        }
        for (n, text) in told.into_iter().enumerate() {
            lines.push(match n == 0 && fits {
                true => format!("  {}  {text}", align_left(&entry.id, width)),
                false => format!("{}{text}", " ".repeat(indent)),
            });
        }
        lines
    }

    fn closing_lines(&self, list: &ModelCatalogue, shown: &[&str]) -> Vec<String> {
        let of_others = list.models.iter().filter(|entry| {
            entry.kind == ModelKind::Chat && !shown.contains(&entry.provider.as_str())
        });
        let n_others = of_others.count() as u64;
        let mut text = format!("Prices of {}.", list.generated_on);
        if n_others > 0 {
            let others = count_noun(n_others, "model");
            text.push_str(&format!(
                " {others} of other providers: omoi models list --provider all"
            ));
        }
        wrap_text(&text, self.page.width)
    }
}

/// Longer names stand on a line of their own.
const NAME_COLUMNS_MAX: usize = 34;

/// One model on one line: dialects, window, prices, features, end.
fn describe_model(entry: &ModelEntry, now: Timestamp) -> String {
    let dialects = entry.dialects.iter().map(|d| d.plain_name());
    let mut parts = vec![dialects.collect::<Vec<_>>().join(" + ")];
    if let Some(read) = entry.window.input {
        let answered = entry.window.output.map_or("?".to_owned(), short_count);
        parts.push(format!("reads {}, answers {answered}", short_count(read)));
    }
    parts.extend(entry.prices.iter().map(describe_tier));
    let features: Vec<&str> = entry
        .features
        .iter()
        .copied()
        .filter_map(feature_word)
        .collect();
    if !features.is_empty() {
        parts.push(features.join(" "));
    }
    if let (Some(least), Some(most)) = (entry.efforts.first(), entry.efforts.last()) {
        parts.push(format!("effort {least} to {most}"));
    }
    match entry.end_at(now) {
        ModelEnd::Served => {}
        ModelEnd::EndsSoon => parts.push(end_text("ends", entry)),
        ModelEnd::Retired => parts.push(end_text("ENDED", entry)),
    }
    parts.join(" · ")
}

fn end_text(verb: &str, entry: &ModelEntry) -> String {
    let day = entry.ends_on.map(|day| day.to_string()).unwrap_or_default();
    match &entry.successor {
        Some(successor) => format!("{verb} on {day}, then {successor}"),
        None => format!("{verb} on {day}"),
    }
}

/// `$4 in, $20 out, $0.2 cached`, behind where it holds.
fn describe_tier(tier: &PriceTier) -> String {
    let service = match tier.service {
        ServiceLevel::Standard => String::new(),
        level => format!("{level} "),
    };
    let above = match tier.above_tokens {
        0 => String::new(),
        limit => format!("above {} ", short_count(limit)),
    };
    let usd = |nanos: u64| format!("${}", nanos as f64 / 1e9);
    let cached = match tier.cache_read == tier.input {
        true => String::new(),
        false => format!(", {} cached", usd(tier.cache_read)),
    };
    let (input, output) = (usd(tier.input), usd(tier.output));
    format!("{service}{above}{input} in, {output} out{cached}")
}

/// `200k`, `1M`, `1.05M`.
fn short_count(tokens: u64) -> String {
    match tokens {
        ..1_000 => tokens.to_string(),
        1_000..1_000_000 => format!("{}k", tokens / 1_000),
        _ => format!("{}M", tokens as f64 / 1e6),
    }
}

const fn feature_word(feature: ModelFeature) -> Option<&'static str> {
    match feature {
        ModelFeature::Tools => Some("tools"),
        ModelFeature::Reasoning => Some("reasoning"),
        ModelFeature::AdaptiveThinking => Some("adaptive"),
        ModelFeature::Vision => Some("vision"),
        ModelFeature::Pdf => Some("pdf"),
        // They decide how a model is asked, and are in the JSON.
        ModelFeature::ForcedTool
        | ModelFeature::StructuredOutput
        | ModelFeature::Sampling
        | ModelFeature::PromptCache => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> ModelCatalogue {
        ModelCatalogue::load_embedded().unwrap()
    }

    #[test]
    fn a_line_says_dialects_window_prices_features_and_the_end() {
        let now = Timestamp::of_date("2026-11-28").unwrap();
        let list = list();
        let line = |id: &str| describe_model(list.find_entry(None, id).unwrap(), now);
        assert_eq!(
            line("claude-haiku-5-5"),
            "Anthropic Messages · reads 1M, answers 128k · $0.1 in, $0.5 out, $0.01 cached · above 100k $0.5 in, $2.5 out, \
             $0.05 cached · batch $0.05 in, $0.25 out, $0.005 cached · batch above 100k $0.25 in, $1.25 out, $0.025 cached · \
             tools reasoning adaptive vision pdf · effort low to max"
        );
        let old = line("claude-sonnet-4-5");
        assert!(
            old.ends_with("ends on 2026-11-30, then claude-sonnet-5-5"),
            "{old}"
        );
        let later = Timestamp::of_date("2026-12-01").unwrap();
        let gone = describe_model(list.find_entry(None, "claude-sonnet-4-5").unwrap(), later);
        assert!(
            gone.ends_with("ENDED on 2026-11-30, then claude-sonnet-5-5"),
            "{gone}"
        );
    }

    #[test]
    fn who_is_shown_follows_the_keys_that_are_here() {
        let list = list();
        let shown = |asked, keys: &[&str]| shown_providers(&list, asked, keys);
        assert_eq!(shown(None, &[]).unwrap(), ["anthropic", "openai"]);
        assert_eq!(shown(None, &["deepseek"]).unwrap(), ["deepseek"]);
        assert_eq!(shown(Some("xai"), &["deepseek"]).unwrap(), ["xai"]);
        assert_eq!(shown(Some("all"), &[]).unwrap().len(), 11);
        let error = shown(Some("nobody"), &[]).unwrap_err();
        let chain = format!("{error:?}");
        assert!(chain.contains("no models of `nobody`"), "{chain}");
    }
}
