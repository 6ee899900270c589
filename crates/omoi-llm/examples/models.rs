//! Prints `models.json` from the table of the Python package `litellm`: `cargo xtask models`.
//!
//! Arguments: the table, the package's version, the day.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Map, Value};

use omoi_domain::model_price::{PriceTier, ServiceLevel};
use omoi_llm::catalogue::{
    CalendarDay, EffortLevel, ModelCatalogue, ModelEntry, ModelFeature, ModelKind, ModelWindow,
};
use omoi_llm::pricing::WHOLE_PERMILLE;
use omoi_llm::wire::dialect::Dialect;

/// Whose models are kept: the two vendors whose formats we speak, and servers that speak OpenAI's.
const PROVIDERS: [&str; 11] = [
    "anthropic",
    "openai",
    "cerebras",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "mistral",
    "moonshot",
    "together_ai",
    "xai",
];

type Row = Map<String, Value>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, version, day] = arguments.as_slice() else {
        return Err("expected: TABLE VERSION DAY".into());
    };
    let table: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(table)?)?;
    let generated_on = CalendarDay::try_from(day.clone())?;
    let source = format!("litellm {version}, model_prices_and_context_window.json, MIT");
    let list = ModelCatalogue::new(source, generated_on, read_entries(&table)?);
    std::io::stdout().write_all(list_text(&list)?.as_bytes())?;
    Ok(())
}

/// One model a line, so that a new table shows as a readable difference.
fn list_text(list: &ModelCatalogue) -> Result<String, serde_json::Error> {
    let models: Result<Vec<_>, _> = list.models.iter().map(serde_json::to_string).collect();
    Ok(format!(
        "{{\n\"source\": {},\n\"generated_on\": {},\n\"models\": [\n{}\n]\n}}\n",
        serde_json::to_string(&list.source)?,
        serde_json::to_string(&list.generated_on)?,
        models?.join(",\n")
    ))
}

fn read_entries(table: &BTreeMap<String, Value>) -> Result<Vec<ModelEntry>, String> {
    let mut entries: BTreeMap<(String, String), ModelEntry> = BTreeMap::new();
    // Shorter names first: a dated one joins the entry of the name it dates.
    let mut names: Vec<&String> = table.keys().collect();
    names.sort_by_key(|name| (name.len(), *name));
    for name in names {
        let Some(row) = table[name].as_object() else {
            continue;
        };
        let Some(entry) = read_entry(name, row)? else {
            continue;
        };
        let base = (entry.provider.clone(), undated_name(&entry.id).to_owned());
        match entries.get_mut(&base) {
            Some(known) if same_model(known, &entry) => {
                if known.id != entry.id {
                    known.aliases.push(entry.id);
                }
            }
            _ => {
                let key = (entry.provider.clone(), entry.id.clone());
                entries.entry(key).or_insert(entry);
            }
        }
    }
    Ok(entries.into_values().collect())
}

fn same_model(one: &ModelEntry, other: &ModelEntry) -> bool {
    one.prices == other.prices && one.ends_on == other.ends_on && one.window == other.window
}

fn read_entry(name: &str, row: &Row) -> Result<Option<ModelEntry>, String> {
    let word = |key: &str| row.get(key).and_then(Value::as_str);
    let Some(provider) = word("litellm_provider").filter(|p| PROVIDERS.contains(p)) else {
        return Ok(None);
    };
    let kind = match word("mode") {
        Some("chat" | "responses") => ModelKind::Chat,
        Some("embedding") => ModelKind::Embedding,
        _ => return Ok(None),
    };
    let prices = read_prices(row);
    if prices.is_empty() {
        return Ok(None);
    }
    let id = name.strip_prefix(&format!("{provider}/")).unwrap_or(name);
    let (family, version) = split_family(undated_name(id));
    let ends_on = word("deprecation_date").map(|day| CalendarDay::try_from(day.to_owned()));
    let count = |key: &str| row.get(key).and_then(Value::as_u64);
    Ok(Some(ModelEntry {
        provider: provider.to_owned(),
        id: id.to_owned(),
        aliases: Vec::new(),
        family,
        version,
        kind,
        dialects: match kind {
            ModelKind::Chat => read_dialects(row),
            ModelKind::Embedding => Vec::new(),
        },
        window: ModelWindow {
            input: count("max_input_tokens"),
            output: count("max_output_tokens"),
        },
        features: read_features(row),
        efforts: read_efforts(row),
        ends_on: ends_on.transpose().map_err(|e| format!("{name}: {e}"))?,
        successor: word("successor_model").map(ToOwned::to_owned),
        search_nanousd: read_search(row),
        us_permille: read_factor(row, "us").unwrap_or(WHOLE_PERMILLE),
        prices,
    }))
}

fn read_features(row: &Row) -> Vec<ModelFeature> {
    let says = |key: &str| row.get(key).and_then(Value::as_bool);
    let all = [
        (
            ModelFeature::Tools,
            says("supports_function_calling") == Some(true),
        ),
        // Where the table is silent, the model can.
        (
            ModelFeature::ForcedTool,
            says("supports_forced_tool_use") != Some(false),
        ),
        (
            ModelFeature::StructuredOutput,
            says("supports_response_schema") == Some(true),
        ),
        (
            ModelFeature::Sampling,
            says("supports_sampling_params") != Some(false),
        ),
        (
            ModelFeature::Reasoning,
            says("supports_reasoning") == Some(true),
        ),
        (
            ModelFeature::AdaptiveThinking,
            says("supports_adaptive_thinking") == Some(true),
        ),
        (
            ModelFeature::PromptCache,
            says("supports_prompt_caching") == Some(true),
        ),
        (ModelFeature::Vision, says("supports_vision") == Some(true)),
        (ModelFeature::Pdf, says("supports_pdf_input") == Some(true)),
    ];
    let held = all.into_iter().filter(|(_, held)| *held);
    held.map(|(feature, _)| feature).collect()
}

/// Anthropic's models are served in its own format, all others in one or both of OpenAI's.
fn read_dialects(row: &Row) -> Vec<Dialect> {
    let word = |key: &str| row.get(key).and_then(Value::as_str);
    if word("litellm_provider") == Some("anthropic") {
        return vec![Dialect::Messages];
    }
    let paths = row.get("supported_endpoints").and_then(Value::as_array);
    let served = |path: &str| paths.is_some_and(|paths| paths.iter().any(|p| p == path));
    let mut dialects = Vec::new();
    // Where the table names no paths, the kind says it.
    let by_kind = paths.is_none();
    let is_responses = word("mode") == Some("responses");
    if served("/v1/chat/completions") || by_kind && !is_responses {
        dialects.push(Dialect::ChatCompletions);
    }
    if served("/v1/responses") || by_kind && is_responses {
        dialects.push(Dialect::Responses);
    }
    dialects
}

/// The efforts that the table lists; where it lists none, those that its flags add to the usual three.
fn read_efforts(row: &Row) -> Vec<EffortLevel> {
    if let Some(levels) = row.get("reasoning_effort_levels").and_then(Value::as_array) {
        let words = levels.iter().filter_map(Value::as_str);
        let mut efforts: Vec<_> = words.filter_map(EffortLevel::parse).collect();
        efforts.sort_unstable();
        return efforts;
    }
    let says = |key: &str| row.get(key).and_then(Value::as_bool);
    let provider = row.get("litellm_provider").and_then(Value::as_str);
    let takes_effort = match provider {
        Some("anthropic") => says("supports_output_config") == Some(true),
        Some("openai") => says("supports_reasoning") == Some(true),
        _ => false,
    };
    let all = EffortLevel::ALL.iter().copied();
    let held = all.filter(|level| match level {
        EffortLevel::Low => says("supports_low_reasoning_effort") != Some(false),
        EffortLevel::Medium | EffortLevel::High => true,
        level => says(&format!("supports_{level}_reasoning_effort")) == Some(true),
    });
    held.filter(|_| takes_effort).collect()
}

/// What a search costs, of whatever size.
fn read_search(row: &Row) -> u64 {
    let sizes = row.get("search_context_cost_per_query");
    let sizes = sizes.and_then(Value::as_object).into_iter().flatten();
    let prices = sizes.filter_map(|(_, price)| price.as_f64());
    let nanos = prices.map(|usd| (usd * 1e9).round() as u64);
    nanos.max().unwrap_or(0)
}

/// A factor of the maker's own, in thousandths.
fn read_factor(row: &Row, name: &str) -> Option<u32> {
    let factor = row.get("provider_specific_entry")?.get(name)?.as_f64()?;
    Some((factor * f64::from(WHOLE_PERMILLE)).round() as u32)
}

/// What the table puts behind the name of a figure for each level of service.
const LEVEL_SUFFIXES: [(ServiceLevel, &str); 5] = [
    (ServiceLevel::Standard, ""),
    (ServiceLevel::Batch, "_batches"),
    (ServiceLevel::Flex, "_flex"),
    (ServiceLevel::Priority, "_priority"),
    (ServiceLevel::Ultrafast, "_ultrafast"),
];

/// The tiers of every level that the row has a price for.
fn read_prices(row: &Row) -> Vec<PriceTier> {
    let mut prices: Vec<PriceTier> = Vec::new();
    for (service, suffix) in LEVEL_SUFFIXES {
        prices.extend(read_tiers(row, service, suffix));
    }
    if let Some(factor) = read_factor(row, "fast") {
        let standard = prices
            .iter()
            .filter(|tier| tier.service == ServiceLevel::Standard);
        let fast: Vec<_> = standard.map(|tier| faster_tier(*tier, factor)).collect();
        prices.extend(fast);
    }
    prices.sort_by_key(|tier| (tier.service, tier.above_tokens));
    prices
}

fn faster_tier(tier: PriceTier, permille: u32) -> PriceTier {
    let dearer = |figure: u64| figure * u64::from(permille) / u64::from(WHOLE_PERMILLE);
    PriceTier {
        service: ServiceLevel::Fast,
        above_tokens: tier.above_tokens,
        input: dearer(tier.input),
        output: dearer(tier.output),
        cache_read: dearer(tier.cache_read),
        cache_write_5m: dearer(tier.cache_write_5m),
        cache_write_1h: dearer(tier.cache_write_1h),
    }
}

/// The tiers of a level: the plain figures, and those of `…_above_200k_tokens`.
fn read_tiers(row: &Row, service: ServiceLevel, suffix: &str) -> Vec<PriceTier> {
    if !row.contains_key(&format!("input_cost_per_token{suffix}")) {
        return Vec::new();
    }
    let mut limits: Vec<u64> = row
        .keys()
        .filter_map(|key| key.strip_prefix("input_cost_per_token_above_"))
        .filter_map(|rest| rest.split_once("k_tokens")?.0.parse::<u64>().ok())
        .collect();
    limits.sort_unstable();
    limits.dedup();
    let limits = [0].into_iter().chain(limits);
    let tiers = limits.filter_map(|limit_k| {
        let figures = TierFigures {
            row,
            suffix,
            limit_k,
        };
        Some(PriceTier {
            service,
            ..figures.read_tier()?
        })
    });
    tiers.collect()
}

/// The figures of one level above one limit.
struct TierFigures<'a> {
    row: &'a Row,
    suffix: &'a str,
    limit_k: u64,
}

impl TierFigures<'_> {
    fn read_tier(&self) -> Option<PriceTier> {
        let input = self.read_price("input_cost_per_token")?;
        // Without a price of its own a cached token costs what it would without a cache.
        let cache_read = self.read_price("cache_read_input_token_cost");
        let write = self.read_price("cache_creation_input_token_cost");
        let long = ["above_1hr", "above_12hr"]
            .iter()
            .find_map(|life| self.read_price(&format!("cache_creation_input_token_cost_{life}")));
        let cache_write_5m = write.unwrap_or(input);
        // One maker bills from the limit on, the others above it.
        let provider = self.row.get("litellm_provider").and_then(Value::as_str);
        let from_limit = u64::from(provider == Some("xai") && self.limit_k > 0);
        Some(PriceTier {
            service: ServiceLevel::Standard,
            above_tokens: self.limit_k * 1_000 - from_limit,
            input,
            output: self.read_price("output_cost_per_token").unwrap_or(0),
            cache_read: cache_read.unwrap_or(input),
            cache_write_5m,
            cache_write_1h: long.unwrap_or(cache_write_5m).max(cache_write_5m),
        })
    }

    /// The figure as the table has it; where it has none for this level above this limit, the dearer of
    /// the level's plain one and the standard one above the limit.
    fn read_price(&self, key: &str) -> Option<u64> {
        let read = |key: String| nanos_per_mtok(self.row.get(&key)?);
        let suffix = self.suffix;
        let above = match self.limit_k {
            0 => String::new(),
            limit => format!("_above_{limit}k_tokens"),
        };
        let exact = read(format!("{key}{above}{suffix}"));
        exact.or_else(|| {
            let plain = read(format!("{key}{suffix}"));
            plain
                .max(read(format!("{key}{above}")))
                .or_else(|| read(key.to_owned()))
        })
    }
}

/// From dollars for a token; the table's figures are exact to a nano-dollar for a million.
fn nanos_per_mtok(price: &Value) -> Option<u64> {
    let usd = price.as_f64().filter(|usd| (0.0..1.0).contains(usd))?;
    Some((usd * 1e15).round() as u64)
}

/// The name without the date behind it: `-20250929` or `-2025-04-14`.
fn undated_name(id: &str) -> &str {
    let shapes = ["-dddddddd", "-dddd-dd-dd"];
    let fits = |shape: &&&str| {
        id.len() > shape.len()
            && id.is_char_boundary(id.len() - shape.len())
            && id[id.len() - shape.len()..]
                .chars()
                .zip(shape.chars())
                .all(|(c, s)| if s == 'd' { c.is_ascii_digit() } else { c == s })
    };
    match shapes.iter().find(fits) {
        Some(shape) => &id[..id.len() - shape.len()],
        None => id,
    }
}

/// `claude-sonnet-4-5` is version 4.5 of `sonnet`, `gpt-4.1-mini` version 4.1 of `gpt-mini`.
fn split_family(id: &str) -> (String, Vec<u32>) {
    let mut words = Vec::new();
    let mut version = Vec::new();
    for part in id.split('-') {
        let numbers: Result<Vec<u32>, _> = part.split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers) => version.extend(numbers),
            Err(_) => words.push(part),
        }
    }
    let family = words.join("-");
    let family = family.strip_prefix("claude-").unwrap_or(&family).to_owned();
    (family, version)
}
