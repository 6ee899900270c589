//! Secrets of the person and of the deployment: an agent that looks for them in every corner of its sandbox finds
//! none, and nothing that the program writes or says holds one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use omoi_testkit::invariant::tell_row;

use crate::binary::Said;
use crate::world::{World, files_below};

/// What the agent does first: it writes down all that it can read.
const SEARCH: &str = "( env; cat /proc/*/environ /proc/*/cmdline; git log --all -p; git config --list; \
    git cat-file --batch-all-objects --batch; \
    find / -xdev \\( -path /proc -o -path /sys -o -path /usr -o -name dump.txt \\) -prune \
    -o -type f -size -300k -exec cat {} + ) >dump.txt 2>/dev/null; ls -l dump.txt";

/// One secret, with where it was put.
struct Canary {
    place: &'static str,
    value: String,
}

/// Everything that was planted.
pub(crate) struct Planted {
    canaries: Vec<Canary>,
    variables: Vec<(&'static str, String)>,
}

impl Planted {
    pub(crate) fn plant(world: &World) -> Self {
        let mut planted = Self {
            canaries: Vec::new(),
            variables: Vec::new(),
        };
        for name in [
            "ANTHROPIC_API_KEY",
            "LLM_API_KEY",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "NPM_TOKEN",
        ] {
            let value = planted.canary(name);
            planted.variables.push((name, value));
        }
        let home = world.home();
        for name in ["OPENAI_API_KEY", "RACK_API_KEY", "NPM_KEY"] {
            let value = planted.canary(name);
            let path = home.join(".config/omoios/secrets").join(name);
            write_private(&path, &format!("{value}\n"));
        }
        for file in [
            ".aws/credentials",
            ".ssh/id_ed25519",
            ".netrc",
            ".npmrc",
            ".config/gh/hosts.yml",
            ".docker/config.json",
            ".pypirc",
        ] {
            let value = planted.canary(file);
            write_private(&home.join(file), &format!("secret = {value}\n"));
        }
        let value = planted.canary("a file beside the data folder");
        write_private(&world.beside("notes.txt"), &value);
        planted.plant_in_repository(world);
        planted
    }

    fn plant_in_repository(&mut self, world: &World) {
        let repo = world.repo.path();
        let git = |arguments: &[&str]| {
            let done = Command::new("git")
                .arg("-C")
                .arg(repo)
                .args(arguments)
                .output();
            let done = done.unwrap();
            assert!(done.status.success(), "{arguments:?}: {done:?}");
        };
        let value = self.canary("a file that is not committed");
        fs::write(repo.join(".env.local"), value).unwrap();
        let value = self.canary("a header of git");
        git(&[
            "config",
            "http.extraheader",
            &format!("authorization: {value}"),
        ]);
        let value = self.canary("a branch of the person's own");
        git(&["checkout", "-q", "-b", "private"]);
        fs::write(repo.join("private.txt"), value).unwrap();
        git(&["add", "private.txt"]);
        git(&[
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-qm",
            "Private",
        ]);
        git(&["checkout", "-q", "-"]);
    }

    /// A value that no text holds by chance.
    fn canary(&mut self, place: &'static str) -> String {
        let number = self.canaries.len() + 1;
        let seed = omoi_domain::repository_settings::file_digest(&format!("canary {number}"));
        let value = format!("canary-{number:02}/{}", &seed[..24]);
        self.canaries.push(Canary {
            place,
            value: value.clone(),
        });
        value
    }

    /// How often any of them stands in `bytes`, as it is or encoded.
    pub(crate) fn count_in(&self, what: &str, bytes: &[u8]) -> usize {
        let holds = |needle: &str| {
            let needle = needle.as_bytes();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        let mut n_found = 0;
        for Canary { place, value } in &self.canaries {
            let encoded = BASE64_STANDARD.encode(&value.as_bytes()[..33]);
            for form in [value.clone(), value.replace('/', "%2F"), encoded] {
                if holds(&form) {
                    eprintln!("the canary of `{place}` stands in {what}");
                    n_found += 1;
                }
            }
        }
        n_found
    }
}

pub(crate) fn write_private(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Every object of a repository, unpacked.
fn git_objects(repo: &Path, range: &[&str]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.arg("-C").arg(repo).args(range);
    git.output().unwrap().stdout
}

/// The scenario whose first agent searches before it works.
fn searching(scenario: String) -> String {
    let rule = "  - when: {role: implementer, task: TSK-001, turn: 0}\n    reply:\n";
    assert!(scenario.contains(rule));
    let input = serde_json::json!({ "command": SEARCH });
    let search = format!("      - tool:\n          name: shell\n          input: {input}\n");
    scenario.replace(rule, &format!("{rule}{search}"))
}

#[test]
fn no_canary_leaves_its_place() {
    let world = World::two_tasks_with(searching);
    let planted = Planted::plant(&world);
    assert_eq!(planted.canaries.len(), 20);
    let config = "providers:\n  - name: rack\n    preset: vllm\n    address: http://rack:8000/v1\n    key: RACK_API_KEY\n\
        egress:\n  registries: ['host=npm.corp.example; site=npm; credential=NPM_KEY']\n";
    write_private(&world.home().join(".config/omoios/config.yaml"), config);
    let say = |mut command: Command| -> Said {
        command.envs(planted.variables.iter().map(|(name, value)| (name, value)));
        world.start(command).wait()
    };
    let mut n_places = 0;
    let mut n_found = 0;
    let mut scan = |what: &str, bytes: &[u8]| {
        n_places += 1;
        n_found += planted.count_in(what, bytes);
    };
    let mut said = vec![say(world.run(&["--yes"])).exited(0)];
    for command in [
        &["trace", "SPEC-1", "--json"][..],
        &["task", "show", "TSK-001", "--json"],
        &["spec", "show", "SPEC-1", "--json"],
        &["egress", "log", "SPEC-1", "--json"],
        &["config", "show"],
        &["doctor"],
    ] {
        said.push(say(world.command(command)));
    }
    for said in &said {
        scan(
            "what a command said",
            format!("{}{}", said.stdout, said.stderr).as_bytes(),
        );
    }
    for file in files_below(&world.data()) {
        scan(
            &file.display().to_string(),
            &fs::read(&file).unwrap_or_default(),
        );
    }
    let mirrors = fs::read_dir(world.data().join("mirrors")).unwrap();
    let all = ["cat-file", "--batch-all-objects", "--batch"];
    let mut has_dump = false;
    for mirror in mirrors {
        let objects = git_objects(&mirror.unwrap().path(), &all);
        // The agent did search: what it may read is there.
        has_dump |= objects.windows(9).any(|window| window == b"HOME=/hom");
        scan("the objects of a mirror", &objects);
    }
    assert!(has_dump);
    let handed_over = ["log", "-p", "--branches=omoi/*", "--not", "private"];
    scan(
        "what was handed over",
        &git_objects(world.repo.path(), &handed_over),
    );
    tell_row(&format!(
        "S4: {n_places} places that an agent could fill, canaries found: {n_found}"
    ));
    assert_eq!(n_found, 0);
    // It sees what is there.
    let control = fs::read(world.repo.path().join(".env.local")).unwrap();
    assert_eq!(planted.count_in("its own place", &control), 1);
}
