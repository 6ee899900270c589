#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use super::*;

#[test]
fn a_preset_says_what_is_not_written() {
    for (text, name, address, key) in [
        (
            "openrouter",
            "openrouter",
            "https://openrouter.ai/api/v1",
            Some("OPENROUTER_API_KEY"),
        ),
        ("preset=ollama", "ollama", "http://127.0.0.1:11434/v1", None),
        // The vendor's key does not go to another address.
        (
            "name=proxy; preset=anthropic; address=https://proxy.example/",
            "proxy",
            "https://proxy.example",
            None,
        ),
        (
            "name=rack; dialect=responses; address=http://rack:8000/v1; key=RACK_KEY",
            "rack",
            "http://rack:8000/v1",
            Some("RACK_KEY"),
        ),
    ] {
        let row: ProviderRow = text.parse().unwrap();
        let told = (
            row.name.as_str(),
            row.address.as_str(),
            row.key_variable.as_deref(),
        );
        assert_eq!(told, (name, address, key), "{text}");
    }
    let row: ProviderRow = "name=azure; dialect=chat_completions; address=https://a.example/openai/v1; headers=API-Key:AZURE_KEY x-team:TEAM; like=openai; quirks=no_parallel_calls no_cache_key; window=128000"
        .parse()
        .unwrap();
    let names: Vec<_> = row.secret_names().map(String::as_str).collect();
    assert_eq!(names, ["AZURE_KEY", "TEAM"]);
    assert_eq!(row.manner.headers[0].name, "api-key");
    assert_eq!(
        (row.manner.like, row.window),
        (Some(ServerKinship::Openai), Some(128_000))
    );
    let quirks = [ServerQuirk::NoParallelCalls, ServerQuirk::NoCacheKey];
    assert_eq!(row.manner.quirks, quirks);
    let row: ProviderRow = "vllm; max_tokens=4000".parse().unwrap();
    assert_eq!(
        (row.dialect, row.max_tokens),
        (Dialect::ChatCompletions, Some(4_000))
    );
}

#[test]
fn what_is_no_provider_is_refused_with_what_it_must_be() {
    for (text, words) in [
        ("", "needs a name, a dialect and an address"),
        ("name=x; dialect=messages", "needs a name"),
        ("nobody", "one of anthropic, claude-subscription, openai"),
        (
            "vllm; dialect=grpc",
            "one of messages, chat_completions, responses",
        ),
        ("vllm; address=ftp://x", "http or https"),
        ("vllm; address=http://me:secret@x", "without a password"),
        ("vllm; key=sk-ant-123", "the name of a variable"),
        ("vllm; max_tokens=0", "1 to 1000000"),
        ("vllm; name=a/b", "letters, digits"),
        ("vllm; colour=red", "no `colour`"),
        ("vllm; window=100", "4000 to"),
        ("vllm; like=me", "one of anthropic, openai, compatible"),
        (
            "vllm; like=anthropic",
            "a server that speaks chat_completions",
        ),
        ("vllm; quirks=documents odd", "one of max_tokens"),
        ("vllm; headers=api-key:sk-ant-123", "NAME:VARIABLE"),
        ("vllm; headers=api-key", "NAME:VARIABLE"),
        ("vllm; headers=Authorization:KEY", "none is accept"),
        ("vllm; headers=host:KEY", "none is accept"),
    ] {
        let error = text.parse::<ProviderRow>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("sk-ant"), "a pasted key is not repeated");
    }
}
