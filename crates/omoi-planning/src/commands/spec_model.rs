//! Which model goes on with a spec.

use omoi_domain::lifecycle::spec::{self as rules, ModelChange};
use omoi_domain::model_kind::{ModelKind, WorkModel};
use omoi_execution::spec_selection::SpecSelection;
use omoi_protocol::shell_word::shell_word;
use omoi_store::Tx;
use omoi_store::specs::Spec;

use super::SpecCommandError;
use super::spec_changes::spec_name;

/// Gives the spec the model that will go on with it; true when that is another one than before.
///
/// # Errors
/// [`SpecCommandError::OtherModel`] when that is one of another kind than began it.
pub(super) async fn adopt_model(
    selection: &SpecSelection,
    tx: &mut Tx,
    spec: &mut Spec,
) -> Result<bool, SpecCommandError> {
    let selection = &selection.in_organisation(tx).await?;
    let own = selection.runs_agents().then_some(&selection.model);
    match rules::adopt_model(&spec.work_model(), own) {
        ModelChange::Keep => Ok(false),
        ModelChange::Adopt => {
            spec.set_work_model(&selection.model);
            Ok(true)
        }
        ModelChange::Refuse => {
            let name = spec_name(tx, spec).await?;
            Err(other_model(selection, spec, name))
        }
    }
}

fn other_model(selection: &SpecSelection, spec: &Spec, name: String) -> SpecCommandError {
    SpecCommandError::OtherModel {
        begun: model_words(&spec.work_model()),
        now: model_words(&selection.model),
        resume: resume_command(&name, spec),
        spec: name,
    }
}

fn model_words(model: &WorkModel) -> String {
    let label = &model.label;
    match &model.scenario {
        Some(file) => format!("`{label}` of `{file}`"),
        None => format!("`{label}`"),
    }
}

/// The command that goes on with `spec`, called `name`, with the kind of model that began it.
pub fn resume_command(name: &str, spec: &Spec) -> String {
    let (name, model) = (shell_word(name), shell_word(&spec.model));
    match (spec.model_kind, spec.scenario.as_deref()) {
        (ModelKind::Missing, _) => format!("omoi spec resume {name}"),
        (ModelKind::Simulated, Some(file)) => {
            let file = shell_word(file);
            format!("omoi spec resume {name} --model {model} --scenario {file}")
        }
        (ModelKind::Live | ModelKind::Simulated, _) => {
            format!("omoi spec resume {name} --model {model}")
        }
    }
}
