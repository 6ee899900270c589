//! Writes the proven branch into the user's repository.

use tracing::{debug, info};

use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::spec::finish::{
    HandOverPlan, PlannedHandOver, conclude_hand_over, plan_hand_over,
};
use omoi_execution::integration::branch_ref;
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_execution::specs::apply_to_spec;
use omoi_git::object::ObjectId;
use omoi_git::push::{PushError, PushedBranch, RenameReason, push_branch};
use omoi_runtime::BoxError;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{StoreError, deliveries, projects, specs};

use super::head::HeadProof;

/// The proven branch is not in the user's repository.
#[derive(Debug, thiserror::Error)]
#[error("the branch could not be handed over to `{repo}`")]
struct NotHandedOver {
    repo: String,
    #[source]
    source: PushError,
}

/// Why a spec could not be finished, and what to do where a person can help. `spec` is how they name it.
pub(super) fn why_unfinished(spec: &str, error: &BoxError) -> String {
    let why = error_chain(error.as_ref());
    match error.downcast_ref::<NotHandedOver>() {
        Some(_) => format!("{why}; once it can be written to, run `omoi spec resume {spec}`"),
        None => format!("the last checks could not be run: {why}"),
    }
}

/// Writes the proven branch into the user's repository, where that lies on this machine; `known` is what they should
/// know of it. What is to be pushed is written down before, so that a process that dies in between does the same again.
pub(super) async fn hand_over(proof: HeadProof<'_>, known: Option<String>) -> Result<(), BoxError> {
    let store = &proof.prover.store;
    let (head, wanted) = (proof.head.as_str(), branch_ref(proof.spec)?);
    let wanted = wanted.as_branch();
    let wanted = wanted.unwrap_or(&proof.spec.integration_branch);
    let planned = store.write(CrashPoint::HandOverPlanned, async |tx| {
        let project = projects::get(tx, proof.spec.project_id).await?;
        let known = deliveries::find(tx, proof.spec.id).await?;
        let known = known.as_ref().map(|planned| PlannedHandOver {
            head: &planned.head_sha,
            planned,
        });
        let planned = match plan_hand_over(known, head) {
            HandOverPlan::GoOn(planned) => planned.clone(),
            HandOverPlan::Begin => deliveries::plan(tx, proof.spec.id, head, wanted).await?,
        };
        Ok::<_, StoreError>((planned, project.repo_path))
    });
    let (mut planned, repo) = planned.await?;
    debug!(head, branch = planned.branch, repo, "Handing a branch over");
    let pushed = match repo {
        Some(repo) => {
            let head = ObjectId::parse(&planned.head_sha)?;
            let pushed = push_branch(proof.mirror, repo.as_ref(), &head, &planned.branch).await;
            pushed.map_err(|source| NotHandedOver { repo, source })?
        }
        // Whoever has the repository fetches the branch from the mirror, where it is already.
        None => PushedBranch {
            branch: planned.branch.clone(),
            renamed: None,
            existed: true,
        },
    };
    let notes: Vec<String> = known.into_iter().chain(renamed_note(&pushed)).collect();
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    let confirmed = store.write(CrashPoint::HandOverConfirmed, async |tx| {
        if !end_run(tx, proof.attempt, RunEnding::Done).await? {
            return Ok(());
        }
        let mut spec = specs::get(tx, proof.spec.id).await?;
        deliveries::confirm(tx, &spec, &mut planned, &pushed.branch, note).await?;
        apply_to_spec(tx, &mut spec, conclude_hand_over(), false).await
    });
    confirmed.await?;
    let (number, branch) = (proof.spec.number, &pushed.branch);
    info!(spec.id = %proof.spec.id, head, branch, "Delivered SPEC-{number} as `{branch}`");
    Ok(())
}

/// What whoever gets the branch is told when it has another name than it was to have.
fn renamed_note(pushed: &PushedBranch) -> Option<String> {
    let why = match pushed.renamed? {
        RenameReason::Taken => "a branch of the wanted name has other content",
        RenameReason::CheckedOut => "the wanted name is checked out",
        RenameReason::Nested => "a branch stands in the way of the wanted name",
    };
    Some(format!("handed over as `{}`: {why}", pushed.branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_that_was_renamed_says_why() {
        for (renamed, expected) in [
            (None, None),
            (
                Some(RenameReason::Taken),
                Some("handed over as `omoi/todo-2`: a branch of the wanted name has other content"),
            ),
            (
                Some(RenameReason::CheckedOut),
                Some("handed over as `omoi/todo-2`: the wanted name is checked out"),
            ),
            (
                Some(RenameReason::Nested),
                Some("handed over as `omoi/todo-2`: a branch stands in the way of the wanted name"),
            ),
        ] {
            let pushed = PushedBranch {
                branch: "omoi/todo-2".to_owned(),
                renamed,
                existed: false,
            };
            assert_eq!(renamed_note(&pushed).as_deref(), expected);
        }
    }

    #[test]
    fn only_a_repository_that_refuses_is_a_persons_to_mend() {
        let refused: BoxError = Box::new(NotHandedOver {
            repo: "/home/ada/todo".to_owned(),
            source: PushError::NoName {
                branch: "omoi/todo".to_owned(),
            },
        });
        let told = why_unfinished("SPEC-1", &refused);
        let says = "the branch could not be handed over to `/home/ada/todo`: ";
        let next = "; once it can be written to, run `omoi spec resume SPEC-1`";
        assert!(told.starts_with(says) && told.ends_with(next), "{told}");
        let other: BoxError = "no space".into();
        let expected = "the last checks could not be run: no space";
        assert_eq!(why_unfinished("SPEC-1", &other), expected);
    }
}
