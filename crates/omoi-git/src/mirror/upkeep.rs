//! Clearing a mirror of objects that no ref reaches any more.
//!
//! No sandbox borrows from a mirror: a [`BaseStore`](super::BaseStore) has its own copy of the history that a clone sees, and an
//! import borrows for as long as it takes. So only what is written down elsewhere, and held by no ref, could miss an object; it is
//! kept for [`UNREACHED_KEPT_FOR`] after it was written.

use std::io;

use omoi_domain::crash::{self, CrashPoint, CrashSide};
use omoi_domain::mirror_upkeep::{MirrorObjects, UNREACHED_KEPT_FOR};
use omoi_domain::time::Timestamp;
use tracing::info;

use super::{Mirror, MirrorError, RefRemoval};
use crate::process::write_private;

/// When the mirror was cleared, and when refs were removed: a word and microseconds on each line.
const RECORD: &str = "omoi-upkeep";
const CLEARED: &str = "cleared";
const REFS_REMOVED: &str = "refs-removed";
/// Reading and writing a whole history may take a while.
const CLEARING_SECONDS_MAX: u64 = 1_800;

impl Mirror {
    /// What says whether the mirror is to be cleared.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn look_at_objects(&self) -> Result<MirrorObjects, MirrorError> {
        let out = self.call("count-objects").arg("-v").run().await?;
        let text = out.stdout_text();
        let count = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(key, _)| *key == name);
            found.and_then(|(_, count)| count.trim().parse().ok())
        };
        let not_understood = || out.unexpected_output("no number of objects");
        Ok(MirrorObjects {
            n_loose: count("count").ok_or_else(not_understood)?,
            n_packs: count("packs").ok_or_else(not_understood)?,
            ..self.read_record().map_err(|e| self.upkeep_error(e))?
        })
    }

    /// Notes that refs were removed at `now`, whose objects nothing may need any more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note_removed_refs(&self, _: &RefRemoval, now: Timestamp) -> Result<(), MirrorError> {
        let noted = self.read_record().and_then(|mut record| {
            record.refs_removed_at.push(now);
            self.write_record(&record)
        });
        noted.map_err(|e| self.upkeep_error(e))
    }

    /// Removes objects that no ref reaches and that are older than [`UNREACHED_KEPT_FOR`], and packs all others together. Whoever
    /// begins to rely on a commit waits until it is done: none is found first and gone then.
    ///
    /// # Errors
    /// When git or the disk refuses; nothing that a ref reaches is lost then.
    pub async fn clear_objects(&self, _: &RefRemoval, now: Timestamp) -> Result<(), MirrorError> {
        let age = format!("--prune={}.seconds.ago", UNREACHED_KEPT_FOR.as_secs());
        // The lock that we hold keeps others away: git's own may be what a killed process left.
        let call = self.call("gc").args(["--quiet", "--force", age.as_str()]);
        // When a ref of a base was written is told by its file.
        let call = call.config("gc.packRefs", "false");
        // A list of commits that outlives one of them would name what is gone.
        let call = call.config("gc.writeCommitGraph", "false");
        call.deadline_seconds(CLEARING_SECONDS_MAX).run().await?;
        let noted = self.read_record().and_then(|mut record| {
            record.note_clearing(now);
            self.write_record(&record)
        });
        noted.map_err(|e| self.upkeep_error(e))?;
        info!(mirror = %self.dir.display(), "Cleared the mirror `{}` of what no ref reaches", self.dir.display());
        Ok(())
    }

    /// The record; an empty one where there is none, or another program wrote it.
    fn read_record(&self) -> io::Result<MirrorObjects> {
        let text = match std::fs::read(self.dir.join(RECORD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut record = MirrorObjects::default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((word, micros)) = line.split_once(' ') else {
                continue;
            };
            let at = micros.parse().ok().map(Timestamp::from_micros);
            match word {
                CLEARED => record.cleared_at = at,
                REFS_REMOVED => record.refs_removed_at.extend(at),
                _ => {}
            }
        }
        Ok(record)
    }

    /// Replaces the record by a rename.
    fn write_record(&self, record: &MirrorObjects) -> io::Result<()> {
        let cleared = record.cleared_at.iter().map(|at| (CLEARED, at));
        let removed = record.refs_removed_at.iter().map(|at| (REFS_REMOVED, at));
        let lines = cleared.chain(removed);
        let lines: Vec<String> = lines
            .map(|(word, at)| format!("{word} {}\n", at.as_micros()))
            .collect();
        let scratch = self.scratch_folder()?;
        let fresh = scratch.path().join(RECORD);
        write_private(&fresh, lines.concat().as_bytes())?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        std::fs::rename(&fresh, self.dir.join(RECORD))?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        Ok(())
    }

    fn upkeep_error(&self, source: io::Error) -> MirrorError {
        MirrorError::Io {
            dir: self.dir.clone(),
            source,
        }
    }
}
