//! A spec that a person has handed over although not everything is proven.

use super::SpecStop;
use crate::lifecycle::task::UnmetResult;

/// What is known of a head that is handed over as it stands. Its proofs may be red, the rest may not.
#[derive(Clone, Debug)]
pub struct StandingHead {
    /// What the machine lacks, when that is why every red check is red.
    pub fault: Option<String>,
    /// The red checks that are no proofs.
    pub unmet: Option<UnmetResult>,
    /// Criteria that no check proves, `REQ-…#n`.
    pub unproven: Vec<String>,
    /// Needed tasks that are not merged, with where each stands.
    pub open_tasks: Vec<String>,
}

/// What whoever gets the branch is told of it.
///
/// # Errors
/// [`SpecStop`] when what stands breaks the project's own checks.
pub fn judge_as_it_stands(head: StandingHead) -> Result<String, SpecStop> {
    if let Some(fault) = &head.fault {
        return Err(SpecStop::lacks(fault));
    }
    if let Some(unmet) = head.unmet {
        let headline = unmet.feedback.lines().next().unwrap_or_default();
        let reason = format!("what stands is not handed over: at the head {headline}");
        return Err(SpecStop::fail(reason));
    }
    let mut says = vec!["handed over as it stands, because a person said so".to_owned()];
    for (what, those) in [("not proven", head.unproven), ("not done", head.open_tasks)] {
        if !those.is_empty() {
            says.push(format!("{what}: {}", those.join(", ")));
        }
    }
    says.push("whether the proofs need this work was not tried".to_owned());
    Ok(says.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SpecBlock;
    use crate::task::UnmetCode;

    #[test]
    fn what_stands_is_handed_over_with_what_it_lacks() {
        let whole = StandingHead {
            fault: None,
            unmet: None,
            unproven: Vec::new(),
            open_tasks: Vec::new(),
        };
        let says = "handed over as it stands, because a person said so";
        let tried = "whether the proofs need this work was not tried";
        for (head, expected) in [
            (whole.clone(), Ok(format!("{says}; {tried}"))),
            (
                StandingHead {
                    unproven: vec!["REQ-A#1".to_owned()],
                    open_tasks: vec!["TSK-002 (failed)".to_owned()],
                    ..whole.clone()
                },
                Ok(format!(
                    "{says}; not proven: REQ-A#1; not done: TSK-002 (failed); {tried}"
                )),
            ),
            (
                StandingHead {
                    fault: Some("no `cargo`".to_owned()),
                    ..whole.clone()
                },
                Err(SpecStop::wait_for(
                    SpecBlock::Environment,
                    "environment_fault: at the head no `cargo`",
                )),
            ),
            (
                StandingHead {
                    unmet: Some(UnmetResult {
                        code: UnmetCode::HeadRed,
                        feedback: "1 of 1 checks failed\nboom".to_owned(),
                        recommendations: Vec::new(),
                    }),
                    ..whole
                },
                Err(SpecStop::fail(
                    "what stands is not handed over: at the head 1 of 1 checks failed",
                )),
            ),
        ] {
            assert_eq!(judge_as_it_stands(head), expected);
        }
    }
}
