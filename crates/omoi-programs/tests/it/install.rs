use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use omoi_programs::agent_folder::AgentFolder;
use omoi_programs::error::AgentProgramError;
use omoi_programs::install::{InstallOutcome, ProgramInstaller, ProgressSink};
use omoi_programs::pinned_list::{MachinePlatform, PinnedList, PinnedProgram};
use omoi_programs::registry::PackageRegistry;
use serde_json::json;
use tempfile::TempDir;

use omoi_testkit::stub_registry::{StubAnswer, StubRegistry};

use crate::packages::{client_of, integrity_of, tarball};

const MAIN: &str = "/@maker/tool/-/tool-1.0.0.tgz";
const PART: &str = "/part/-/part-2.0.0.tgz";

/// Keeps what was told.
#[derive(Default)]
pub(crate) struct KeptProgress(Mutex<Vec<(u64, u64)>>);

impl ProgressSink for KeptProgress {
    fn bytes_came(&self, done: u64, total: u64) {
        self.0.lock().unwrap().push((done, total));
    }
}

/// A registry with one program of two packages, and a folder for it.
struct Scene {
    stub: StubRegistry,
    program: PinnedProgram,
    top: TempDir,
    folder: AgentFolder,
    progress: KeptProgress,
}

impl Scene {
    fn new() -> Self {
        let main = tarball(&[("bin/tool", "#!/bin/sh\necho 1.0.0\n"), ("data", "x")]);
        let part = tarball(&[("index.js", "1;")]);
        let stub = StubRegistry::start();
        stub.set_answers(MAIN, [StubAnswer::with_body(main.clone())]);
        stub.set_answers(PART, [StubAnswer::with_body(part.clone())]);
        let list = json!({
            "programs": [{
                "name": "tool", "agent": "acp:tool", "about": "A tool", "version": "1.0.0",
                "licence": "MIT", "dialect": "messages", "runtime": "native",
                "packages": [
                    { "name": "@maker/tool", "version": "1.0.0", "integrity": integrity_of(&main) },
                    { "folder": "node_modules/part", "name": "part", "version": "2.0.0",
                      "integrity": integrity_of(&part) },
                ],
                "builds": MachinePlatform::ALL.iter().map(|platform| json!({
                    "platform": platform, "program": "bin/tool",
                    "download_bytes": main.len() + part.len(), "unpacked_bytes": 24,
                })).collect::<Vec<_>>(),
            }],
            "node": { "package": "n", "version": "1.0.0", "wheels": [] },
        });
        let list = PinnedList::parse(&list.to_string()).unwrap();
        let top = tempfile::tempdir().unwrap();
        Self {
            stub,
            program: list.programs[0].clone(),
            folder: AgentFolder::new(top.path().join("agents")),
            top,
            progress: KeptProgress::default(),
        }
    }

    async fn install(&self) -> Result<InstallOutcome, AgentProgramError> {
        self.install_from(&client_of(self.stub.base_url())).await
    }

    async fn install_from(
        &self,
        registry: &PackageRegistry,
    ) -> Result<InstallOutcome, AgentProgramError> {
        let installer = ProgramInstaller {
            folder: &self.folder,
            registry,
            progress: &self.progress,
        };
        let build = self.program.build_for(MachinePlatform::of_this_machine());
        installer.install(build.unwrap()).await
    }

    /// An installation that is refused leaves nothing, and names a next step.
    async fn refused(&self) -> String {
        let refused = self.install().await.unwrap_err();
        assert!(self.folder.list().unwrap().is_empty(), "{refused}");
        assert_eq!(entries(self.folder.folder_path()), [".lock"], "{refused}");
        assert!(refused.next_step().is_some(), "{refused}");
        refused.to_string()
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_program_is_installed_once_and_can_be_removed() {
    let scene = Scene::new();
    let first = scene.install().await.unwrap();
    assert!(!first.was_there);
    let content = &first.program.content;
    assert_eq!(
        fs::read_to_string(content.join("node_modules/part/index.js")).unwrap(),
        "1;"
    );
    assert!(first.program.program_path().is_file());
    assert_eq!(first.program.find_damage(), None);
    let told = scene.progress.0.lock().unwrap().clone();
    let (done, total) = *told.last().unwrap();
    assert_eq!(done, total);

    let second = scene.install().await.unwrap();
    assert!(second.was_there);
    assert_eq!(second.program, first.program);
    assert_eq!(
        scene.stub.asked_paths(),
        [MAIN, PART],
        "nothing is asked for twice"
    );

    assert_eq!(scene.folder.list().unwrap(), [first.program]);
    let refused = scene.folder.remove("other").unwrap_err();
    assert!(
        matches!(refused, AgentProgramError::NotInstalled { .. }),
        "{refused}"
    );
    assert_eq!(scene.folder.remove("acp:tool").unwrap().len(), 1);
    assert_eq!(entries(scene.folder.folder_path()), [".lock"]);
}

#[tokio::test]
async fn two_installations_at_once_download_once() {
    let scene = Scene::new();
    let (a, b) = tokio::join!(scene.install(), scene.install());
    let was_there = [a.unwrap().was_there, b.unwrap().was_there];
    assert!(was_there.contains(&true) && was_there.contains(&false));
    assert_eq!(scene.stub.asked_paths().len(), 2);
}

#[tokio::test]
async fn what_is_not_pinned_is_never_unpacked() {
    let scene = Scene::new();
    let hostile = tarball(&[("bin/tool", "#!/bin/sh\necho stolen\n")]);
    scene
        .stub
        .set_answers(MAIN, [StubAnswer::with_body(hostile)]);
    let refused = scene.refused().await;
    assert!(
        refused.contains("is not the file that is pinned"),
        "{refused}"
    );
    // Whatever the answer is, another one would be no better.
    assert_eq!(scene.stub.asked_paths(), [MAIN]);
}

#[tokio::test]
async fn a_cut_download_begins_again_and_is_told_when_it_stays_cut() {
    let scene = Scene::new();
    let cut = StubAnswer {
        missing: 10,
        ..StubAnswer::with_body("half")
    };
    scene.stub.set_answers(MAIN, [cut.clone()]);
    let refused = scene.refused().await;
    assert!(refused.contains("was cut off after"), "{refused}");
    assert_eq!(scene.stub.asked_paths(), [MAIN, MAIN, MAIN]);

    let whole = tarball(&[("bin/tool", "#!/bin/sh\necho 1.0.0\n"), ("data", "x")]);
    scene.stub.set_answers(
        MAIN,
        [
            cut,
            StubAnswer::of_status(503),
            StubAnswer::with_body(whole),
        ],
    );
    assert!(!scene.install().await.unwrap().was_there);
}

#[tokio::test]
async fn refusals_and_silence_of_the_registry_are_told() {
    let scene = Scene::new();
    scene.stub.set_answers(PART, [StubAnswer::of_status(404)]);
    let refused = scene.refused().await;
    assert!(refused.contains("answered 404 for http"), "{refused}");
    assert!(refused.ends_with(PART), "{refused}");

    let away = client_of("http://user:secret@127.0.0.1:1");
    let refused = scene.install_from(&away).await.unwrap_err();
    assert!(
        matches!(refused, AgentProgramError::Unreachable { .. }),
        "{refused}"
    );
    let text = format!("{refused} {refused:?}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn redirects_are_followed_to_an_end() {
    let scene = Scene::new();
    let moved = "/elsewhere/tool.tgz";
    let whole = tarball(&[("bin/tool", "#!/bin/sh\necho 1.0.0\n"), ("data", "x")]);
    scene
        .stub
        .set_answers(MAIN, [StubAnswer::redirect_to(moved)]);
    scene
        .stub
        .set_answers(moved, [StubAnswer::with_body(whole)]);
    assert!(!scene.install().await.unwrap().was_there);

    let scene = Scene::new();
    scene
        .stub
        .set_answers(MAIN, [StubAnswer::redirect_to(MAIN)]);
    let refused = scene.refused().await;
    assert!(
        refused.contains("could not reach the registry"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_download_that_never_ends_is_stopped() {
    let scene = Scene::new();
    let endless = vec![0; 4 << 20];
    scene
        .stub
        .set_answers(MAIN, [StubAnswer::with_body(endless)]);
    let refused = scene.refused().await;
    assert!(refused.contains("is longer than"), "{refused}");
}

#[tokio::test]
async fn a_hostile_archive_that_is_pinned_installs_nothing() {
    let mut scene = Scene::new();
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "package/bin", "/")
        .unwrap();
    let hostile = builder.into_inner().unwrap().finish().unwrap();
    scene.program.packages[0].integrity = integrity_of(&hostile);
    scene
        .stub
        .set_answers(MAIN, [StubAnswer::with_body(hostile)]);
    let refused = scene.refused().await;
    assert_eq!(refused, "the archive of `@maker/tool` cannot be unpacked");
}

#[tokio::test]
async fn a_program_that_does_not_fit_is_refused_before_it_is_downloaded() {
    let mut scene = Scene::new();
    for build in &mut scene.program.builds {
        build.unpacked_bytes = 1 << 60;
    }
    let refused = scene.refused().await;
    assert!(refused.contains("not enough space"), "{refused}");
    assert!(scene.stub.asked_paths().is_empty());
}

#[tokio::test]
async fn half_a_program_is_never_seen_and_a_damaged_one_is_replaced() {
    let scene = Scene::new();
    let build = scene.program.build_for(MachinePlatform::of_this_machine());
    let digest = build.unwrap().content_digest();
    let half = scene
        .folder
        .folder_path()
        .join(format!(".unfinished-{digest}"));
    fs::create_dir_all(half.join("content")).unwrap();
    File::create(half.join("content/junk")).unwrap();
    // Of another version, which nobody begins again.
    let other = scene.folder.folder_path().join(".unfinished-other");
    fs::create_dir_all(other.join("content")).unwrap();
    assert!(scene.folder.list().unwrap().is_empty());

    let installed = scene.install().await.unwrap().program;
    assert!(!half.exists() && !other.exists() && !installed.content.join("junk").exists());

    let data = installed.content.join("data");
    set_mode(&installed.content, 0o755);
    fs::remove_file(&data).unwrap();
    let damage = installed.find_damage().unwrap();
    assert!(damage.contains("should have 3 files"), "{damage}");
    let again = scene.install().await.unwrap();
    assert!(!again.was_there && data.is_file());
    assert_eq!(again.program.find_damage(), None);
    drop(scene.top);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
