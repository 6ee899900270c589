//! What becomes of a branch in which secrets were found.

use super::SpecStop;
use crate::block::SpecBlock;
use crate::secret_scan::SecretFinding;

/// Findings that are named.
const NAMED_MAX: usize = 5;

/// A search of what leaves with a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchSearch {
    /// The secrets, or what looks like one.
    pub found: Vec<SecretFinding>,
    /// How far it went, where the commits change more, as in `256 MiB`.
    pub ended_at: Option<String>,
}

/// What whoever gets the branch should know of its `search`; none where that went over all and found nothing. A value
/// that this deployment knows is never handed over, what only looks like a secret, or was not searched, when a person
/// said so. `spec` is how a person names it.
///
/// # Errors
/// The stop, where it is not handed over.
pub fn judge_found_secrets(
    search: &BranchSearch,
    spec: &str,
    is_accepted: bool,
) -> Result<Option<String>, SpecStop> {
    let BranchSearch { found, ended_at } = search;
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
    let lookalikes = (!all.is_empty()).then(|| {
        let names = names(&all);
        format!("it or its history adds what looks like secrets: {names}")
    });
    let unsearched = ended_at.as_ref().map(|bytes| {
        format!("its commits change more text than is searched for secrets: the first {bytes} were")
    });
    let says: Vec<String> = lookalikes.into_iter().chain(unsearched).collect();
    if says.is_empty() {
        return Ok(None);
    }
    let says = says.join("; ");
    if is_accepted {
        return Ok(Some(says));
    }
    let history = match all.is_empty() {
        true => "",
        false => "Taking them out later leaves them in the history: replace what is a key. ",
    };
    let reason = format!(
        "{block}: {says}. {history}If it may leave so, hand the branch over all the same: `omoi spec deliver {spec}`"
    );
    Err(SpecStop::wait_for(block, reason))
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
        let whole = |found| BranchSearch {
            found,
            ended_at: None,
        };
        let nothing = BranchSearch::default();
        assert_eq!(judge_found_secrets(&nothing, "SPEC-1", false), Ok(None));
        let shapes = whole((1..8).map(|line| finding(line, false)).collect());
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
        let known = BranchSearch {
            found: vec![finding(1, false), finding(2, true)],
            ended_at: Some("256 MiB".to_owned()),
        };
        for is_accepted in [false, true] {
            let stop = judge_found_secrets(&known, "SPEC-1", is_accepted).unwrap_err();
            assert!(
                stop.reason.contains("`.env:2`") && !stop.reason.contains("`.env:1`"),
                "{}",
                stop.reason
            );
        }
    }

    #[test]
    fn a_branch_that_is_too_long_to_search_waits_for_a_person() {
        let cut = BranchSearch {
            found: Vec::new(),
            ended_at: Some("256 MiB".to_owned()),
        };
        let stop = judge_found_secrets(&cut, "SPEC-1", false).unwrap_err();
        assert_eq!(stop.block, Some(SpecBlock::SecretDetected));
        for part in ["the first 256 MiB were", "omoi spec deliver SPEC-1"] {
            assert!(stop.reason.contains(part), "{part}: {}", stop.reason);
        }
        let note = judge_found_secrets(&cut, "SPEC-1", true).unwrap();
        assert!(note.unwrap().contains("the first 256 MiB were"));
    }
}
