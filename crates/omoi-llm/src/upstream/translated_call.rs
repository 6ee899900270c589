//! A request in the words of the model that it goes to.

use http::HeaderMap;
use serde_json::Value;

use super::AnswerLimits;
use crate::conversation::{
    Conversation, ConversationError, DialectQuirks, TargetModel, ThinkingSettings, render_request,
};
use crate::pricing::ModelPrice;
use crate::route::ModelRoute;
use crate::wire::cache_marks::{MarkedLives, keep_for_hour};
use crate::wire::dialect::Dialect;

/// A conversation on its way to a model, whatever dialect it was said in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TranslatedCall<'a> {
    pub(crate) route: &'a ModelRoute,
    pub(crate) conversation: &'a Conversation,
    /// Headers beside the ones the provider demands.
    pub(crate) headers: &'a HeaderMap,
    /// Stands for the caller's user, where there is one, and for its share of the prompt cache.
    pub(crate) user: Option<&'a str>,
    pub(crate) limits: AnswerLimits,
}

impl TranslatedCall<'_> {
    /// The body of the request. It always asks for a stream, so that silence can be told from work.
    pub(super) fn render_body(&self) -> Result<Value, ConversationError> {
        let route = self.route;
        let mut conversation = self.conversation.clone();
        conversation.model.clone_from(&route.model);
        conversation.stream = true;
        let unbounded = (route.price != ModelPrice::FREE).then_some(route.max_tokens);
        let asked = conversation.output_tokens_max;
        conversation.output_tokens_max = match asked {
            Some(tokens) => Some(tokens.min(route.max_tokens)),
            None => unbounded,
        };
        if let Some(user) = self.user {
            conversation.end_user = conversation.end_user.map(|_| user.to_owned());
            // The caller's own could name its person.
            conversation.cache_key = Some(user.to_owned());
        }
        if conversation.thinking == ThinkingSettings::default() {
            conversation.thinking = ThinkingSettings::of_role(&route.settings);
        }
        let maker = route.maker_id();
        let target = TargetModel {
            maker: &maker,
            quirks: DialectQuirks::of_route(route),
            output_tokens_max: route.max_tokens,
        };
        let mut body = render_request(route.dialect, &conversation, &target)?;
        if route.keeps_cache_for_hour() && !MarkedLives::of_part(&body).is_named {
            keep_for_hour(&mut body);
        }
        Ok(body)
    }
}

/// Where a model that speaks `dialect` is asked, below its address.
pub(super) const fn dialect_path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::ChatCompletions => "/chat/completions",
        Dialect::Responses => "/responses",
    }
}
