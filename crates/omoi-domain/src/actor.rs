//! Who a change is made for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{ApiKeyId, AttemptId, UserId};

crate::closed_set! {
    /// What an actor is.
    ActorKind {
        /// A person.
        User = "user",
        /// A key of an organisation, which acts for no person.
        Key = "key",
        /// The agent of an attempt.
        Agent = "agent",
        /// OmoiOS itself.
        System = "system",
    }
}

/// Who a change is made for. A transaction has one; its events, its history and its audit entries name it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// A person, also by a key of their own. On a laptop it is [`UserId::LOCAL`].
    User(UserId),
    /// A key of an organisation, which stays when the person who made it leaves.
    Key(ApiKeyId),
    /// The agent of an attempt, by what its worker reports.
    Agent(AttemptId),
    /// OmoiOS itself: its loops, and what they carry out.
    System,
}

impl Actor {
    /// What it is.
    pub const fn actor_kind(self) -> ActorKind {
        match self {
            Self::User(_) => ActorKind::User,
            Self::Key(_) => ActorKind::Key,
            Self::Agent(_) => ActorKind::Agent,
            Self::System => ActorKind::System,
        }
    }

    /// Which one of its kind; there is one system.
    pub const fn actor_id(self) -> Option<Uuid> {
        match self {
            Self::User(user) => Some(user.as_uuid()),
            Self::Key(key) => Some(key.as_uuid()),
            Self::Agent(attempt) => Some(attempt.as_uuid()),
            Self::System => None,
        }
    }

    /// The actor of a kind and an id as they are stored; none where the one does not go with the other.
    pub fn from_parts(kind: ActorKind, id: Option<Uuid>) -> Option<Self> {
        match (kind, id) {
            (ActorKind::User, Some(id)) => Some(Self::User(UserId::from_uuid(id))),
            (ActorKind::Key, Some(id)) => Some(Self::Key(ApiKeyId::from_uuid(id))),
            (ActorKind::Agent, Some(id)) => Some(Self::Agent(AttemptId::from_uuid(id))),
            (ActorKind::System, None) => Some(Self::System),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use serde_json::json;

    use super::*;

    #[test]
    fn actors_are_objects_of_kind_and_id() {
        let id = UserId::LOCAL.as_uuid();
        let told = [
            (
                Actor::User(UserId::LOCAL),
                json!({ "kind": "user", "id": id }),
            ),
            (
                Actor::Key(ApiKeyId::from_uuid(id)),
                json!({ "kind": "key", "id": id }),
            ),
            (
                Actor::Agent(AttemptId::from_uuid(id)),
                json!({ "kind": "agent", "id": id }),
            ),
            (Actor::System, json!({ "kind": "system" })),
        ];
        for (actor, expected) in told {
            assert_eq!(serde_json::to_value(actor).unwrap(), expected);
            assert_eq!(serde_json::from_value::<Actor>(expected).unwrap(), actor);
            assert_eq!(
                Actor::from_parts(actor.actor_kind(), actor.actor_id()),
                Some(actor)
            );
        }
        assert_eq!(Actor::from_parts(ActorKind::User, None), None);
        assert_eq!(Actor::from_parts(ActorKind::System, Some(id)), None);
    }
}
