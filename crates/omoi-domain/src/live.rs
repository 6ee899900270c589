//! Rules of live events: which ones a receiver asked for, in what order and how fast they reach it, and where it
//! goes on after its line broke.

pub mod activity_merge;
pub mod event_filter;
pub mod frame_queue;
pub mod live_cursor;
pub mod replay_rule;
