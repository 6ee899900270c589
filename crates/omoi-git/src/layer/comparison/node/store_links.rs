//! What pnpm makes of packages: folders in a store, links to them, and scripts that run their programs.

use super::super::facts::package_of;
use super::super::listing::EntryState;
use super::program_script::ProgramScript;
use super::{
    NodeComparison, NodeLayer, NodePart, is_package_folder, leaf_of, modules_end, owner_of,
    parent_of,
};

impl NodeComparison<'_> {
    /// Whether a link at `folder`, of which no lock file says where it leads, may lead to `leads_to`.
    pub(super) fn explains_named_link(
        &self,
        folder: &str,
        leads_to: &str,
        before: Option<&EntryState>,
    ) -> bool {
        let is_named = is_package_folder(leads_to) && leaf_of(folder) == leaf_of(leads_to);
        let Some(package) = self.made.installed_at(leads_to).filter(|_| is_named) else {
            return false;
        };
        // What a new package needs lies beside it, whatever it is: nobody else finds it there.
        let modules = parent_of(folder);
        if is_store_place(modules) && !has_any(&self.base, modules) {
            return true;
        }
        if before.is_none() {
            // Somebody may ask for a package that was there already.
            let is_free = !self.base.folders.contains_key(folder);
            let is_listed = is_free && self.layers.facts.lists_version(package);
            return self.is_changed(leads_to) || is_listed;
        }
        let was = self.base.own_folder(folder);
        let was = was.as_deref().and_then(|own| self.base.package_at(own));
        // A package that stays takes another version only if the one that it took is gone.
        let is_raised = !is_store_place(modules)
            && was.is_some_and(|was| package_of(was) == package_of(package));
        self.is_changed(leads_to) && (is_raised || self.has_let_go(folder, before))
    }

    /// Whether a link of the base's layer may be missing though the package it leads to is there: the package that it was
    /// made for went, or the same package is offered by the other of the two folders that everybody looks in.
    pub(super) fn is_offered_otherwise(&self, folder: &str) -> bool {
        let modules = parent_of(folder);
        if is_store_place(modules) {
            return !has_any(&self.made, modules);
        }
        let Some(own) = self.base.own_folder(folder) else {
            return false;
        };
        let other = match modules.strip_suffix("/.pnpm/node_modules") {
            Some(root) => root.to_owned(),
            None => format!("{modules}/.pnpm/node_modules"),
        };
        let moved = self
            .made
            .own_folder(&format!("{other}/{}", leaf_of(folder)));
        moved == Some(own)
    }

    /// Whether the script at `path`, a program of `modules`, is one that pnpm writes for a package that is offered there.
    /// `is_of_changed` if they are those of a package that changed.
    pub(super) fn explains_script(&self, path: &str, modules: &str, is_of_changed: bool) -> bool {
        let Some(script) = self.made.listing.programs.get(path) else {
            return false;
        };
        let mut known = self.base.listing.programs.values();
        let root = modules_end(path).map_or("", |end| &path[..end]);
        let is_like_others = known.any(|one| one.text == script.text);
        let Some(offer) = ProgramOffer::of_script(&self.made, script, modules) else {
            return false;
        };
        let is_new = is_of_changed
            || self.is_changed(&offer.own)
            || self.base.own_folder(&offer.place).as_deref() != Some(offer.own.as_str());
        is_like_others && is_new && script.searches_beside(&offer.own, root)
    }

    /// Whether the script that the base's layer has at `path` may be another or none: its package is not offered there any
    /// more, or is another.
    pub(super) fn lets_script_go(&self, path: &str, modules: &str) -> bool {
        let script = self.base.listing.programs.get(path);
        let offer = script.and_then(|script| ProgramOffer::of_script(&self.base, script, modules));
        offer.is_some_and(|offer| {
            let is_moved =
                self.made.own_folder(&offer.place).as_deref() != Some(offer.own.as_str());
            is_moved || self.base.package_at(&offer.own) != self.made.installed_at(&offer.own)
        })
    }
}

/// The package of a program, and by which name it is offered.
struct ProgramOffer {
    /// Where the package lies.
    own: String,
    /// The folder or link that whoever is offered the program finds the package by.
    place: String,
}

impl ProgramOffer {
    fn of_script(layer: &NodeLayer<'_>, script: &ProgramScript, modules: &str) -> Option<Self> {
        let Some(NodePart::Package { folder, .. }) = NodePart::of_path(&script.target) else {
            return None;
        };
        let own = layer.own_folder(folder)?;
        // Those of a package's own folder are of what lies beside it.
        let beside = owner_of(modules).map(parent_of);
        let places = [Some(modules), beside].into_iter().flatten();
        let mut places = places.map(|modules| format!("{modules}/{}", leaf_of(&own)));
        let place =
            places.find(|place| layer.own_folder(place).as_deref() == Some(own.as_str()))?;
        Some(Self { own, place })
    }
}

/// Whether `modules` is that of one package in a store of pnpm: `.pnpm/a@1.0.0/node_modules`.
fn is_store_place(modules: &str) -> bool {
    let around = modules.strip_suffix("/node_modules");
    let place = around.and_then(|around| around.rsplit_once('/'));
    place.is_some_and(|(store, _)| store.ends_with("node_modules/.pnpm"))
}

/// Whether anything lies below `modules`.
fn has_any(layer: &NodeLayer<'_>, modules: &str) -> bool {
    let below = format!("{modules}/");
    let mut later = layer.folders.range(below.as_str()..);
    later
        .next()
        .is_some_and(|(folder, _)| folder.starts_with(&below))
}
