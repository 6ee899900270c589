//! Threads that hash passwords: no more than there are cores, behind everything else.
//!
//! A hash takes a core for tens of milliseconds. On the threads that serve requests it would keep lists waiting;
//! here a request waits for its turn, and is refused where too many wait already.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use omoi_runtime::rng::Rng;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use crate::password_hash::{HashMemory, PasswordCheck, SALT_BYTES};

/// Passwords that wait for a thread.
pub const WAITING_MAX: usize = 64;
/// How far the threads stand back behind others of the process.
const NICENESS: i32 = 10;

/// Hashes passwords. Cheap to clone; the threads start with the first password and end with the last clone.
#[derive(Clone)]
pub struct PasswordPool {
    inner: Arc<PoolInner>,
}

struct PoolInner {
    rng: Rng,
    n_threads: usize,
    threads: OnceLock<PoolThreads>,
}

struct PoolThreads {
    jobs: Option<SyncSender<HashJob>>,
    handles: Vec<JoinHandle<()>>,
}

/// What a password turned out to be.
#[derive(Debug)]
pub enum PasswordVerdict {
    /// The account's.
    Correct {
        /// A stronger hash to store, where the stored one was weak.
        rehashed: Option<String>,
    },
    /// Not the account's, or there is no account.
    Wrong,
}

/// Why a password was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Too many wait.
    #[error("{WAITING_MAX} passwords wait already")]
    Full,
    /// A thread could not be started.
    #[error("could not start a thread that hashes passwords")]
    NoThread(#[source] io::Error),
    /// The hash failed, or its thread is gone.
    #[error("could not hash a password")]
    Failed,
}

struct HashJob {
    password: SecretString,
    work: HashWork,
    answer: oneshot::Sender<Option<HashAnswer>>,
}

enum HashWork {
    /// Makes a hash.
    Hash,
    /// Compares with a stored hash; without one, takes as long.
    Verify(Option<String>),
}

enum HashAnswer {
    Hash(String),
    Verdict(PasswordVerdict),
}

impl PasswordPool {
    /// A pool as wide as the machine has cores.
    pub fn new(rng: Rng) -> Self {
        let n_threads = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(rng, n_threads)
    }

    /// A pool of `n_threads`; without one it hashes nothing.
    pub fn with_threads(rng: Rng, n_threads: usize) -> Self {
        let threads = OnceLock::new();
        Self {
            inner: Arc::new(PoolInner {
                rng,
                n_threads,
                threads,
            }),
        }
    }

    /// The hash to store for a new password.
    ///
    /// # Errors
    /// [`PoolError::Full`] where too many wait.
    pub async fn hash_password(&self, password: SecretString) -> Result<String, PoolError> {
        match self.run(password, HashWork::Hash).await? {
            HashAnswer::Hash(hash) => Ok(hash),
            HashAnswer::Verdict(_) => Err(PoolError::Failed),
        }
    }

    /// Compares a password with the hash of an account; `None`, where there is no account, takes as long.
    ///
    /// # Errors
    /// [`PoolError::Full`] where too many wait.
    pub async fn verify_password(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<PasswordVerdict, PoolError> {
        match self.run(password, HashWork::Verify(stored)).await? {
            HashAnswer::Verdict(verdict) => Ok(verdict),
            HashAnswer::Hash(_) => Err(PoolError::Failed),
        }
    }

    async fn run(&self, password: SecretString, work: HashWork) -> Result<HashAnswer, PoolError> {
        let (answer, answered) = oneshot::channel();
        let job = HashJob {
            password,
            work,
            answer,
        };
        let jobs = self
            .inner
            .started()?
            .jobs
            .as_ref()
            .ok_or(PoolError::Failed)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => PoolError::Full,
            TrySendError::Disconnected(_) => PoolError::Failed,
        })?;
        answered.await.ok().flatten().ok_or(PoolError::Failed)
    }
}

impl PoolInner {
    fn started(&self) -> Result<&PoolThreads, PoolError> {
        if let Some(threads) = self.threads.get() {
            return Ok(threads);
        }
        // Where two come first at once, the threads of one of them end unused.
        let threads = PoolThreads::start(&self.rng, self.n_threads).map_err(PoolError::NoThread)?;
        Ok(self.threads.get_or_init(|| threads))
    }
}

impl PoolThreads {
    fn start(rng: &Rng, n_threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut handles = Vec::new();
        for _ in 0..n_threads {
            let (waiting, rng) = (Arc::clone(&waiting), rng.clone());
            let thread = thread::Builder::new().name("password hash".to_owned());
            handles.push(thread.spawn(move || serve_jobs(&waiting, &rng))?);
        }
        debug!(n_threads, "Started the threads that hash passwords");
        Ok(Self {
            jobs: Some(jobs),
            handles,
        })
    }
}

impl Drop for PoolThreads {
    fn drop(&mut self) {
        // Nobody sends any more, so that each thread ends after the hash it is at.
        self.jobs = None;
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                warn!("A thread that hashes passwords had panicked");
            }
        }
    }
}

fn serve_jobs(waiting: &Mutex<Receiver<HashJob>>, rng: &Rng) {
    // Of this thread alone: Linux counts niceness by thread.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        debug!(%error, "A thread that hashes passwords keeps its priority");
    }
    let mut memory = HashMemory::new();
    loop {
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else { return };
        // Whoever asked has gone; nothing tells the time that this would have taken.
        if job.answer.is_closed() {
            continue;
        }
        let answer = answer_job(&mut memory, rng, job.password.expose_secret(), job.work);
        let _ = job.answer.send(answer);
    }
}

fn answer_job(
    memory: &mut HashMemory,
    rng: &Rng,
    password: &str,
    work: HashWork,
) -> Option<HashAnswer> {
    let hash_anew = |memory: &mut HashMemory| {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let hashed = memory.hash_password(password, salt);
        hashed
            .inspect_err(|error| warn!(%error, "A password could not be hashed"))
            .ok()
    };
    Some(match work {
        HashWork::Hash => HashAnswer::Hash(hash_anew(memory)?),
        HashWork::Verify(None) => {
            hash_anew(memory)?;
            HashAnswer::Verdict(PasswordVerdict::Wrong)
        }
        HashWork::Verify(Some(stored)) => {
            HashAnswer::Verdict(match memory.check_password(password, &stored) {
                PasswordCheck::Current => PasswordVerdict::Correct { rehashed: None },
                PasswordCheck::Outdated => PasswordVerdict::Correct {
                    rehashed: hash_anew(memory),
                },
                PasswordCheck::Wrong => PasswordVerdict::Wrong,
            })
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[tokio::test]
    async fn a_pool_hashes_and_verifies_and_refuses_what_it_cannot_hold() {
        let pool = PasswordPool::with_threads(Rng::seeded(1), 1);
        let hash = pool.hash_password("Opal-Harbour-7".into()).await.unwrap();
        let verify = |password: &str, stored: Option<&str>| {
            pool.verify_password(password.into(), stored.map(str::to_owned))
        };
        let verdict = verify("Opal-Harbour-7", Some(&hash)).await.unwrap();
        assert!(matches!(
            verdict,
            PasswordVerdict::Correct { rehashed: None }
        ));
        let verdict = verify("Opal-Harbour-8", Some(&hash)).await.unwrap();
        assert!(matches!(verdict, PasswordVerdict::Wrong));
        let verdict = verify("Opal-Harbour-7", None).await.unwrap();
        assert!(matches!(verdict, PasswordVerdict::Wrong));
        // One is at work at most, so of so many at once some find no place.
        let many = (0..WAITING_MAX + 2).map(|_| {
            let mut asked = Box::pin(pool.hash_password("x".into()));
            let waker = std::task::Waker::noop();
            let polled = asked
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
            (polled, asked)
        });
        let many: Vec<_> = many.collect();
        let is_full = |polled: &std::task::Poll<Result<String, PoolError>>| {
            matches!(polled, std::task::Poll::Ready(Err(PoolError::Full)))
        };
        assert!(many.iter().any(|(polled, _)| is_full(polled)));
    }

    /// What a known and an unknown mail address cost is the same by what is done, whatever the machine makes of it.
    #[test]
    fn no_account_costs_the_one_hash_that_an_account_costs() {
        let (mut memory, rng) = (HashMemory::new(), Rng::seeded(1));
        let mut cost_of = |password: &str, work: HashWork| {
            memory.made.clear();
            let answer = answer_job(&mut memory, &rng, password, work);
            (answer, memory.made.clone())
        };
        let (made, new) = cost_of("Opal-Harbour-7", HashWork::Hash);
        let hash_in = |answer: HashAnswer| match answer {
            HashAnswer::Hash(hash) => Some(hash),
            HashAnswer::Verdict(_) => None,
        };
        let stored = made.and_then(hash_in).unwrap();
        let (wrong, known) = cost_of("Opal-Harbour-8", HashWork::Verify(Some(stored.clone())));
        let (none, unknown) = cost_of("Opal-Harbour-8", HashWork::Verify(None));
        for answer in [wrong, none] {
            assert!(matches!(
                answer,
                Some(HashAnswer::Verdict(PasswordVerdict::Wrong))
            ));
        }
        assert_eq!(known.len(), 1);
        assert_eq!((&unknown, &new), (&known, &known));
        // The right one costs no more.
        let (_, right) = cost_of("Opal-Harbour-7", HashWork::Verify(Some(stored)));
        assert_eq!(right, known);
    }
}
