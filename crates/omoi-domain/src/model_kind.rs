//! What answers agents, as far as it decides who may go on with whose work.

/// What specs and processes call the simulated model.
const SIMULATED: &str = "simulated";
/// What a process says that answers no agent.
const NO_MODEL: &str = "none";

crate::closed_set! {
    /// The kind of model that began a spec, or that a process works with.
    ModelKind {
        /// No model was chosen yet.
        Missing = "none",
        /// One that is asked over the network.
        Live = "live",
        /// Scripted answers.
        Simulated = "simulated",
    }
}

/// What answers the agents of a process, or those of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkModel {
    /// Its kind.
    pub kind: ModelKind,
    /// What people call it: the name of a model, `simulated` or `none`.
    pub label: String,
    /// The file of the scripted answers, where it is simulated and that is known.
    pub scenario: Option<String>,
}

/// A model that answers agents of an organisation with a key of its own, where the deployment has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtModel {
    /// What the deployment calls the provider.
    pub provider: String,
    /// What people call the model.
    pub model: String,
}

impl WorkModel {
    /// No model.
    pub fn no_model() -> Self {
        Self {
            kind: ModelKind::Missing,
            label: NO_MODEL.to_owned(),
            scenario: None,
        }
    }

    /// The model of that name.
    pub fn live_model(name: impl Into<String>) -> Self {
        Self {
            kind: ModelKind::Live,
            label: name.into(),
            scenario: None,
        }
    }

    /// The answers of a script, from that file where it is known.
    pub fn simulated_model(scenario: Option<String>) -> Self {
        Self {
            kind: ModelKind::Simulated,
            label: SIMULATED.to_owned(),
            scenario,
        }
    }

    /// Whether there is no model to ask.
    pub fn is_missing(&self) -> bool {
        self.kind == ModelKind::Missing
    }

    /// Whether work that `begun` began may be gone on with: what a real model did and what a script
    /// said is never told under one name, and a script knows nothing of another's plan.
    pub fn may_go_on_with(&self, begun: &Self) -> bool {
        match (begun.kind, self.kind) {
            (ModelKind::Missing, _) | (_, ModelKind::Missing) => true,
            (ModelKind::Live, ModelKind::Live) => true,
            (ModelKind::Simulated, ModelKind::Simulated) => {
                let (begun, now) = (&begun.scenario, &self.scenario);
                begun.is_none() || now.is_none() || begun == now
            }
            (ModelKind::Live, ModelKind::Simulated) | (ModelKind::Simulated, ModelKind::Live) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_keeps_the_kind_of_model_it_began_with() {
        let simulated = |file: &str| WorkModel::simulated_model(Some(file.to_owned()));
        let (a, b) = (&simulated("/a.yaml"), &simulated("/b.yaml"));
        let unknown = &WorkModel::simulated_model(None);
        // A model may be called whatever its provider likes.
        let (live, other) = (
            &WorkModel::live_model("a-model"),
            &WorkModel::live_model(SIMULATED),
        );
        let none = &WorkModel::no_model();
        for (begun, now, may) in [
            (a, a, true),
            (a, b, false),
            (a, unknown, true),
            (a, live, false),
            (a, other, false),
            (live, a, false),
            (live, other, true),
            (none, a, true),
            (none, live, true),
            (a, none, true),
        ] {
            assert_eq!(now.may_go_on_with(begun), may, "{begun:?} {now:?}");
        }
    }
}
