//! What answers agents, as far as it decides who may go on with whose work.

/// What specs and processes call the simulated model.
pub const SIMULATED: &str = "simulated";
/// What a process says that answers no agent.
pub const NO_MODEL: &str = "none";

/// The kind of model that began a spec, or that a process works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind<'a> {
    /// No model was chosen yet.
    Missing,
    /// One that is asked over the network.
    Live,
    /// Scripted answers, from this file where it is known.
    Simulated(Option<&'a str>),
}

impl<'a> ModelKind<'a> {
    /// The kind of `model`, whose answers come from `scenario` when it is simulated.
    pub fn from_name(model: &str, scenario: Option<&'a str>) -> Self {
        match model {
            NO_MODEL => Self::Missing,
            SIMULATED => Self::Simulated(scenario),
            _ => Self::Live,
        }
    }

    /// Whether work that `begun` began may be gone on with: what a real model did and what a script
    /// said is never told under one name, and a script knows nothing of another's plan.
    pub fn may_go_on_with(self, begun: ModelKind<'_>) -> bool {
        match (begun, self) {
            (ModelKind::Missing, _) | (_, ModelKind::Missing) => true,
            (ModelKind::Live, ModelKind::Live) => true,
            (ModelKind::Simulated(begun), ModelKind::Simulated(now)) => {
                begun.is_none() || now.is_none() || begun == now
            }
            (ModelKind::Live, ModelKind::Simulated(_))
            | (ModelKind::Simulated(_), ModelKind::Live) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_keeps_the_kind_of_model_it_began_with() {
        let a = ModelKind::from_name(SIMULATED, Some("/a.yaml"));
        let b = ModelKind::from_name(SIMULATED, Some("/b.yaml"));
        let unknown = ModelKind::from_name(SIMULATED, None);
        let live = ModelKind::from_name("a-model", Some("/a.yaml"));
        let other = ModelKind::from_name("another-model", None);
        let none = ModelKind::from_name(NO_MODEL, None);
        for (begun, now, may) in [
            (a, a, true),
            (a, b, false),
            (a, unknown, true),
            (a, live, false),
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
