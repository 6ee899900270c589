//! Hosts that a person lists, for one project or for all.

use omoi_domain::reference::NamedProject;

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

    /// Lists `more` as well.
    pub(crate) fn add_hosts(&mut self, more: Self) {
        for listing in more.0 {
            if !self.0.contains(&listing) {
                self.0.push(listing);
            }
        }
    }

    /// What an attempt of `project` may reach.
    pub fn rules_for(&self, project: &NamedProject) -> HostRules {
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
    pub fn lists_for(&self, project: &NamedProject) -> bool {
        let mut listed = self.0.iter().filter(|listing| !listing.denies);
        listed.any(|listing| listing.is_about(project))
    }
}

impl HostListing {
    fn is_about(&self, project: &NamedProject) -> bool {
        let named = self.project.as_deref();
        named.is_none_or(|named| project.is_named(named))
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

    fn at(path: &str) -> NamedProject {
        NamedProject::among_paths(path, &[path])
    }

    /// Of two with the same folder name neither is meant by it alone.
    #[test]
    fn a_line_names_one_of_two_projects_by_more_of_its_path() {
        let paths = ["/src/todo", "/fork/todo"];
        let [source, fork] = paths.map(|path| NamedProject::among_paths(path, &paths));
        let allowed = |line: &str| {
            let hosts = ProjectHosts::parse(&[line]).unwrap();
            [&source, &fork].map(|project| hosts.lists_for(project))
        };
        for (project, expected) in [
            ("todo", [false, false]),
            ("src/todo", [true, false]),
            ("/src/todo", [true, false]),
            ("/fork/todo", [false, true]),
        ] {
            let line = host_line(Some(project), "a.example");
            assert_eq!(allowed(&line), expected, "{line}");
        }
    }

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
            let named = at(&format!("/src/{project}"));
            let rules = hosts.rules_for(&named);
            let found = (rules.allow.len(), rules.deny.len());
            assert_eq!(found, (n_allowed, n_denied), "{project}");
            assert!(hosts.lists_for(&named));
        }
        let hosts = ProjectHosts::parse(&["project=todo; host=a.example", "!b.example"]).unwrap();
        let (todo, other) = (at("/src/todo"), at("/src/other"));
        assert!(hosts.lists_for(&todo) && !hosts.lists_for(&other));
        let hosts = ProjectHosts::parse(&["!b.example"]).unwrap();
        assert!(!hosts.lists_for(&todo));
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
