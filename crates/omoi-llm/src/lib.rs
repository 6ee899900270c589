#![doc = include_str!("../README.md")]

pub mod wire;

pub mod conversation;

pub mod catalogue;
pub mod options;
pub mod pace;
pub mod pricing;
pub mod quota;
pub mod route;

pub mod circuit;
pub mod retry;
pub mod schema;
pub mod token_count;
pub mod token_estimate;
pub mod upstream;
pub mod window_refusal;

mod ask_error;
pub mod brought_keys;
mod choice_walk;
mod error_chain;
pub mod failed_try;
pub mod llm_client;
pub mod meter;
mod metered_call;
pub mod model_probe;
mod question_tally;
mod token_gauge;
mod upstream_question;

pub mod body_room;
pub mod gateway;
pub mod gateway_client;
pub mod structured;

pub mod scenario;
pub mod simulated;
