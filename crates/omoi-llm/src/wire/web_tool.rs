//! What in a request would let a provider act for its caller beyond answering: reach the web, run code, read what
//! lies at the provider. It would be a way out that no sandbox and no proxy sees. And what would let somebody else
//! than the gateway choose the model, which is priced as the one that was chosen here.

use serde_json::Value;

/// A part of a request that is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPart {
    /// The field, or the kind of a tool or of a part of the conversation.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

const REACHES_OUT: &str =
    "it lets the provider reach the web or run code for the caller, and this attempt may not";
const READS_STORED: &str = "it names something that lies at the provider; send the content itself";
const READS_WEB: &str = "the provider would fetch it from the web; send the content itself";
const CHOOSES_MODEL: &str = "the gateway chooses the model";

/// Top fields that switch something on at the provider, or choose for it.
const FIELDS: [(&str, &str); 10] = [
    ("mcp_servers", REACHES_OUT),
    ("plugins", REACHES_OUT),
    ("web_search_options", REACHES_OUT),
    ("container", REACHES_OUT),
    // It may hold tools.
    ("prompt", READS_STORED),
    ("previous_response_id", READS_STORED),
    ("conversation", READS_STORED),
    ("models", CHOOSES_MODEL),
    ("provider", CHOOSES_MODEL),
    ("route", CHOOSES_MODEL),
];
/// Kinds of tools that the caller runs itself, or that look at the request alone. Vendors date theirs:
/// `bash_20250124`.
const OWN_TOOLS: [&str; 11] = [
    "apply_patch",
    "bash",
    "computer",
    "computer_use_preview",
    "custom",
    "function",
    "local_shell",
    "memory",
    "text_editor",
    "tool_search",
    "tool_search_tool",
];
/// A group of tools.
const GROUP: &str = "namespace";
/// An item that stands for one which the provider keeps.
const REFERENCE: &str = "item_reference";
/// A shell, which is the caller's own unless the request says where else it runs.
const SHELL: &str = "shell";

/// What in `request`, of whichever dialect, is not passed on.
pub(super) fn find_refused_part(request: &Value) -> Option<RefusedPart> {
    let is_set = |name: &str| match &request[name] {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let field = FIELDS.iter().find(|(name, _)| is_set(name));
    let field = field.map(|(name, why)| refused(name, why));
    let tools = || find_tool(&request["tools"]);
    let content = || {
        let mut parts = ["system", "messages", "input"].iter();
        parts.find_map(|name| find_content(&request[*name]))
    };
    field.or_else(tools).or_else(content)
}

fn refused(name: &str, why: &'static str) -> RefusedPart {
    RefusedPart {
        name: name.to_owned(),
        why,
    }
}

fn find_tool(tools: &Value) -> Option<RefusedPart> {
    let mut tools = tools.as_array()?.iter();
    tools.find_map(|tool| match tool["type"].as_str() {
        None => None,
        Some(GROUP) => find_tool(&tool["tools"]),
        Some(SHELL) => match tool["environment"]["type"].as_str() {
            None | Some("local") => None,
            Some(_) => Some(refused(SHELL, REACHES_OUT)),
        },
        Some(kind) if is_own_tool(kind) => None,
        Some(kind) => Some(refused(kind, REACHES_OUT)),
    })
}

fn is_own_tool(kind: &str) -> bool {
    OWN_TOOLS.iter().any(|known| {
        let rest = kind.strip_prefix(known);
        let is_date = |rest: &str| rest.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('_') && is_date(rest)))
    }) || kind.starts_with("tool_search_tool_")
}

/// Looks through parts of a conversation, but not into what tools were called with: that is the model's own text.
fn find_content(value: &Value) -> Option<RefusedPart> {
    match value {
        Value::Array(items) => items.iter().find_map(find_content),
        Value::Object(fields) => {
            let kind = value["type"].as_str().unwrap_or_default();
            find_source(kind, value).or_else(|| {
                let mut inner = fields.iter().filter(|(name, _)| {
                    matches!(
                        name.as_str(),
                        "content" | "output" | "source" | "tool_result"
                    )
                });
                inner.find_map(|(_, value)| find_content(value))
            })
        }
        _ => None,
    }
}

/// What a part of kind `kind` shows, if it does not hold it.
fn find_source(kind: &str, part: &Value) -> Option<RefusedPart> {
    let is_elsewhere = |address: &Value| {
        let text = address.as_str();
        text.is_some_and(|text| !text.trim_start().to_ascii_lowercase().starts_with("data:"))
    };
    let (address, stored) = match kind {
        "image" | "document" => match part["source"]["type"].as_str() {
            Some("url") => return Some(refused(kind, READS_WEB)),
            Some("file") => return Some(refused(kind, READS_STORED)),
            _ => return None,
        },
        "container_upload" | REFERENCE => return Some(refused(kind, READS_STORED)),
        // Its kind may be left out.
        "" if part["id"].is_string() && part["role"].is_null() => {
            return Some(refused(REFERENCE, READS_STORED));
        }
        "image_url" | "video_url" | "audio_url" => {
            let shown = &part[kind];
            let address = shown.get("url").unwrap_or(shown);
            (address, &Value::Null)
        }
        "file" => (&Value::Null, &part["file"]["file_id"]),
        "input_image" => (&part["image_url"], &part["file_id"]),
        "input_file" => (&part["file_url"], &part["file_id"]),
        "computer_screenshot" => (&part["image_url"], &part["file_id"]),
        _ => return None,
    };
    match (is_elsewhere(address), stored.is_null()) {
        (true, _) => Some(refused(kind, READS_WEB)),
        (false, false) => Some(refused(kind, READS_STORED)),
        (false, true) => None,
    }
}

/// Families of what a caller may switch on by `anthropic-beta`: how the model thinks and answers, what is cached.
/// Others would let the provider do something for the caller, or are not known.
const PASSED_BETAS: [&str; 22] = [
    "adaptive-thinking",
    "advanced-tool-use",
    "claude-code",
    "compact",
    "computer-use",
    "context-1m",
    "context-management",
    "effort",
    "extended-cache-ttl",
    "fine-grained-tool-streaming",
    "interleaved-thinking",
    "mid-conversation-tool-changes",
    "oauth",
    "output-128k",
    "prompt-caching",
    "prompt-caching-scope",
    "redact-thinking",
    "structured-outputs",
    "thinking-display-updates",
    "thinking-token-count",
    "token-counting",
    "token-efficient-tools",
];

/// The words of an `anthropic-beta` header that are passed on; none where all of them are left.
pub(crate) fn passed_betas(header: &str) -> Option<String> {
    let words = header.split(',').map(str::trim);
    let passed: Vec<&str> = words.filter(|word| is_passed_beta(word)).collect();
    (!passed.is_empty()).then(|| passed.join(","))
}

/// `family-2025-06-27`, or `family-20250627` of old.
fn is_passed_beta(word: &str) -> bool {
    let family = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    PASSED_BETAS.contains(&family) || PASSED_BETAS.contains(&word)
}

#[cfg(test)]
mod tests;
