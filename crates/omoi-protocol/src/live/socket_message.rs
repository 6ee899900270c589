//! What goes over a socket of events beside the frames of the events themselves.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::live::event_filter::{FilterLists, SubscribeMode};
use uuid::Uuid;

/// Lists that events are filtered by. An absent one says nothing about what is asked for; an empty one lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketFilter {
    /// Names of events, or of groups as `ticket.*`.
    pub event_types: Option<Vec<String>>,
    /// Kinds of rows.
    pub entity_types: Option<Vec<String>>,
    /// Ids of rows: of the entity, of the project, or of any related row.
    pub entity_ids: Option<Vec<String>>,
    /// Ids of projects.
    pub project_ids: Option<Vec<String>>,
}

impl From<FilterLists> for SocketFilter {
    fn from(lists: FilterLists) -> Self {
        let FilterLists {
            event_types,
            entity_types,
            entity_ids,
            project_ids,
        } = lists;
        Self {
            event_types,
            entity_types,
            entity_ids,
            project_ids,
        }
    }
}

/// What a receiver writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketRequest {
    /// It asks for events.
    Subscribe(SubscribeRequest),
    /// It takes back what it asked for.
    Unsubscribe(UnsubscribeRequest),
    /// It is there: the answer to [`SocketNotice::Ping`].
    Pong {},
    /// It goes on with another credential of the same holder.
    Auth {
        /// An access token or a key.
        token: SocketToken,
    },
}

/// A credential in a message; no log shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SocketToken(pub String);

impl fmt::Debug for SocketToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketToken").finish_non_exhaustive()
    }
}

/// Events that a receiver asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscribeRequest {
    /// As in [`SocketFilter`].
    pub event_types: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub entity_types: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub entity_ids: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub project_ids: Option<Vec<String>>,
    /// What becomes of the lists that are absent; they stay unless it is said otherwise.
    pub mode: Option<SubscribeMode>,
    /// The last event that it knows, from which on it is told what it missed; without it what happens from now on.
    pub after_seq: Option<WrittenCursor>,
}

/// Events that a receiver takes back; without any list all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnsubscribeRequest {
    /// As in [`SocketFilter`].
    pub event_types: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub entity_types: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub entity_ids: Option<Vec<String>>,
    /// As in [`SocketFilter`].
    pub project_ids: Option<Vec<String>>,
}

/// A cursor as a receiver writes it: a number, or the text of several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum WrittenCursor {
    /// The last event in the only organisation.
    Number(u64),
    /// `SEQ`, or `ORG=SEQ,ORG=SEQ`.
    Text(String),
}

impl WrittenCursor {
    /// The text of it.
    pub fn into_text(self) -> String {
        match self {
            Self::Number(seq) => seq.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl SubscribeRequest {
    /// The lists that it names.
    pub fn filter_lists(&self) -> FilterLists {
        FilterLists {
            event_types: self.event_types.clone(),
            entity_types: self.entity_types.clone(),
            entity_ids: self.entity_ids.clone(),
            project_ids: self.project_ids.clone(),
        }
    }
}

impl UnsubscribeRequest {
    /// The lists that it names.
    pub fn filter_lists(&self) -> FilterLists {
        FilterLists {
            event_types: self.event_types.clone(),
            entity_types: self.entity_types.clone(),
            entity_ids: self.entity_ids.clone(),
            project_ids: self.project_ids.clone(),
        }
    }
}

/// What a receiver is told beside events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketNotice {
    /// It is listened to.
    Welcome {
        /// The last event before what it is told, where it listens to one organisation.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
        /// The same in each organisation that it listens to.
        seqs: BTreeMap<OrgId, i64>,
        /// Names the connection in the log of the process.
        connection_id: Uuid,
        /// Seconds between two pings.
        heartbeat: u64,
    },
    /// It is asked whether it is there.
    Ping {
        /// The cursor up to which it was told all that it asked for, while nothing is on its way.
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    },
    /// Its credential ends soon.
    TokenExpiring {
        /// Seconds until then.
        #[serde(rename = "in")]
        left: u64,
    },
    /// It was too slow: these events were dropped, and it has to read what it shows anew.
    Gap {
        /// Their organisation.
        org_id: OrgId,
        /// The first of them.
        from_seq: i64,
        /// The last of them.
        to_seq: i64,
    },
    /// What it missed cannot be told: it has to read everything anew.
    Reset {
        /// The organisation.
        org_id: OrgId,
        /// It is told what happens after this event.
        seq: i64,
    },
    /// What it wrote cannot be followed, and changed nothing.
    Error {
        /// The code of the refusal.
        error: ErrorCode,
        /// What is wrong with it.
        message: String,
    },
}

/// The answer to a change of what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionAnswer {
    /// `subscribed` or `unsubscribed`.
    pub status: SubscriptionStatus,
    /// What is asked for from now on.
    pub filters: SocketFilter,
}

omoi_domain::closed_set! {
    /// What a receiver did to what it asks for.
    SubscriptionStatus {
        /// It asked for more, or for other events.
        Subscribed = "subscribed",
        /// It took some or all of it back.
        Unsubscribed = "unsubscribed",
    }
}

omoi_domain::closed_set! {
    /// Why a socket is closed by the server.
    SocketClose {
        /// The receiver left.
        Normal = "bye",
        /// The process stops, or what reads the log does; it may be there again at once.
        GoingAway = "going_away",
        /// A message is larger than it may be.
        TooLarge = "too_large",
        /// The filter or the cursor that the socket was asked for with makes no sense.
        BadRequest = "bad_request",
        /// The rows cannot be read for now.
        NotReady = "not_ready",
        /// The credential is missing, wrong, expired or revoked.
        Unauthenticated = "unauthenticated",
        /// The credential belongs to no organisation any more, or the page is none of ours.
        Forbidden = "forbidden",
        /// A ping was not answered.
        Silent = "no_pong",
        /// There are too many connections, or messages.
        TooMany = "too_many",
    }
}

impl SocketClose {
    /// The number that the receiver sees.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::BadRequest => 1008,
            Self::TooLarge => 1009,
            Self::NotReady => 1013,
            Self::Unauthenticated => 4401,
            Self::Forbidden => 4403,
            Self::Silent => 4408,
            Self::TooMany => 4429,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<SocketRequest>(text);
        let asked =
            read(r#"{"type":"subscribe","event_types":["task.*"],"mode":"replace","after_seq":7}"#);
        let expected = SubscribeRequest {
            event_types: Some(vec!["task.*".to_owned()]),
            mode: Some(SubscribeMode::Replace),
            after_seq: Some(WrittenCursor::Number(7)),
            ..SubscribeRequest::default()
        };
        assert_eq!(asked.unwrap(), SocketRequest::Subscribe(expected));
        assert_eq!(read(r#"{"type":"pong"}"#).unwrap(), SocketRequest::Pong {});
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":"dance"}"#,
            r#"{"type":"auth"}"#,
            r#"{"type":"subscribe","org_id":"x"}"#,
            r#"{"type":"subscribe","mode":"both"}"#,
            r#"{"type":"subscribe","after_seq":-1}"#,
            r#"{"type":"unsubscribe","after_seq":1}"#,
            r#"{"type":"unsubscribe","event_types":"task.*"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn notices_are_written_as_the_page_of_the_api_has_them() {
        let org_id = OrgId::LOCAL;
        let told = [
            (
                SocketNotice::Ping { cursor: None },
                json!({ "type": "ping" }),
            ),
            (
                SocketNotice::TokenExpiring { left: 60 },
                json!({ "type": "token_expiring", "in": 60 }),
            ),
            (
                SocketNotice::Gap {
                    org_id,
                    from_seq: 2,
                    to_seq: 9,
                },
                json!({ "type": "gap", "org_id": org_id, "from_seq": 2, "to_seq": 9 }),
            ),
            (
                SocketNotice::Welcome {
                    seq: Some(4),
                    seqs: BTreeMap::from([(org_id, 4)]),
                    connection_id: Uuid::nil(),
                    heartbeat: 20,
                },
                json!({
                    "type": "welcome", "seq": 4, "seqs": { org_id.to_string(): 4 },
                    "connection_id": Uuid::nil(), "heartbeat": 20,
                }),
            ),
        ];
        for (notice, expected) in told {
            assert_eq!(json!(notice), expected);
        }
    }
}
