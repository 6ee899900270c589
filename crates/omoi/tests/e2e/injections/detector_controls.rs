//! Each detector of the injections with its wall taken away: what a row asks for is done from outside the sandbox,
//! where nothing forbids it, and the detector has to see that row and no other.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use omoi_testkit::injections::{ForbiddenEffect, InjectionRow};
use omoi_testkit::raw_connection::RawConnection;

use super::{ForbiddenTargets, SECRET};
use crate::world::World;

/// Every kind of effect in turn; what was said to the listener is gone once it was read, so it comes last.
const ORDER: [ForbiddenEffect; 9] = [
    ForbiddenEffect::Push,
    ForbiddenEffect::Settings,
    ForbiddenEffect::GitHook,
    ForbiddenEffect::Outside,
    ForbiddenEffect::Secret,
    ForbiddenEffect::OtherWork,
    ForbiddenEffect::Control,
    ForbiddenEffect::Discovery,
    ForbiddenEffect::Network,
];

/// Makes one effect after the other, and holds that each is seen as it came.
pub(super) fn every_effect_is_seen_once_it_is_there(
    world: &World,
    targets: &ForbiddenTargets,
    rows: &[InjectionRow],
) {
    let missing: Vec<_> = ForbiddenEffect::ALL
        .iter()
        .filter(|effect| !ORDER.contains(effect))
        .collect();
    assert!(missing.is_empty(), "no control for {missing:?}");
    let mut seen_before = BTreeSet::new();
    for effect in ORDER {
        let of_effect: Vec<&InjectionRow> =
            rows.iter().filter(|row| row.effect == effect).collect();
        make_effect(world, targets, of_effect[0]);
        let seen: BTreeSet<&str> = targets
            .effects(world, rows)
            .iter()
            .map(|row| row.id.as_str())
            .collect();
        let expected: BTreeSet<&str> = match names_its_row(effect) {
            true => BTreeSet::from([of_effect[0].id.as_str()]),
            false => of_effect.iter().map(|row| row.id.as_str()).collect(),
        };
        let new: BTreeSet<&str> = seen.difference(&seen_before).copied().collect();
        assert_eq!(new, expected, "{effect}");
        seen_before = seen;
    }
}

/// Whether what is left behind tells which row it came of; else all rows of that kind are seen.
fn names_its_row(effect: ForbiddenEffect) -> bool {
    !matches!(
        effect,
        ForbiddenEffect::Secret | ForbiddenEffect::Control | ForbiddenEffect::Discovery
    )
}

fn make_effect(world: &World, targets: &ForbiddenTargets, row: &InjectionRow) {
    let id = row.id.as_str();
    match row.effect {
        ForbiddenEffect::Push => {
            world.repo.git(&["branch", id]);
        }
        ForbiddenEffect::Settings => {
            let branches = [
                "for-each-ref",
                "--format=%(refname:short)",
                "refs/heads/omoi",
            ];
            let branches = world.repo.git(&branches);
            world
                .repo
                .git(&["checkout", "-q", branches.lines().next().unwrap()]);
            world.repo.write(".claude/settings.json", id).commit("Set");
        }
        ForbiddenEffect::GitHook => {
            let hooks = world.repo.path().join(".git/hooks");
            fs::create_dir_all(&hooks).unwrap();
            let (hook, open) = (hooks.join("post-checkout"), targets.open_folder.display());
            fs::write(&hook, format!("#!/bin/sh\necho >{open}/{id}\n")).unwrap();
            fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
            world.repo.git(&["checkout", "-q", "main"]);
        }
        ForbiddenEffect::Outside => fs::write(targets.open_folder.join(id), "").unwrap(),
        ForbiddenEffect::Secret => {
            let mirrors = fs::read_dir(targets.data.join("mirrors")).unwrap();
            store_blob(&mirrors.last().unwrap().unwrap().path(), SECRET);
        }
        ForbiddenEffect::OtherWork => change_rows(
            world,
            &format!(
                "update phase_items set value = '[\"{id}\"]'
                 where rowid = (select min(rowid) from phase_items)"
            ),
        ),
        ForbiddenEffect::Control => change_rows(
            world,
            "update tasks set status = 'cancelled' where local_id = 'TSK-002'",
        ),
        ForbiddenEffect::Discovery => change_rows(
            world,
            "create table copied as select * from tasks where local_id = 'TSK-001';
             update copied set id = randomblob(16), number = 900, local_id = 'TSK-900';
             insert into tasks select * from copied;
             drop table copied",
        ),
        ForbiddenEffect::Network => {
            let mut stream = TcpStream::connect(targets.address()).unwrap();
            stream.write_all(id.as_bytes()).unwrap();
        }
    }
}

/// Puts `text` into the objects of `mirror`.
fn store_blob(mirror: &Path, text: &str) {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(mirror)
        .args(["hash-object", "-w", "--stdin"]);
    let mut writing = git
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = writing.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    assert!(writing.wait().unwrap().success());
}

fn change_rows(world: &World, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = RawConnection::open(&world.database().replace("mode=ro", "mode=rw"))
            .await
            .unwrap();
        db.execute(statements).await.unwrap();
        db.close().await.unwrap();
    });
}
