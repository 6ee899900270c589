//! Containers of a person's own image, made of files of this host, so that nothing is downloaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{ImageSource, SandboxFloor, SandboxProbe, TriedRung, probe_host};
use omoi_testkit::podman::PodmanService;

use crate::support::{Platform, entry_program, probe_config};

/// Copies programs with the libraries that they load, and says what the system is.
const COPY_PROGRAMS: &str = r#"
set -e
mkdir -p "$1/usr/bin" "$1/usr/lib" "$1/usr/lib64" "$1/etc"
for name in bin lib lib64; do ln -s "usr/$name" "$1/$name"; done
for program in /usr/bin/dash /usr/bin/mv /usr/bin/setarch /usr/bin/cat; do cp "$program" "$1/usr/bin/"; done
ln -s dash "$1/usr/bin/sh"
for library in $(ldd "$1"/usr/bin/* "$2" | grep -o '/[^ ]*' | grep -v ':$' | sort -u); do
  mkdir -p "$1/usr$(dirname "${library#/usr}")"
  cp -L "$library" "$1/usr${library#/usr}"
done
echo 'an image of its own' >"$1/etc/issue"
"#;

/// An image's files, and archives of them.
struct ImageFiles(tempfile::TempDir);

impl ImageFiles {
    fn copy_programs() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let copied = Command::new("/bin/bash")
            .args(["-c", COPY_PROGRAMS, "bash"])
            .args([&root, &entry_program()])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        Self(dir)
    }

    /// The C library that programs find.
    fn library(&self) -> PathBuf {
        let folder = format!("root/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        self.0.path().join(folder).join("libc.so.6")
    }

    fn archive(&self, name: &str) -> PathBuf {
        let archive = self.0.path().join(name);
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(self.0.path().join("root")).arg("-cf");
        assert!(tar.arg(&archive).arg(".").status().unwrap().success());
        archive
    }
}

/// Why the rung `container` cannot be used.
fn refusal(probe: &SandboxProbe) -> String {
    let mut tried = probe.tried.iter();
    let is_container = |tried: &&TriedRung| tried.rung == SandboxRung::Container;
    let unavailable = tried.find(is_container).unwrap().outcome.as_ref();
    unavailable.unwrap_err().reason.clone()
}

/// What a probe finds with `image` in the engine.
async fn probe_image(engine: &PodmanService, state: &Path, image: ImageSource) -> SandboxProbe {
    let mut config = probe_config(state);
    config.container_sockets = vec![engine.engine_socket()];
    config.image = Some(image);
    probe_host(&config).await.unwrap()
}

/// As root alone: an engine of an ordinary user goes the same way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_made_of_an_image_whose_c_library_is_not_older() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let files = ImageFiles::copy_programs();
    let archive = files.archive("image.tar");
    let floor = SandboxFloor::default();
    let platform = Platform::with_config(SandboxRung::Container, &floor, |config| {
        config.image = Some(ImageSource::Archive(archive));
    })
    .await;
    let exit = platform
        .run(
            platform
                .shell("cat /etc/issue; test -e /usr/bin/python3 || echo alone; echo kept >file"),
        )
        .await;
    assert_eq!(exit.stdout.to_text(), "an image of its own\nalone\n");
    let version = platform.provider.rung_version();
    assert!(
        version.contains(", image `localhost/omoi-own:"),
        "{version}"
    );
    // No other kind of sandbox is made of an image.
    let reasons = platform.probe.tried.iter();
    let reasons = reasons.filter_map(|tried| tried.outcome.as_ref().err());
    assert!(
        reasons
            .filter(|refused| refused.reason.contains("`sandbox.image`"))
            .count()
            == 3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_cannot_run_the_worker_are_refused_by_name() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let files = ImageFiles::copy_programs();
    let engine = PodmanService::start();
    let state = files.0.path().join("state");
    let older = "GNU C Library (of another time) stable release version 2.17.\n";
    // As older systems have it: a link to the file with its version.
    let library = files.library();
    fs::remove_file(&library).unwrap();
    fs::write(library.with_file_name("libc-2.17.so"), older).unwrap();
    std::os::unix::fs::symlink("libc-2.17.so", &library).unwrap();
    let old = files.archive("old.tar");
    let probe = probe_image(&engine, &state, ImageSource::Archive(old)).await;
    let reason = refusal(&probe);
    assert!(
        reason.contains("old.tar` has the GNU C library 2.17, older than"),
        "{reason}"
    );

    fs::write(library.with_file_name("libc-2.17.so"), "another C library").unwrap();
    let foreign = files.archive("foreign.tar");
    for (image, says) in [
        (
            ImageSource::Archive(foreign),
            "foreign.tar` has no GNU C library",
        ),
        (
            ImageSource::Archive(files.0.path().join("none.tar")),
            "none.tar` cannot be read",
        ),
        (
            ImageSource::Name("localhost/none:1".to_owned()),
            "has no image `localhost/none:1`",
        ),
        (
            ImageSource::Name("a b".to_owned()),
            "`a b` is no name of an image",
        ),
    ] {
        let reason = refusal(&probe_image(&engine, &state, image).await);
        assert!(reason.contains(says), "{reason}");
    }
    assert_eq!(engine.container_names(), "", "nothing is left of the looks");
}
