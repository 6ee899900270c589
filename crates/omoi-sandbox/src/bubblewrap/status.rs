//! What bubblewrap reports about itself on its status descriptor, and the entry step on its own.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// More than the few lines bubblewrap ever writes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The reading end of `--json-status-fd`, or of the entry step's report.
#[derive(Debug)]
pub(crate) struct StatusPipe {
    pipe: Receiver,
    text: Vec<u8>,
}

impl StatusPipe {
    /// Reads from `end` within the current runtime.
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pipe: Receiver::from_owned_fd(end)?,
            text: Vec::new(),
        })
    }

    /// The host's number for the first process inside; `None` when bubblewrap ended without one.
    pub(crate) async fn child_pid(&mut self) -> Option<Pid> {
        loop {
            if let Some(pid) = number_after(&self.text, "\"child-pid\":") {
                return Pid::from_raw(pid);
            }
            self.read_more().await?;
        }
    }

    /// The program's exit code, reported only when it was started and ended by itself.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        while self.read_more().await.is_some() {}
        number_after(&self.text, "\"exit-code\":")
    }

    /// Everything that was written, once nobody can write any more.
    pub(crate) async fn whole_text(&mut self) -> String {
        while self.read_more().await.is_some() {}
        String::from_utf8_lossy(&self.text).trim().to_owned()
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 512];
        let n = self.pipe.read(&mut buffer).await.ok()?;
        let fits = n > 0 && self.text.len() + n <= TEXT_BYTES_MAX;
        fits.then(|| self.text.extend_from_slice(&buffer[..n]))
    }
}

/// The number that follows `key`, once something follows the number too.
fn number_after(text: &[u8], key: &str) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    let rest = text.split_once(key)?.1.trim_start();
    let (digits, _) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_whole_numbers() {
        let key = "\"child-pid\":";
        let check = |text: &str| number_after(text.as_bytes(), key);
        assert_eq!(check("{ \"child-pid\": 123, \"x\": 1 }"), Some(123));
        assert_eq!(check("{ \"child-pid\": 12"), None);
        assert_eq!(check("{ \"child-pid\""), None);
        assert_eq!(check("{ \"exit-code\": 3 }"), None);
    }
}
