//! The agent's way to the gateway: the Anthropic surface over loopback or a mounted Unix socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::secret_mask::SecretMask;
use secrecy::{ExposeSecret as _, SecretString};

use crate::pace::Pace;
use crate::pricing::ModelPrice;
use crate::route::{AnswerMode, Key, Provider, Route};
use crate::upstream::{Call, EventStream, Http, Limits, UpstreamError, collect};
use crate::wire::answer::Answer;
use crate::wire::anthropic::{MessagesRequest, StreamEvent};
use crate::wire::headers;

/// Where the gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A base URL, without `/v1`.
    Http(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Speaks to the gateway with one attempt's token.
///
/// Calls are made once: the gateway has already tried everything that can be tried, and an agent that
/// asks again repeats its turn, which only the agent can decide.
#[derive(Clone)]
pub struct Client {
    http: Http,
    route: Route,
    limits: Limits,
    pace: Arc<dyn Pace>,
}

impl Client {
    /// A client at `endpoint` that shows `token`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(
        endpoint: Endpoint,
        token: SecretString,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, UpstreamError> {
        let mask = SecretMask::new([token.expose_secret()]);
        let (http, base_url) = match endpoint {
            Endpoint::Http(base_url) => {
                (Http::new(mask)?, base_url.trim_end_matches('/').to_owned())
            }
            // The host is never looked up.
            Endpoint::Unix(path) => (Http::over_unix(&path, mask)?, "http://gateway".to_owned()),
        };
        let route = Route {
            provider: Provider::Anthropic,
            base_url,
            model: String::new(),
            key: Key::Bearer(token),
            answer_mode: AnswerMode::ToolCall,
            max_tokens: u32::MAX,
            price: ModelPrice::FREE,
            window_tokens: None,
            takes_sampling: true,
            simulated: false,
        };
        // The gateway says by pings that it waits, and must notice the model's silence before we notice
        // its own.
        let limits = Limits {
            first_content: Duration::from_secs(150),
            silence: Duration::from_secs(75),
            total: Duration::from_secs(750),
            ..Limits::default()
        };
        Ok(Self {
            http,
            route,
            limits,
            pace,
        })
    }

    /// Asks and gives the answer as it comes. `model` is a route's name, for example `agent`.
    ///
    /// # Errors
    /// Returns [`UpstreamError`]; status 402 means that the budget is spent.
    pub async fn messages_stream(
        &self,
        request: &MessagesRequest,
    ) -> Result<EventStream, UpstreamError> {
        let mut route = self.route.clone();
        route.model.clone_from(&request.model);
        let headers = headers::own();
        let call = Call {
            route: &route,
            request,
            headers: &headers,
        };
        self.http.send(call, self.limits, &self.pace).await
    }

    /// Asks and gives the whole answer, showing every event to `seen`.
    ///
    /// # Errors
    /// Returns [`UpstreamError`] when there is none or it was cut.
    pub async fn messages(
        &self,
        request: &MessagesRequest,
        seen: impl FnMut(&StreamEvent),
    ) -> Result<Answer, UpstreamError> {
        collect(self.messages_stream(request).await?, seen).await
    }
}
