//! Paths for tools that take no relative ones: below the folder that their program says it works in.

use serde_json::Value as Json;

use super::{
    checked_request::OfferedTool,
    tool_table::{WordedCall, WordedInput},
};

/// What comes before the folder, where programs tell their model of it.
const TOLD: [&str; 1] = ["currently working in the directory: "];
/// How a tool says of an argument that it takes no relative path.
const DEMANDS: [&str; 3] = [
    "Relative paths are not supported",
    "Must start with '/'",
    "must be absolute",
];

/// The folder that the body of a request names.
pub(super) fn working_folder(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let told = TOLD.iter().find_map(|told| body.split_once(told));
    let (_, rest) = told?;
    // A line ends as JSON has it.
    let end = rest.find(['\\', '"', '\n'])?;
    let folder = rest[..end].trim_end();
    folder.starts_with('/').then(|| folder.to_owned())
}

/// The call with its paths below `folder`, where its tool demands whole ones.
pub(super) fn with_whole_paths(
    mut call: WordedCall,
    offered: &[OfferedTool],
    folder: Option<&str>,
) -> WordedCall {
    let tool = offered.iter().find(|tool| tool.name == call.tool);
    let (Some(tool), Some(folder), WordedInput::Arguments(input)) = (tool, folder, &mut call.input)
    else {
        return call;
    };
    for (key, value) in input.as_object_mut().into_iter().flatten() {
        let about = &tool.schema["properties"][key]["description"];
        let about = about.as_str().unwrap_or_default();
        let path = value.as_str().unwrap_or_default();
        if DEMANDS.iter().any(|demand| about.contains(demand)) && !path.starts_with('/') {
            *value = Json::String(match path {
                "." => folder.to_owned(),
                path => format!("{folder}/{path}"),
            });
        }
    }
    call
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;
    use crate::simulated::checked_request::ToolForm;

    #[test]
    fn a_tool_that_takes_no_relative_path_gets_a_whole_one() {
        let body = br#"{"text":"I'm currently working in the directory: /sandbox\nHere"}"#;
        let folder = working_folder(body);
        assert_eq!(folder.as_deref(), Some("/sandbox"));
        let about = |text: &str| json!({"properties": {"file_path": {"description": text}}});
        let demanding = about("The absolute path. Relative paths are not supported.");
        for (schema, folder, path, want) in [
            (&demanding, folder.as_deref(), "src/a", "/sandbox/src/a"),
            (&demanding, folder.as_deref(), ".", "/sandbox"),
            (&demanding, folder.as_deref(), "/x", "/x"),
            (&demanding, None, "src/a", "src/a"),
            (&about("A path."), folder.as_deref(), "src/a", "src/a"),
        ] {
            let tool = OfferedTool {
                name: "read_file".to_owned(),
                group: None,
                form: ToolForm::Arguments,
                schema: schema.clone(),
            };
            let call = WordedCall {
                tool: "read_file".to_owned(),
                group: None,
                input: WordedInput::Arguments(json!({"file_path": path})),
            };
            let found = with_whole_paths(call, &[tool], folder);
            let wanted = WordedInput::Arguments(json!({"file_path": want}));
            assert_eq!(found.input, wanted, "{path}");
        }
        assert_eq!(working_folder(b"{}"), None);
    }
}
