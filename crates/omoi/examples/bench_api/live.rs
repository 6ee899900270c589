//! How long after a commit people hear of it, over sockets: twenty of them, also by Redis, and a thousand.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use omoi_testkit::redis;
use serde_json::json;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::load::{KeptLine, LoadFigures};
use crate::platform::{BenchedServer, ServeOptions};
use crate::{Fallible, Figure};

const FEW: usize = 20;
const MANY: usize = 1_000;
/// Commits that are timed.
const COMMITS: usize = 500;
/// Between two commits: fifty a second.
const BETWEEN: Duration = Duration::from_millis(20);

/// The times from a commit to its frames, with the process that commits, with another one by Redis, and at many sockets.
pub(crate) async fn measure_live(program: &Path) -> Fallible<Vec<Figure>> {
    let own = BenchedServer::start(program, "postgres").await?;
    let few = time_frames(&own, &own, FEW).await?;
    let many = time_frames(&own, &own, MANY).await?;
    drop(own);
    let prefix = redis::key_prefix();
    let shared = ServeOptions {
        redis: Some((redis::url().to_owned(), prefix)),
    };
    let [writer, reader] = BenchedServer::start_pair(program, &shared).await?;
    let by_redis = time_frames(&writer, &reader, FEW).await?;
    Ok(vec![
        ("frame_p50_ms".to_owned(), few.p50_ms),
        ("frame_redis_p50_ms".to_owned(), by_redis.p50_ms),
        ("frame_many_p99_ms".to_owned(), many.p99_ms),
    ])
}

/// Comments at `writer` while `n_sockets` listen at `reader`; from the answer to the writer, which follows the commit,
/// to each frame. A frame that comes before the answer took no time.
async fn time_frames(
    writer: &BenchedServer,
    reader: &BenchedServer,
    n_sockets: usize,
) -> Fallible<LoadFigures> {
    let project = writer
        .post_json("/projects", &json!({ "name": format!("live {n_sockets}") }))
        .await?;
    let project = project["id"].as_str().ok_or("no project")?;
    let path = format!("/tickets?project_id={project}");
    let ticket = writer
        .post_json(&path, &json!({ "title": "What is commented on" }))
        .await?;
    let ticket = ticket["id"].as_str().ok_or("no ticket")?;

    let ready = Arc::new(Barrier::new(n_sockets + 1));
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let mut sockets = JoinSet::new();
    for _ in 0..n_sockets {
        let listener = FrameListener::open(reader, project).await?;
        let (ready, told) = (Arc::clone(&ready), told.clone());
        sockets.spawn(async move {
            ready.wait().await;
            listener.listen(&told).await;
        });
    }
    ready.wait().await;
    let mut line = KeptLine::open(&writer.address).await?;
    let comment = json!({ "content": "One of many." });
    let request = writer.post_request(&format!("/tickets/{ticket}/comments"), &comment);
    let mut answered = Vec::with_capacity(COMMITS);
    let mut ticks = tokio::time::interval(BETWEEN);
    for _ in 0..COMMITS {
        ticks.tick().await;
        let status = line.ask_once(request.as_bytes()).await?;
        if !(200..300).contains(&status) {
            return Err(format!("a comment is answered {status}").into());
        }
        answered.push(Instant::now());
    }
    let began = Instant::now();
    let mut times = Vec::with_capacity(COMMITS * n_sockets);
    while times.len() < COMMITS * n_sockets {
        let (nth, arrived): (usize, Instant) = arrivals.recv().await.ok_or("nobody listens")?;
        times.push(arrived.saturating_duration_since(answered[nth]));
    }
    sockets.abort_all();
    LoadFigures::of_times(times, began.elapsed())
}

type FrameSocket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// One who listens to comments of a project.
struct FrameListener(FrameSocket);

impl FrameListener {
    async fn open(server: &BenchedServer, project: &str) -> Fallible<Self> {
        let url = format!(
            "ws://{}/api/v1/ws/events?event_types=comment.created&project_ids={project}",
            server.address
        );
        let mut request = url.into_client_request()?;
        let offered = format!("omoios.v1, bearer.{}", server.token);
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offered.parse()?);
        let (mut socket, _) = connect_async(request).await?;
        while let Some(message) = socket.next().await {
            match message? {
                Message::Text(text) if text.contains("\"type\":\"welcome\"") => {
                    return Ok(Self(socket));
                }
                _ => {}
            }
        }
        Err("a socket was closed before it said welcome".into())
    }

    /// Tells the number of each comment and when its frame came.
    async fn listen(mut self, told: &mpsc::UnboundedSender<(usize, Instant)>) {
        let mut nth = 0;
        while let Some(Ok(message)) = self.0.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            if text.contains("\"comment.created\"") {
                if told.send((nth, Instant::now())).is_err() {
                    return;
                }
                nth += 1;
            }
        }
    }
}
