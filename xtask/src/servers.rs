//! Servers for tests: started on loopback with a password of their own, in a temporary folder that
//! goes away with them.
//!
//! Each server hangs on a small guard process, which holds the other end of a pipe and ends its
//! server, by pid, once that pipe closes. So a server lives exactly as long as the process that
//! started it, however that process ends.

pub mod mail;
pub mod openid;
pub mod postgres;
pub mod redis;

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{host, process};

/// How long a server may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a start is tried again after the server ended at once: its port was free when it was
/// chosen, but another process may have been quicker.
const START_TRIES: u32 = 3;

/// Arguments: signal, folder, server and its arguments. Standard input is the pipe to the owner.
const GUARD: &str = r#"
signal=$1 folder=$2; shift 2
exec 3<&0
"$@" </dev/null >"$folder/server.log" 2>&1 3<&- &
server=$!
( read -r _ <&3; kill -s "$signal" "$server" ) 2>/dev/null &
watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
tail -n 20 "$folder/server.log" >&2
cd / && rm -rf -- "$folder"
"#;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    url: String,
    guard: Child,
}

impl Server {
    /// Where clients connect, with user and password.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.guard);
    }
}

/// One attempt at a server: its own folder, port and password.
struct Plan {
    folder: PathBuf,
    port: u16,
    password: String,
}

impl Plan {
    fn new(name: &str) -> Result<Self> {
        let folder = host::temporary_folder().join(format!("omoios-{name}-{}", random_hex()?));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        if host::is_root() {
            chown(&folder, Some(host::NOBODY), Some(host::NOBODY))
                .with_context(|| format!("could not hand {} over", folder.display()))?;
        }
        Ok(Self {
            folder,
            port: free_port()?,
            password: random_hex()?,
        })
    }

    /// Writes a file that the server can read and other users cannot reach.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file in a folder that is thrown away"
    )]
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
        Ok(file)
    }

    /// A command in the folder, under the user that runs servers.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = process::command(program);
        command.current_dir(&self.folder);
        if host::is_root() {
            command.uid(host::NOBODY).gid(host::NOBODY);
        }
        command
    }

    /// Starts `server` under a guard that ends it with `signal`, and waits until `answers`.
    ///
    /// `Ok(None)` means that the server ended by itself before it answered.
    fn start(
        self,
        signal: &str,
        server: &[&str],
        url: String,
        mut answers: impl FnMut(&Self) -> bool,
    ) -> Result<Started> {
        let mut guard = self
            .command("sh")
            .args(["-c", GUARD, "guard", signal])
            .arg(&self.folder)
            .args(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for the owner; the guard hears of it when the pipe closes.
            .process_group(0)
            .spawn()
            .context("could not start `sh`")?;
        let began = Instant::now();
        loop {
            if answers(&self) {
                return Ok(Started::Answers(Server { url, guard }));
            }
            if guard.try_wait()?.is_some() {
                return Ok(Started::Ended(said(&mut guard)));
            }
            if began.elapsed() > START_TIMEOUT {
                end(&mut guard);
                bail!(
                    "no answer within {} s\n{}",
                    START_TIMEOUT.as_secs(),
                    said(&mut guard)
                );
            }
            pause();
        }
    }
}

enum Started {
    Answers(Server),
    Ended(String),
}

/// Tries `start` until a server answers or the tries are used up.
fn start_with_retries(name: &str, start: impl Fn(Plan) -> Result<Started>) -> Result<Server> {
    let mut last = String::new();
    for _ in 0..START_TRIES {
        match start(Plan::new(name)?)? {
            Started::Answers(server) => return Ok(server),
            Started::Ended(said) => last = said,
        }
    }
    bail!("ended at once {START_TRIES} times\n{last}")
}

/// Closes the pipe to the guard and waits until the server is gone.
fn end(guard: &mut Child) {
    drop(guard.stdin.take());
    // Nothing to do about a failed wait: the guard goes on alone and the server still ends.
    let _ = guard.wait();
}

fn said(guard: &mut Child) -> String {
    let mut said = String::new();
    if let Some(mut stream) = guard.stderr.take() {
        let _ = stream.read_to_string(&mut said);
    }
    said
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("could not find a free port")?;
    Ok(listener.local_addr()?.port())
}

fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("could not read random bytes")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server's start can only be polled"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use std::path::Path;

    use super::*;

    fn sleeper(server: &[&str]) -> Result<(PathBuf, Started)> {
        let plan = Plan::new("sleeper")?;
        let folder = plan.folder.clone();
        Ok((
            folder,
            plan.start("TERM", server, String::new(), |plan| {
                plan.folder.join("up").exists()
            })?,
        ))
    }

    #[test]
    fn a_dropped_server_ends_and_takes_its_folder_along() {
        let (folder, started) =
            sleeper(&["sh", "-c", "echo $$ >pid; >up; exec sleep 600"]).unwrap();
        let Started::Answers(server) = started else {
            panic!("the server ended by itself")
        };
        let pid = fs::read_to_string(folder.join("pid")).unwrap();
        let process = Path::new("/proc").join(pid.trim());
        assert!(process.exists());
        drop(server);
        assert!(!process.exists() && !folder.exists());
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let (folder, started) = sleeper(&["sh", "-c", "echo port taken; exit 1"]).unwrap();
        let Started::Ended(said) = started else {
            panic!("the server should have ended")
        };
        assert_eq!(said, "port taken\n");
        assert!(!folder.exists());
    }
}
