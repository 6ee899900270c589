//! What a set-up installs, and how it fails.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use omoi_domain::egress::EgressMode;
use omoi_domain::sandbox::SandboxRung;
use omoi_execution::command::{CommandError, CommandRun};
use omoi_execution::reaper::clear_away;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::setup::{SetupCause, SetupError};
use omoi_git::object::ObjectId;
use omoi_git::toolchain::{HostProgram, HostToolchain};
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, SandboxFloor, probe_host};
use omoi_testkit::deployment::TestDeployment;

use crate::checkout_check::CheckAt;

/// What a command prints of the state that a set-up leaves.
const LOOK: &str = "cat node_modules/a/index.js; export HOME=/tmp; git status --porcelain; cat tracked.txt; \
    test -e node_modules/a/__pycache__ && echo bytecode; command -v tool";

/// Installs something that `LOOK` finds; each run adds a line to what it installs, and there is only ever one.
const INSTALL: &str = "mkdir -p node_modules/a/__pycache__ node_modules/.bin && echo installed >node_modules/a/index.js && \
    echo x >node_modules/a/__pycache__/x.pyc && printf '#!/bin/sh\\n' >node_modules/.bin/tool && chmod +x node_modules/.bin/tool";

pub(crate) async fn on_rung(
    rung: SandboxRung,
    change: impl FnOnce(&mut omoi_execution::DeploymentParts),
) -> (TestDeployment, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let config = ProbeConfig::new(state.path().join("run"));
    let found = probe_host(&config).await.unwrap();
    let floor = SandboxFloor(std::collections::BTreeSet::new());
    let provider = found.select_provider(&floor, Some(rung)).unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.sandbox = Some(provider);
        // The host's control groups are named by it.
        parts.rng = Rng::seeded(u64::from(std::process::id()));
        change(parts);
    })
    .await;
    std::fs::create_dir_all(it.deployment.data.work_folder()).unwrap();
    (it, state)
}

async fn run_at(
    it: &TestDeployment,
    commit: &ObjectId,
    (setup, command): (&[&str], &str),
) -> Result<CommandRun, CommandError> {
    let toolbox = SandboxToolchain {
        setup: setup.iter().map(|c| (*c).to_owned()).collect(),
        ..SandboxToolchain::default()
    };
    let check = CheckAt {
        commit,
        command,
        toolbox: &toolbox,
        setup_mode: EgressMode::Cached,
    };
    check.try_run(it).await
}

/// What a receipt says of a set-up by `commands` that fails.
async fn told_of(it: &TestDeployment, commit: &ObjectId, commands: &[&str]) -> String {
    let ran = run_at(it, commit, (commands, "true")).await.unwrap();
    let told = ran.workspace;
    let (_, failure) = told.split_once(", without packages: ").unwrap();
    let (named, cause) = failure.split_once("` failed: ").unwrap();
    assert_eq!(named, format!("set-up `{}", commands.join("; ")));
    // Somebody wrote the commands down, so what runs without what they install proves nothing.
    assert_eq!(ran.output, format!("[not run: {failure}]\n"));
    assert_eq!((ran.exit_code, ran.packages_layer), (None, None));
    cause.to_owned()
}

#[tokio::test]
async fn packages_are_installed_once_and_are_no_work() {
    // Laid over as root, copied where the kind of sandbox has no user of its own.
    for (rung, way) in [
        (SandboxRung::Bubblewrap, "overlay on a prepared checkout"),
        (SandboxRung::Process, "clone: "),
    ] {
        let (it, _state) = on_rung(rung, |_| {}).await;
        let commit = it.commit_on(&it.base, "tracked.txt", Some("kept\n")).await;
        let ran = run_at(&it, &commit, (&[INSTALL], LOOK)).await.unwrap();
        assert!(
            ran.output.starts_with("installed\nkept\n/"),
            "{rung}: {}",
            ran.output
        );
        assert!(
            ran.output.trim().ends_with("node_modules/.bin/tool"),
            "{rung}: {}",
            ran.output
        );
        if nix_is_root() {
            assert!(ran.workspace.starts_with(way), "{}", ran.workspace);
        }
        assert!(
            ran.workspace.contains("with the packages of `mkdir"),
            "{}",
            ran.workspace
        );
        let steps = |ran: &CommandRun| -> Vec<String> {
            let steps = ran.start_steps.iter();
            let named = steps.map(|step| format!("{} {}", step.step, step.outcome));
            named.collect()
        };
        let expected = match ran.workspace.starts_with("overlay") {
            true => vec!["packages installed", "checkout found", "workspace overlay"],
            false => vec!["packages installed"],
        };
        assert_eq!(steps(&ran)[..expected.len()], expected, "{rung}");
        let last = ["files written", "owner handed over", "sandbox started"];
        assert!(steps(&ran).ends_with(&last.map(str::to_owned)), "{rung}");
        // Another commit with the same files to install from finds them, whatever it changes besides.
        let next = it
            .commit_on(&commit, "node_modules/a/index.js", Some("tracked\n"))
            .await;
        let layers = std::fs::read_dir(it.deployment.data.layers_folder())
            .unwrap()
            .count();
        let ran = run_at(&it, &next, (&[INSTALL], LOOK)).await.unwrap();
        assert!(
            ran.output.starts_with("tracked\nkept\n/"),
            "{rung}: {}",
            ran.output
        );
        let now = std::fs::read_dir(it.deployment.data.layers_folder())
            .unwrap()
            .count();
        assert_eq!(layers, now, "{rung}: packages were installed twice");
        // What decides is another file now.
        let other = it
            .commit_on(&commit, "requirements.txt", Some("a==1\n"))
            .await;
        run_at(&it, &other, (&[INSTALL], LOOK)).await.unwrap();
        let now = std::fs::read_dir(it.deployment.data.layers_folder())
            .unwrap()
            .count();
        assert!(now > layers, "{rung}");
    }
}

#[tokio::test]
async fn what_an_agent_makes_of_the_installer_reaches_no_other_commit() {
    let (mut it, _state) = on_rung(SandboxRung::Bubblewrap, |_| {}).await;
    let script = |word: &str| format!("mkdir -p deps && echo {word} >deps/a\n");
    let honest = script("honest");
    let base = it.commit_on(&it.base, "install.sh", Some(&honest)).await;
    it.spec.base_sha = base.as_str().to_owned();
    let forged = script("forged");
    let spoiled = it.commit_on(&base, "install.sh", Some(&forged)).await;
    let text = Some("a==1\n");
    let locked = it.commit_on(&spoiled, "requirements.txt", text).await;
    let later = it.commit_on(&locked, "install.sh", Some(&honest)).await;
    // The first finds nothing installed yet; the second asks for other packages, and its own commit makes them.
    let refused = "[not run: set-up `sh install.sh` failed: what it installed differs from the base commit's packages \
        where no lock file says so: deps/a]";
    for (commit, expected) in [
        (&spoiled, "honest"),
        (&locked, refused),
        (&later, "honest"),
        (&base, "honest"),
    ] {
        let asked = (&["sh install.sh"][..], "cat deps/a");
        let ran = run_at(&it, commit, asked).await.unwrap();
        assert_eq!(ran.output.trim(), expected, "{commit}");
    }
}

#[tokio::test]
async fn packages_that_were_compared_with_nothing_serve_until_the_base_is_set_up() {
    let (mut it, _state) = on_rung(SandboxRung::Bubblewrap, |_| {}).await;
    let flag = tempfile::tempdir().unwrap();
    // The base cannot be set up while a folder of the machine is not there, such as a registry.
    let fails = format!(
        "test -e {}/up || test -e requirements.txt",
        flag.path().display()
    );
    let setup = [&*fails, "mkdir -p deps && cp source deps/a"];
    let base = it.commit_on(&it.base, "source", Some("honest\n")).await;
    it.spec.base_sha = base.as_str().to_owned();
    let changed = it
        .commit_on(&base, "requirements.txt", Some("a==1\n"))
        .await;
    let forged = it.commit_on(&changed, "source", Some("forged\n")).await;
    let toolbox = SandboxToolchain {
        setup: setup.map(str::to_owned).to_vec(),
        allowed: vec![flag.path().to_path_buf()],
        ..SandboxToolchain::default()
    };
    let run = async |commit: &ObjectId| {
        let check = CheckAt {
            commit,
            command: "cat deps/a",
            toolbox: &toolbox,
            setup_mode: EgressMode::Cached,
        };
        check.run(&it).await
    };
    let uncompared = ", compared with nothing: the base commit could not be set up";
    let ran = run(&forged).await;
    assert_eq!(ran.output, "forged\n");
    assert!(ran.workspace.ends_with(uncompared), "{}", ran.workspace);
    // As soon as it can be, they are made anew and compared.
    std::fs::write(flag.path().join("up"), "").unwrap();
    it.deployment.setups.forget_failures();
    let ran = run(&forged).await;
    assert!(
        ran.output.contains("where no lock file says so: deps/a]"),
        "{}",
        ran.output
    );
    let ran = run(&changed).await;
    assert_eq!(ran.output, "honest\n");
    assert!(!ran.workspace.contains(uncompared), "{}", ran.workspace);
}

/// A lock file of npm with the packages `names`, all of one version.
fn node_lock(names: &[&str]) -> String {
    let entries = names.iter().map(|name| {
        let url = format!("https://registry.npmjs.org/{name}/-/{name}-1.0.0.tgz");
        format!(r#""node_modules/{name}": {{"version": "1.0.0", "resolved": "{url}"}}"#)
    });
    let entries = entries.collect::<Vec<_>>().join(",");
    format!(r#"{{"lockfileVersion": 3, "packages": {{{entries}}}}}"#)
}

/// Installs the packages `a` and `b`, and does `more`.
fn node_installer(more: &str) -> String {
    let each = r#"mkdir -p node_modules/$n && echo "{\"name\": \"$n\", \"version\": \"1.0.0\"}" \
        >node_modules/$n/package.json && echo honest >node_modules/$n/index.js"#;
    format!("for n in a b; do {each}; done\n{more}\n")
}

#[tokio::test]
async fn other_dependencies_leave_unchanged_packages_as_they_are_or_nothing_runs() {
    let (mut it, _state) = on_rung(SandboxRung::Bubblewrap, |_| {}).await;
    let lock = node_lock(&["a"]);
    let base = it
        .commit_on(&it.base, "package-lock.json", Some(&lock))
        .await;
    let installer = node_installer("");
    let base = it.commit_on(&base, "install.sh", Some(&installer)).await;
    it.spec.base_sha = base.as_str().to_owned();
    let lock = node_lock(&["a", "b"]);
    let changed = it.commit_on(&base, "package-lock.json", Some(&lock)).await;
    let asked = (&["sh install.sh"][..], "cat node_modules/*/index.js");
    let ran = run_at(&it, &changed, asked).await.unwrap();
    assert_eq!((ran.exit_code, &*ran.output), (Some(0), "honest\nhonest\n"));
    // Only what the lock file of the base lists has to stay.
    for (more, expected) in [
        ("echo evil >node_modules/b/index.js", None),
        (
            "echo evil >node_modules/a/index.js",
            Some("node_modules/a/index.js"),
        ),
        ("rm -r node_modules/a", Some("node_modules/a")),
        // What would run instead of the program that a check names.
        (
            "mkdir node_modules/.bin; ln -s /bin/true node_modules/.bin/cat",
            Some("node_modules/.bin/cat"),
        ),
        ("echo evil >conftest.py", Some("conftest.py")),
    ] {
        let installer = node_installer(more);
        let commit = it.commit_on(&changed, "install.sh", Some(&installer)).await;
        let ran = run_at(&it, &commit, asked).await.unwrap();
        let told = "[not run: set-up `sh install.sh` failed: what it installed differs from the base commit's packages \
            where no lock file says so: ";
        match expected {
            Some(name) => {
                assert_eq!(ran.exit_code, None, "{more}");
                assert_eq!(ran.output, format!("{told}{name}]\n"), "{more}");
                assert_eq!(ran.exercised, None);
            }
            None => assert_eq!(ran.output, "honest\nevil\n"),
        }
    }
}

#[tokio::test]
async fn packages_belong_to_the_versions_that_installed_them() {
    let (mut it, _state) = on_rung(SandboxRung::Process, |_| {}).await;
    let tools = tempfile::tempdir().unwrap();
    let install = "mkdir -p deps && omoi-python --version >deps/made-by";
    let base = it.commit_on(&it.base, "a.txt", Some("a\n")).await;
    it.spec.base_sha = base.as_str().to_owned();
    let made_by = async |version: &str| {
        let program = tools.path().join("omoi-python");
        let script = format!("#!/bin/sh\necho {version}\n");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let toolbox = SandboxToolchain::of_host(HostToolchain {
            programs: vec![HostProgram {
                name: "omoi-python".to_owned(),
                path: program,
                version: Some(version.to_owned()),
            }],
            path_entries: vec![tools.path().to_path_buf()],
            ..HostToolchain::default()
        });
        let toolbox = SandboxToolchain {
            setup: vec![install.to_owned()],
            ..toolbox
        };
        let check = CheckAt {
            commit: &base,
            command: "cat deps/made-by",
            toolbox: &toolbox,
            setup_mode: EgressMode::Cached,
        };
        check.run(&it).await.output
    };
    // The same place holds another version after an upgrade, and what the first made is there still.
    for version in ["3.11.2", "3.11.9", "3.11.2"] {
        assert_eq!(made_by(version).await.trim(), version);
    }
}

#[tokio::test]
async fn each_way_a_setup_fails_has_its_name() {
    let (it, _state) = on_rung(SandboxRung::Bubblewrap, |parts| {
        parts.setup.timeout = Duration::from_secs(2);
    })
    .await;
    let files = [
        ("src/a.txt", "a\n"),
        ("src/b.txt", "b\n"),
        ("gone.txt", "c\n"),
        // What decides is another file than on the base commit.
        ("requirements.txt", "a==1\n"),
    ];
    let mut commit = it.base.clone();
    for (path, text) in files {
        commit = it.commit_on(&commit, path, Some(text)).await;
    }
    let exited = told_of(&it, &commit, &["echo never; exit 3", "touch later"]).await;
    assert_eq!(exited, "it ended with code 3 (never)");
    let endless = told_of(&it, &commit, &["sleep 60"]).await;
    assert_eq!(
        endless,
        "it did not end within 2 s (`sandbox.setup_seconds`)"
    );
    let spoils = "echo x >>src/a.txt; rm gone.txt; mv src/b.txt b; ln -s ../b src/b.txt";
    let changed = told_of(&it, &commit, &[spoils]).await;
    let named = "it changed files of the commit: gone.txt, src/a.txt, src/b.txt";
    assert_eq!(changed, named);
    let moves = "mv src dst && mkdir src && cp dst/* src && mv gone.txt src/";
    let moved = told_of(&it, &commit, &[moves]).await;
    assert_eq!(moved, "it changed files of the commit: gone.txt");
    // What failed a moment ago is not run again: the failure says the same.
    let again = told_of(&it, &commit, &["echo never; exit 3", "touch later"]).await;
    assert_eq!(again, exited);
    // On the base commit nothing can be begun then.
    match run_at(&it, &it.base, (&["exit 4"], "true")).await {
        Err(CommandError::Setup(SetupError::Failed(failure))) => {
            assert_eq!(failure.cause, SetupCause::Exited(Some(4)));
        }
        other => panic!("{other:?}"),
    }
    let left = std::fs::read_dir(it.deployment.data.work_folder())
        .unwrap()
        .count();
    assert_eq!(left, 0, "workspaces are left");
}

#[tokio::test]
async fn work_that_takes_packages_away_proves_nothing() {
    let (mut it, _state) = on_rung(SandboxRung::Process, |_| {}).await;
    // Nobody wrote commands down. The first names what every environment has, so nobody is asked for it.
    let asks = async |it: &TestDeployment, on: &ObjectId, package: &str| {
        it.commit_on(on, "requirements.txt", Some(package)).await
    };
    let base = asks(&it, &it.base, "pip\n").await;
    let broken = asks(&it, &base, "surely-no-such-package==1\n").await;
    let run = async |it: &TestDeployment, commit: &ObjectId| {
        run_at(it, commit, (&[], "echo ran")).await.unwrap()
    };
    // Where the base commit has packages, a commit that cannot have its own is not checked.
    it.spec.base_sha = base.as_str().to_owned();
    assert_eq!(run(&it, &base).await.exit_code, Some(0));
    let ran = run(&it, &broken).await;
    assert_eq!(ran.exit_code, None, "{}", ran.output);
    assert!(
        ran.output.starts_with("[not run: set-up `python3 -m venv"),
        "{}",
        ran.output
    );
    let way =
        ", and no registry can be reached from a sandbox of the kind `process`: use bubblewrap";
    assert!(ran.output.contains(way), "{}", ran.output);
    // Nor is one whose files ask for none any more, though its commands would all succeed.
    let lists = "requirements-dev.txt";
    let listed = it.commit_on(&base, lists, Some("left==1.0\n")).await;
    let emptied = asks(&it, &listed, "# none\n").await;
    let emptied = it.commit_on(&emptied, lists, None).await;
    it.spec.base_sha = listed.as_str().to_owned();
    let ran = run(&it, &emptied).await;
    assert_eq!((ran.exit_code, ran.packages_layer), (None, None));
    let named = "no lock file or manifest of the commit asks for packages any more, and the base commit has pypi:left@1.0]\n";
    assert!(ran.output.ends_with(named), "{}", ran.output);
    // Where it has none either, the guess may be wrong.
    it.spec.base_sha = broken.as_str().to_owned();
    let other = asks(&it, &broken, "surely-no-such-package==2\n").await;
    for commit in [&broken, &other] {
        assert_eq!(run(&it, commit).await.output.trim(), "ran");
    }
}

#[tokio::test]
async fn a_setup_that_fills_the_disk_is_stopped() {
    let (it, _state) = on_rung(SandboxRung::Bubblewrap, |parts| {
        parts.setup.timeout = Duration::from_mins(2);
        parts.sandbox_limits.workspace_bytes = 8 << 20;
    })
    .await;
    let fills = "head -c 64M /dev/zero >node_modules; sleep 100";
    match run_at(&it, &it.base, (&[fills], "true")).await {
        Err(CommandError::Setup(SetupError::Failed(failure))) => {
            let told = failure.cause.to_string();
            assert!(told.starts_with("its workspace took"), "{told}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guessed_setup_that_fails_is_told_and_work_goes_on() {
    let (it, _state) = on_rung(SandboxRung::Bubblewrap, |_| {}).await;
    let text = Some("surely-no-such-package==1\n");
    let commit = it.commit_on(&it.base, "requirements.txt", text).await;
    let ran = run_at(&it, &commit, (&[], "echo ran")).await.unwrap();
    assert_eq!(ran.output.trim(), "ran");
    let told = &ran.workspace;
    assert!(
        told.contains("without packages: set-up `python3 -m venv"),
        "{told}"
    );
    // A person's word for nothing at all.
    let ran = run_at(&it, &commit, (&["none"], "echo ran")).await.unwrap();
    assert!(!ran.workspace.contains("packages"), "{}", ran.workspace);
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

#[tokio::test]
async fn a_start_removes_what_a_kill_left_and_passes_over_what_it_cannot() {
    let (it, _state) = on_rung(SandboxRung::Process, |_| {}).await;
    let data = &it.deployment.data;
    let (left, workers) = (data.setup_socket("left"), data.worker_socket());
    for socket in [&left, &workers] {
        drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
    }
    let work = data.work_folder();
    let (workspace, stray) = (work.join("check-left"), work.join("a-file"));
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::write(&stray, "no workspace").unwrap();
    let provider = it.deployment.sandbox.clone().unwrap();
    clear_away(provider.as_ref(), data).unwrap();
    assert!(!left.exists() && !workspace.exists());
    assert!(stray.exists());
    assert!(workers.exists());
}
