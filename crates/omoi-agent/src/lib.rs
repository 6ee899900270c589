#![doc = include_str!("../README.md")]

mod worker;

mod agent_loop;
mod agent_notes;
mod compaction;
mod context_window;
mod runtime;
mod token_rate;
mod transcript;
mod work_record;

mod acp;
mod claude_code;
mod codex;
mod native;
mod program;

mod attempt_work;
mod model_call;
mod tools;

mod egress_forwarder;
mod event_reporter;
mod heartbeat;
mod inbox;
mod package_way;
mod platform_client;
mod stop_signal;

mod process;

#[cfg(test)]
mod test_context;

pub mod context_replay;

pub use package_way::PackageProgram;
pub use program::tool_server::copy_tool_streams;
pub use tools::{edit_text, patch_text};
pub use worker::{WorkerHost, run_worker};
