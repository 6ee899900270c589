#![doc = include_str!("../README.md")]

mod run;

mod pass;
mod transcript;

mod model;
mod tools;
mod work;

mod beside;
mod platform;
mod reporter;
mod stop;

mod process;

pub use run::{Host, run};
