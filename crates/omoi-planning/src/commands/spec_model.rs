//! Which model goes on with a spec.

use omoi_execution::Deployment;
use omoi_execution::deployment::{NO_MODEL, SIMULATED, WorkScope};
use omoi_protocol::shell_word::shell_word;
use omoi_store::Tx;
use omoi_store::specs::Spec;

use super::SpecCommandError;
use super::spec_changes::spec_name;

/// Gives the spec the model that will go on with it; true when that is another one than before.
/// What a simulated model did and what a real one did is never told under one name. A process that
/// runs no agents has none to give.
pub(super) async fn adopt_model(
    deployment: &Deployment,
    tx: &mut Tx,
    spec: &mut Spec,
) -> Result<bool, SpecCommandError> {
    if deployment.is_of_another_kind(spec) && runs_agents(deployment) {
        let name = spec_name(tx, spec).await?;
        return Err(other_model(deployment, spec, name));
    }
    Ok(set_model(deployment, spec))
}

/// Whether this process has a model to give.
fn runs_agents(deployment: &Deployment) -> bool {
    deployment.model_label != NO_MODEL && !matches!(deployment.scope, WorkScope::Nothing)
}

fn set_model(deployment: &Deployment, spec: &mut Spec) -> bool {
    if !runs_agents(deployment) || spec.model == deployment.model_label {
        return false;
    }
    spec.model.clone_from(&deployment.model_label);
    spec.scenario.clone_from(&deployment.scenario);
    true
}

fn other_model(deployment: &Deployment, spec: &Spec, name: String) -> SpecCommandError {
    let now = deployment.model_label.as_str();
    SpecCommandError::OtherModel {
        begun: model_words(&spec.model, spec.scenario.as_deref()),
        now: model_words(now, deployment.scenario.as_deref()),
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
