//! Parsers held against inputs that nobody meant: the committed ones of a target, and seeded changes of them.
//!
//! Under `cargo xtask test` a target replays what is committed and a few hundred changes, the same every
//! time. `cargo xtask fuzz` lets it go on for minutes from another seed, and keeps what made it fail: what panicked, and
//! what took more time or memory than a parser may take of any input (`fuzz/input_limits.rs`).

#![expect(
    clippy::expect_used,
    reason = "a target that cannot be run fails its test"
)]

use std::any::Any;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xtask::fuzz::{SECONDS_VARIABLE, SEED_VARIABLE};
use xtask::host::variable;

use self::input_limits::{HangWatch, InputLimits, ResourceMeter};

mod input_limits;

/// Changes tried of each committed input where no time is named.
const CHANGES_REPLAYED: usize = 200;
/// Longest input that changes lead to.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Of as many changes of a long run one is of a large input, which finds what grows faster than its input.
const LARGE_EVERY: usize = 50;
/// What such an input has.
const LARGE_INPUT_BYTES: usize = 1 << 20;
/// What parsers stumble over.
const STUMBLES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"..",
    b"/",
    b"%00",
    b"data: ",
    b"\n\n",
];

/// A parser under test: its inputs lie in `tests/inputs/<name>` of its crate.
pub struct FuzzTarget {
    inputs: PathBuf,
}

impl FuzzTarget {
    /// The target `name` of the crate at `crate_folder`, which is its `CARGO_MANIFEST_DIR`.
    pub fn new(crate_folder: &str, name: &str) -> Self {
        let inputs = Path::new(crate_folder).join("tests/inputs").join(name);
        Self { inputs }
    }

    /// Holds `check` against every committed input and changes of them; it panics where it finds a fault.
    pub fn run(&self, check: impl Fn(&[u8])) {
        let inputs = self.committed_inputs();
        let number = |name| variable(name).map(|text| text.parse::<u64>().expect("a number"));
        let seed = number(SEED_VARIABLE).unwrap_or(0);
        let until = number(SECONDS_VARIABLE).map(|s| Instant::now() + Duration::from_secs(s));
        // Other tests run in this process beside a replay, and take time and memory too.
        let mut meter = until.map(|_| self.start_meter());
        for (name, input) in &inputs {
            self.try_input(input, name, &check, meter.as_mut());
        }
        let mut changer = InputChanger(seed.wrapping_add(1));
        let mut n = 0;
        let goes_on = |n: usize| match until {
            Some(until) => Instant::now() < until,
            None => n < CHANGES_REPLAYED * inputs.len(),
        };
        while goes_on(n) {
            let (name, input) = &inputs[n % inputs.len()];
            let (_, other) = &inputs[changer.below(inputs.len())];
            let mut changed = changer.change_input(input, other);
            if until.is_some() && n % LARGE_EVERY == LARGE_EVERY - 1 {
                changer.grow_input(&mut changed);
            }
            let what = format!("change {n} of {name}, seed {seed}");
            self.try_input(&changed, &what, &check, meter.as_mut());
            n += 1;
        }
        if let Some(meter) = meter {
            let (folder, most) = (self.inputs.display(), meter.most_used());
            println!("{folder}: {n} changed inputs, {most} at most");
        }
    }

    /// Measures inputs, and keeps one that never ends.
    fn start_meter(&self) -> ResourceMeter {
        let folder = self.inputs.clone();
        let watch = HangWatch::start(move |input| keep_in(&folder, input));
        ResourceMeter::new(InputLimits::default(), watch)
    }

    fn committed_inputs(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.inputs.display();
        let entries = std::fs::read_dir(&self.inputs)
            .unwrap_or_else(|error| panic!("{folder} cannot be read: {error}"));
        let mut inputs: Vec<_> = entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, std::fs::read(entry.path()).expect("an input"))
            })
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{folder} is empty");
        inputs
    }

    fn try_input(
        &self,
        input: &[u8],
        what: &str,
        check: &impl Fn(&[u8]),
        meter: Option<&mut ResourceMeter>,
    ) {
        let outcome = catch_unwind(AssertUnwindSafe(|| match meter {
            None => check(input),
            Some(meter) => {
                if let Err(excess) = meter.measure_input(input, check) {
                    panic!("{excess}");
                }
            }
        }));
        let Err(panic) = outcome else { return };
        let says = panic_text(panic.as_ref());
        let kept = keep_in(&self.kept_folder(), input);
        panic!("{what}: {says}\nthe input is kept as {}", kept.display());
    }

    /// Where the next run replays an input when it came of a long one, else among temporary files.
    fn kept_folder(&self) -> PathBuf {
        match variable(SECONDS_VARIABLE) {
            Some(_) => self.inputs.clone(),
            None => std::env::temp_dir(),
        }
    }
}

/// Writes an input into `folder`, named by its contents.
#[expect(clippy::disallowed_methods, reason = "evidence of a test")]
fn keep_in(folder: &Path, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder.join(format!("found-{:016x}", hasher.finish()));
    std::fs::write(&file, input).expect("the input can be kept");
    file
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}

/// Changes inputs by a sequence of numbers that a seed begins.
struct InputChanger(u64);

impl InputChanger {
    fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next_number() % end.max(1) as u64) as usize
    }

    /// A few changes of `input`, some of which bring in a piece of `other`.
    fn change_input(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(6) {
            self.change_once(&mut changed, other);
            changed.truncate(INPUT_BYTES_MAX);
        }
        changed
    }

    /// Repeats a piece of `bytes`, or all of it, until it is large.
    fn grow_input(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(bytes.len())).min(bytes.len());
        let piece = bytes[at..end].to_vec();
        let times = LARGE_INPUT_BYTES.saturating_sub(bytes.len()) / piece.len().max(1);
        bytes.splice(at..at, piece.repeat(times));
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(40)).min(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => {
                bytes.drain(at..end);
            }
            2 => {
                let stumble = STUMBLES[self.below(STUMBLES.len())];
                bytes.splice(at..at, stumble.iter().copied());
            }
            3 => {
                let stumble = STUMBLES[self.below(STUMBLES.len())];
                bytes.splice(at..end, stumble.iter().copied());
            }
            4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (self.next_number() % 8);
                }
            }
            5 => {
                let piece = bytes[at..end].repeat(1 + self.below(40));
                bytes.splice(at..at, piece);
            }
            6 => {
                let from = self.below(other.len() + 1);
                let to = (from + self.below(200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let from = self.below(bytes.len() + 1);
                let to = (from + self.below(80)).min(bytes.len());
                let piece = bytes[from..to].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}
