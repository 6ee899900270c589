//! Somebody who watches the tickets of an organisation over a socket.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures::StreamExt as _;
use omoi_protocol::live::EventFrame;
use tokio::sync::oneshot;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::deployment::{LOOK, LOOKS_MAX};

/// What is told over a socket, for as long as this value lives.
pub(crate) struct BoardWatch {
    frames: Arc<Mutex<Vec<EventFrame>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BoardWatch {
    /// Watches tickets at the server at `port`, once it has said welcome.
    pub(crate) fn begin(port: &str, token: &str) -> Self {
        let url = format!("ws://127.0.0.1:{port}/api/v1/ws/events?event_types=ticket.*");
        let offered = format!("omoios.v1, bearer.{token}");
        let frames = Arc::<Mutex<Vec<EventFrame>>>::default();
        let (end, ended) = oneshot::channel();
        let (welcome, welcomed) = std::sync::mpsc::channel();
        let told = Arc::clone(&frames);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let mut request = url.into_client_request().unwrap();
                let headers = request.headers_mut();
                headers.insert("sec-websocket-protocol", offered.parse().unwrap());
                let (mut socket, _) = connect_async(request).await.unwrap();
                let read = async {
                    while let Some(Ok(message)) = socket.next().await {
                        let Message::Text(text) = message else {
                            continue;
                        };
                        if text.contains("\"type\":\"welcome\"") {
                            welcome.send(()).unwrap();
                        }
                        if let Ok(frame) = serde_json::from_str(&text) {
                            told.lock().unwrap().push(frame);
                        }
                    }
                };
                // Both may be dropped at any point.
                tokio::select! { () = read => {}, _ = ended => {} }
            });
        });
        welcomed.recv().unwrap();
        Self {
            frames,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// The statuses that a ticket came to so far, in order.
    pub(crate) fn statuses_of(&self, ticket: &str) -> Vec<String> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let own = frames.iter().filter(|frame| {
            frame.event_type == "ticket.status_changed" && frame.entity_id.to_string() == ticket
        });
        own.map(|frame| frame.payload["to"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits until a ticket came to `status`; gives all that it came to.
    pub(crate) fn until_status(&self, ticket: &str, status: &str) -> Vec<String> {
        for _ in 0..LOOKS_MAX {
            let seen = self.statuses_of(ticket);
            if seen.iter().any(|one| one == status) {
                return seen;
            }
            std::thread::sleep(LOOK);
        }
        panic!(
            "{ticket} was not seen at {status}: {:?}",
            self.statuses_of(ticket)
        );
    }

    /// Events that were told so far.
    pub(crate) fn count(&self) -> usize {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.len()
    }
}

impl Drop for BoardWatch {
    fn drop(&mut self) {
        // Nobody is there any more where the server closed the line.
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
