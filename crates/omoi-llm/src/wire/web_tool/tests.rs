use serde_json::json;

use super::*;

fn found(request: &Value) -> Option<String> {
    find_refused_part(request).map(|part| part.name)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn tools_that_the_provider_runs_are_found() {
    for (tools, expected) in [
        (
            json!([{"type": "web_search_20260209", "name": "x"}]),
            Some("web_search_20260209"),
        ),
        (
            json!([{"type": "web_fetch_20250910", "name": "x"}]),
            Some("web_fetch_20250910"),
        ),
        (
            json!([{"type": "function"}, {"type": "web_search"}]),
            Some("web_search"),
        ),
        (
            json!([{"type": "web_search_preview"}]),
            Some("web_search_preview"),
        ),
        (
            json!([{"type": "mcp", "server_url": "https://x"}]),
            Some("mcp"),
        ),
        (json!([{"type": "mcp_toolset"}]), Some("mcp_toolset")),
        (
            json!([{"type": "code_interpreter", "container": {"type": "auto"}}]),
            Some("code_interpreter"),
        ),
        (
            json!([{"type": "code_execution_20250825", "name": "x"}]),
            Some("code_execution_20250825"),
        ),
        (
            json!([{"type": "file_search", "vector_store_ids": ["x"]}]),
            Some("file_search"),
        ),
        (
            json!([{"type": "image_generation"}]),
            Some("image_generation"),
        ),
        (
            json!([{"type": "advisor_20260301", "model": "large"}]),
            Some("advisor_20260301"),
        ),
        (json!([{"type": "openrouter:web"}]), Some("openrouter:web")),
        (
            json!([{"type": "shell", "environment": {"type": "container_auto"}}]),
            Some("shell"),
        ),
        (
            json!([{"type": "namespace", "tools": [{"type": "mcp"}]}]),
            Some("mcp"),
        ),
        (
            json!([{"type": "function_of_tomorrow"}]),
            Some("function_of_tomorrow"),
        ),
        (json!([{"name": "web_search", "input_schema": {}}]), None),
        (json!([{"type": "function", "name": "web_search"}]), None),
        (json!([{"type": "custom", "name": "mcp"}]), None),
        (
            json!([{"type": "namespace", "tools": [{"type": "function"}]}]),
            None,
        ),
        (
            json!([{"type": "bash_20250124"}, {"type": "text_editor_20250728"}]),
            None,
        ),
        (
            json!([{"type": "tool_search_tool_regex_20251119"}, {"type": "tool_search"}]),
            None,
        ),
        (
            json!([{"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"}]),
            None,
        ),
        (
            json!([{"type": "shell", "environment": {"type": "local"}}]),
            None,
        ),
    ] {
        assert_eq!(
            found(&json!({"tools": tools})).as_deref(),
            expected,
            "{tools}"
        );
    }
}

#[test]
fn fields_that_switch_something_on_are_found() {
    for (request, expected) in [
        (
            json!({"mcp_servers": [{"url": "https://x"}]}),
            Some("mcp_servers"),
        ),
        (
            json!({"web_search_options": {}}),
            Some("web_search_options"),
        ),
        (json!({"plugins": [{"id": "web"}]}), Some("plugins")),
        (json!({"container": "container_1"}), Some("container")),
        (json!({"container": {"skills": []}}), Some("container")),
        (json!({"prompt": {"id": "pmpt_1"}}), Some("prompt")),
        (
            json!({"previous_response_id": "resp_1"}),
            Some("previous_response_id"),
        ),
        (
            json!({"conversation": {"id": "conv_1"}}),
            Some("conversation"),
        ),
        (
            json!({"input": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_1"}]}),
            Some("item_reference"),
        ),
        (json!({"input": [{"id": "msg_1"}]}), Some("item_reference")),
        (
            json!({"input": [{"id": "msg_1", "role": "assistant", "content": "a"}]}),
            None,
        ),
        (json!({"models": ["large"]}), Some("models")),
        (json!({"provider": {"order": ["x"]}}), Some("provider")),
        (json!({"route": "fallback"}), Some("route")),
        (
            json!({"mcp_servers": [], "models": [], "container": null, "conversation": null}),
            None,
        ),
        (json!({"messages": []}), None),
    ] {
        assert_eq!(found(&request).as_deref(), expected, "{request}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_lies_elsewhere_is_found_and_what_is_sent_is_not() {
    let data = "data:image/png;base64,AA==";
    for (part, why) in [
        (
            json!({"type": "image", "source": {"type": "url", "url": "https://x/y?secret"}}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "document", "source": {"type": "url", "url": "https://x"}}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
            Some(READS_STORED),
        ),
        (
            json!({"type": "image", "source": {"type": "base64", "data": "AA=="}}),
            None,
        ),
        (
            json!({"type": "container_upload", "file_id": "file_1"}),
            Some(READS_STORED),
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "https://x"}}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "image_url", "image_url": "http://x"}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "image_url", "image_url": {"url": data}}),
            None,
        ),
        (
            json!({"type": "video_url", "video_url": {"url": "https://x"}}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "file", "file": {"file_id": "file-1"}}),
            Some(READS_STORED),
        ),
        (json!({"type": "file", "file": {"file_data": data}}), None),
        (
            json!({"type": "input_image", "image_url": "https://x"}),
            Some(READS_WEB),
        ),
        (
            json!({"type": "input_image", "file_id": "file-1"}),
            Some(READS_STORED),
        ),
        (
            json!({"type": "input_image", "image_url": " DATA:image/png;base64,AA=="}),
            None,
        ),
        (
            json!({"type": "input_file", "file_url": "https://x"}),
            Some(READS_WEB),
        ),
        (json!({"type": "text", "text": "https://x"}), None),
        (
            json!({"type": "tool_use", "input": {"type": "image", "source": {"type": "url"}}}),
            None,
        ),
    ] {
        let in_result = json!({"type": "tool_result", "content": [part]});
        for content in [&part, &in_result] {
            let said = json!([{"role": "user", "content": [content]}]);
            let output = json!([{"type": "function_call_output", "output": [content]}]);
            for request in [
                json!({"messages": said}),
                json!({"input": said}),
                json!({"input": output}),
            ] {
                let found = find_refused_part(&request).map(|part| part.why);
                assert_eq!(found, why, "{request}");
            }
        }
    }
}

#[test]
fn only_betas_of_known_families_are_passed() {
    for (header, expected) in [
        (
            "claude-code-20250219,interleaved-thinking-2025-05-14",
            Some("claude-code-20250219,interleaved-thinking-2025-05-14"),
        ),
        (
            "mcp-client-2025-11-20, context-management-2025-06-27",
            Some("context-management-2025-06-27"),
        ),
        (
            "code-execution-2025-08-25,files-api-2025-04-14,skills-2025-10-02",
            None,
        ),
        ("context-1m-2025-08-07", Some("context-1m-2025-08-07")),
        ("output-128k-2025-02-19", Some("output-128k-2025-02-19")),
        ("something-new-2027-01-01", None),
        ("", None),
    ] {
        assert_eq!(passed_betas(header).as_deref(), expected, "{header}");
    }
}
