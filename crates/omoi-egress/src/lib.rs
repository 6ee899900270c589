#![doc = include_str!("../README.md")]

pub mod address;
pub mod host;
mod listener;
pub mod options;
pub mod package;
pub mod policy;
pub mod refusal;

pub mod document;
pub mod registry;
pub mod sites;

pub mod authority;
pub mod cache;
mod flight;
mod go_sum;
pub mod resolve;
pub mod service;
pub mod session;
pub mod upstream;

mod plain;
pub mod proxy;
pub mod reply;
mod tunnel;
