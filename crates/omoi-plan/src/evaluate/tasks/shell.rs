//! Shell text taken apart into its commands, as far as it takes to see what decides how it ends.
//!
//! No shell: expansions stay as they are written, and what is not understood counts as a program, so
//! that nothing is refused for being unusual.

mod reader;

pub(super) use reader::{CommandJoint, ShellCommand, read_shell};
