//! Which model goes on with a spec.

use crate::model_kind::WorkModel;

/// What becomes of the model of a spec that a process goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelChange {
    /// It stays.
    Keep,
    /// It is that of the process from now on.
    Adopt,
    /// The process must not go on with the spec.
    Refuse,
}

/// Gives a spec that `begun` began, and that a person has go on, the model of the process, which is `own`;
/// none for a process that runs no agents, which has none to give. What a simulated model did and what a
/// real one did is never told under one name.
pub fn adopt_model(begun: &WorkModel, own: Option<&WorkModel>) -> ModelChange {
    match own.filter(|own| !own.is_missing()) {
        None => ModelChange::Keep,
        Some(own) if !own.may_go_on_with(begun) => ModelChange::Refuse,
        Some(own) if own.kind == begun.kind && own.label == begun.label => ModelChange::Keep,
        Some(_) => ModelChange::Adopt,
    }
}

/// As [`adopt_model`], for a spec that a process plans unasked: it gets the model of the process only where
/// the one that took the idea had none.
pub fn adopt_first_model(begun: &WorkModel, own: &WorkModel) -> ModelChange {
    match begun.is_missing() {
        true => adopt_model(begun, Some(own)),
        false => ModelChange::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_goes_on_with_a_model_of_the_kind_that_began_it() {
        use ModelChange::{Adopt, Keep, Refuse};
        let script = &WorkModel::simulated_model(Some("/a.yaml".to_owned()));
        let unknown = &WorkModel::simulated_model(None);
        let (live, other) = (
            &WorkModel::live_model("a-model"),
            &WorkModel::live_model("another"),
        );
        let none = &WorkModel::no_model();
        for (begun, own, asked, unasked) in [
            (script, script, Keep, Keep),
            (script, unknown, Keep, Keep),
            (script, live, Refuse, Keep),
            (live, script, Refuse, Keep),
            (live, live, Keep, Keep),
            (live, other, Adopt, Keep),
            (none, script, Adopt, Adopt),
            (none, live, Adopt, Adopt),
            (none, none, Keep, Keep),
            // A provider may call its model what it likes.
            (none, &WorkModel::live_model("none"), Adopt, Adopt),
            (live, none, Keep, Keep),
        ] {
            assert_eq!(adopt_model(begun, Some(own)), asked, "{begun:?} {own:?}");
            assert_eq!(adopt_first_model(begun, own), unasked, "{begun:?} {own:?}");
            assert_eq!(adopt_model(begun, None), Keep, "{begun:?}");
        }
    }
}
