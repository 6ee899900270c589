//! What a command cannot start with: the repository, the configuration, the model, the data folder, the port, the
//! database or the sandbox; each is named before anything is done.

use std::fs;
use std::net::TcpListener;

use insta::assert_snapshot;
use omoi_testkit::repo::TestRepo;

use super::{Home, steady};

#[test]
fn unusable_repositories_are_refused() {
    let home = Home::new();
    let repo = TestRepo::empty();
    steady(&home, Some(&repo)).bind(|| {
        fs::create_dir(home.path().join("plain")).unwrap();
        assert_snapshot!(
            "not_a_repository",
            home.omoi(&["run", "idea", "--repo", "plain"]).all()
        );
        assert_snapshot!(
            "no_folder",
            home.omoi(&["run", "idea", "--repo", "nowhere"]).all()
        );
        let empty = repo.path().to_str().unwrap();
        assert_snapshot!(
            "empty_repository",
            home.omoi(&["run", "idea", "--repo", empty]).all()
        );
    });
    assert!(
        !home.path().join(".local").exists(),
        "a refused run made a data folder"
    );
}

#[test]
fn a_run_without_a_model_says_what_to_set() {
    let home = Home::new();
    let repo = TestRepo::with_files(&[("a.txt", "a\n")]);
    let at = repo.path().to_str().unwrap();
    steady(&home, Some(&repo)).bind(|| {
        assert_snapshot!("no_model", home.omoi(&["run", "idea", "--repo", at]).all());
        let said = home.omoi(&["run", "idea", "--repo", at, "--model", "simulated"]);
        assert_snapshot!("no_scenario", said.all());
    });
}

#[test]
fn bad_configuration_is_named_by_its_place() {
    let home = Home::new();
    let unknown = home.file("unknown.yaml", "llm:\n  modle: x\n");
    let value = home.file("value.yaml", "server:\n  host: 127.0.0.1\n  port: many\n");
    steady(&home, None).bind(|| {
        for (name, file) in [("unknown_key", &unknown), ("bad_value", &value)] {
            let said = home.omoi(&["config", "show", "--config", file.to_str().unwrap()]);
            assert_snapshot!(name, said.all());
        }
        let said = home.omoi_with(&[("SPEC_CFG_MAX_TURNS", "0")], &["config", "show"]);
        assert_snapshot!("bad_variable", said.all());
        assert_snapshot!(
            "no_config_file",
            home.omoi(&["config", "show", "--config", "gone.yaml"])
                .all()
        );
    });
}

#[test]
fn a_scenario_with_an_error_is_refused_with_its_line() {
    let home = Home::new();
    let repo = TestRepo::with_files(&[("a.txt", "a\n")]);
    let at = repo.path().to_str().unwrap();
    let scenario = home.file(
        "s.yaml",
        "name: s\nrules:\n  - when: { role: planner }\n    replay: []\n",
    );
    steady(&home, Some(&repo)).bind(|| {
        let said = home.omoi(&[
            "run",
            "idea",
            "--repo",
            at,
            "--model",
            "simulated",
            "--scenario",
            scenario.to_str().unwrap(),
        ]);
        assert_snapshot!("bad_scenario", said.all());
    });
}

#[test]
fn an_unusable_data_folder_is_refused() {
    let home = Home::new();
    home.file("taken", "");
    steady(&home, None).bind(|| {
        assert_snapshot!(
            "data_folder",
            home.omoi(&["spec", "list", "--data-dir", "taken"]).all()
        );
    });
}

#[test]
fn a_port_in_use_is_refused() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    steady(&home, None).bind(|| {
        let unsafe_anyway = [("SANDBOX_PROVIDER", "process"), ("SANDBOX_FLOOR", "")];
        let variables = [unsafe_anyway[0], unsafe_anyway[1], ("OMOI_LOG", "off")];
        assert_snapshot!(
            "port_in_use",
            home.omoi_with(&variables, &["up", "--port", &port]).all()
        );
    });
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let home = Home::new();
    steady(&home, None).bind(|| {
        // Nobody listens at the first port.
        let url = "postgres://me:secret@127.0.0.1:1/omoi";
        let said = home.omoi(&["spec", "list", "--database", url]);
        assert_snapshot!("no_database", said.all());
    });
}

#[test]
fn a_sandbox_below_the_floor_is_refused() {
    let home = Home::new();
    steady(&home, None).bind(|| {
        let variables = [("SANDBOX_PROVIDER", "process"), ("OMOI_LOG", "off")];
        let said = home.omoi_with(&variables, &["up", "--port", "0"]);
        assert_snapshot!("below_floor", said.all());
    });
}
