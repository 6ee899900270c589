//! Prints `models.json` from the table of the Python package `litellm`: `cargo xtask models`.
//!
//! Arguments: the table, the package's version, the day.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Map, Value};

use omoi_llm::catalogue::{
    CalendarDay, ModelCatalogue, ModelEntry, ModelFeature, ModelKind, ModelWindow,
};
use omoi_llm::pricing::PriceTier;

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
        Some("chat") => ModelKind::Chat,
        Some("embedding") => ModelKind::Embedding,
        _ => return Ok(None),
    };
    let prices = read_tiers(row);
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
        window: ModelWindow {
            input: count("max_input_tokens"),
            output: count("max_output_tokens"),
        },
        features: read_features(row),
        ends_on: ends_on.transpose().map_err(|e| format!("{name}: {e}"))?,
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
    ];
    let held = all.into_iter().filter(|(_, held)| *held);
    held.map(|(feature, _)| feature).collect()
}

/// The tiers of a row: the plain figures, and those of `…_above_200k_tokens`.
fn read_tiers(row: &Row) -> Vec<PriceTier> {
    let mut limits: Vec<u64> = row
        .keys()
        .filter_map(|key| key.strip_prefix("input_cost_per_token_above_"))
        .filter_map(|rest| rest.strip_suffix("k_tokens")?.parse::<u64>().ok())
        .collect();
    limits.sort_unstable();
    let first = read_tier(row, 0, PriceTier::default());
    let Some(first) = first else {
        return Vec::new();
    };
    let mut tiers = vec![first];
    for limit in limits {
        tiers.extend(read_tier(row, limit, first));
    }
    tiers
}

fn read_tier(row: &Row, limit_k: u64, first: PriceTier) -> Option<PriceTier> {
    let suffix = match limit_k {
        0 => String::new(),
        limit => format!("_above_{limit}k_tokens"),
    };
    let price = |key: &str| nanos_per_mtok(row.get(&format!("{key}{suffix}"))?);
    let input = price("input_cost_per_token")?;
    let output = price("output_cost_per_token").unwrap_or(first.output);
    let write = price("cache_creation_input_token_cost");
    let write_1h = price("cache_creation_input_token_cost_above_1hr");
    let cache_write_5m = write.unwrap_or(input);
    Some(PriceTier {
        above_tokens: limit_k * 1_000,
        input,
        output,
        // Without a price of its own a cached token costs what it would without a cache.
        cache_read: price("cache_read_input_token_cost").unwrap_or(input),
        cache_write_5m,
        cache_write_1h: write_1h.unwrap_or(cache_write_5m),
    })
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
