#![doc = include_str!("../README.md")]

pub mod agent_folder;
mod archive;
pub mod catalogue;
pub mod declared_agents;
pub mod error;
pub mod install;
pub mod integrity;
pub mod node;
pub mod options;
pub mod pin;
pub mod pinned_list;
mod process;
pub mod registry;

#[cfg(test)]
mod fuzz;
