//! Checks: commands of the platform that prove work.

use schemars::JsonSchema;

crate::closed_set! {
    /// What a check shows.
    #[derive(JsonSchema)]
    CheckKind {
        /// New behaviour: fails before the work, passes after it.
        Proof = "proof",
        /// Old behaviour that must go on working.
        Regression = "regression",
        /// The project's whole test suite.
        Suite = "suite",
    }
}

crate::closed_set! {
    /// Why a check was run, which decides the commit it was run on.
    CheckStage {
        /// The commit the spec starts from: a proof must fail there.
        Base = "base",
        /// The head of the task's own branch.
        Task = "task",
        /// The tree that merging the task's branch yields.
        Merge = "merge",
        /// The integration branch, before the hand-over.
        Head = "head",
        /// The integration branch without the work that serves a requirement.
        Ablation = "ablation",
    }
}
