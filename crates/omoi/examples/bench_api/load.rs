//! Requests over connections that are kept, as fast as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{CONNECTIONS, Fallible, LOAD};

/// Before figures are taken.
const WARM_UP: Duration = Duration::from_secs(1);
/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What to ask, and over how many connections.
#[derive(Clone)]
pub(crate) struct LoadPlan {
    address: String,
    request: Arc<dyn Fn(u64) -> String + Send + Sync>,
    connections: usize,
    status: u16,
}

impl LoadPlan {
    /// Asks the server at `address` for what `request` says of the number of each.
    pub(crate) fn new(
        address: &str,
        request: impl Fn(u64) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            address: address.to_owned(),
            request: Arc::new(request),
            connections: CONNECTIONS,
            status: 200,
        }
    }

    /// Over one connection: each answer is awaited.
    pub(crate) fn over_one_line(self) -> Self {
        self.with_connections(1)
    }

    pub(crate) fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Answers have this status in place of 200.
    pub(crate) fn expecting_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// What came of a load.
pub(crate) struct LoadFigures {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl LoadFigures {
    /// Of answers that took `times`, within `took`.
    pub(crate) fn of_times(mut times: Vec<Duration>, took: Duration) -> Fallible<Self> {
        if times.is_empty() {
            return Err("nothing was answered".into());
        }
        times.sort_unstable();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times[index.min(times.len() - 1)].as_secs_f64() * 1e3
        };
        Ok(Self {
            per_second: times.len() as f64 / took.as_secs_f64(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
        })
    }
}

/// Asks for [`LOAD`], after a while that is not counted.
pub(crate) async fn put_load(plan: &LoadPlan) -> Fallible<LoadFigures> {
    let counter = Arc::new(AtomicU64::new(1));
    let begins = Instant::now() + WARM_UP;
    let ends = begins + LOAD;
    let mut asking = JoinSet::new();
    for _ in 0..plan.connections {
        let (plan, counter) = (plan.clone(), Arc::clone(&counter));
        asking.spawn(async move {
            let mut line = KeptLine::open(&plan.address).await?;
            let mut times = Vec::new();
            loop {
                let request = (plan.request)(counter.fetch_add(1, Ordering::Relaxed));
                let asked = Instant::now();
                if asked >= ends {
                    return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times);
                }
                let status = line.ask_once(request.as_bytes()).await?;
                if status != plan.status {
                    let answer = String::from_utf8_lossy(&line.body).into_owned();
                    return Err(format!("{request}\nis answered {status}: {answer}").into());
                }
                if asked >= begins {
                    times.push(asked.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    while let Some(asked) = asking.join_next().await {
        times.extend(asked??);
    }
    LoadFigures::of_times(times, LOAD)
}

/// A connection that is kept, and the last answer that came over it.
pub(crate) struct KeptLine {
    stream: TcpStream,
    read: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl KeptLine {
    pub(crate) async fn open(address: &str) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(64 << 10),
            body: Vec::new(),
        })
    }

    /// Sends a request and reads its answer; gives the status.
    pub(crate) async fn ask_once(&mut self, request: &[u8]) -> Fallible<u16> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
            if self.read.len() > HEAD_BYTES_MAX && find(&self.read, b"\r\n\r\n").is_none() {
                return Err("the head of an answer has no end".into());
            }
        };
        let text = std::str::from_utf8(&self.read[..head])?.to_ascii_lowercase();
        let status = text.get(9..12).ok_or("no status")?.parse()?;
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        while self.read.len() < head + length {
            self.read_more().await?;
        }
        self.body.clear();
        self.body.extend_from_slice(&self.read[head..head + length]);
        Ok(status)
    }

    async fn read_more(&mut self) -> Fallible<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}
