#![doc = include_str!("../README.md")]

mod worker;

mod agent_loop;
mod runtime;
mod transcript;

mod native;

mod attempt_work;
mod model_call;
mod tools;

mod event_reporter;
mod heartbeat;
mod inbox;
mod platform_client;
mod stop_signal;

mod process;

pub use worker::{WorkerHost, run_worker};
