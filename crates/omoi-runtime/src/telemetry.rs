//! Logging set-up: one line per event on standard error, safe to show on a terminal.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use omoi_domain::secret_mask::SecretMask;

use crate::config::keys::LogFormat;

/// Filter and format of the process log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Directives as in `warn,omoi=info`.
    pub filter: String,
    /// Plain text or one JSON object per line.
    pub format: LogFormat,
    /// Secrets that are masked in every line.
    pub mask: SecretMask,
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

/// Sends the process's log to standard error.
///
/// # Errors
/// Returns [`InitError`] for a bad filter or a second call.
pub fn init_logging(options: &LogOptions) -> Result<(), InitError> {
    log_subscriber(options, io::stderr)?
        .try_init()
        .map_err(InitError::Twice)
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

fn log_subscriber<W>(
    options: &LogOptions,
    out: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, InitError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|source| InitError::Filter {
            filter: options.filter.clone(),
            source,
        })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(PlainWriter {
            out,
            mask: options.mask.clone(),
        });
    Ok(match options.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
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

    fn logged(format: LogFormat, filter: &str) -> String {
        let buffer = Buffer::default();
        let out = buffer.clone();
        let options = LogOptions {
            filter: filter.to_owned(),
            format,
            mask: SecretMask::new(["sk-0123456789abcdef"]),
        };
        let subscriber = log_subscriber(&options, move || out.clone()).unwrap();
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
        let options = LogOptions {
            filter: "omoi=loud".to_owned(),
            format: LogFormat::Text,
            mask: SecretMask::default(),
        };
        let error = log_subscriber(&options, io::stderr)
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("`omoi=loud`"));
    }
}
