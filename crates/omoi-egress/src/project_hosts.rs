//! Hosts that a person lists, for one project or for all.

use crate::host::{HostPattern, HostRules, InvalidPattern};

/// Every line of `egress.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectHosts(Vec<HostListing>);

/// One line: `docs.example.com`, `!secret.example.com`, `project=todo; host=docs.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostListing {
    /// The one project that it counts for.
    project: Option<String>,
    pattern: HostPattern,
    denies: bool,
}

/// A line that lists no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHostListing {
    /// What should be a host is none.
    #[error(transparent)]
    Host(#[from] InvalidPattern),
    /// Its fields are others.
    #[error("`{0}` is not {shape}", shape = ProjectHosts::SHAPE)]
    Fields(String),
}

impl ProjectHosts {
    /// How a line is written.
    pub const SHAPE: &str = "HOST, or project=NAME; host=HOST for one project";

    /// Reads the lines.
    ///
    /// # Errors
    /// [`BadHostListing`] for the first that is none.
    pub fn parse<S: AsRef<str>>(lines: &[S]) -> Result<Self, BadHostListing> {
        let lines = lines.iter().map(|line| parse_line(line.as_ref()));
        Ok(Self(lines.collect::<Result<_, _>>()?))
    }

    /// What an attempt of `project` may reach.
    pub fn rules_for(&self, project: &str) -> HostRules {
        let mut rules = HostRules::default();
        for listing in self.0.iter().filter(|listing| listing.is_about(project)) {
            let patterns = match listing.denies {
                true => &mut rules.deny,
                false => &mut rules.allow,
            };
            patterns.push(listing.pattern.clone());
        }
        rules
    }

    /// Whether an attempt of `project` may reach any host beside the registries.
    pub fn lists_for(&self, project: &str) -> bool {
        let mut listed = self.0.iter().filter(|listing| !listing.denies);
        listed.any(|listing| listing.is_about(project))
    }

    /// Whether any project may.
    pub fn lists_any(&self) -> bool {
        self.0.iter().any(|listing| !listing.denies)
    }
}

impl HostListing {
    fn is_about(&self, project: &str) -> bool {
        self.project.as_deref().is_none_or(|named| named == project)
    }
}

/// The line that lists `host`, for one project or for all.
pub fn host_line(project: Option<&str>, host: &str) -> String {
    match project {
        Some(project) => format!("project={project}; host={host}"),
        None => host.to_owned(),
    }
}

fn parse_line(line: &str) -> Result<HostListing, BadHostListing> {
    let (project, host) = match line.contains('=') {
        false => (None, line.trim()),
        true => {
            let fields = || BadHostListing::Fields(line.to_owned());
            let (project, host) = line.split_once(';').ok_or_else(fields)?;
            let project = project.trim().strip_prefix("project=").ok_or_else(fields)?;
            let host = host.trim().strip_prefix("host=").ok_or_else(fields)?;
            if project.trim().is_empty() {
                return Err(fields());
            }
            (Some(project.trim().to_owned()), host.trim())
        }
    };
    let denied = host.strip_prefix('!');
    Ok(HostListing {
        project,
        pattern: denied.unwrap_or(host).trim().parse()?,
        denies: denied.is_some(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_line_counts_for_its_project() {
        let lines = [
            "**.example.com",
            "!secret.example.com",
            "project=todo; host=db.example:5432",
            "project=todo; host=!docs.example.com",
            &host_line(Some("other"), "x.example"),
        ];
        let hosts = ProjectHosts::parse(&lines).unwrap();
        for (project, n_allowed, n_denied) in [("todo", 2, 2), ("other", 2, 1), ("third", 1, 1)] {
            let rules = hosts.rules_for(project);
            let found = (rules.allow.len(), rules.deny.len());
            assert_eq!(found, (n_allowed, n_denied), "{project}");
            assert!(hosts.lists_for(project) && hosts.lists_any());
        }
        let hosts = ProjectHosts::parse(&["project=todo; host=a.example", "!b.example"]).unwrap();
        assert!(hosts.lists_for("todo") && hosts.lists_any() && !hosts.lists_for("other"));
        let hosts = ProjectHosts::parse(&["!b.example"]).unwrap();
        assert!(!hosts.lists_for("todo") && !hosts.lists_any());
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "a b",
            "project=todo",
            "project=; host=a.example",
            "project=todo; a.example",
            "host=a.example; project=todo",
            "project=todo; host=a b",
        ] {
            ProjectHosts::parse(&[line]).unwrap_err();
        }
    }
}
