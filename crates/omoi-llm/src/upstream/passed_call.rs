//! A request in its caller's own words.

use http::HeaderMap;
use serde_json::Map;

use crate::conversation::{
    DialectQuirks, MaxTokensField, ThinkingSettings, ToolNames, parse_request, thinking_fields,
};
use crate::pricing::ModelPrice;
use crate::route::ModelRoute;
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::{RawRequest, RequestChanges};

/// A caller's own request on its way to a model of the same dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassedCall<'a> {
    pub(crate) route: &'a ModelRoute,
    pub(crate) request: &'a RawRequest,
    /// Headers beside the ones the provider demands.
    pub(crate) headers: &'a HeaderMap,
    /// Stands for the caller's user, where the request names one.
    pub(crate) user: &'a str,
}

impl PassedCall<'_> {
    pub(super) fn outgoing_body(&self) -> Vec<u8> {
        let (route, dialect) = (self.route, self.request.dialect);
        let field = DialectQuirks::of_route(route).max_tokens_field;
        let answer_max = self.request.size.answer_cap.unwrap_or(route.max_tokens);
        let thinking = match self.request.lacks_thinking_choice() {
            true => thinking_fields(
                route.thinking,
                dialect,
                &ThinkingSettings::of_role(&route.settings),
                answer_max.min(route.max_tokens),
            ),
            false => Map::new(),
        };
        self.request.outgoing_body(RequestChanges {
            thinking: &thinking,
            keeps_cache_for_hour: route.keeps_cache_for_hour(),
            model: &route.model,
            answer_max: (route.price != ModelPrice::FREE).then_some(route.max_tokens),
            answer_field: match (dialect, field) {
                (Dialect::Responses, _) => "max_output_tokens",
                (_, MaxTokensField::MaxCompletionTokens) => "max_completion_tokens",
                (_, MaxTokensField::MaxTokens) => "max_tokens",
            },
            user: self.user,
            takes_sampling: route.takes_sampling,
            simulated: route.simulated,
        })
    }

    /// Names of the tools of the conversation; one that cannot be read has none that differ.
    pub(super) fn tool_names(&self) -> ToolNames {
        let conversation = parse_request(self.request.dialect, &self.outgoing_body());
        conversation.map_or_else(
            |_| ToolNames::default(),
            |conversation| ToolNames::of_conversation(&conversation),
        )
    }
}
