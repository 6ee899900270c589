//! The worker against a platform and a scripted model on a Unix socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod acp;
mod attempt_ends;
mod bench;
mod claude_code;
mod codex;
mod compaction;
mod every_program;
mod lost_programs;
mod native_loop;
mod plan_output;
mod program_starts;
mod round_commit;
mod saved_work;
mod scripted_program;
