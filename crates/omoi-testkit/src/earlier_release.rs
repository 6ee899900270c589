//! Databases that an earlier release left behind.

use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::database::TestDatabase;
use crate::raw_connection::RawConnection;

/// What the earlier release had done with one idea; `fixtures/upgrade/README.md` tells more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedData {
    /// A run, to its end.
    Finished,
    /// The same run, killed while tasks were at work.
    HalfDone,
}

impl ReleasedData {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::HalfDone => "half_done",
        }
    }

    /// Fills `database`, which is empty, with what the release left on its kind of server.
    ///
    /// # Panics
    /// When a file of the fixture cannot be read or the database refuses it.
    pub async fn restore_into(self, database: &TestDatabase) {
        self.restore_moved(database, &[]).await;
    }

    /// As [`restore_into`](Self::restore_into), on a machine where other folders stand for those of the release: each pair is
    /// a path in the rows and the path that takes its place.
    ///
    /// # Panics
    /// As [`restore_into`](Self::restore_into).
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub async fn restore_moved(self, database: &TestDatabase, moves: &[(&str, &str)]) {
        let text = self.unpack(database, "sql");
        let mut text = String::from_utf8(text).expect("a dump is text");
        for (from, to) in moves {
            text = text.replace(from, to);
        }
        // A file is made.
        let url = match database.url() {
            file if file.starts_with("sqlite:") => format!("{file}?mode=rwc"),
            server => server.to_owned(),
        };
        let conn = RawConnection::open(&url).await;
        let mut conn = conn.expect("the database opens");
        conn.execute(&text).await.expect("the dump is taken");
        conn.close().await.expect("the database closes");
    }

    /// What the release said of the spec's trace.
    ///
    /// # Panics
    /// When the file of the fixture cannot be read.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn told_trace(self, database: &TestDatabase) -> Value {
        let text = self.unpack(database, "trace.json");
        serde_json::from_slice(&text).expect("a trace is JSON")
    }

    /// The data folder beside that database, and the repository, as an archive; a run to its end has none.
    pub fn folder_archive(self, database: &TestDatabase) -> PathBuf {
        self.fixture_path(database, "folder.tar")
    }

    fn fixture_path(self, database: &TestDatabase, kind: &str) -> PathBuf {
        let is_file = database.url().starts_with("sqlite:");
        let backend = if is_file { "sqlite" } else { "postgres" };
        let name = format!("{}.{backend}.{kind}.gz", self.as_str());
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/upgrade");
        fixtures.join(name)
    }

    #[expect(
        clippy::panic,
        reason = "a test that needs the fixture fails without it"
    )]
    fn unpack(self, database: &TestDatabase, kind: &str) -> Vec<u8> {
        let path = self.fixture_path(database, kind);
        let mut unpacked = Vec::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| GzDecoder::new(file).read_to_end(&mut unpacked));
        match read {
            Ok(_) => unpacked,
            Err(error) => panic!("fixture {}: {error}", path.display()),
        }
    }
}
