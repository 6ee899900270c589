//! A model provider that hears one request and answers none.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// No program takes this long to ask.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Listener {
    /// Where it listens.
    pub(crate) url: String,
    heard: Receiver<Value>,
}

impl Listener {
    pub(crate) fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let (tell, heard) = channel();
        thread::spawn(move || {
            for stream in socket.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim().to_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                // Whoever asks only to see whether somebody is there sends no JSON.
                let asked = serde_json::from_slice(&body).unwrap_or_default();
                let refusal =
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                // The program may be gone already.
                let _ = reader.get_mut().write_all(refusal.as_bytes());
                if tell.send(asked).is_err() {
                    return;
                }
            }
        });
        Self { url, heard }
    }

    /// The next request with messages.
    pub(crate) fn asked(&self) -> Value {
        loop {
            let heard = self.heard.recv_timeout(PATIENCE).unwrap();
            if heard["messages"].is_array() {
                return heard;
            }
        }
    }
}
