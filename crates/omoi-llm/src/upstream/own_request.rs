//! A request of our own client on its way to a model that speaks Messages.

use serde_json::Value;

use crate::conversation::{ThinkingSettings, thinking_fields};
use crate::route::ModelRoute;
use crate::wire::anthropic::{MessagesRequest, ToolChoice};
use crate::wire::dialect::Dialect;

/// Tells the model of `route` how much to think, where `request` says nothing of it and its vendor takes it
/// with the rest: not ahead of a call that must be made, and not with a temperature.
pub(super) fn add_role_settings(request: &mut MessagesRequest, route: &ModelRoute) {
    let config = request.output_config.as_ref();
    let has_choice = request.extra.contains_key("thinking")
        || config.is_some_and(|config| config.extra.contains_key("effort"));
    if has_choice {
        return;
    }
    let wanted = ThinkingSettings::of_role(&route.settings);
    let mut fields = thinking_fields(
        route.thinking,
        Dialect::Messages,
        &wanted,
        request.max_tokens,
    );
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. })
    );
    let is_sampled =
        request.temperature.is_some() || request.top_p.is_some() || request.top_k.is_some();
    let thinking = fields.shift_remove("thinking");
    let fits = |thinking: &Value| !forced && (!is_sampled || thinking["type"] == "disabled");
    if let Some(thinking) = thinking.filter(fits) {
        request.extra.insert("thinking".to_owned(), thinking);
    }
    if let Some(Value::Object(config)) = fields.shift_remove("output_config") {
        request
            .output_config
            .get_or_insert_default()
            .extra
            .extend(config);
    }
}
