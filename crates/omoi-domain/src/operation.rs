//! Work that a request asks for and does not wait for.

use crate::closed_set;

closed_set! {
    /// What an operation does.
    OperationKind {
        /// Installs the packages of a repository.
        SetUpRepository = "set_up_repository",
    }
}

closed_set! {
    /// Where an operation stands.
    OperationStatus {
        /// A process works on it.
        Running = "running",
        /// It did what it was asked for.
        Succeeded = "succeeded",
        /// It could not.
        Failed = "failed",
    }
}
