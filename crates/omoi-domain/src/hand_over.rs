//! The hand-over: how a proven branch reaches the user's repository.

crate::closed_set! {
    /// Where a hand-over stands.
    HandOverState {
        /// The branch is chosen; it may have been pushed already.
        Planned = "planned",
        /// The branch is in the user's repository.
        Confirmed = "confirmed",
    }
}
