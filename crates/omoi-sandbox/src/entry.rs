//! The last step into a sandbox, made by the process that becomes the program: walls that nobody can put
//! up from outside.
//!
//! Bubblewrap mounts, which a process under Landlock cannot, so the rules come after it. The platform
//! therefore has it run this program's own file with the orders in a descriptor, and that file runs
//! what was asked for.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};

use crate::child;
use crate::follower;
use crate::landlock::{self, LandlockRules};
use crate::seccomp::{self, FilterScope};

/// More than orders ever take.
const ORDERS_BYTES_MAX: u64 = 1 << 20;
/// Comes first where the program is to be followed by a process of its own.
const FOLLOW: &str = "follow";
/// As of a shell whose program could not be run.
pub(crate) const NOT_RUN: u8 = 126;

/// How a process comes to [`run_entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProgram {
    /// The program's file on the host.
    pub program: PathBuf,
    /// Its first arguments, before those that [`run_entry`] reads.
    pub args: Vec<OsString>,
}

/// What the entry step does, read from a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryOrders {
    /// None where the kernel has no Landlock that helps.
    pub(crate) landlock: Option<LandlockRules>,
    /// The filter to install; none where bubblewrap did.
    pub(crate) filter: Option<FilterScope>,
    /// The whole environment, where something else may have added to it.
    pub(crate) env: Option<Vec<(String, String)>>,
    /// What to be in a user space of its own; none where the process is an ordinary user within its limits already.
    pub(crate) own_user: Option<OwnUser>,
}

/// An ordinary user, and the limits of each of its processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnUser {
    pub(crate) id: u32,
    pub(crate) file_bytes_max: u64,
    pub(crate) open_files_max: u64,
    pub(crate) processes_max: u64,
    pub(crate) data_bytes_max: u64,
}

impl OwnUser {
    /// Becomes this user for good.
    fn become_user(&self) -> io::Result<()> {
        child::enter_own_user(self.id)?;
        for (resource, wanted) in [
            // As everywhere: nothing fits in one byte, and zero has a crash handler started.
            (Resource::Core, 1),
            (Resource::Fsize, self.file_bytes_max),
            (Resource::Nofile, self.open_files_max),
            (Resource::Nproc, self.processes_max),
            (Resource::Data, self.data_bytes_max),
        ] {
            let hard = rustix::process::getrlimit(resource).maximum;
            let limit = Some(wanted.min(hard.unwrap_or(u64::MAX)));
            let limit = Rlimit {
                current: limit,
                maximum: limit,
            };
            rustix::process::setrlimit(resource, limit)?;
        }
        Ok(())
    }
}

impl EntryProgram {
    /// The words that make `shown`, the program's place inside, run `argv` under the orders in `orders`.
    pub(crate) fn entry_words(
        &self,
        shown: OsString,
        orders: RawFd,
        report: RawFd,
        argv: &[OsString],
    ) -> Vec<OsString> {
        let mut words = vec![shown];
        words.extend(self.args.iter().cloned());
        words.extend([orders.to_string().into(), report.to_string().into()]);
        words.extend(argv.iter().cloned());
        words
    }

    /// The same with a process of its own between the platform and the program, which follows that to its end.
    pub(crate) fn followed_words(
        &self,
        shown: OsString,
        orders: RawFd,
        report: RawFd,
        argv: &[OsString],
    ) -> Vec<OsString> {
        let mut words = self.entry_words(shown, orders, report, argv);
        words.insert(1 + self.args.len(), FOLLOW.into());
        words
    }
}

/// Does what the orders say and becomes the program: `words` are where the orders are and where the report
/// goes, each the number of a descriptor or the path of a file, the program, and its arguments. After one word more it
/// follows the program instead of becoming it.
///
/// Returns only when that failed; the platform has been told why.
pub fn run_entry(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let is_followed = words.first().is_some_and(|word| word == FOLLOW);
    if is_followed {
        words.remove(0);
    }
    let mut given = words.iter().cloned();
    let (Some(orders), Some(report)) = (given.next(), given.next()) else {
        eprintln!("error: this is called by the platform, inside a sandbox");
        return ExitCode::from(NOT_RUN);
    };
    let reading = File::options().read(true).clone();
    let writing = File::options().append(true).clone();
    let failed = match (open_place(&orders, &reading), open_place(&report, &writing)) {
        (Ok(orders), Ok(report)) if is_followed => {
            return follower::follow_program(&words, orders, report);
        }
        (Ok(orders), Ok(report)) => (become_program(orders, given), Some(report)),
        (Err(error), _) | (_, Err(error)) => (format!("no descriptor: {error}"), None),
    };
    if let (message, Some(report)) = failed {
        let _ = File::from(report).write_all(message.as_bytes());
    }
    ExitCode::from(NOT_RUN)
}

/// The descriptor with that number, or the file at that path.
fn open_place(place: &OsStr, options: &OpenOptions) -> io::Result<OwnedFd> {
    match place.to_str().and_then(|text| text.parse::<RawFd>().ok()) {
        Some(number) => child::inherited_fd(number),
        None => options.open(place).map(OwnedFd::from),
    }
}

/// Returns why the program could not be run.
#[expect(
    clippy::disallowed_methods,
    reason = "the process becomes the program; nothing is started beside it"
)]
fn become_program(orders: OwnedFd, mut argv: impl Iterator<Item = OsString>) -> String {
    let Some(program) = argv.next() else {
        return "no program was given".into();
    };
    match put_walls_up(orders) {
        Ok(env) => {
            let mut command = std::process::Command::new(&program);
            if let Some(env) = env {
                command.env_clear().envs(env);
            }
            let error = command.args(argv).exec();
            format!("could not run `{}`: {error}", program.display())
        }
        Err(message) => message,
    }
}

/// Returns the environment to use, where the orders name one.
fn put_walls_up(orders: OwnedFd) -> Result<Option<Vec<(String, String)>>, String> {
    let mut text = String::new();
    File::from(orders)
        .take(ORDERS_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("could not read the orders: {error}"))?;
    let orders: EntryOrders =
        serde_json::from_str(&text).map_err(|error| format!("the orders are broken: {error}"))?;
    child::close_from_three().map_err(|error| format!("could not close descriptors: {error}"))?;
    if let Some(user) = &orders.own_user {
        user.become_user()
            .map_err(|error| format!("could not become an ordinary user: {error}"))?;
    }
    if let Some(rules) = &orders.landlock {
        landlock::restrict_self(rules)?;
    }
    let Some(scope) = orders.filter else {
        return Ok(orders.env);
    };
    let filter = seccomp::filter_program(scope)
        .map_err(|error| format!("could not build the system-call filter: {error}"))?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("could not install the system-call filter: {error}"))?;
    Ok(orders.env)
}
