//! Questions in a form that can be sent to their route again and again.

use std::sync::Arc;

use http::HeaderMap;

use omoi_domain::agent_program::AgentProgram;

use crate::pace::CallPace;
use crate::route::{ModelRoute, RouteChoice};
use crate::token_count::RequestSize;
use crate::upstream::{
    AnswerItem, AnswerLimits, AnswerStream, EventStream, ModelConnections, UpstreamCall,
    UpstreamError,
};
use crate::wire::anthropic::{MessagesRequest, StreamEvent};

/// A request to a model with the route that it takes.
#[derive(Clone, Copy, Debug)]
pub struct RoutedRequest<'a> {
    /// Route that decides the model and its provider, and which of its models is asked.
    pub route: RouteChoice,
    /// Request to send; its `model` and `stream` are replaced.
    pub request: &'a MessagesRequest,
    /// Additional headers of the request.
    pub headers: &'a HeaderMap,
}

/// A question in a form that can be sent to its route again and again.
pub(crate) trait UpstreamQuestion: Copy + Send + Sync {
    /// A piece of its answer.
    type Item: AnswerItem;

    /// The route that it takes.
    fn route_choice(self) -> RouteChoice;

    /// How large it is.
    fn request_size(self) -> RequestSize;

    /// The program whose call it is; none for the platform's own.
    fn program(self) -> Option<AgentProgram>;

    /// How long one answer may take on `route`.
    fn answer_limits(self, route: &ModelRoute) -> AnswerLimits;

    /// Sends it over `sender`; the pieces of the answer follow.
    fn send_once(
        self,
        sender: CallSender<'_>,
    ) -> impl Future<Output = Result<AnswerStream<Self::Item>, UpstreamError>> + Send;
}

/// What one call is sent with.
#[derive(Clone, Copy)]
pub(crate) struct CallSender<'a> {
    pub(crate) connections: &'a ModelConnections,
    pub(crate) route: &'a ModelRoute,
    pub(crate) limits: AnswerLimits,
    pub(crate) pace: &'a Arc<dyn CallPace>,
}

impl UpstreamQuestion for RoutedRequest<'_> {
    type Item = StreamEvent;

    fn route_choice(self) -> RouteChoice {
        self.route
    }

    fn request_size(self) -> RequestSize {
        RequestSize::of_message(self.request)
    }

    fn program(self) -> Option<AgentProgram> {
        None
    }

    fn answer_limits(self, route: &ModelRoute) -> AnswerLimits {
        route.limits
    }

    async fn send_once(self, sender: CallSender<'_>) -> Result<EventStream, UpstreamError> {
        let call = UpstreamCall {
            route: sender.route,
            request: self.request,
            headers: self.headers,
        };
        sender
            .connections
            .send_call(call, sender.limits, sender.pace)
            .await
    }
}
