#![doc = include_str!("../README.md")]

pub mod object;
pub mod process;
pub mod refname;

pub mod repo;

pub mod mirror;

pub mod clone;
pub mod layer;
pub mod plain_file;
pub mod work;

pub mod import;
pub mod push;
pub mod transfer;

pub mod slug;
pub mod trailers;

pub mod survey;
pub mod toolchain;
