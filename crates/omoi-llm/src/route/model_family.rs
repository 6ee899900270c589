//! The family of a model by its name.

/// The name of `model` without versions, dates and variants: models of one family read each other's
/// reasoning, where they stand behind one address.
pub fn model_family(model: &str) -> String {
    let plain = model
        .split(['[', ':', '@'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let words = plain.split(['-', '_', '.', ' ']);
    let named = words.filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    let family = named.collect::<Vec<_>>().join("-");
    match family.is_empty() {
        true => plain,
        false => family,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_variants_are_no_part_of_a_family() {
        for (model, family) in [
            ("claude-sonnet-5-5", "claude-sonnet"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet"),
            ("claude-opus-5-5[1m]", "claude-opus"),
            (
                "anthropic/claude-sonnet-5.5:beta",
                "anthropic/claude-sonnet",
            ),
            ("gpt-5.5", "gpt"),
            ("gpt-6-codex", "gpt-codex"),
            ("o3", "o3"),
            ("qwen3-coder", "qwen3-coder"),
            ("deepseek-r1-0528", "deepseek-r1"),
            ("4", "4"),
        ] {
            assert_eq!(model_family(model), family, "{model}");
        }
    }
}
