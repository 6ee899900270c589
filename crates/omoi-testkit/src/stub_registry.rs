//! An HTTP server of one test that plays an npm registry or a package index: fills, cuts, redirects.

#![expect(clippy::unwrap_used, reason = "a test fails where its server does")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the stub answers for one path.
#[derive(Clone)]
pub struct StubAnswer {
    /// HTTP status.
    pub status: u16,
    /// Where a redirect leads to.
    pub location: Option<String>,
    /// Bytes that are sent.
    pub body: Vec<u8>,
    /// Bytes that are promised and never sent.
    pub missing: usize,
}

impl StubAnswer {
    /// A file.
    pub fn with_body(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            location: None,
            body: body.into(),
            missing: 0,
        }
    }

    /// An answer without a body.
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            ..Self::with_body("")
        }
    }

    /// Leads elsewhere.
    pub fn redirect_to(location: &str) -> Self {
        Self {
            location: Some(location.to_owned()),
            ..Self::of_status(302)
        }
    }
}

/// Answers per path; the last of several stays.
type Answers = HashMap<String, Vec<StubAnswer>>;

/// A server that lives as long as the test's process.
pub struct StubRegistry {
    address: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StubRegistry {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked) = (Arc::<Mutex<Answers>>::default(), Arc::default());
        let stub = Self {
            address,
            answers: Arc::clone(&answers),
            asked: Arc::clone(&asked),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &answers, &asked);
            }
        });
        stub
    }

    /// Answers `path` with these, one after the other; the last stays.
    ///
    /// # Panics
    /// Not while the server runs.
    pub fn set_answers(&self, path: &str, answers: impl IntoIterator<Item = StubAnswer>) {
        let answers = answers.into_iter().collect();
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), answers);
    }

    /// Paths that were asked for.
    ///
    /// # Panics
    /// Not while the server runs.
    pub fn asked_paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Where it listens.
    pub fn base_url(&self) -> &str {
        &self.address
    }
}

fn answer(stream: &TcpStream, answers: &Mutex<Answers>, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let answer = {
        let mut answers = answers.lock().unwrap();
        match answers.get_mut(&path) {
            Some(left) if left.len() > 1 => left.remove(0),
            Some(left) => left[0].clone(),
            None => StubAnswer::of_status(404),
        }
    };
    asked.lock().unwrap().push(path);
    let location = answer.location.map(|to| format!("location: {to}\r\n"));
    let head = format!(
        "HTTP/1.1 {} Stub\r\ncontent-length: {}\r\n{}connection: close\r\n\r\n",
        answer.status,
        answer.body.len() + answer.missing,
        location.unwrap_or_default()
    );
    let mut stream = stream;
    // A client may have gone away.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&answer.body);
}
