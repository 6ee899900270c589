//! A model provider that refuses every request and says which key it came with.

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
                let (mut length, mut key) = (0, String::new());
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim().split_once(':') else {
                        if line.trim().is_empty() {
                            break;
                        }
                        continue;
                    };
                    match name.to_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "x-api-key" | "authorization" => value.trim().clone_into(&mut key),
                        _ => {}
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                // Whoever asks only to see whether somebody is there sends no JSON.
                let asked = serde_json::from_slice(&body).unwrap_or_default();
                let says = format!("there is no account of the key {key} here");
                let refusal = format!(
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{says}",
                    says.len()
                );
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
