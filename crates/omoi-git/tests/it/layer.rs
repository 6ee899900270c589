use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use omoi_git::clone::{CloneSite, clean_checkout};
use omoi_git::layer::{FinishedSetup, KeptPackages, LayerFolder, SetupReference, TrackedFiles};
use omoi_git::survey::SetupPlan;

use crate::fixture::{Fixture, git};

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

/// What an overlay would show, made by copying.
fn show(layer: &Path, at: &Path) {
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([layer, at])
        .status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn the_next_commit_takes_over_what_did_not_change() {
    let f = Fixture::new(&[("a.txt", "1\n"), ("dir/b.sh", "2\n"), ("gone/c", "3\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let first = layers.prepared_checkout(&base).await.unwrap();
    let (files, again) = (first.files_dir(), layers.prepared_checkout(&base).await);
    assert_eq!(again.unwrap().files_dir(), files);
    assert!(!files.join(".git").exists());

    let next = f.commit_on(&f.base, &[("a.txt", "changed\n")]).await;
    let base = f.mirror.base_store(&next).await.unwrap();
    let second = layers.prepared_checkout(&base).await.unwrap().files_dir();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&files.join("a.txt")), "1\n", "the first changed");
    assert_eq!(read(&second.join("a.txt")), "changed\n");
    assert_eq!(
        inode(&files.join("dir/b.sh")),
        inode(&second.join("dir/b.sh"))
    );
}

#[tokio::test]
async fn a_tree_over_a_layer_is_clean_at_its_commit_and_at_another() {
    let f = Fixture::new(&[("a.txt", "1\n"), ("dir/b.sh", "2\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let layer = layers.prepared_checkout(&base).await.unwrap();
    let next = f
        .commit_on(&f.base, &[("a.txt", "changed\n"), ("new/d", "4\n")])
        .await;
    // Attributes change what is written of files that did not change.
    let crlf = f
        .commit_on(&f.base, &[(".gitattributes", "* text eol=crlf\n")])
        .await;
    for (name, commit) in [("same", &f.base), ("other", &next), ("attributes", &crlf)] {
        let dest = f.path(name);
        show(&layer.files_dir(), &dest);
        let site = CloneSite {
            layer: Some(&layer),
            ..CloneSite::new(&base, &dest)
        };
        clean_checkout(site, commit).await.unwrap();
        let (status, head) = (["status", "--porcelain"], ["rev-parse", "HEAD"]);
        assert_eq!(git(&dest, &status), "", "{name}");
        assert_eq!(git(&dest, &head), commit.as_str());
        let plain = f.path(&format!("{name}-plain"));
        clean_checkout(CloneSite::new(&base, &plain), commit)
            .await
            .unwrap();
        let differs = std::process::Command::new("diff")
            .args(["-r", "--exclude=.git"])
            .args([&plain, &dest])
            .status();
        assert!(differs.unwrap().success(), "{name}");
    }
    let base = f.mirror.base_store(&crlf).await.unwrap();
    let from_earlier = layers.prepared_checkout(&base).await.unwrap().files_dir();
    let text = std::fs::read_to_string(from_earlier.join("dir/b.sh")).unwrap();
    assert_eq!(text, "2\r\n");
    let text = std::fs::read_to_string(layer.files_dir().join("dir/b.sh")).unwrap();
    assert_eq!(text, "2\n", "the earlier layer changed");
}

#[tokio::test]
async fn the_oldest_layers_go_and_what_is_in_use_stays() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let used = layers.prepared_checkout(&base).await.unwrap();
    let next = f.commit_on(&f.base, &[("a.txt", "2\n")]).await;
    let base = f.mirror.base_store(&next).await.unwrap();
    let idle = layers.prepared_checkout(&base).await.unwrap().files_dir();
    layers.remove_oldest(u64::MAX).await.unwrap();
    assert!(idle.exists());
    std::fs::create_dir(f.path("layers/.new-left")).unwrap();
    layers.remove_oldest(0).await.unwrap();
    assert!(!idle.exists() && used.files_dir().exists());
    layers.clear_leftovers().unwrap();
    assert_eq!(std::fs::read_dir(f.path("layers")).unwrap().count(), 1);
}

/// Manifests are not forced onto the disk, so a power cut leaves any bytes.
#[tokio::test]
async fn a_damaged_manifest_costs_its_own_layer_alone() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let damaged = layers.prepared_checkout(&base).await.unwrap().files_dir();
    let manifest = damaged.with_file_name("manifest");
    for bytes in [&b""[..], &[0; 40], &[0xff, 0xfe, b'{']] {
        std::fs::write(&manifest, bytes).unwrap();
        let next = f
            .commit_on(&f.base, &[("a.txt", &format!("{bytes:?}\n"))])
            .await;
        let next = f.mirror.base_store(&next).await.unwrap();
        let made = layers.prepared_checkout(&next).await.unwrap();
        assert!(made.files_dir().exists() && !damaged.exists(), "{bytes:?}");
        assert!(layers.prepared_checkout(&base).await.unwrap().files_dir() == damaged);
    }
}

#[tokio::test]
async fn for_room_one_layer_goes_at_a_time_until_the_rest_is_in_use() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    // Both ask at once, and one layer is what they get.
    let (one, two) = tokio::join!(
        layers.prepared_checkout(&base),
        layers.prepared_checkout(&base)
    );
    let used = one.unwrap();
    assert_eq!(used.files_dir(), two.unwrap().files_dir());
    let next = f.commit_on(&f.base, &[("a.txt", "2\n")]).await;
    let base = f.mirror.base_store(&next).await.unwrap();
    let idle = layers.prepared_checkout(&base).await.unwrap().files_dir();
    assert!(layers.remove_one().unwrap());
    assert!(!idle.exists() && used.files_dir().exists());
    assert!(!layers.remove_one().unwrap());
}

#[tokio::test]
async fn packages_are_what_a_setup_added_and_nothing_else() {
    let f = Fixture::new(&[("src/a.txt", "1\n"), ("run.sh", "2\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let dir = f.path("set-up");
    clean_checkout(CloneSite::new(&base, &dir), &f.base)
        .await
        .unwrap();
    let entries = f.mirror.list_tree(&f.base).await.unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let plan = SetupPlan {
        commands: vec!["make deps".to_owned()],
        inputs: std::collections::BTreeMap::new(),
        is_written: true,
        frames: Vec::new(),
    };
    let finished = || FinishedSetup {
        dir: &dir,
        tracked: TrackedFiles::note_files(&dir, &entries).unwrap(),
        plan: plan.clone(),
        packages: Vec::new(),
        work: "/work".to_owned(),
        reference: SetupReference::IsBase,
        took: std::time::Duration::from_millis(7),
    };
    let first = finished();
    write("node_modules/a/index.js", "a");
    write("node_modules/a/__pycache__/a.pyc", "compiled");
    write("src/made.txt", "made");
    std::os::unix::fs::symlink("/etc/passwd", dir.join("node_modules/link")).unwrap();
    let kept = layers.keep_packages("one", "p", first).await.unwrap();
    let KeptPackages::Kept(layer) = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(layer.record().roots, ["node_modules", "src/made.txt"]);
    let files = layer.files_dir();
    assert!(!files.join("run.sh").exists() && !files.join("src/a.txt").exists());
    assert!(!files.join("node_modules/a/__pycache__").exists());
    let link = std::fs::symlink_metadata(files.join("node_modules/link")).unwrap();
    assert!(link.is_symlink());

    // In a work tree they are no work, and what is there stays.
    let dest = f.path("work");
    clean_checkout(CloneSite::new(&base, &dest), &f.base)
        .await
        .unwrap();
    std::fs::write(dest.join("src/made.txt"), "mine").unwrap();
    layer.copy_into(&dest).await.unwrap();
    layer.hide_from_git(&dest).unwrap();
    assert_eq!(git(&dest, &["status", "--porcelain"]), "");
    let read = |path: &str| std::fs::read_to_string(dest.join(path)).unwrap();
    assert_eq!(read("node_modules/a/index.js"), "a");
    assert_eq!(read("src/made.txt"), "mine");
    let copied = inode(&dest.join("node_modules/a/index.js"));
    assert_ne!(copied, inode(&files.join("node_modules/a/index.js")));

    let second = finished();
    std::fs::remove_dir_all(dir.join("src")).unwrap();
    std::os::unix::fs::symlink("node_modules", dir.join("src")).unwrap();
    write("run.sh", "2");
    let changed = layers.keep_packages("two", "p", second).await.unwrap();
    let KeptPackages::Changed(names) = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(names, ["run.sh", "src/a.txt"]);
    assert!(layers.find_packages("two").await.unwrap().is_none());
}

#[tokio::test]
async fn a_layer_of_an_earlier_boot_is_made_anew() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let layers = LayerFolder::new(f.path("layers"));
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let layer = layers.prepared_checkout(&base).await.unwrap();
    let manifest = layer.files_dir().with_file_name("manifest");
    drop(layer);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(boot.trim(), "another")).unwrap();
    let emptied = manifest.with_file_name("files").join("a.txt");
    std::fs::write(&emptied, "").unwrap();
    let anew = layers.prepared_checkout(&base).await.unwrap();
    let path = anew.files_dir().join("a.txt");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n");
}
