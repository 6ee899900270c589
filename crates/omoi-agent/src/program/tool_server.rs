//! Our tools for agent programs, by the Model Context Protocol.
//!
//! A program starts `omoi agent tools --socket PATH`, which copies its standard streams to the socket
//! that the worker serves here: every program knows servers of that kind, and what a tool does stays in
//! the worker.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use omoi_llm::wire::anthropic::{self, ImageSource, ToolUseBlock};
use omoi_protocol::worker::{AgentTool, AskPerson};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::tools::{AgentTools, OwnTool};

/// What programs call the server of our tools.
pub(crate) const SERVER_NAME: &str = "omoi";

/// Where a program that runs calls side by side tells which one it makes.
const CALL_ID: &str = "callId";

/// What calls of our tools have decided since it was last taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolDecisions {
    /// Whether the phase's output was accepted as complete.
    pub(crate) is_accepted: bool,
    /// Why the attempt ends now: the same refusal came too often.
    pub(crate) gives_up: Option<String>,
    /// What a person is asked before the work goes on.
    pub(crate) asks: Option<AskPerson>,
    /// Whether any has run that does more than read.
    has_run: bool,
}

/// Where a server of our tools is, and what it tells.
pub(crate) struct ToolServerPlace<'a> {
    /// Its socket.
    pub(crate) socket: &'a Path,
    /// Set once a call has ended the program's work.
    pub(crate) work_over: CancellationToken,
    /// Holds what serves it.
    pub(crate) tasks: &'a mut JoinSet<()>,
}

/// Calls that may run, where the driver says when; none where each runs as it comes.
type ReleasedCalls = Option<BTreeSet<String>>;

/// Serves our tools to one agent program.
#[derive(Clone)]
pub(crate) struct ToolServer {
    tools: Arc<AgentTools>,
    offered: Arc<Vec<OwnTool>>,
    decisions: Arc<Mutex<ToolDecisions>>,
    work_over: CancellationToken,
    calls: Arc<AtomicU64>,
    released: Arc<watch::Sender<ReleasedCalls>>,
}

impl ToolServer {
    /// Serves `offered` of `tools`.
    pub(crate) fn start(
        tools: &Arc<AgentTools>,
        offered: Vec<OwnTool>,
        place: ToolServerPlace<'_>,
    ) -> io::Result<Self> {
        let ToolServerPlace {
            socket,
            work_over,
            tasks,
        } = place;
        let listener = UnixListener::bind(socket)?;
        let server = Self {
            tools: tools.clone(),
            offered: Arc::new(offered),
            decisions: Arc::default(),
            work_over,
            calls: Arc::default(),
            released: Arc::new(watch::Sender::new(None)),
        };
        let serving = server.clone();
        // One at a time, which is the program: whatever else finds the socket is not served.
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match serving.clone().serve(stream).await {
                    Ok(running) => drop(running.waiting().await),
                    Err(error) => tracing::info!(%error, "A client of our tools went away"),
                }
            }
        });
        Ok(server)
    }

    /// From now on a call that tells its id runs when it is released: a program that runs the calls of
    /// an answer side by side would hand in items after it said that it is done.
    pub(crate) fn hold_calls(&self) {
        self.released.send_replace(Some(BTreeSet::new()));
    }

    /// Lets the call run that the program knows by `id`.
    pub(crate) fn release_call(&self, id: &str) {
        self.released.send_modify(|released| {
            if let Some(released) = released {
                released.insert(id.to_owned());
            }
        });
    }

    /// Waits until the call with that id may run.
    async fn wait_released(&self, id: &str) {
        let mut released = self.released.subscribe();
        let is_free = |calls: &ReleasedCalls| calls.as_ref().is_none_or(|calls| calls.contains(id));
        // The sender lives as long as this server.
        let _ = released.wait_for(is_free).await;
    }

    /// Takes what the calls have decided.
    pub(crate) fn take_decisions(&self) -> ToolDecisions {
        std::mem::take(&mut *self.lock_decisions())
    }

    /// Whether a call has run since then that does more than read.
    pub(crate) fn has_run_call(&self) -> bool {
        self.lock_decisions().has_run
    }

    fn lock_decisions(&self) -> std::sync::MutexGuard<'_, ToolDecisions> {
        self.decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerHandler for ToolServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(SERVER_NAME, env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.offered.iter().map(|own| {
            let schema = own.schema.as_object().cloned().unwrap_or_default();
            Tool::new(own.tool.as_str(), own.description, schema)
        });
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let is_offered = |own: &OwnTool| own.tool.as_str() == request.name;
        if !self.offered.iter().any(is_offered) {
            let words = format!("there is no tool `{}`", request.name);
            return Err(ErrorData::invalid_params(words, None));
        }
        if let Some(id) = context.meta.get(CALL_ID).and_then(Value::as_str) {
            self.wait_released(id).await;
        }
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = ToolUseBlock {
            id: format!("{SERVER_NAME}-{n}"),
            name: request.name.into_owned(),
            input: Value::Object(request.arguments.unwrap_or_default()),
            extra: Default::default(),
        };
        let only_reads = [AgentTool::Read, AgentTool::Image]
            .map(AgentTool::as_str)
            .contains(&&*call.name);
        self.lock_decisions().has_run |= !only_reads;
        let outcome = self.tools.run_call(&call, None).await;
        {
            let mut decisions = self.lock_decisions();
            decisions.is_accepted |= outcome.ends_phase;
            decisions.gives_up = decisions.gives_up.take().or(outcome.gives_up);
            // Before the program knows the result: it would ask the model once more.
            let asked = decisions.asks.take().into_iter().chain(outcome.asks);
            decisions.asks = asked.reduce(AskPerson::joined_with);
            let is_over =
                decisions.is_accepted || decisions.gives_up.is_some() || decisions.asks.is_some();
            if is_over {
                self.work_over.cancel();
            }
        }
        let words = ContentBlock::text(outcome.text);
        let picture = outcome.picture.and_then(shown_picture);
        let content = [Some(words), picture].into_iter().flatten().collect();
        let result = match outcome.is_error {
            true => CallToolResult::error(content),
            false => CallToolResult::success(content),
        };
        Ok(result.into())
    }
}

/// Copies the standard streams of this process to the worker's `socket` until either ends.
///
/// # Errors
/// When the worker cannot be reached.
pub fn copy_tool_streams(socket: &Path) -> io::Result<()> {
    let mut from_worker = std::os::unix::net::UnixStream::connect(socket)?;
    let mut to_worker = from_worker.try_clone()?;
    // Reading standard input cannot be given up; the thread ends with the process.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut to_worker);
        let _ = to_worker.shutdown(std::net::Shutdown::Write);
    });
    let mut output = io::stdout();
    io::copy(&mut from_worker, &mut output)?;
    Ok(())
}

/// Where the socket of our tools is below the folder of a program.
pub(crate) fn socket_path(folder: &Path) -> PathBuf {
    folder.join("tools.sock")
}

/// A picture as the protocol has it.
fn shown_picture(picture: anthropic::ContentBlock) -> Option<ContentBlock> {
    match picture {
        anthropic::ContentBlock::Image(image) => match image.source {
            ImageSource::Base64(bytes) => Some(ContentBlock::image(bytes.data, bytes.media_type)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_picture_of_ours_is_one_of_the_protocol() {
        let block =
            |source: Value| serde_json::from_value(json!({"type": "image", "source": source}));
        let ours = json!({"type": "base64", "media_type": "image/png", "data": "aGk="});
        let shown = shown_picture(block(ours).unwrap()).unwrap();
        let expected = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        assert_eq!(serde_json::to_value(shown).unwrap(), expected);
        // What lies elsewhere is not shown.
        let elsewhere = json!({"type": "url", "url": "https://x.example/a.png"});
        assert!(shown_picture(block(elsewhere).unwrap()).is_none());
    }
}
