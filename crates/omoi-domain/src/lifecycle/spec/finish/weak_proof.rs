//! Criteria that are proven, but perhaps not by the work done for them.

use super::SpecStop;
use crate::ablation::AblationVerdict;
use crate::block::SpecBlock;

/// What ablation found out about a criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AblatedCriterion {
    /// `REQ-…#n`.
    pub local_id: String,
    /// What was found out.
    pub verdict: AblationVerdict,
    /// What a person should know of it.
    pub reason: Option<String>,
    /// Whether a person lets it stand although it is weak.
    pub is_accepted: bool,
}

fn names<'a>(criteria: impl IntoIterator<Item = &'a AblatedCriterion>) -> String {
    let names: Vec<&str> = criteria.into_iter().map(|c| c.local_id.as_str()).collect();
    names.join(", ")
}

/// Why the branch is not handed over: criteria in plan order that are weak and that no person let
/// stand. `spec` is how a person names it.
pub fn refuse_weak_proofs(criteria: &[AblatedCriterion], spec: &str) -> Option<SpecStop> {
    let is_refused = |c: &&AblatedCriterion| c.verdict == AblationVerdict::Weak && !c.is_accepted;
    let weak: Vec<&AblatedCriterion> = criteria.iter().filter(is_refused).collect();
    let first = weak.first()?;
    let is = if weak.len() == 1 { "is" } else { "are" };
    let why = first.reason.as_deref();
    let block = SpecBlock::WeakProof;
    let reason = format!(
        "{block}: {} {is} proven, but not by this work: {}. See `omoi trace {spec}`; to hand it over \
         all the same, resume it with `--accept-weak`",
        names(weak.iter().copied()),
        why.unwrap_or("its proofs pass without it")
    );
    Some(SpecStop::wait_for(block, reason))
}

/// What whoever gets the branch should know; none when every criterion needs its work.
pub fn ablation_note(criteria: &[AblatedCriterion]) -> Option<String> {
    let mut parts = Vec::new();
    for (verdict, says) in [
        (AblationVerdict::Weak, "proven, but not by this work"),
        (
            AblationVerdict::Unknown,
            "proven, but whether by this work is unknown",
        ),
        (
            AblationVerdict::NotTried,
            "proven, but not tried without this work for lack of time",
        ),
    ] {
        let those = names(criteria.iter().filter(|c| c.verdict == verdict));
        if !those.is_empty() {
            parts.push(format!("{says}: {those}"));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(local_id: &str, verdict: AblationVerdict, is_accepted: bool) -> AblatedCriterion {
        AblatedCriterion {
            local_id: local_id.to_owned(),
            verdict,
            reason: (verdict == AblationVerdict::Weak).then(|| format!("{local_id} still passes")),
            is_accepted,
        }
    }

    #[test]
    fn weak_proofs_stop_a_spec_until_a_person_accepts_them() {
        use AblationVerdict::{Needed, NotTried, Unknown, Weak};
        let refusal = |says: &str| {
            format!(
                "weak_proof: {says}. See `omoi trace SPEC-1`; to hand it over all the same, resume it \
                 with `--accept-weak`"
            )
        };
        for (criteria, reason, note) in [
            (vec![found("A#1", Needed, false)], None, None),
            (
                vec![found("A#1", Weak, false), found("B#1", Needed, false)],
                Some(refusal(
                    "A#1 is proven, but not by this work: A#1 still passes",
                )),
                Some("proven, but not by this work: A#1"),
            ),
            (
                vec![found("A#1", Weak, false), found("B#1", Weak, false)],
                Some(refusal(
                    "A#1, B#1 are proven, but not by this work: A#1 still passes",
                )),
                Some("proven, but not by this work: A#1, B#1"),
            ),
            (
                vec![found("A#1", Weak, true), found("B#1", Weak, false)],
                Some(refusal(
                    "B#1 is proven, but not by this work: B#1 still passes",
                )),
                Some("proven, but not by this work: A#1, B#1"),
            ),
            (
                vec![found("A#1", Weak, true), found("B#1", Unknown, false)],
                None,
                Some(
                    "proven, but not by this work: A#1; proven, but whether by this work is \
                     unknown: B#1",
                ),
            ),
            (
                vec![found("A#1", NotTried, false)],
                None,
                Some("proven, but not tried without this work for lack of time: A#1"),
            ),
        ] {
            let stop = refuse_weak_proofs(&criteria, "SPEC-1");
            let expected = reason.map(|reason| SpecStop::wait_for(SpecBlock::WeakProof, reason));
            assert_eq!(stop, expected);
            assert_eq!(ablation_note(&criteria).as_deref(), note);
        }
    }
}
