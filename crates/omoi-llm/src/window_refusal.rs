//! Tells from a provider's words that a request was too long for its model.

/// What providers say of a request that is longer than the model's window.
const SIGNS: [&str; 10] = [
    "context_length_exceeded",
    "exceed_context_size",
    "prompt is too long",
    "maximum context length",
    "exceed context limit",
    "exceeds the context window",
    "exceeds the available context size",
    "exceeds the maximum number of tokens",
    "too many input tokens",
    "input is too long",
];

/// Whether a refusal of `status`, of `kind` and with `message`, says that the request was too long.
pub fn says_over_window(status: u16, kind: &str, message: &str) -> bool {
    let texts = [kind, message].map(str::to_lowercase);
    matches!(status, 400 | 413 | 422)
        && texts
            .iter()
            .any(|text| SIGNS.iter().any(|sign| text.contains(sign)))
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
}
