//! What edits of a plan have in common.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_planning::commands::{
    ItemEdit, PhaseEdit, PlannedTaskEdit, PlannedTaskWish, SpecCommandError, edit_items,
    edit_planned_task,
};
use omoi_planning::output_diff::changed_items;
use omoi_protocol::api::{EXAMPLE_REQUIREMENT, EXAMPLE_SPEC};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, phases};

use super::answered_spec;
use crate::api::ApiSurface;
use crate::api::caller::ApiCaller;
use crate::api::find::{self, AskedReference};
use crate::api::version::{MeantVersions, VersionedJson, with_version};
use crate::error::ApiError;

/// The section of requirements in the output of their phase.
pub(super) const REQUIREMENTS: &str = "requirements";

/// Which requirement.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RequirementPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) spec_id: String,
    /// Id of the requirement, `REQ-…`.
    #[param(example = json!(EXAMPLE_REQUIREMENT))]
    pub(super) req_id: String,
}

/// Which criterion.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(clippy::struct_field_names, reason = "named as in the path")]
pub(super) struct CriterionPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) spec_id: String,
    /// Id of the requirement, `REQ-…`.
    #[param(example = json!(EXAMPLE_REQUIREMENT))]
    pub(super) req_id: String,
    /// `n` of the criterion's id `REQ-…#n`.
    #[param(example = json!(1), minimum = 1)]
    pub(super) criterion_id: usize,
}

/// A spec whose plan is edited, and for which versions of it.
pub(super) struct EditedPlan<'a> {
    pub(super) surface: &'a ApiSurface,
    pub(super) caller: &'a ApiCaller,
    pub(super) spec: Spec,
    pub(super) meant: MeantVersions,
}

impl<'a> EditedPlan<'a> {
    pub(super) async fn find(
        surface: &'a ApiSurface,
        caller: &'a ApiCaller,
        asked: AskedReference<'_>,
        meant: MeantVersions,
    ) -> Result<Self, ApiError> {
        let spec = caller
            .own_rows()
            .read(async |tx| find::spec(tx, asked).await)
            .await?;
        Ok(Self {
            surface,
            caller,
            spec,
            meant,
        })
    }

    /// The requirement as it was accepted.
    ///
    /// # Errors
    /// [`omoi_domain::error_code::ErrorCode::NotFound`].
    pub(super) async fn find_requirement(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let spec = self.spec.id;
        let run = self
            .caller
            .own_rows()
            .read(async |tx| phases::find(tx, spec, Phase::Requirements).await);
        let output = run.await?.and_then(|run| run.output).map(|output| output.0);
        let mut all = output
            .iter()
            .filter_map(|output| output[REQUIREMENTS].as_array())
            .flatten();
        Ok(all.find(|requirement| requirement["id"] == id).cloned())
    }

    /// The same, where it must be there.
    pub(super) async fn expect_requirement(&self, id: &str) -> Result<Value, ApiError> {
        let found = self.find_requirement(id).await?;
        found.ok_or_else(|| missing_item("requirement", id))
    }

    /// Puts a requirement into the plan, or with null takes it out.
    pub(super) async fn put_requirement(
        self,
        id: &str,
        value: Value,
    ) -> Result<Response, ApiError> {
        let item = ItemEdit {
            section: REQUIREMENTS.to_owned(),
            key: id.to_owned(),
            value,
        };
        self.put_items(Phase::Requirements, vec![item], id.to_owned())
            .await
    }

    /// What makes sections of an output those given: of a list, items that are not given go.
    pub(super) async fn section_edits(
        &self,
        phase: Phase,
        sections: &BTreeMap<String, Value>,
    ) -> Result<Vec<ItemEdit>, ApiError> {
        let spec = self.spec.id;
        let rows = self.caller.own_rows();
        let run = rows.read(async |tx| phases::find(tx, spec, phase).await);
        let before = run.await?.and_then(|run| run.output).map(|output| output.0);
        let mut after = before.clone().unwrap_or_else(|| json!({}));
        for (section, value) in sections {
            after[section] = value.clone();
        }
        let changes = changed_items(phase, before.as_ref(), Some(&after)).into_iter();
        let edits = changes.map(|change| ItemEdit {
            section: change.section,
            key: change.key,
            value: change.after.unwrap_or(Value::Null),
        });
        Ok(edits.collect())
    }

    /// Puts items into the output of a phase; answers the spec as it is then.
    pub(super) async fn put_items(
        self,
        phase: Phase,
        items: Vec<ItemEdit>,
        summary: String,
    ) -> Result<Response, ApiError> {
        let Self {
            surface: s,
            caller,
            spec,
            meant,
        } = self;
        let edit = PhaseEdit {
            phase,
            items,
            versions: meant.0,
            summary,
        };
        if caller.is_shown_again() {
            return answer_edit(s, caller, Ok(spec)).await;
        }
        let gate = s.parts.gate.in_tenant(caller.own_rows());
        let changed = edit_items(&gate, caller.own_rows(), spec.id, &edit).await;
        let changed = meant_edit(caller, spec.id, edit.versions.as_deref(), changed).await;
        answer_edit(s, caller, changed).await
    }
}

/// Which task of a plan.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct PlannedTaskPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) spec_id: String,
    /// Id of the task in the plan, `TSK-NNN`.
    #[param(example = json!("TSK-001"))]
    pub(super) planned_task_id: String,
}

impl EditedPlan<'_> {
    /// Changes a task of the plan; answers the spec as it is then.
    pub(super) async fn change_task(self, wish: PlannedTaskWish) -> Result<Response, ApiError> {
        let Self {
            surface: s,
            caller,
            spec,
            meant,
        } = self;
        if caller.is_shown_again() {
            return answer_edit(s, caller, Ok(spec)).await;
        }
        let (gate, versions) = (s.parts.gate.in_tenant(caller.own_rows()), meant.0);
        let edit = PlannedTaskEdit {
            wish,
            versions: versions.clone(),
        };
        let changed = edit_planned_task(&gate, caller.own_rows(), spec.id, edit).await;
        let changed = meant_edit(caller, spec.id, versions.as_deref(), changed).await;
        answer_edit(s, caller, changed).await
    }
}

pub(super) fn missing_item(what: &'static str, key: impl ToString) -> ApiError {
    StoreError::NotFound {
        what,
        key: key.to_string(),
    }
    .into()
}

/// The outcome of a change of a spec: that somebody else changed it in between is told with what it is then, where the
/// change was meant for some of its `versions` alone.
pub(super) async fn meant_edit(
    caller: &ApiCaller,
    id: SpecId,
    versions: Option<&[i64]>,
    changed: Result<Spec, SpecCommandError>,
) -> Result<Spec, SpecCommandError> {
    match changed {
        Err(SpecCommandError::Store(StoreError::Conflict { .. })) if versions.is_some() => {
            let rows = caller.own_rows();
            let current = rows.read(async |tx| specs::get(tx, id).await).await?;
            Err(SpecCommandError::StaleVersion(Box::new(current)))
        }
        changed => changed,
    }
}

/// The spec after an edit with its version, or why it was refused.
pub(super) async fn answer_edit(
    s: &ApiSurface,
    caller: &ApiCaller,
    changed: Result<Spec, SpecCommandError>,
) -> Result<Response, ApiError> {
    match changed {
        Ok(spec) => {
            let version = spec.state_version;
            let body = answered_spec(s, caller, spec).await?.0;
            Ok(VersionedJson { version, body }.into_response())
        }
        Err(SpecCommandError::StaleVersion(current)) => refuse_stale(s, caller, *current).await,
        Err(refused) => Err(refused.into()),
    }
}

/// Refuses a change that was meant for another version of `spec`, and shows the present one.
pub(super) async fn refuse_stale(
    s: &ApiSurface,
    caller: &ApiCaller,
    spec: Spec,
) -> Result<Response, ApiError> {
    let version = spec.state_version;
    let stale = ApiError::from(SpecCommandError::StaleVersion(Box::new(spec.clone())));
    let current = answered_spec(s, caller, spec).await?.0;
    let refusal = stale
        .with_context("current", json!(current))
        .with_field("If-Match")
        .hint("look at what `context.current` has, and send the change with its `ETag`");
    Ok(with_version(refusal.into_response(), version))
}
