//! Tools of a provider's own that reach the web: who offers one to a model gives it a way out that no
//! sandbox and no proxy sees.

use serde_json::Value;

/// Kinds of tools that read pages, search, or speak with servers that the caller names.
const WEB_KINDS: [&str; 6] = [
    "browser",
    "mcp",
    "mcp_toolset",
    "openrouter:web",
    "web_fetch",
    "web_search",
];
/// Top fields that switch such a tool on.
const WEB_FIELDS: [&str; 3] = ["mcp_servers", "plugins", "web_search_options"];

/// What in `request`, of whichever dialect, would let the provider reach the web for its caller.
///
/// Tools that the caller runs itself are the sandbox's matter: those of `function` and `custom` kind, and
/// those without one.
pub(super) fn find_web_tool(request: &Value) -> Option<String> {
    let set = |name: &&&str| match &request[**name] {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    if let Some(field) = WEB_FIELDS.iter().find(set) {
        return Some((*field).to_owned());
    }
    let tools = request["tools"].as_array().map(Vec::as_slice);
    let kinds = tools.unwrap_or_default().iter();
    let mut kinds = kinds.filter_map(|tool| tool["type"].as_str());
    let found = kinds.find(|kind| is_web_kind(kind))?;
    Some(found.to_owned())
}

/// Kinds carry a date or a word behind: `web_search_20260209`, `web_search_preview`.
fn is_web_kind(kind: &str) -> bool {
    WEB_KINDS.iter().any(|known| {
        let rest = kind.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ':']))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_of_the_provider_that_reaches_the_web_is_found() {
        for (request, expected) in [
            (
                json!({"tools": [{"type": "web_search_20260209", "name": "x"}]}),
                Some("web_search_20260209"),
            ),
            (
                json!({"tools": [{"type": "web_fetch_20250910", "name": "x"}]}),
                Some("web_fetch_20250910"),
            ),
            (
                json!({"tools": [{"type": "function"}, {"type": "web_search"}]}),
                Some("web_search"),
            ),
            (
                json!({"tools": [{"type": "web_search_preview"}]}),
                Some("web_search_preview"),
            ),
            (
                json!({"tools": [{"type": "mcp", "server_url": "https://x"}]}),
                Some("mcp"),
            ),
            (
                json!({"mcp_servers": [{"url": "https://x"}]}),
                Some("mcp_servers"),
            ),
            (
                json!({"web_search_options": {}}),
                Some("web_search_options"),
            ),
            (json!({"plugins": [{"id": "web"}]}), Some("plugins")),
            (
                json!({"tools": [{"name": "web_search", "input_schema": {}}]}),
                None,
            ),
            (
                json!({"tools": [{"type": "function", "name": "web_search"}]}),
                None,
            ),
            (
                json!({"tools": [{"type": "custom", "name": "mcp"}], "mcp_servers": []}),
                None,
            ),
            (json!({"tools": [{"type": "bash_20250124"}]}), None),
            (json!({"messages": []}), None),
        ] {
            assert_eq!(find_web_tool(&request).as_deref(), expected, "{request}");
        }
    }
}
