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

/// How well a model fits the name that is asked for, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameFit {
    /// It is the one.
    Exact,
    /// It is another version of it.
    Family,
    /// It has nothing to do with it.
    Other,
}

/// How well `model` fits `asked`, which says nothing of where it is made and in which window.
pub(crate) fn name_fit(model: &str, asked: &str) -> NameFit {
    let plain = |name: &str| {
        let name = name.split('[').next().unwrap_or_default().trim();
        name.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let (model, asked) = (plain(model), plain(asked));
    match model_family(&model) == model_family(&asked) {
        _ if model == asked => NameFit::Exact,
        true => NameFit::Family,
        false => NameFit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_its_model_and_versions_of_it() {
        for (model, asked, fit) in [
            ("claude-opus-5-5", "claude-opus-5-5", NameFit::Exact),
            ("claude-opus-5-5", "claude-opus-5-5[1m]", NameFit::Exact),
            (
                "anthropic/claude-opus-5.5",
                "claude-opus-5.5",
                NameFit::Exact,
            ),
            ("claude-opus-5-5", "claude-opus-4-1", NameFit::Family),
            ("claude-opus-5-5", "claude-sonnet-5-5", NameFit::Other),
            ("claude-opus-5-5", "agent", NameFit::Other),
        ] {
            assert_eq!(name_fit(model, asked), fit, "{model} {asked}");
        }
    }

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
