//! Where the lock files of npm say that packages lie.

use std::collections::{BTreeMap, BTreeSet};

/// What lies in a folder, as a lock file of npm says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The package, as `npm:left-pad@1.3.0`.
    pub package: String,
    /// The folder of the project that it is a link to.
    pub link: Option<String>,
    /// Whether it may not be there.
    pub is_optional: bool,
}

/// The folders that the lock files of one commit name, as paths from the root of the checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePlaces {
    /// Folders with such a lock file, each with a `/` behind it; empty for the root.
    roots: BTreeSet<String>,
    places: BTreeMap<String, NodePlace>,
}

impl NodePlaces {
    /// Notes that there is a lock file in the folder `root`, and the folders that it names, from there on.
    pub fn add_lock_file(
        &mut self,
        root: &str,
        places: impl IntoIterator<Item = (String, NodePlace)>,
    ) {
        let front = match root {
            "" => String::new(),
            root => format!("{root}/"),
        };
        for (folder, mut place) in places {
            place.link = place.link.map(|link| format!("{front}{link}"));
            self.places.insert(format!("{front}{folder}"), place);
        }
        self.roots.insert(front);
    }

    /// Whether a lock file says what lies below `modules`, the outermost `node_modules` of a path.
    pub(super) fn has_said(&self, modules: &str) -> bool {
        let root = modules.strip_suffix("node_modules").unwrap_or(modules);
        let below = format!("{modules}/");
        let mut later = self.places.range(below.clone()..);
        let names_one = later
            .next()
            .is_some_and(|(folder, _)| folder.starts_with(&below));
        names_one || self.roots.contains(root)
    }

    pub(super) fn at_folder(&self, folder: &str) -> Option<&NodePlace> {
        self.places.get(folder)
    }

    pub(super) fn all_places(&self) -> impl Iterator<Item = (&str, &NodePlace)> {
        self.places
            .iter()
            .map(|(folder, place)| (folder.as_str(), place))
    }
}
