//! The file in which an agent program keeps its conversation, as what each turn added to it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{SESSION_BYTES_MAX, SESSION_PART_BYTES_MAX, SessionPart, TurnRecord};
use omoi_runtime::clock::Clock;

use crate::transcript::AgentReply;

/// How often the file is looked at until it holds what the program has told already.
const LOOKS_MAX: u32 = 100;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A program's session: a file of lines that only grows.
#[derive(Debug)]
pub(crate) struct SessionFile {
    id: String,
    path: PathBuf,
    /// How much of it the platform has.
    kept: SessionPosition,
    is_whole: bool,
}

/// A place in a session: in its file here, and in all that was ever told of it. The two differ where a
/// secret was masked on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionPosition {
    file: u64,
    told: u64,
}

/// A session that turns hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptSession {
    /// Id that the program gave it.
    pub(crate) id: String,
    /// Its lines.
    pub(crate) text: String,
    end: u64,
}

impl KeptSession {
    /// Where it goes on, once its text is a file again.
    pub(crate) fn next_position(&self) -> SessionPosition {
        SessionPosition {
            file: self.text.len() as u64,
            told: self.end,
        }
    }
}

impl SessionFile {
    /// The session `id` in the file at `path`, which the platform has up to `kept`.
    pub(crate) fn new(id: String, path: PathBuf, kept: SessionPosition) -> Self {
        Self {
            id,
            path,
            kept,
            is_whole: true,
        }
    }

    /// The whole lines that stand in the file and were not taken; none when they are too many.
    pub(crate) fn lines_ahead(&self) -> io::Result<Option<String>> {
        read_lines_after(&self.path, self.kept.file)
    }

    /// What was added since the last call, once the file holds `round`: a program writes its file a
    /// little later than it speaks. None when nothing was added, or an earlier part was too long to be
    /// kept, which its own turn says.
    pub(crate) async fn take_added(
        &mut self,
        round: &RoundMarks,
        clock: &dyn Clock,
    ) -> io::Result<Option<SessionPart>> {
        if !self.is_whole {
            return Ok(None);
        }
        let mut added = String::new();
        for look in 0..LOOKS_MAX {
            match read_lines_after(&self.path, self.kept.file)? {
                Some(text) => added = text,
                None => return Ok(Some(self.give_up())),
            }
            if let Some(end) = round.find_end(&added) {
                added.truncate(end);
                break;
            }
            if look + 1 == LOOKS_MAX {
                tracing::info!(session = self.id, "The session file lags behind");
            }
            clock.sleep(LOOK_INTERVAL).await;
        }
        if added.is_empty() {
            return Ok(None);
        }
        let offset = self.kept.told;
        let length = added.len() as u64;
        if offset + length > SESSION_BYTES_MAX {
            return Ok(Some(self.give_up()));
        }
        self.kept.file += length;
        self.kept.told += length;
        Ok(Some(SessionPart {
            session_id: self.id.clone(),
            offset,
            end: self.kept.told,
            added,
        }))
    }

    /// Keeps no more of a session that is too long, and gives a part that begins behind a gap: it cannot be put
    /// together any more.
    fn give_up(&mut self) -> SessionPart {
        self.is_whole = false;
        tracing::warn!(session = self.id, "The session is too long to be kept");
        let behind = self.kept.told + 1;
        SessionPart {
            session_id: self.id.clone(),
            offset: behind,
            end: behind,
            added: String::new(),
        }
    }
}

/// How a round is found in a session file.
#[derive(Debug)]
pub(crate) struct RoundMarks {
    /// Texts that its lines hold.
    pub(crate) texts: Vec<String>,
    /// Whether the program goes on by itself, so that more lines may follow that are not of this round.
    pub(crate) is_followed: bool,
}

impl RoundMarks {
    /// The marks of an answer: each result, by what stands before the id of its call, and the last words
    /// where the program does not go on by itself.
    pub(crate) fn of_answer(
        reply: &AgentReply,
        results: &[ContentBlock],
        result_mark: &str,
        is_followed: bool,
    ) -> Self {
        let ids = results.iter().filter_map(|block| match block {
            ContentBlock::ToolResult(result) => {
                Some(format!("{result_mark}{}\"", result.tool_use_id))
            }
            _ => None,
        });
        let mut texts: Vec<String> = ids.collect();
        if !is_followed {
            let last = reply.0.iter().rev().find_map(ContentBlock::as_text);
            // As it stands in a line of JSON.
            let last = serde_json::to_string(last.unwrap_or_default()).unwrap_or_default();
            texts.push(last.trim_matches('"').to_owned());
        }
        Self { texts, is_followed }
    }

    /// Bytes of `added` up to the end of the round; none while a part of it is missing.
    fn find_end(&self, added: &str) -> Option<usize> {
        let mut end = 0;
        for text in &self.texts {
            let at = added.find(text)?;
            end = end.max(at + added[at..].find('\n')? + 1);
        }
        Some(if self.is_followed { end } else { added.len() })
    }
}

/// A path as programs name the folder of its sessions: dashes for all but letters and digits.
pub(crate) fn dashed_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let dashed = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    dashed.collect()
}

/// Whole lines behind `offset`; none when they are too many. No file yet is no line.
fn read_lines_after(path: &Path, offset: u64) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(String::new())),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(SESSION_PART_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SESSION_PART_BYTES_MAX {
        return Ok(None);
    }
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    bytes.truncate(end.map_or(0, |end| end + 1));
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// The session that `turns` hold, whole; none when a part is missing.
pub(crate) fn session_of_turns(turns: &[TurnRecord]) -> Option<KeptSession> {
    let mut parts = turns.iter().filter_map(|turn| turn.session.as_ref());
    let first = parts.next()?;
    let mut kept = KeptSession {
        id: first.session_id.clone(),
        text: String::new(),
        end: 0,
    };
    for part in std::iter::once(first).chain(parts) {
        if part.session_id != kept.id || part.offset != kept.end {
            return None;
        }
        kept.text.push_str(&part.added);
        kept.end = part.end;
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::io::Write as _;

    use omoi_domain::attempt::TurnKind;
    use omoi_runtime::clock::SystemClock;
    use serde_json::Value;

    use super::*;

    fn turn(n: u32, session: Option<(&str, u64, &str)>) -> TurnRecord {
        TurnRecord {
            n,
            kind: TurnKind::Answer,
            request_digest: String::new(),
            request_tokens: None,
            response: Value::Null,
            tool_results: Value::Null,
            session: session.map(|(id, offset, added)| SessionPart {
                session_id: id.to_owned(),
                offset,
                end: offset + added.len() as u64,
                added: added.to_owned(),
            }),
        }
    }

    #[tokio::test]
    async fn each_turn_keeps_what_it_added_in_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        let mut session =
            SessionFile::new("s".to_owned(), path.clone(), SessionPosition::default());
        let mut part = async |texts: &[&str], is_followed| {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            let round = RoundMarks { texts, is_followed };
            let part = session.take_added(&round, &SystemClock).await.unwrap();
            part.map(|part| (part.offset, part.added))
        };
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntwo\nnext\nhal").unwrap();
        // What the program did since is of the next round.
        let first = part(&["two", "one"], true).await;
        assert_eq!(first, Some((0, "one\ntwo\n".to_owned())));
        file.write_all(b"f\nmore\n").unwrap();
        let second = part(&["half"], false).await;
        assert_eq!(second, Some((8, "next\nhalf\nmore\n".to_owned())));
        assert_eq!(part(&[], false).await, None);
    }

    #[tokio::test]
    async fn a_session_that_was_cut_is_not_taken_for_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        std::fs::write(&path, "one\n").unwrap();
        let mut session =
            SessionFile::new("s".to_owned(), path.clone(), SessionPosition::default());
        let round = RoundMarks {
            texts: Vec::new(),
            is_followed: false,
        };
        let mut turns = vec![turn(0, None)];
        turns[0].session = session.take_added(&round, &SystemClock).await.unwrap();
        assert!(session_of_turns(&turns).is_some());
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(SESSION_PART_BYTES_MAX + 10).unwrap();
        turns.push(turn(1, None));
        turns[1].session = session.take_added(&round, &SystemClock).await.unwrap();
        turns.push(turn(2, None));
        turns[2].session = session.take_added(&round, &SystemClock).await.unwrap();
        assert!(turns[2].session.is_none());
        assert_eq!(session_of_turns(&turns), None);
    }

    #[test]
    fn a_secret_that_was_masked_on_the_way_does_not_lose_the_session() {
        let mut turns = [
            turn(0, Some(("s", 0, "key=secret-of-one-attempt\n"))),
            turn(1, Some(("s", 26, "two\n"))),
        ];
        turns[0].session.as_mut().unwrap().added = "key=***\n".to_owned();
        let found = session_of_turns(&turns).unwrap();
        assert_eq!(found.text, "key=***\ntwo\n");
        assert_eq!(
            found.next_position(),
            SessionPosition { file: 12, told: 30 }
        );
    }

    #[test]
    fn a_session_is_whole_or_none() {
        let whole = [
            turn(0, Some(("s", 0, "one\n"))),
            turn(1, None),
            turn(2, Some(("s", 4, "two\n"))),
        ];
        let found = session_of_turns(&whole).unwrap();
        assert_eq!(
            (found.id.as_str(), found.text.as_str()),
            ("s", "one\ntwo\n")
        );
        assert_eq!(found.next_position(), SessionPosition { file: 8, told: 8 });
        for broken in [
            vec![turn(0, Some(("s", 4, "two\n")))],
            vec![
                turn(0, Some(("s", 0, "one\n"))),
                turn(1, Some(("t", 4, "two\n"))),
            ],
            vec![turn(0, None)],
            Vec::new(),
        ] {
            assert_eq!(session_of_turns(&broken), None);
        }
    }
}
