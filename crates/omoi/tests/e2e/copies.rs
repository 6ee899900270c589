//! Files of the person's checkout that are not committed: a fixture comes into every workspace, a secret to the agents
//! of planned tasks alone, and nothing that is kept, said or handed over holds it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::story;
use crate::world::{World, files_below};

const SECRET: &str = "canary-99/4f1d8a6c2b7e";
/// Of a file that no task of the plan is granted.
const OTHER_SECRET: &str = "canary-98/0b5e7d91c3aa";

/// The scenario whose first agent shows both files, and whose checks need the fixture and must not see the secret.
fn reading(scenario: String) -> String {
    let rule = "  - when: {role: implementer, task: TSK-001, turn: 0}\n    reply:\n";
    assert!(scenario.contains(rule));
    let command = "cat .env fixtures/sample.txt; grep -c '^API_TOKEN=' .env; git status --short";
    let input = serde_json::json!({ "command": command });
    let show = format!("      - tool:\n          name: shell\n          input: {input}\n");
    let check = "command: python3 -S check_bye.py";
    assert!(scenario.contains(check));
    let stricter =
        "command: test -f fixtures/sample.txt && test ! -e .env && python3 -S check_bye.py";
    scenario
        .replace(rule, &format!("{rule}{show}"))
        .replace(check, stricter)
}

pub(crate) fn list_copies(world: &World, lines: &[String]) {
    let folder = world.home().join(".config/omoios");
    fs::create_dir_all(&folder).unwrap();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| format!("    - \"{line}\"\n"))
        .collect();
    let text = format!("sandbox:\n  copy:\n{}", lines.concat());
    fs::write(folder.join("config.yaml"), text).unwrap();
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Every object of the repository at `path`, unpacked.
fn git_objects(path: &Path) -> Vec<u8> {
    let mut git = std::process::Command::new("git");
    git.arg("-C")
        .arg(path)
        .args(["cat-file", "--batch-all-objects", "--batch"]);
    git.output().unwrap().stdout
}

/// A fixture, a secret for the agents of all tasks and one for those that mend faults.
fn prepare_copies(world: &World) {
    let repo = world.repo.path();
    world.repo.write("fixtures/sample.txt", "a sample\n");
    fs::write(
        repo.join(".env"),
        format!("# of the tests\nAPI_TOKEN=\"{SECRET}\"\n"),
    )
    .unwrap();
    fs::write(
        repo.join(".env.tests"),
        format!("OTHER_TOKEN=\"{OTHER_SECRET}\"\n"),
    )
    .unwrap();
    let name = world.repo_name();
    list_copies(
        world,
        &[
            format!("project={name}; path=fixtures/sample.txt"),
            format!("project={name}; secret=.env"),
            format!("project={name}; secret=.env.tests; tasks=fix_bug"),
            // What is said of other projects counts for them.
            "project=another; path=not-there".to_owned(),
        ],
    );
}

#[test]
fn a_fixture_comes_in_and_a_secret_stays_with_the_agents_of_tasks() {
    let world = World::two_tasks_with(reading);
    prepare_copies(&world);
    let mut said = vec![world.start(world.run(&["--yes"])).wait().exited(0)];
    let summary = said[0].summary();
    assert_eq!(
        summary["criteria"]["proven"].as_u64(),
        Some(4),
        "{summary:#}"
    );
    let branch = world.tree(summary["branch"].as_str().unwrap());
    assert!(
        !branch.contains(".env") && !branch.contains("fixtures"),
        "{branch}"
    );

    // The agent saw both; git took neither for work.
    let shown = "select count(*) from turns
        where tool_results like '%\"****\\na sample\\n1\\n[exit code 0]\"%'";
    assert_eq!(story::one(&world.database(), shown).as_deref(), Some("1"));
    let granted = "select count(*) from sandboxes s join attempts a on a.id = s.attempt_id
        where (s.start_steps like '%`.env` (secret)%') <> (a.subject = 'task')
        or s.start_steps not like '%`fixtures/sample.txt` (9 bytes, sha256:%'";
    assert_eq!(story::one(&world.database(), granted).as_deref(), Some("0"));
    let others = "select count(*) from sandboxes where start_steps like '%`.env.tests` (secret)%'";
    assert_eq!(story::one(&world.database(), others).as_deref(), Some("0"));
    // A check that is red says what it was not given.
    let red = "select count(*) from receipts
        where output like '[`.env`, `.env.tests` of `sandbox.copy` is secret and given to no check%'";
    let told = story::one(&world.database(), &format!("{red} and exit_code <> 0"));
    assert!(told.as_deref().is_some_and(|n| n != "0"), "{told:?}");
    let told = story::one(&world.database(), &format!("{red} and exit_code = 0"));
    assert_eq!(told.as_deref(), Some("0"));
    let checked = "select count(*) from receipts where conditions like '%.env% (secret)%'
        or conditions not like '%`fixtures/sample.txt` (9 bytes, sha256:%'";
    assert_eq!(story::one(&world.database(), checked).as_deref(), Some("0"));

    for command in [
        &["task", "show", "TSK-001", "--json"][..],
        &["trace", "SPEC-1", "--json"],
        &["doctor"],
    ] {
        said.push(world.start(world.command(command)).wait());
    }
    let told = &said[1].stdout;
    assert!(told.contains("`.env` (secret)"), "{told}");
    assert!(told.contains("`.env.tests` withheld"), "{told}");
    for said in &said {
        assert!(!said.stdout.contains(SECRET) && !said.stderr.contains(SECRET));
    }
    for file in files_below(&world.data()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let is_told = [SECRET, OTHER_SECRET]
            .iter()
            .any(|secret| holds(&bytes, secret));
        assert!(!is_told, "{}", file.display());
    }
    for mirror in fs::read_dir(world.data().join("mirrors")).unwrap() {
        assert!(!holds(&git_objects(&mirror.unwrap().path()), SECRET));
    }
}

#[test]
fn a_run_does_not_begin_with_a_file_that_cannot_be_copied() {
    let world = World::two_tasks("scenario.yaml");
    let repo = world.repo.path();
    fs::create_dir(repo.join("folder")).unwrap();
    symlink("greet.py", repo.join("link")).unwrap();
    symlink("/etc", repo.join("behind")).unwrap();
    fs::write(repo.join("large"), vec![b'x'; (64 << 10) + 1]).unwrap();
    let name = world.repo_name();
    for (field, says) in [
        ("path=none", "there is no such file"),
        ("path=folder", "it is a folder; name the files in it"),
        ("path=link", "it is a link"),
        ("path=behind/hostname", "it is a link, or lies behind one"),
        (
            "secret=large",
            "it has 65537 bytes, and at most 65536 are copied",
        ),
        ("path=greet.py", "it is committed"),
        (".claude/settings.json", "has no `=`"),
        ("secret=.claude/settings.json", "only the platform"),
        ("secret=../outside", "is no file below the repository"),
        ("path=/etc/hostname", "is no file below the repository"),
    ] {
        list_copies(&world, &[format!("project={name}; {field}")]);
        let said = world.start(world.run(&["--yes"])).wait();
        assert!(!said.status.success(), "{field}: {said:?}");
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(told.contains(says), "{field}: {said:?}");
    }
    let specs = "select count(*) from specs";
    assert_eq!(story::one(&world.database(), specs).as_deref(), Some("0"));
    // A repository's own file has no say in it.
    fs::remove_file(world.home().join(".config/omoios/config.yaml")).unwrap();
    world.repo.write(
        ".omoi.yaml",
        format!("sandbox:\n  copy: ['project={name}; path=large']\n"),
    );
    world.repo.commit("Copy");
    let said = world.start(world.run(&["--yes"])).wait();
    let told = format!("{}{}", said.stdout, said.stderr);
    assert!(told.contains("`sandbox.copy`"), "{said:?}");
    assert!(!said.status.success(), "{said:?}");
}
