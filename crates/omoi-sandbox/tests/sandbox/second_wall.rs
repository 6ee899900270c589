//! Landlock inside bubblewrap: whether it holds, and that a sandbox says so when it does not.

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::entry::EntryProgram;
use omoi_sandbox::{Property, PropertyStatus, SandboxFloor};

use crate::support::{Platform, held_status};

/// What the mounts and the process space leave open, and Landlock does not.
const BEYOND_THE_MOUNTS: &str = "
true </proc/1/environ && echo environ
kill -0 1 && echo signalled
echo x >/proc/self/comm && echo written
ls / >/dev/null && mv /sandbox/a /sandbox/b/ && echo works
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn landlock_holds_inside_bubblewrap_and_is_named() {
    let platform = Platform::new().await;
    let status = held_status(&platform, Property::Landlock);
    let PropertyStatus::YesBy(holder) = status else {
        panic!("{status:?}");
    };
    assert!(holder.starts_with("Landlock ABI "), "{holder}");
    let mut launch = platform.shell(BEYOND_THE_MOUNTS);
    launch.workspace = platform.workspace(|dir| {
        std::fs::create_dir(dir.join("b")).unwrap();
        std::fs::write(dir.join("a"), "a").unwrap();
    });
    let exit = platform.run(launch).await;
    assert_eq!(
        exit.stdout.to_text(),
        "works\n",
        "{}",
        exit.stderr.to_text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_without_its_second_wall_says_so() {
    let broken = EntryProgram {
        program: "/usr/bin/false".into(),
        args: Vec::new(),
    };
    for (entry, expected) in [
        (None, "no program that applies it"),
        (Some(broken), "Landlock does not work inside"),
    ] {
        let change = |config: &mut omoi_sandbox::ProbeConfig| config.entry = entry;
        let rung = SandboxRung::Bubblewrap;
        let platform = Platform::with_config(rung, &SandboxFloor::default(), change).await;
        let status = held_status(&platform, Property::Landlock);
        assert!(
            matches!(status, PropertyStatus::No(reason) if reason.contains(expected)),
            "{status:?}"
        );
        let exit = platform.run(platform.shell(BEYOND_THE_MOUNTS)).await;
        let open = exit.stdout.to_text();
        assert!(open.starts_with("environ\nsignalled\nwritten\n"), "{open}");
    }
}
