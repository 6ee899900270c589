//! Which command runs a project's own suite, as a check of the whole spec.

use std::collections::BTreeMap;

use omoi_domain::check::CheckKind;
use omoi_domain::lifecycle::spec::{StandingSuite, SuiteChange, SuiteFacts, change_suite};
use omoi_domain::work_limits::WorkLimits;
use omoi_git::survey::{CommandHint, Survey};
use omoi_store::checks::{self, Check};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tx};

use crate::tree;

/// What a person writes to run no suite.
const NO_SUITE: &str = "none";

/// The command a person or the repository's file `named`, or the one that was found in the tree.
pub(crate) fn chosen_suite(named: Option<&str>, survey: &Survey) -> Option<String> {
    match named.map(str::trim) {
        None | Some("") => survey.suite_command().map(CommandHint::at_root),
        Some(NO_SUITE) => None,
        Some(command) => Some(command.to_owned()),
    }
}

/// Writes the spec's suite as its check.
pub(crate) async fn insert_suite(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &Spec,
) -> Result<(), StoreError> {
    let Some(command) = spec.suite_command() else {
        return Ok(());
    };
    let check = Check {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec.id,
        task_id: None,
        ordinal: 0,
        kind: CheckKind::Suite,
        command: command.to_owned(),
        files: Json(BTreeMap::new()),
        timeout_s: i64::try_from(spec.work_limits(*limits).check_timeout.as_secs())
            .unwrap_or(i64::MAX),
        base_exit: None,
        is_deploy: false,
    };
    checks::insert(tx, &check, &[]).await
}

/// Gives a spec whose work has not begun the suite a person names, and has the base tried again
/// where its last run would not let the work begin: what was missing may be there now.
pub(crate) async fn set_up_again(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &mut Spec,
    named: Option<&str>,
) -> Result<(), StoreError> {
    let stands = match checks::suite_of_spec(tx, spec.id).await? {
        Some(suite) => Some(StandingSuite {
            base: checks::base_receipt(tx, suite.id)
                .await?
                .map(|base| base.suite_run()),
            check: suite.id,
        }),
        None => None,
    };
    let wanted = match named {
        Some(_) => chosen_suite(named, &tree::survey(spec)?),
        None => spec.options.0.suite.clone(),
    };
    let change = change_suite(SuiteFacts {
        stands,
        command: spec.options.0.suite.as_deref(),
        wanted,
        accept_red: spec.options.0.accept_red,
    });
    match change {
        SuiteChange::Keep => Ok(()),
        SuiteChange::ForgetBaseRun(check) => checks::forget_base_run(tx, check).await,
        SuiteChange::Replace { old, command } => {
            spec.options.0.suite = command;
            if let Some(check) = old {
                checks::drop_suite(tx, check).await?;
            }
            insert_suite(tx, limits, spec).await
        }
    }
}
