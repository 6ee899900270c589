//! The way of a set-up to package registries: a socket of its own, which only its sandbox is shown.

use std::io;
use std::path::Path;

use futures::future::BoxFuture;
use omoi_domain::egress::EgressMode;
use omoi_domain::id::{OrgId, ProjectId};
use omoi_egress::refusal::Refusal;

use crate::egress::LockFile;

/// The way to registries that a set-up asks for.
#[derive(Clone, Copy, Debug)]
pub struct SetupWay<'a> {
    /// Where its socket is to be.
    pub socket: &'a Path,
    /// How far it leads.
    pub mode: EgressMode,
    /// Files whose versions come in at any age.
    pub lock_files: &'a [LockFile],
    /// The organisation of its project.
    pub org: OrgId,
    /// Whose set-up it is.
    pub project: ProjectId,
    /// What it installs, by its digest.
    pub packages_layer: &'a str,
}

/// Opens ways to registries; whoever serves them is elsewhere.
pub trait OpenRegistries: Send + Sync {
    /// Serves the registries of packages on a new socket until the returned value is dropped.
    ///
    /// # Errors
    /// When there can be no such socket.
    fn open_registries<'a>(
        &'a self,
        way: SetupWay<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn RegistriesInUse>>>;
}

/// A way to registries that is open; it is closed when this is dropped.
pub trait RegistriesInUse: Send + Sync {
    /// The packages that came in so far.
    fn packages_in(&self) -> Vec<String>;

    /// Whether hosts beside the registries are reached.
    fn lists_hosts(&self) -> bool;

    /// What was refused so far.
    fn refusals(&self) -> Vec<Refusal>;
}
