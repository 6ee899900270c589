//! The process log: one line per event, safe to show on a terminal, on standard error and in a file of the
//! data folder. Each line carries the fields of the spans it was written in.

mod log_file;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use omoi_domain::config::{Config, ConfigLayer};
use omoi_domain::secret_mask::SecretMask;

pub use self::log_file::{LogFiles, LogReader};

use self::log_file::LogFile;
use crate::options::{LOG_FILTER, LOG_FORMAT, LogFormat};

/// The log of this process: standard error, and the file of a data folder once there is one.
#[derive(Clone, Debug, Default)]
pub struct ProcessLog(Arc<OnceLock<LogFile>>);

/// Filters and format of the process log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Directives for standard error, as in `warn,omoi=info`.
    pub filter: String,
    /// Directives for the file of the data folder.
    pub file_filter: String,
    /// Standard error as plain text or as one JSON object per line; the file is always JSON.
    pub format: LogFormat,
    /// Secrets that are masked in every line.
    pub mask: SecretMask,
}

impl LogOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        let filter = config.get(&LOG_FILTER);
        Self {
            file_filter: filter.clone(),
            filter,
            format: config.get(&LOG_FORMAT),
            mask: config.secret_mask(),
        }
    }

    /// Whether nobody chose the filter.
    pub fn is_default_filter(config: &Config) -> bool {
        let entry = config.entry(&LOG_FILTER.spec);
        entry.is_some_and(|entry| entry.origin.layer == ConfigLayer::Default)
    }
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter's text is wrong.
    #[error("`{filter}` is not a log filter; write for example `warn,omoi=debug`")]
    Filter {
        /// Filter text that was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// A logger is already there.
    #[error("logging is already set up")]
    Twice(#[source] TryInitError),
}

impl ProcessLog {
    /// Sends the log of this process to standard error, and to the file that
    /// [`open_file`](Self::open_file) opens.
    ///
    /// # Errors
    /// Returns [`InitError`] for a bad filter or a second call.
    pub fn start(options: &LogOptions) -> Result<Self, InitError> {
        let log = Self::default();
        let file = Arc::clone(&log.0);
        log_subscriber(options, io::stderr, move || FileLine(Arc::clone(&file)))?
            .try_init()
            .map_err(InitError::Twice)?;
        Ok(log)
    }

    /// Writes to the data folder `data` as well, from now on. A process has one data folder; the first
    /// stays.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open_file(&self, data: &Path) -> io::Result<()> {
        let file = LogFile::open(LogFiles::of_data_folder(data))?;
        let _ = self.0.set(file);
        Ok(())
    }
}

/// An error with all its causes on one line, `outer: inner: innermost`. A cause that the error
/// above it quotes already, as those of some libraries do, is not said twice.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn log_subscriber<W, F>(
    options: &LogOptions,
    out: W,
    file: F,
) -> Result<impl Subscriber + Send + Sync + use<W, F>, InitError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    F: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let out = PlainWriter {
        out,
        mask: options.mask.clone(),
    };
    let shown = match options.format {
        LogFormat::Text => text_layer(out),
        LogFormat::Json => json_layer(out),
    };
    let kept = json_layer(PlainWriter {
        out: file,
        mask: options.mask.clone(),
    });
    Ok(Registry::default()
        .with(shown.with_filter(parse_filter(&options.filter)?.or(span_filter())))
        .with(kept.with_filter(parse_filter(&options.file_filter)?.or(span_filter()))))
}

/// Lets in the spans of milestones whatever the filter: an error says whose it is where only errors are
/// shown.
fn span_filter() -> FilterFn {
    let of_milestone =
        |metadata: &Metadata<'_>| metadata.is_span() && *metadata.level() <= Level::INFO;
    FilterFn::new(of_milestone as fn(&Metadata<'_>) -> bool).with_max_level_hint(Level::INFO)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, InitError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| InitError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

fn text_layer<S, W>(out: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(out)
        .boxed()
}

fn json_layer<S, W>(out: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(out)
        .boxed()
}

/// Writes to the log file, if there is one.
struct FileLine(Arc<OnceLock<LogFile>>);

impl Write for FileLine {
    /// Expects whole lines, as [`PlainLine`] hands them on.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = self.0.get() {
            file.append_line(&String::from_utf8_lossy(line));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Masks secrets and escapes control characters of every line written, whichever field they came from.
struct PlainWriter<W> {
    out: W,
    mask: SecretMask,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for PlainWriter<W> {
    type Writer = PlainLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        PlainLine {
            out: self.out.make_writer(),
            mask: self.mask.clone(),
        }
    }
}

struct PlainLine<W> {
    out: W,
    mask: SecretMask,
}

impl<W: Write> Write for PlainLine<W> {
    /// Expects whole events, as the formatter writes them.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.out
            .write_all(escape_controls(&self.mask.mask_text(&text)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `\u001b` for each control character but the line's end; valid inside a JSON string too.
fn escape_controls(line: &str) -> String {
    let body = line.strip_suffix('\n').unwrap_or(line);
    let mut out = String::with_capacity(line.len());
    for character in body.chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out.push_str(&line[body.len()..]);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sync::lock;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn options(format: LogFormat, filter: &str) -> LogOptions {
        LogOptions {
            filter: filter.to_owned(),
            file_filter: "warn,omoi=debug".to_owned(),
            format,
            mask: SecretMask::new(["sk-0123456789abcdef"]),
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let buffer = Buffer::default();
        let out = buffer.clone();
        let options = options(format, filter);
        let subscriber = log_subscriber(&options, move || out.clone(), io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let evil = "a\u{1b}[2J\u{9b}31m\r\nERROR forged \u{7f}é";
            tracing::info!(title = evil, "Saw {evil}");
            tracing::info!(key = "sk-0123456789abcdef", "and sk-0123456789abcdef");
            tracing::debug!("quiet");
        });
        let bytes = lock(&buffer.0).clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, "warn,omoi=info");
            assert_eq!(text.matches("****").count(), 2, "{text}");
            assert!(!text.contains("0123456789abcdef"), "{text}");
            let line = text.lines().next().unwrap();
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.contains("forged") && line.contains('é'), "{line}");
            assert!(!line.contains("quiet"));
        }
        let json: serde_json::Value =
            serde_json::from_str(logged(LogFormat::Json, "info").lines().next().unwrap()).unwrap();
        assert_eq!(json["level"], "INFO");
        assert!(json["title"].as_str().unwrap().contains('\u{9b}'));
        assert_eq!(logged(LogFormat::Text, "error"), "");
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        enum Told {
            #[error("could not read")]
            Well(#[source] io::Error),
            #[error("could not read: {0}")]
            Twice(#[source] io::Error),
        }
        let gone = || io::Error::other("disk gone");
        for error in [Told::Well(gone()), Told::Twice(gone())] {
            assert_eq!(error_chain(&error), "could not read: disk gone");
        }
    }

    #[test]
    fn a_bad_filter_is_named() {
        let options = options(LogFormat::Text, "omoi=loud");
        let error = log_subscriber(&options, io::stderr, io::sink)
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("`omoi=loud`"));
    }

    #[test]
    fn a_line_carries_the_fields_of_its_spans_wherever_it_is_written() {
        let (shown, kept) = (Buffer::default(), Buffer::default());
        let (out, file) = (shown.clone(), kept.clone());
        let options = options(LogFormat::Text, "error");
        let subscriber =
            log_subscriber(&options, move || out.clone(), move || file.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _attempt = tracing::info_span!("attempt", attempt.id = "a-1").entered();
            let _git = tracing::debug_span!("git", command = "fetch sk-0123456789abcdef").entered();
            tracing::debug!(exit = 0, "Ran `git`");
            tracing::error!("Lost it");
        });
        let text = |buffer: &Buffer| String::from_utf8(lock(&buffer.0).clone()).unwrap();
        let shown = text(&shown);
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(shown.contains("attempt{attempt.id=\"a-1\"}"), "{shown}");
        assert!(
            !shown.contains("git{"),
            "the filter of the file is its own: {shown}"
        );
        let kept = text(&kept);
        assert!(!kept.contains("0123456789abcdef"), "{kept}");
        let first: serde_json::Value = serde_json::from_str(kept.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["message"], &first["exit"]),
            (&"Ran `git`".into(), &0.into())
        );
        assert_eq!(first["spans"][0]["attempt.id"], "a-1");
        assert_eq!(first["spans"][1]["name"], "git");
    }
}
