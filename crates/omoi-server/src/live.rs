//! Those who listen to events over a line that stays open: what they may send, for how long, and what they are told.

pub(crate) mod access_watch;
pub(crate) mod event_socket;
mod socket_feed;
mod socket_rules;
