//! Which model goes on with a spec.

use omoi_domain::model_kind::{NO_MODEL, SIMULATED};
use omoi_execution::spec_selection::SpecSelection;
use omoi_protocol::shell_word::shell_word;
use omoi_store::Tx;
use omoi_store::specs::Spec;

use super::SpecCommandError;
use super::spec_changes::spec_name;

/// Gives the spec the model that will go on with it; true when that is another one than before.
/// What a simulated model did and what a real one did is never told under one name. A process that
/// runs no agents has none to give.
pub(super) async fn adopt_model(
    selection: &SpecSelection,
    tx: &mut Tx,
    spec: &mut Spec,
) -> Result<bool, SpecCommandError> {
    if selection.is_of_another_kind(spec) && selection.runs_agents() {
        let name = spec_name(tx, spec).await?;
        return Err(other_model(selection, spec, name));
    }
    Ok(set_model(selection, spec))
}

fn set_model(selection: &SpecSelection, spec: &mut Spec) -> bool {
    if !selection.runs_agents() || spec.model == selection.model_label {
        return false;
    }
    spec.model.clone_from(&selection.model_label);
    spec.scenario.clone_from(&selection.scenario);
    true
}

fn other_model(selection: &SpecSelection, spec: &Spec, name: String) -> SpecCommandError {
    let now = selection.model_label.as_str();
    SpecCommandError::OtherModel {
        begun: model_words(&spec.model, spec.scenario.as_deref()),
        now: model_words(now, selection.scenario.as_deref()),
        resume: resume_command(&name, spec),
        spec: name,
    }
}

fn model_words(model: &str, scenario: Option<&str>) -> String {
    match scenario.filter(|_| model == SIMULATED) {
        Some(file) => format!("`{model}` of `{file}`"),
        None => format!("`{model}`"),
    }
}

/// The command that goes on with `spec`, called `name`, with the kind of model that began it.
pub fn resume_command(name: &str, spec: &Spec) -> String {
    let (name, model) = (shell_word(name), shell_word(&spec.model));
    match (spec.model.as_str(), spec.scenario.as_deref()) {
        (NO_MODEL, _) => format!("omoi spec resume {name}"),
        (SIMULATED, Some(file)) => {
            let file = shell_word(file);
            format!("omoi spec resume {name} --model {SIMULATED} --scenario {file}")
        }
        _ => format!("omoi spec resume {name} --model {model}"),
    }
}
