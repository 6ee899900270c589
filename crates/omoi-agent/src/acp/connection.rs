//! The Agent Client Protocol over the lines of a program: the protocol's own crate, between channels.

use std::io;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::schema::{
    Implementation, InitializeRequest, PromptRequest, PromptResponse, RequestPermissionRequest,
    RequestPermissionResponse, SessionNotification, SessionUpdate,
};
use agent_client_protocol::v1::{ConnectionTo, Responder};
use agent_client_protocol::{
    Agent, Client, Error, Lines, on_receive_notification, on_receive_request,
};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt as _, StreamExt as _};

use crate::program::ProgramHost;
use crate::program::tool_server::SERVER_NAME;

/// What a program does in its turn.
pub(super) enum AcpNews {
    /// It says something, or a call of it goes on.
    Update(Box<SessionUpdate>),
    /// It asks whether a call may run.
    Permission(Box<PermissionQuestion>),
    /// Its turn has ended.
    TurnEnded(Result<PromptResponse, Error>),
}

/// A call that waits for a verdict.
pub(super) struct PermissionQuestion {
    /// The call, and the answers there are.
    pub(super) request: RequestPermissionRequest,
    /// Takes the answer.
    pub(super) responder: Responder<RequestPermissionResponse>,
}

/// A connection whose lines the driver carries.
pub(super) struct AcpConnection {
    agent: ConnectionTo<Agent>,
    to_client: mpsc::UnboundedSender<io::Result<String>>,
    from_client: mpsc::UnboundedReceiver<String>,
    news: mpsc::UnboundedReceiver<AcpNews>,
    news_of_turns: mpsc::UnboundedSender<AcpNews>,
}

/// What a connection has for the driver.
pub(super) enum ConnectionStep {
    /// A line for the program.
    Line(String),
    /// News of the program.
    News(Box<AcpNews>),
}

impl AcpConnection {
    /// Begins a connection; none where it broke at once.
    pub(super) async fn open(host: &mut ProgramHost) -> Option<Self> {
        let (to_client, incoming) = mpsc::unbounded();
        let (outgoing, from_client) = mpsc::unbounded();
        let (news_of_turns, news) = mpsc::unbounded();
        let (hand_over, agent) = oneshot::channel();
        host.spawn_task(serve_client(
            Lines::new(
                outgoing.sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)),
                incoming,
            ),
            news_of_turns.clone(),
            hand_over,
        ));
        Some(Self {
            agent: agent.await.ok()?,
            to_client,
            from_client,
            news,
            news_of_turns,
        })
    }

    /// The program, to ask it.
    pub(super) fn agent_side(&self) -> &ConnectionTo<Agent> {
        &self.agent
    }

    /// Takes a line of the program.
    pub(super) fn take_line(&self, line: String) {
        // A connection that has ended says so by its answers.
        let _ = self.to_client.unbounded_send(Ok(line));
    }

    /// Asks for a turn, whose end comes as news, after everything that came before it.
    pub(super) fn begin_turn(&self, request: PromptRequest) -> Result<(), Error> {
        let news = self.news_of_turns.clone();
        let prompt = self.agent.prepare_request(request);
        prompt.on_receiving_result(move |result| async move {
            let _ = news.unbounded_send(AcpNews::TurnEnded(result));
            Ok(())
        })
    }

    /// What comes next; none once the connection has ended. Cancel-safe.
    pub(super) async fn next_step(&mut self) -> Option<ConnectionStep> {
        tokio::select! {
            biased;
            line = self.from_client.next() => line.map(ConnectionStep::Line),
            news = self.news.next() => news.map(|news| ConnectionStep::News(Box::new(news))),
        }
    }
}

/// The request that opens the connection: files and terminals stay the program's own.
pub(super) fn initialize_request() -> InitializeRequest {
    let client = Implementation::new(SERVER_NAME, env!("CARGO_PKG_VERSION"));
    InitializeRequest::new(ProtocolVersion::V1).client_info(client)
}

async fn serve_client<Out, In>(
    lines: Lines<Out, In>,
    news: mpsc::UnboundedSender<AcpNews>,
    hand_over: oneshot::Sender<ConnectionTo<Agent>>,
) where
    Out: futures::Sink<String, Error = io::Error> + Send + 'static,
    In: futures::Stream<Item = io::Result<String>> + Send + 'static,
{
    let asked = news.clone();
    let client = Client
        .v1()
        .name(SERVER_NAME)
        .on_receive_notification(
            async move |update: SessionNotification, _agent: ConnectionTo<Agent>| {
                let _ = news.unbounded_send(AcpNews::Update(Box::new(update.update)));
                Ok(())
            },
            on_receive_notification!(),
        )
        .on_receive_request(
            async move |request: RequestPermissionRequest,
                        responder: Responder<RequestPermissionResponse>,
                        _agent: ConnectionTo<Agent>| {
                let question = PermissionQuestion { request, responder };
                let _ = asked.unbounded_send(AcpNews::Permission(Box::new(question)));
                Ok(())
            },
            on_receive_request!(),
        );
    let ended = client
        .connect_with(lines, async move |agent: ConnectionTo<Agent>| {
            let _ = hand_over.send(agent);
            // It ends with the driver.
            std::future::pending::<Result<(), Error>>().await
        })
        .await;
    if let Err(error) = ended {
        tracing::info!(%error, "The connection to the agent program has ended");
    }
}
