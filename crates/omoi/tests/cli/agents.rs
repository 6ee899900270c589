//! `omoi agents` against a registry on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use omoi_testkit::stub_registry::{StubAnswer, StubRegistry};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{Home, Said, steady};

const TARBALL: &str = "/@maker/tool/-/tool-1.2.3.tgz";

/// A home, a registry, and a list with one program of it.
pub(super) struct Scene {
    pub(super) home: Home,
    stub: StubRegistry,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with_program("native", "#!/bin/sh\necho 1.2.3\n")
    }

    /// Its program is `text`, started by `runtime`.
    pub(super) fn with_program(runtime: &str, text: &str) -> Self {
        let scene = Self {
            home: Home::new(),
            stub: StubRegistry::start(),
        };
        let archive = archive(text);
        let digest = STANDARD.encode(Sha512::digest(&archive));
        let builds = ["linux-x64", "linux-arm64"].map(|platform| {
            json!({
                "platform": platform, "program": "bin/tool",
                "download_bytes": archive.len(), "unpacked_bytes": 20,
                "packages": [{ "name": "@maker/tool", "version": "1.2.3",
                               "integrity": format!("sha512-{digest}") }],
            })
        });
        let list = json!({
            "programs": [{
                "name": "tool", "agent": "acp:qwen", "about": "A tool for tests", "version": "1.2.3",
                "licence": "MIT", "dialect": "messages", "runtime": runtime,
                "builds": builds,
            }],
            "node": { "package": "nodes", "version": "24.0.0", "wheels": [] },
        });
        scene.home.file("agents.json", &list.to_string());
        scene
            .stub
            .set_answers(TARBALL, [StubAnswer::with_body(archive)]);
        scene
    }

    pub(super) fn agents(&self, arguments: &[&str]) -> Said {
        let list = self.home.path().join("agents.json");
        let variables = [
            ("AGENTS_LIST", list.to_str().unwrap()),
            ("npm_config_registry", self.stub.base_url()),
        ];
        let arguments = [&["agents"], arguments].concat();
        self.home.omoi_with(&variables, &arguments)
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.agents(&[arguments, &["--json"]].concat());
        let lines = said.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn archive(text: &str) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o755);
    let name = "package/bin/tool";
    builder
        .append_data(&mut header, name, text.as_bytes())
        .unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_program_is_available_installed_listed_and_removed() {
    let scene = Scene::new();
    let mut settings = steady(&scene.home, None);
    settings.add_filter(r"in \d+(\.\d+)? m?s", "in [time]");
    settings.add_filter("[0-9a-f]{32}", "[digest]");
    settings.bind(|| {
        let said = [
            &["list"][..],
            &["available"],
            &["install", "tool"],
            &["install", "acp:qwen"],
            &["available"],
            &["list"],
            &["remove", "tool"],
            &["remove", "tool"],
        ]
        .map(|arguments| {
            format!(
                "omoi agents {}\n{}",
                arguments.join(" "),
                scene.agents(arguments).all()
            )
        });
        assert_snapshot!("agents_of_a_registry", said.join("\n"));
    });
    assert_eq!(scene.stub.asked_paths(), [TARBALL]);
}

#[test]
fn scripts_read_how_an_installation_goes_on() {
    let scene = Scene::new();
    let lines = scene.json(&["install", "tool"]);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["name"], &last["was_there"]),
        (&json!("installed"), &json!("tool"), &json!(false))
    );
    let progress = &lines[0];
    assert_eq!(progress["type"], "progress");
    assert_eq!(progress["done_bytes"], progress["total_bytes"]);
    let listed = scene.json(&["list"]).remove(0);
    assert_eq!(listed["agents"][0]["usable"], true);
    assert_eq!(listed["agents"][0]["folder"], last["folder"]);
    let there = &scene.json(&["available"])[0]["agents"][0];
    assert_eq!(
        (&there["installed"], &there["problem"]),
        (&json!(true), &Value::Null)
    );

    // Its executable is gone: listed, not usable, and installed anew.
    let program = std::path::Path::new(last["folder"].as_str().unwrap()).join("bin/tool");
    fs::set_permissions(program.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(&program).unwrap();
    let listed = scene.json(&["list"]).remove(0);
    assert_eq!(listed["agents"][0]["usable"], false);
    assert_eq!(listed["agents"][0]["next"], "omoi agents install tool");
    assert_eq!(
        scene.json(&["install", "tool"]).last().unwrap()["was_there"],
        false
    );
    assert!(program.is_file());
}

#[test]
fn what_cannot_be_installed_says_why_and_what_to_do() {
    let scene = Scene::new();
    steady(&scene.home, None).bind(|| {
        let mut said = vec![scene.agents(&["install", "clyde"]).all()];
        for answer in [
            StubAnswer::of_status(404),
            StubAnswer::with_body(archive("#!/bin/sh\necho stolen\n")),
        ] {
            scene.stub.set_answers(TARBALL, [answer]);
            let digest = without_digests(&scene.agents(&["install", "tool"]).all());
            said.push(digest);
        }
        assert_snapshot!("agents_not_installed", said.join("\n"));
    });
    assert!(
        scene.json(&["list"])[0]["agents"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

/// Without the digests, which differ from one compression library to the next.
fn without_digests(text: &str) -> String {
    let words = text
        .split_inclusive([' ', '\n'])
        .map(|word| match word.strip_prefix("sha512-") {
            Some(digest) => format!(
                "[sha512]{}",
                digest.trim_start_matches(|c: char| !",\n ".contains(c))
            ),
            None => word.to_owned(),
        });
    words.collect()
}

#[test]
fn the_built_in_list_can_be_shown() {
    let home = Home::new();
    let said = home.omoi(&["agents", "available", "--json"]);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let agents = list["agents"].as_array().unwrap();
    let names: Vec<_> = agents
        .iter()
        .map(|agent| agent["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "claude-code",
            "codex",
            "opencode",
            "claude-agent-acp",
            "qwen-code"
        ]
    );
    assert!(agents.iter().all(|agent| agent["installed"] == false));
}

#[test]
fn a_program_of_another_list_that_nobody_drives_is_called_so_everywhere() {
    let scene = Scene::new();
    let list = scene.home.path().join("agents.json");
    let text = fs::read_to_string(&list).unwrap();
    scene
        .home
        .file("agents.json", &text.replace("acp:qwen", "acp:tool"));
    scene.agents(&["install", "tool"]);
    let undriven = "no run uses it in this version";
    for command in ["available", "list"] {
        let said = scene.agents(&[command]).out;
        assert!(said.contains(undriven), "{said}");
    }
    assert_eq!(scene.json(&["list"])[0]["agents"][0]["usable"], false);
    let variables = [("AGENTS_LIST", list.to_str().unwrap())];
    let arguments = ["doctor", "--offline", "--json"];
    let said = scene.home.omoi_with(&variables, &arguments);
    let found = agent_findings(&said);
    let mut texts = found.iter().map(|found| found["text"].as_str().unwrap());
    assert!(texts.any(|text| text == format!("acp:tool: {undriven}")));
}

/// Agents of `agents.acp`, of which one has its program and one has not.
#[test]
fn declared_agents_are_listed_and_looked_at() {
    let scene = Scene::new();
    let folder = scene.home.path().join("goose");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/goose"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("bin/goose"), fs::Permissions::from_mode(0o755)).unwrap();
    let shown = folder.display();
    let row = |name: &str| {
        format!(
            "name={name}; folder={shown}; command=bin/{name} acp; version=1.9.0; dialect=messages"
        )
    };
    let rows = [row("goose"), row("moose")].join(",");
    let list = scene.home.path().join("agents.json");
    let variables = [
        ("AGENTS_LIST", list.to_str().unwrap()),
        ("AGENTS_ACP", rows.as_str()),
    ];
    let ask = |arguments: &[&str]| scene.home.omoi_with(&variables, arguments);
    let said = ask(&["agents", "list", "--json"]);
    let listed: Value = serde_json::from_str(&said.out).unwrap();
    let listed: Vec<_> = listed["agents"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2, "{}", said.all());
    for (line, name) in listed.iter().zip(["acp:goose", "acp:moose"]) {
        assert_eq!(
            (&line["agent"], &line["version"]),
            (&json!(name), &json!("1.9.0"))
        );
        assert_eq!(line["folder"], folder.to_str().unwrap());
        assert_eq!(line["usable"], name == "acp:goose", "{line}");
    }
    let missing = format!("the agent `acp:moose` has no program at `{shown}/bin/moose`");
    assert_eq!(listed[1]["problem"], missing);
    let said = ask(&["agents", "list"]).out;
    assert!(said.contains("declared in agents.acp"), "{said}");
    let found = agent_findings(&ask(&["doctor", "--offline", "--json"]));
    let texts: Vec<_> = found
        .iter()
        .map(|found| found["text"].as_str().unwrap())
        .collect();
    let usable = format!("acp:goose: declared as 1.9.0, in {shown}");
    assert!(texts.contains(&usable.as_str()), "{texts:?}");
    let refused = found
        .iter()
        .find(|found| found["text"] == format!("acp:moose: {missing}"));
    let next = refused.unwrap_or_else(|| panic!("{texts:?}"))["next"].as_str();
    assert!(
        next.is_some_and(|next| next.contains("agents.acp")),
        "{next:?}"
    );
}

/// What the doctor says about agents.
pub(super) fn agent_findings(said: &Said) -> Vec<Value> {
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|found| found["area"] == "agents")
        .cloned()
        .collect()
}

#[test]
fn the_pinned_programs_start_in_a_sandbox_without_network() {
    let home = Home::new();
    let folder = omoi_testkit::agent_programs::programs_folder().unwrap();
    for name in ["claude-code", "codex", "opencode"] {
        omoi_testkit::agent_programs::installed_program(name);
    }
    let variables = [("OMOI_AGENTS_FOLDER", folder.to_str().unwrap())];
    let said = home.omoi_with(&variables, &["doctor", "--offline", "--json"]);
    let found = agent_findings(&said);
    for (agent, version) in [
        ("claude-code: ", "says `2.1.332 (Claude Code)`"),
        ("codex: ", "says `codex-cli 0.171.0`"),
        ("acp:opencode: ", "says `1.18.33`"),
    ] {
        let mut texts = found.iter().map(|found| found["text"].as_str().unwrap());
        let text = texts.find(|text| text.starts_with(agent)).unwrap();
        assert!(text.ends_with(version), "{text}");
    }
}
