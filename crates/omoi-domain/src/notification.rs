//! What a person is told of, by itself.

crate::closed_set! {
    /// Why a person is told.
    NotificationKind {
        /// A comment mentions them.
        Mention = "mention",
        /// A question waits for their answer.
        Approval = "approval",
    }
}
