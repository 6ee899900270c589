#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use omoi_domain::money::NanoUsd;

use super::*;
use crate::pricing::{BilledUsage, TokenCounts};

fn at(date: &str) -> Timestamp {
    Timestamp::of_date(date).unwrap()
}

fn cost(price: &ModelPrice, input: u64, output: u64) -> NanoUsd {
    price.cost_of(&BilledUsage {
        tokens: TokenCounts {
            input,
            output,
            ..TokenCounts::default()
        },
        ..BilledUsage::default()
    })
}

fn entry(id: &str, version: &[u32], ends_on: Option<&str>) -> ModelEntry {
    ModelEntry {
        provider: "anthropic".into(),
        id: id.into(),
        aliases: vec![format!("{id}-20250929")],
        family: "sonnet".into(),
        version: version.to_vec(),
        kind: ModelKind::Chat,
        dialects: vec![Dialect::Messages],
        window: ModelWindow::default(),
        features: Vec::new(),
        efforts: Vec::new(),
        ends_on: ends_on.map(|d| CalendarDay(at(d))),
        successor: None,
        prices: vec![PriceTier {
            input: 1_000_000_000 * u64::from(version[0]),
            output: 10_000_000_000,
            ..PriceTier::default()
        }],
        search_nanousd: 10_000_000,
        us_permille: 1_100,
    }
}

fn small() -> ModelCatalogue {
    let models = vec![
        entry("claude-sonnet-4-5", &[4, 5], Some("2026-11-30")),
        entry("claude-sonnet-4-10", &[4, 10], Some("2026-12-15")),
        entry("claude-sonnet-3", &[3], None),
    ];
    ModelCatalogue::new("test".into(), CalendarDay(at("2026-11-28")), models)
}

#[test]
fn a_family_is_its_highest_version_that_is_still_served() {
    let list = small();
    for (date, id) in [
        ("2026-11-28", Some("claude-sonnet-4-10")),
        ("2026-12-14", Some("claude-sonnet-4-10")),
        ("2026-12-15", Some("claude-sonnet-3")),
    ] {
        let newest = list.newest_model("anthropic", "sonnet", at(date));
        assert_eq!(newest.map(|e| e.id.as_str()), id, "{date}");
    }
    assert_eq!(
        list.newest_model("anthropic", "opus", at("2026-11-28")),
        None
    );
    assert_eq!(
        list.newest_model("openai", "sonnet", at("2026-11-28")),
        None
    );
}

#[test]
fn an_unknown_model_costs_as_much_as_its_providers_dearest() {
    let list = small();
    let unknown = list.price_of(Some("anthropic"), "anthropic", "claude-novel-9");
    assert!(unknown.is_assumed);
    assert_eq!(
        cost(&unknown, 1_000_000, 1_000_000),
        NanoUsd::from_dollars(14)
    );
    let elsewhere = list.price_of(None, "anthropic", "my-own-model");
    assert!(elsewhere.is_assumed);
    for name in [
        "claude-sonnet-3",
        "claude-sonnet-3-20250929",
        "anthropic/claude-sonnet-3",
    ] {
        let known = list.price_of(None, "anthropic", name);
        assert_eq!(
            cost(&known, 1_000_000, 0),
            NanoUsd::from_dollars(3),
            "{name}"
        );
        assert!(!known.is_assumed);
    }
}

#[test]
fn own_prices_win() {
    let rows = ["claude-sonnet=7/9", "claude-sonnet-4-5=1/2", "local=0/0"];
    let rows = rows.iter().map(|row| row.parse().unwrap()).collect();
    let list = small().with_own_prices(rows);
    for (model, dollars) in [
        ("claude-sonnet-9", 16),
        ("claude-sonnet-4-5", 3),
        ("local-7b", 0),
    ] {
        let price = list.price_of(None, "anthropic", model);
        let cost = cost(&price, 1_000_000, 1_000_000);
        assert_eq!(cost, NanoUsd::from_dollars(dollars), "{model}");
        assert!(!price.is_assumed, "{model}");
    }
}

#[test]
fn the_embedded_list_knows_current_models_at_a_fixed_date() {
    let list = ModelCatalogue::load_embedded().unwrap();
    let now = at("2026-11-28");
    for (provider, family) in [
        ("anthropic", "sonnet"),
        ("anthropic", "haiku"),
        ("anthropic", "opus"),
        ("openai", "gpt-sol"),
        ("openai", "gpt-luna"),
    ] {
        let newest = list.newest_model(provider, family, now).unwrap();
        assert!(
            newest.features.contains(&ModelFeature::Tools),
            "{}",
            newest.id
        );
    }
    let old = list
        .find_entry(Some("anthropic"), "claude-sonnet-4-5-20250929")
        .unwrap();
    assert_eq!(old.ends_on.unwrap().to_string(), "2026-11-30");
    assert_ne!(
        list.newest_model("anthropic", "sonnet", now).unwrap().id,
        old.id,
        "a newer one exists"
    );
    assert_eq!(old.prices[0].input, 3_000_000_000);
    let small = list.find_entry(None, "text-embedding-3-small").unwrap();
    assert_eq!(
        (small.kind, small.prices[0].input),
        (ModelKind::Embedding, 20_000_000)
    );
    // Opus was taken to cost three times as much as it does, the newest Haiku a tenth as much.
    let opus = list.find_entry(None, "claude-opus-4-5").unwrap();
    assert_eq!(opus.prices[0].output, 25_000_000_000);
    let tiers = |id: &str| -> Vec<_> {
        let entry = list.find_entry(None, id).unwrap();
        let tiers = entry.prices.iter();
        tiers
            .map(|t| (t.service.as_str(), t.above_tokens))
            .collect()
    };
    assert_eq!(
        tiers("claude-haiku-5-5"),
        [
            ("standard", 0),
            ("standard", 100_000),
            ("batch", 0),
            ("batch", 100_000)
        ]
    );
    assert_eq!(
        tiers("claude-opus-5-5"),
        [("standard", 0), ("batch", 0), ("fast", 0)]
    );
}

#[test]
fn the_embedded_list_knows_dialects_features_efforts_and_successors() {
    let list = ModelCatalogue::load_embedded().unwrap();
    let entry = |id: &str| list.find_entry(None, id).unwrap();
    let opus = entry("claude-opus-5-5");
    assert_eq!(opus.dialects, [Dialect::Messages]);
    for feature in [
        ModelFeature::Reasoning,
        ModelFeature::AdaptiveThinking,
        ModelFeature::PromptCache,
        ModelFeature::Vision,
        ModelFeature::Pdf,
    ] {
        assert!(opus.features.contains(&feature), "{feature:?}");
    }
    let words: Vec<_> = opus.efforts.iter().map(|e| e.as_str()).collect();
    assert_eq!(words, ["low", "medium", "high", "xhigh", "max"]);
    assert_eq!((opus.search_nanousd, opus.us_permille), (10_000_000, 1_100));
    assert_eq!(opus.prices[2].output, 40_000_000_000, "twice as fast");
    assert_eq!(
        entry("gpt-6.1-sol").dialects,
        [Dialect::ChatCompletions, Dialect::Responses]
    );
    assert_eq!(entry("gpt-5.3-codex").dialects, [Dialect::Responses]);
    let old = entry("claude-sonnet-4-5");
    assert_eq!(old.successor.as_deref(), Some("claude-sonnet-5-5"));
}

#[test]
fn the_embedded_list_is_sorted_and_names_are_unique() {
    let list = ModelCatalogue::load_embedded().unwrap();
    let ids: Vec<_> = list.models.iter().map(|e| (&e.provider, &e.id)).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    for entry in &list.models {
        assert!(!entry.prices.is_empty(), "{}", entry.id);
        let found = list.find_entry(Some(&entry.provider), &entry.id).unwrap();
        assert_eq!(found.id, entry.id);
    }
}

#[test]
fn a_model_that_ends_is_told_with_the_one_to_ask_in_its_place() {
    let mut list = small();
    list.models[0].successor = Some("claude-sonnet-4-10".into());
    let old = list.models[0].clone();
    for (date, end, next) in [
        ("2026-10-30", ModelEnd::Served, Some("claude-sonnet-4-10")),
        ("2026-10-31", ModelEnd::EndsSoon, Some("claude-sonnet-4-10")),
        ("2026-11-30", ModelEnd::Retired, Some("claude-sonnet-4-10")),
        // The successor has ended too.
        ("2026-12-15", ModelEnd::Retired, Some("claude-sonnet-3")),
    ] {
        assert_eq!(old.end_at(at(date)), end, "{date}");
        let successor = list.successor_of(&old, at(date));
        assert_eq!(successor.map(|e| e.id.as_str()), next, "{date}");
    }
    assert_eq!(list.models[2].end_at(at("2099-01-01")), ModelEnd::Served);
    assert_eq!(
        list.successor_of(&list.models[2], at("2026-12-15")),
        None,
        "no model succeeds itself"
    );
}
