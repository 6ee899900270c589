//! Tells from a provider's refusal that a request was too long for its model.

/// Kinds and codes that say so, whatever the message.
const KINDS: [&str; 4] = [
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    "request_too_large",
];

/// What providers say of it that have no kind of their own for it.
const WORDS: [&str; 13] = [
    "context_length_exceeded",
    "prompt is too long",
    "maximum context length",
    "exceed context limit",
    "exceeds the context window",
    "exceeds the available context size",
    "exceeds the maximum number of tokens",
    "maximum prompt length",
    "too large for model with",
    "too many input tokens",
    "too many tokens",
    "input is too long",
    "reduce the length of the",
];

/// Whether `kind`, or a code in its place, says that a request was too long.
pub(crate) fn is_window_kind(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Whether a refusal of `status`, of `kind` and with `message`, says that the request was too long.
pub fn says_over_window(status: u16, kind: &str, message: &str) -> bool {
    if !matches!(status, 400 | 413 | 422) {
        return false;
    }
    let told = message.to_lowercase();
    is_window_kind(kind) || WORDS.iter().any(|words| told.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_says_it_in_its_own_words() {
        let invalid = "invalid_request_error";
        let cases = [
            (
                400,
                invalid,
                "prompt is too long: 210000 tokens > 200000 maximum",
                true,
            ),
            (
                400,
                invalid,
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
                true,
            ),
            (
                400,
                "context_length_exceeded",
                "Your input exceeds the context window of this model.",
                true,
            ),
            (
                400,
                "BadRequestError",
                "This model's maximum context length is 4096 tokens.",
                true,
            ),
            (
                400,
                "exceed_context_size_error",
                "the request exceeds the available context size",
                true,
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                true,
            ),
            (400, invalid, "tools.0.name: too long", false),
            (
                400,
                invalid,
                "max_tokens: 99000 > 64000, which is the maximum allowed number of output tokens",
                false,
            ),
            (429, "rate_limit_error", "maximum context length", false),
            (500, "api_error", "prompt is too long", false),
        ];
        for (status, kind, message, expected) in cases {
            assert_eq!(
                says_over_window(status, kind, message),
                expected,
                "{message}"
            );
        }
    }
    #[test]
    fn other_servers_say_it_without_a_kind() {
        let invalid = "invalid_request_error";
        let told = [
            "Input is too long for requested model.",
            "Prompt contains 41000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        ];
        for message in told {
            assert!(says_over_window(400, invalid, message), "{message}");
        }
        assert!(says_over_window(
            413,
            "request_too_large",
            "Request exceeds the maximum size"
        ));
    }
}
