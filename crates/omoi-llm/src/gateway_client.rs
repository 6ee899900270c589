//! The agent's client of the gateway: the Anthropic API over loopback or a mounted Unix socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use omoi_domain::role_settings::RoleSettings;
use omoi_domain::secret_mask::SecretMask;

use crate::conversation::ThinkingForm;
use crate::pace::CallPace;
use crate::pricing::ModelPrice;
use crate::route::{AnswerMode, ModelRoute, ProviderKey, ServerSettings};
use crate::upstream::{
    AnswerLimits, EventStream, ModelConnections, UpstreamCall, UpstreamError, collect_answer,
};
use crate::wire::answer::ModelAnswer;
use crate::wire::anthropic::{MessagesRequest, StreamEvent};
use crate::wire::dialect::Dialect;
use crate::wire::headers;

/// Where the gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayEndpoint {
    /// A base URL, without `/v1`.
    Http(String),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// Calls the gateway with one attempt's token.
///
/// Calls are made once: the gateway has made every retry of the question already, and an agent that asks again
/// repeats its turn, which only the agent can decide. Where the gateway could not ask, its refusal says so.
#[derive(Clone)]
pub struct GatewayClient {
    connections: ModelConnections,
    route: ModelRoute,
    pace: Arc<dyn CallPace>,
}

impl GatewayClient {
    /// A client at `endpoint` that shows `token`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(
        endpoint: GatewayEndpoint,
        token: SecretString,
        pace: Arc<dyn CallPace>,
    ) -> Result<Self, UpstreamError> {
        let mask = SecretMask::new([token.expose_secret()]);
        let (http, base_url) = match endpoint {
            GatewayEndpoint::Http(base_url) => (
                ModelConnections::new(mask)?,
                base_url.trim_end_matches('/').to_owned(),
            ),
            // The host is never looked up.
            GatewayEndpoint::Unix(path) => (
                ModelConnections::over_unix(&path, mask)?,
                "http://gateway".to_owned(),
            ),
        };
        // The gateway tells by pings that it waits, and bounds the model's own time: only its own silence
        // is noticed here.
        let limits = AnswerLimits {
            first_content: Duration::from_secs(150),
            silence: Duration::from_secs(150),
            total: Duration::from_hours(24),
            ..AnswerLimits::default()
        };
        let route = ModelRoute {
            dialect: Dialect::Messages,
            base_url,
            model: String::new(),
            key: ProviderKey::Bearer(token),
            answer_mode: AnswerMode::ToolCall,
            max_tokens: u32::MAX,
            price: ModelPrice::FREE,
            window_tokens: None,
            limits,
            takes_sampling: true,
            thinking: ThinkingForm::Untold,
            settings: RoleSettings::default(),
            only_program: None,
            server: ServerSettings::default(),
            simulated: false,
        };
        Ok(Self {
            connections: http,
            route,
            pace,
        })
    }

    /// Asks and gives the answer as it comes. `model` is a route's name, for example `agent`; `n_turns` says how
    /// many turns of the attempt the question goes on from.
    ///
    /// # Errors
    /// Returns [`UpstreamError`]; kind [`BUDGET_KIND`](crate::gateway::BUDGET_KIND) means that a budget is spent.
    pub async fn stream_message(
        &self,
        request: &MessagesRequest,
        n_turns: u32,
    ) -> Result<EventStream, UpstreamError> {
        let mut route = self.route.clone();
        route.model.clone_from(&request.model);
        let mut headers = headers::own_headers();
        headers.insert(headers::TURNS, n_turns.into());
        let call = UpstreamCall {
            route: &route,
            request,
            headers: &headers,
        };
        let limits = route.limits.sized_for(request.max_tokens);
        self.connections.send_call(call, limits, &self.pace).await
    }

    /// Asks a question of no turn and gives the whole answer, showing every event to `seen`.
    ///
    /// # Errors
    /// Returns [`UpstreamError`] when there is none or it was cut.
    pub async fn create_message(
        &self,
        request: &MessagesRequest,
        seen: impl FnMut(&StreamEvent),
    ) -> Result<ModelAnswer, UpstreamError> {
        collect_answer(self.stream_message(request, 0).await?, seen).await
    }
}
