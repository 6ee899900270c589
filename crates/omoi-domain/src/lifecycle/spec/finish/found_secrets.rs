//! What becomes of a branch in which secrets were found.

use super::SpecStop;
use crate::block::SpecBlock;
use crate::secret_scan::SecretFinding;

/// Findings that are named.
const NAMED_MAX: usize = 5;

/// What whoever gets the branch should know of `found`; none where nothing was. A value that this deployment knows is
/// never handed over, what only looks like a secret when a person said so. `spec` is how a person names it.
///
/// # Errors
/// The stop, where it is not handed over.
pub fn judge_found_secrets(
    found: &[SecretFinding],
    spec: &str,
    is_accepted: bool,
) -> Result<Option<String>, SpecStop> {
    if found.is_empty() {
        return Ok(None);
    }
    let block = SpecBlock::SecretDetected;
    let known: Vec<&SecretFinding> = found.iter().filter(|one| one.is_known).collect();
    if !known.is_empty() {
        let reason = format!(
            "{block}: secrets of this deployment are in the branch or its history: {}. It is not handed over with \
             them: replace these keys where they were made and in your secret files, restart OmoiOS and run \
             `omoi spec resume {spec}`",
            names(&known)
        );
        return Err(SpecStop::wait_for(block, reason));
    }
    let all: Vec<&SecretFinding> = found.iter().collect();
    let says = format!(
        "it or its history adds what looks like secrets: {}",
        names(&all)
    );
    match is_accepted {
        true => Ok(Some(says)),
        false => Err(SpecStop::wait_for(
            block,
            format!(
                "{block}: {says}. Taking them out later leaves them in the history: replace what is a key. If they may \
                 leave, hand the branch over all the same: `omoi spec deliver {spec}`"
            ),
        )),
    }
}

fn names(found: &[&SecretFinding]) -> String {
    let named: Vec<String> = found
        .iter()
        .take(NAMED_MAX)
        .map(ToString::to_string)
        .collect();
    match found.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_scan::SecretPlace;

    fn finding(line: u64, is_known: bool) -> SecretFinding {
        SecretFinding {
            commit: "0123".to_owned(),
            place: SecretPlace::FileLine {
                path: ".env".to_owned(),
                line,
            },
            kind: "a token",
            is_known,
        }
    }

    #[test]
    fn secrets_stop_a_branch_and_a_person_decides_on_what_only_looks_like_one() {
        assert_eq!(judge_found_secrets(&[], "SPEC-1", false), Ok(None));
        let shapes: Vec<_> = (1..8).map(|line| finding(line, false)).collect();
        let stop = judge_found_secrets(&shapes, "SPEC-1", false).unwrap_err();
        assert_eq!(stop.block, Some(SpecBlock::SecretDetected));
        for part in [
            "secret_detected",
            "`.env:1` of commit 0123 (a token)",
            "and 2 more",
            "omoi spec deliver SPEC-1",
        ] {
            assert!(stop.reason.contains(part), "{part}: {}", stop.reason);
        }
        let note = judge_found_secrets(&shapes, "SPEC-1", true)
            .unwrap()
            .unwrap();
        assert!(
            note.starts_with("it or its history adds what looks like secrets: `.env:1`"),
            "{note}"
        );
        let known = [finding(1, false), finding(2, true)];
        for is_accepted in [false, true] {
            let stop = judge_found_secrets(&known, "SPEC-1", is_accepted).unwrap_err();
            assert!(
                stop.reason.contains("`.env:2`") && !stop.reason.contains("`.env:1`"),
                "{}",
                stop.reason
            );
        }
    }
}
