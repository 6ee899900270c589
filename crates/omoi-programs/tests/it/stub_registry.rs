//! An npm registry and package index of one test.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use omoi_programs::integrity::FileIntegrity;
use omoi_programs::registry::PackageRegistry;
use sha2::{Digest as _, Sha512};

/// What the stub answers for one path.
#[derive(Clone)]
pub(crate) struct StubAnswer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Bytes that are promised and never sent.
    pub(crate) missing: usize,
}

impl StubAnswer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            location: None,
            body: body.into(),
            missing: 0,
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("")
        }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self {
            location: Some(location.to_owned()),
            ..Self::status(302)
        }
    }
}

/// Answers per path; the last of several stays.
type Answers = HashMap<String, Vec<StubAnswer>>;

/// A server that lives as long as the test's process.
pub(crate) struct StubRegistry {
    address: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StubRegistry {
    pub(crate) fn start() -> Self {
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

    /// Answers `path` with these, one after the other.
    pub(crate) fn set(&self, path: &str, answers: impl IntoIterator<Item = StubAnswer>) {
        let answers = answers.into_iter().collect();
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), answers);
    }

    /// Paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// A client of it.
    pub(crate) fn client(&self) -> PackageRegistry {
        client_of(&self.address)
    }
}

/// A client of the registry and the index at `address`.
pub(crate) fn client_of(address: &str) -> PackageRegistry {
    let address = address.to_owned();
    let variable = move |name: &str| match name {
        "npm_config_registry" => Some(address.clone()),
        "PIP_INDEX_URL" => Some(format!("{address}/simple")),
        _ => None,
    };
    PackageRegistry::from_environment(variable).unwrap()
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
            None => StubAnswer::status(404),
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

/// An archive of npm with these files.
pub(crate) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder
            .append_data(&mut header, format!("package/{name}"), text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// The digest of `bytes` as npm writes it.
pub(crate) fn integrity_of(bytes: &[u8]) -> FileIntegrity {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(bytes));
    FileIntegrity::try_from(format!("sha512-{digest}")).unwrap()
}
