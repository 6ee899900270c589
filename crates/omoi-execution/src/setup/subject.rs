//! What is set up, and how far that reaches.

use omoi_domain::egress::EgressMode;
use omoi_git::mirror::BaseStore;
use omoi_git::object::ObjectId;

use crate::sandbox_toolchain::SandboxToolchain;

/// A commit, and what decides how it is set up.
#[derive(Clone, Copy)]
pub struct SetupSubject<'a> {
    /// The history that the sandbox may read.
    pub base: &'a BaseStore,
    /// What is checked out.
    pub commit: &'a ObjectId,
    /// What the sandbox may read besides.
    pub toolbox: &'a SandboxToolchain,
    /// How far a set-up in a checkout of `commit` reaches, where that is not the base commit.
    pub work_mode: EgressMode,
}

impl<'a> SetupSubject<'a> {
    /// The base commit itself.
    pub fn at_base(base: &'a BaseStore, toolbox: &'a SandboxToolchain) -> Self {
        Self {
            base,
            commit: base.tip(),
            toolbox,
            work_mode: EgressMode::Closed,
        }
    }

    /// The base commit of this one.
    pub(super) fn base_subject(self) -> Self {
        Self::at_base(self.base, self.toolbox)
    }

    /// How far the commands reach: what somebody wrote while working on a task reaches no further than its agent.
    pub(super) fn setup_mode(&self) -> EgressMode {
        match self.commit == self.base.tip() {
            true => EgressMode::Registries,
            false => self.work_mode,
        }
    }
}
