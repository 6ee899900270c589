//! `image`: a picture of the workspace, for a model that sees.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use omoi_llm::wire::anthropic::{Base64Source, ContentBlock, ImageBlock, ImageSource};

use super::{AgentTools, ToolError, ToolOutput, object_schema};

pub(super) const DESCRIPTION: &str = "Shows a picture of the workspace: PNG, JPEG, GIF or WebP of up to 2 MiB, such as a \
    screenshot or a diagram.";

/// Bytes of a picture: it is stored with the turn and sent again with every request.
const IMAGE_BYTES_MAX: u64 = 2 << 20;

/// Input of the tool `image`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageInput {
    path: String,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({ "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."} }),
        &["path"],
    )
}

pub(super) fn run(tools: &AgentTools, input: &ImageInput) -> Result<ToolOutput, ToolError> {
    let target = tools.paths.resolve_readable(&input.path)?;
    let path = || target.display_path.clone();
    let failed = |source| ToolError::Io {
        step: "read",
        path: path(),
        source,
    };
    // Asked before it is opened: opening a pipe would wait for its other end.
    let meta = fs::metadata(&target.real_path).map_err(failed)?;
    if !meta.is_file() {
        return Err(ToolError::NotAFile { path: path() });
    }
    if meta.len() > IMAGE_BYTES_MAX {
        return Err(ToolError::ImageTooLarge {
            path: path(),
            bytes: meta.len(),
            max: IMAGE_BYTES_MAX,
        });
    }
    let bytes = fs::read(&target.real_path).map_err(failed)?;
    let Some(media_type) = media_type(&bytes) else {
        return Err(ToolError::NotAnImage { path: path() });
    };
    let source = Base64Source {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(&bytes),
    };
    Ok(ToolOutput {
        text: format!(
            "`{}` ({media_type}, {} bytes)",
            target.display_path,
            bytes.len()
        ),
        picture: Some(ContentBlock::Image(ImageBlock {
            source: ImageSource::Base64(source),
            extra: serde_json::Map::new(),
        })),
    })
}

/// What `bytes` are by how they begin, where models take it.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    if begins(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if begins(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        Some("image/gif")
    } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}
