//! How long an answer may take, and how large it may be.

use std::net::IpAddr;
use std::time::Duration;

use crate::wire::sse::STREAM_BYTES_MAX;

/// How long a model may take until its answer shows the first content, unless configured.
const FIRST_CONTENT: Duration = Duration::from_mins(5);
/// The same for a model of one's own, which may have to be loaded first.
const FIRST_CONTENT_LOCAL: Duration = Duration::from_mins(15);

/// What a token may take on the wire, in an event of its own: mostly 200 to 300 bytes.
const TOKEN_BYTES: usize = 512;

/// Limits of time and size of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Until its first content.
    pub first_content: Duration,
    /// Between two pieces of it, from then on.
    pub silence: Duration,
    /// From its first content to its last.
    pub total: Duration,
    /// Its size on the wire.
    pub bytes: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            first_content: FIRST_CONTENT,
            silence: Duration::from_mins(5),
            total: Duration::from_mins(30),
            bytes: STREAM_BYTES_MAX,
        }
    }
}

impl AnswerLimits {
    /// The limits of a model at `base_url` that nobody configured; `is_own_server` where a person is known to run
    /// the server.
    pub fn of_server(base_url: &str, is_own_server: bool) -> Self {
        let first_content = if is_own_server || is_local(base_url) {
            FIRST_CONTENT_LOCAL
        } else {
            FIRST_CONTENT
        };
        Self {
            first_content,
            ..Self::default()
        }
    }

    /// These limits for an answer of `tokens` at most: what was paid for may come whole.
    #[must_use]
    pub fn sized_for(self, tokens: u32) -> Self {
        let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
        Self {
            bytes: tokens.saturating_mul(TOKEN_BYTES).max(STREAM_BYTES_MAX),
            ..self
        }
    }

    /// The limits of an answer that comes as one piece: its first content is all of it.
    pub(crate) fn for_whole(self) -> Self {
        Self {
            first_content: self.first_content.max(self.total),
            ..self
        }
    }
}

/// Whether the address is of this machine or of a private network; a name without a dot is one of such a network.
fn is_local(base_url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(base_url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => {
            let is_name = |suffix: &str| host == suffix || host.ends_with(&format!(".{suffix}"));
            let is_bare = !host.is_empty() && !host.trim_end_matches('.').contains('.');
            is_bare || is_name("localhost") || is_name("local") || is_name("internal")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_may_be_large() {
        for (tokens, bytes) in [
            (0, 10 << 20),
            (20_480, 10 << 20),
            (64_000, 64_000 * 512),
            (1_000_000, 512_000_000),
        ] {
            let limits = AnswerLimits::default().sized_for(tokens);
            assert_eq!(limits.bytes, bytes, "{tokens}");
        }
    }

    #[test]
    fn a_model_of_ones_own_has_more_time() {
        for (address, minutes) in [
            ("https://api.anthropic.com", 5),
            ("https://10.example.com/v1", 5),
            ("http://8.8.8.8/v1", 5),
            ("no address", 5),
            ("http://127.0.0.1:11434/v1", 15),
            ("http://[::1]:8000", 15),
            ("http://localhost:8000/v1", 15),
            ("http://192.168.1.7/v1", 15),
            ("http://10.0.0.7/v1", 15),
            ("http://172.20.0.1", 15),
            ("http://[fd00::7]/v1", 15),
            ("http://gpu.local/v1", 15),
            ("http://host.docker.internal:1234", 15),
            ("http://rack:8000/v1", 15),
            ("http://ollama:11434/v1", 15),
            ("http://rack.:8000/v1", 15),
            ("https://example.com.", 5),
            ("mailto:rack", 5),
        ] {
            let limits = AnswerLimits::of_server(address, false);
            assert_eq!(
                limits.first_content,
                Duration::from_mins(minutes),
                "{address}"
            );
        }
        let listed = AnswerLimits::of_server("https://llm.example.com/v1", true);
        assert_eq!(listed.first_content, Duration::from_mins(15));
    }
}
