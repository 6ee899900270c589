//! What one input may cost: processor time of the thread and memory of the process, and the end of one that hangs.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;
use std::{fmt, fs, thread};

/// Resident memory that grew for want of anything better is the allocator's, not the input's.
const MIB: u64 = 1 << 20;
/// An input that takes longer on the clock never ends.
const HANG: Duration = Duration::from_secs(60);
/// Has the kernel forget how much memory the process had at most.
const RESET_PEAK: &str = "5";

/// The most that a parser may take of any input.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputLimits {
    /// Processor time of the thread, which other work of the machine does not lengthen.
    time: Duration,
    /// Bytes by which the process grew meanwhile.
    memory_bytes: u64,
}

impl Default for InputLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
            memory_bytes: 256 * MIB,
        }
    }
}

/// What an input took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InputUse {
    time: Duration,
    memory_bytes: u64,
}

impl InputUse {
    fn exceeds(self, limits: &InputLimits) -> bool {
        self.time > limits.time || self.memory_bytes > limits.memory_bytes
    }

    fn larger(self, other: Self) -> Self {
        Self {
            time: self.time.max(other.time),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

impl fmt::Display for InputUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, mib) = (self.time.as_millis(), self.memory_bytes / MIB);
        write!(f, "{ms} ms of processor time and {mib} MiB of memory")
    }
}

/// An input took more than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InputExcess {
    used: InputUse,
    of: String,
}

impl fmt::Display for InputExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it took {}, and {} are allowed", self.used, self.of)
    }
}

/// Measures one input after the other, in a thread that does nothing else.
pub(super) struct ResourceMeter {
    limits: InputLimits,
    watch: HangWatch,
    most: InputUse,
}

impl ResourceMeter {
    pub(super) fn new(limits: InputLimits, watch: HangWatch) -> Self {
        Self {
            limits,
            watch,
            most: InputUse::default(),
        }
    }

    /// Runs `check` on `input`.
    #[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
    pub(super) fn measure_input(
        &mut self,
        input: &[u8],
        check: impl Fn(&[u8]),
    ) -> Result<(), InputExcess> {
        let _ = fs::write("/proc/self/clear_refs", RESET_PEAK);
        let memory_before = status_bytes("VmRSS:");
        let time_before = thread_time();
        self.watch.begin_input(input);
        check(input);
        self.watch.end_input();
        let used = InputUse {
            time: thread_time().saturating_sub(time_before),
            memory_bytes: status_bytes("VmHWM:").saturating_sub(memory_before),
        };
        self.most = self.most.larger(used);
        if !used.exceeds(&self.limits) {
            return Ok(());
        }
        let InputLimits { time, memory_bytes } = self.limits;
        let of = InputUse { time, memory_bytes }.to_string();
        Err(InputExcess { used, of })
    }

    /// The most time and the most memory of any input so far.
    pub(super) fn most_used(&self) -> InputUse {
        self.most
    }
}

/// Processor time of this thread, as the kernel counted it when it last looked: some milliseconds ago at most.
fn thread_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    Duration::from_nanos(first.and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// A size of this process, which the kernel tells in KiB.
fn status_bytes(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|word| word.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Ends the process when an input never ends, after it was kept.
pub(super) struct HangWatch(Sender<WatchedInput>);

enum WatchedInput {
    Begun(Vec<u8>),
    Ended,
}

impl HangWatch {
    /// Watches from now on; `keep` writes an input down.
    pub(super) fn start(keep: impl Fn(&[u8]) -> PathBuf + Send + 'static) -> Self {
        let (to, told) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(told_of) = told.recv() {
                let WatchedInput::Begun(input) = told_of else {
                    continue;
                };
                if matches!(told.recv_timeout(HANG), Err(RecvTimeoutError::Timeout)) {
                    let (kept, seconds) = (keep(&input), HANG.as_secs());
                    eprintln!(
                        "an input did not end within {seconds} s; it is kept as {}",
                        kept.display()
                    );
                    std::process::abort();
                }
            }
        });
        Self(to)
    }

    fn begin_input(&self, input: &[u8]) {
        let _ = self.0.send(WatchedInput::Begun(input.to_vec()));
    }

    fn end_input(&self) {
        let _ = self.0.send(WatchedInput::Ended);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn meter(time: Duration, memory_bytes: u64) -> ResourceMeter {
        let watch = HangWatch::start(|_| PathBuf::new());
        ResourceMeter::new(InputLimits { time, memory_bytes }, watch)
    }

    fn use_memory(input: &[u8]) {
        let bytes = vec![1_u8; input.len() * (MIB as usize)];
        assert_eq!(std::hint::black_box(&bytes).len() % input.len(), 0);
    }

    #[test]
    fn an_input_that_takes_too_much_is_named_with_what_it_took() {
        let long = Duration::from_secs(3_600);
        let excess = meter(long, 16 * MIB).measure_input(&[0; 64], use_memory);
        let says = excess.unwrap_err().to_string();
        assert!(says.contains("MiB of memory, and 3600000 ms"), "{says}");
        let mut patient = meter(long, 4_096 * MIB);
        assert_eq!(patient.measure_input(&[0; 64], use_memory), Ok(()));
        assert!(patient.most_used().memory_bytes > 16 * MIB);
        // The kernel counts when it looks at a thread, so work goes on until it did.
        let busy = |_: &[u8]| {
            let began = thread_time();
            while thread_time() == began {}
        };
        let hurried = meter(Duration::ZERO, u64::MAX).measure_input(b"x", busy);
        assert!(hurried.is_err());
    }
}
