//! Fuzz targets: what installed packages say of themselves.

use std::path::{Component, Path};

use omoi_testkit::fuzz::FuzzTarget;

use super::node::NodePart;
use super::python::PythonPackage;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The folder of a package on the first line, its list of files below: whatever it names lies in the layer.
#[test]
fn python_record() {
    FuzzTarget::new(CRATE, "python_record").run(|input| {
        let input = String::from_utf8_lossy(input);
        let (folder, record) = input.split_once('\n').unwrap_or((&input, ""));
        let Some(package) = PythonPackage::parse(folder, record) else {
            return;
        };
        for file in package.listed_files() {
            let parts = Path::new(file).components();
            let is_inside = parts.into_iter().all(|p| matches!(p, Component::Normal(_)));
            assert!(is_inside && file.strip_suffix(".pyc").is_none(), "{file}");
        }
    });
}

/// Paths of a layer, one a line: what a path belongs to begins it.
#[test]
fn node_path() {
    FuzzTarget::new(CRATE, "node_path").run(|input| {
        for path in String::from_utf8_lossy(input).lines() {
            match NodePart::of_path(path) {
                Some(NodePart::Package { folder, rest }) => {
                    assert!(path.starts_with(folder) && path.ends_with(rest), "{path}");
                    assert!(folder.len() + rest.len() <= path.len());
                }
                Some(NodePart::Program { modules }) => {
                    assert!(path.starts_with(modules) && modules.ends_with("node_modules"));
                }
                Some(NodePart::Other { rest }) => assert!(path.ends_with(rest)),
                None => assert!(path.split('/').all(|part| part != "node_modules")),
            }
        }
    });
}
