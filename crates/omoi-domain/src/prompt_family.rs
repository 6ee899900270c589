//! Which prompts of our own loop a model is told: models of one maker were trained alike.

crate::closed_set! {
    /// Models that are told the same.
    PromptFamily {
        /// Anthropic's.
        Claude = "claude",
        /// OpenAI's, open weights included: trained to hand in patches.
        Gpt = "gpt",
        /// Google's.
        Gemini = "gemini",
        /// All others, most of them with open weights, and lists that mix makers.
        Open = "open",
    }
}

impl PromptFamily {
    /// The family of the model called `name`, whoever serves it: `openai/gpt-6`, `claude-opus-5-5[1m]`.
    pub fn of_model(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let own = lower.rsplit('/').next().unwrap_or_default();
        // `o3`, `o4-mini`: a letter and a number, which no other maker's names begin with.
        let is_numbered_o = own.strip_prefix('o').is_some_and(|rest| {
            let number = rest.split('-').next().unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        // Some servers put the maker before the name with a full stop: `us.anthropic.claude-opus-5`.
        let has = |word: &str| own.split(['.', '-', '_', ':']).any(|part| part == word);
        if has("claude") {
            Self::Claude
        } else if is_numbered_o || has("gpt") || has("chatgpt") || has("codex") {
            Self::Gpt
        } else if has("gemini") {
            Self::Gemini
        } else {
            Self::Open
        }
    }

    /// The family of work that any of `models` may go on with: theirs where they have one in common.
    pub fn of_models<'a>(models: impl IntoIterator<Item = &'a str>) -> Self {
        let mut families = models.into_iter().map(Self::of_model);
        let first = families.next().unwrap_or(Self::Open);
        match families.all(|family| family == first) {
            true => first,
            false => Self::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_of_its_makers_family_whoever_serves_it() {
        for (family, names) in [
            (
                PromptFamily::Claude,
                &[
                    "claude-sonnet-5-5",
                    "anthropic/claude-opus-5.5:beta",
                    "us.anthropic.claude-opus-5-v1:0",
                    "claude-opus-5-5[1m]",
                ][..],
            ),
            (
                PromptFamily::Gpt,
                &[
                    "gpt-5.5",
                    "openai/gpt-6-codex",
                    "o3",
                    "o4-mini",
                    "chatgpt-latest",
                    "accounts/fireworks/models/gpt-oss-120b",
                ],
            ),
            (
                PromptFamily::Gemini,
                &["gemini-3-pro", "google/gemini-2.5-flash"],
            ),
            (
                PromptFamily::Open,
                &[
                    "qwen3-coder:30b",
                    "llama-4",
                    "olmo-2",
                    "opus-mt",
                    "deepseek/deepseek-r1",
                    "simulated",
                    "o",
                    "",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(PromptFamily::of_model(name), family, "{name}");
            }
        }
    }

    #[test]
    fn a_list_that_mixes_makers_is_told_what_holds_for_all() {
        let of = |names: &[&str]| PromptFamily::of_models(names.iter().copied());
        assert_eq!(of(&["gpt-6", "o3"]), PromptFamily::Gpt);
        assert_eq!(of(&["gpt-6", "claude-opus-5-5"]), PromptFamily::Open);
        assert_eq!(of(&[]), PromptFamily::Open);
    }
}
