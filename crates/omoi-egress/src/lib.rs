#![doc = include_str!("../README.md")]

pub mod address;
pub mod host;
pub mod listener;
pub mod listing;
pub mod lock_file;
pub mod options;
pub mod package;
pub mod policy;
pub mod project_hosts;
pub mod refusal;

pub mod document;
pub mod registry;
pub mod sites;

pub mod authority;
pub mod cache;
pub mod document_memory;
mod document_spool;
mod flight;
mod go_sum;
pub mod resolve;
pub mod service;
pub mod session;
pub mod upstream;
mod upstream_client;

mod plain;
pub mod proxy;
mod registry_request;
pub mod reply;
mod tunnel;
