//! What the project's automation and its tests share: where programs are found on this machine and
//! how the servers of a test run are started, and where the agent programs and the vendors'
//! clients of the tests are.
//!
//! The commands themselves (`cargo xtask …`) are the binary of this package. `omoi-testkit` uses
//! the library, so a single test started without `cargo xtask test` finds the same servers.
//!
//! **Invariant:** nothing here installs anything; only the binary does.

pub mod agents;
pub mod browser;
pub mod fuzz;
pub mod host;
pub mod invariants;
pub mod package_clients;
pub mod process;
pub mod python_clients;
pub mod registry_tools;
pub mod servers;
pub mod test_folder;
