//! Organisations, keys and projects from the command line: the same without a server, on `omoi up`, and on a team's server.

use std::fs::{self, File};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::binary::{Said, start_reading};
use crate::processes::address;
use crate::team::deployment::{TeamDeployment, TeamPerson};
use crate::world::World;

/// Somewhere that commands are typed.
struct Place<'a> {
    /// The program with these words.
    run: &'a dyn Fn(&[&str]) -> Said,
    /// The organisation that there is.
    org: &'a str,
}

impl Place<'_> {
    fn told(&self, words: &[&str]) -> Value {
        let said = (self.run)(&[words, &["--json"]].concat()).exited(0);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// What a person reads of a command that succeeds, without ids, instants and keys.
    fn reads(&self, words: &[&str]) -> String {
        let said = (self.run)(words).exited(0);
        let text = format!("> {}\n{}{}", words.join(" "), said.stdout, said.stderr);
        without_what_differs(&text).replace(self.org, "ORG")
    }

    fn refused(&self, words: &[&str], says: &str) {
        let said = (self.run)(words);
        let is_refused = said.status.code() != Some(0) && said.stderr.contains(says);
        assert!(is_refused, "{says}: {said:?}");
    }
}

/// `text` with a word in place of everything that is another one each time.
fn without_what_differs(text: &str) -> String {
    let word = |word: &str| {
        let is_instant = word.len() >= 20 && word.contains('T') && word.contains(':');
        match word {
            word if word.parse::<uuid::Uuid>().is_ok() => "ID".to_owned(),
            word if word.starts_with("sk_") => "KEY".to_owned(),
            _ if is_instant => "INSTANT".to_owned(),
            word => word.to_owned(),
        }
    };
    let lines = text.lines().map(|line| {
        let words = line.split(' ').map(word);
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What is the same wherever it is typed.
fn story_of(place: &Place<'_>) -> Vec<String> {
    let mut told = projects_are_begun_and_put_away(place);
    told.extend(keys_are_made_and_revoked(place));
    told.extend(an_organisation_is_looked_at(place));
    told
}

fn projects_are_begun_and_put_away(place: &Place<'_>) -> Vec<String> {
    let told = [
        &["project", "list"][..],
        &["project", "create", "Lists", "--description", "What to do"],
        &["project", "show", "lists"],
        &["project", "set", "lists", "--status", "paused"],
        &["project", "list", "--status", "paused"],
        &["project", "archive", "Lists"],
        &["project", "restore", "Lists"],
    ]
    .map(|words| place.reads(words));
    place.refused(&["project", "set", "lists"], "--status");
    place.refused(&["project", "show", "nothing"], "omoi project list");
    let shown = place.told(&["project", "show", "lists"]);
    assert_eq!(
        (&shown["name"], &shown["status"]),
        (&json!("Lists"), &json!("active"))
    );
    told.to_vec()
}

fn keys_are_made_and_revoked(place: &Place<'_>) -> Vec<String> {
    let own = place.told(&["key", "create", "mine", "--days", "30"]);
    let id = own["api_key"]["id"].as_str().unwrap();
    let ci = [
        "key",
        "create",
        "ci",
        "--role",
        "member",
        "--scope",
        "spec:read",
    ];
    let ci = place.told(&ci);
    let agent = place.told(&["key", "create", "helper", "--agent-of", "lists"]);
    let kinds = [&ci, &agent].map(|made| made["api_key"]["kind"].as_str().unwrap());
    assert_eq!(kinds, ["organization", "agent"]);
    assert!(agent["api_key"]["expires_at"].is_string(), "{agent}");
    for made in [&own, &ci, &agent] {
        assert!(made["key"].as_str().unwrap().starts_with("sk_"), "{made}");
    }
    let told = vec![place.reads(&["key", "create", "other", "--role", "viewer"])];
    let listed = place.told(&["key", "list"]);
    let named: Vec<_> = listed["organization"].as_array().unwrap().iter().collect();
    let named: Vec<_> = named
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert!(
        ["ci", "helper", "other"]
            .iter()
            .all(|name| named.contains(name)),
        "{listed}"
    );
    for made in [&ci, &agent] {
        let id = made["api_key"]["id"].as_str().unwrap();
        place.told(&["key", "revoke", id]);
        place.refused(&["key", "revoke", id], "omoi key list");
    }
    place.told(&["key", "revoke", id]);
    place.refused(
        &["key", "create", "x", "--role", "king"],
        "the roles are owner, admin",
    );
    place.refused(
        &["key", "create", "x", "--agent-of", "nothing"],
        "no project",
    );
    told
}

fn an_organisation_is_looked_at(place: &Place<'_>) -> Vec<String> {
    place.refused(&["org", "use", "nothing"], "omoi org list");
    place.refused(&["project", "list", "--org", "nothing"], "omoi org list");
    place.refused(&["org", "remove", "nobody@example.org"], "omoi org members");
    place.refused(
        &["org", "role", "nobody@example.org", "admin"],
        "omoi org members",
    );
    place.refused(
        &["org", "uninvite", "nobody@example.org"],
        "omoi org invitations",
    );
    let listed = (place.run)(&["org", "list"]).exited(0).stdout;
    assert!(listed.contains(&format!("* {}", place.org)), "{listed}");
    let members = place.told(&["org", "members", "--org", place.org]);
    assert_eq!(members[0]["role_name"], "owner", "{members}");
    let shown = place.told(&["org", "show"]);
    assert_eq!(shown["slug"], place.org, "{shown}");
    [
        &["org", "roles"][..],
        &["org", "invitations"],
        &["org", "use", place.org],
    ]
    .map(|words| place.reads(words))
    .to_vec()
}

/// The program on the data folder of `world`, typed outside of every repository.
fn on_folder(world: &World, words: &[&str]) -> Said {
    let mut command = world.command(words);
    command.current_dir(world.home());
    world.start(command).wait()
}

#[test]
fn commands_of_teams_say_the_same_wherever_they_are_typed() {
    let embedded = World::two_tasks("scenario.yaml");
    let run = |words: &[&str]| on_folder(&embedded, words);
    let laptop = Place {
        run: &run,
        org: "local",
    };
    let without_server = story_of(&laptop);
    laptop.refused(&["org", "invite", "bob@example.org"], "mail");
    laptop.refused(&["org", "create", "acme"], "omoi login URL");

    // It has no model of its own.
    let up = World::two_tasks("scenario.yaml");
    let mut serving = up.start(up.command(&["up", "--port", "0", "--json"]));
    address(&mut serving).expect("no address");
    let run = |words: &[&str]| on_folder(&up, words);
    let on_up = story_of(&Place {
        run: &run,
        ..laptop
    });
    assert_eq!(on_up, without_server);
    a_key_is_brought_and_taken_away(&up);
    serving.kill();

    let on_server = on_a_teams_server();
    assert_eq!(on_server, without_server);
    insta::assert_snapshot!("team_commands", without_server.join("\n"));
}

/// An organisation brings a key to a deployment that has none; nobody reads it again.
fn a_key_is_brought_and_taken_away(world: &World) {
    let typed = |words: &[&str], line: &str| {
        let file = world.beside("line");
        fs::write(&file, line).unwrap();
        let mut command = world.command(&[&["org", "provider-key"], words].concat());
        command.current_dir(world.home());
        command.stdin(Stdio::from(File::open(&file).unwrap()));
        start_reading(command, world.beside("said")).wait()
    };
    let (key, short) = ("sk-acme-0123456789-x4f9", "sk-too-short");
    for (provider, line, says) in [
        ("openai", "", "omoi org provider-key set openai < FILE"),
        ("openai", short, "16 to 512 letters"),
        ("rack", key, "it asks anthropic, openai"),
    ] {
        let said = typed(&["set", provider], line);
        let is_refused = !said.status.success() && said.stderr.contains(says);
        assert!(is_refused, "{says}: {said:?}");
        assert!(line.is_empty() || !said.stderr.contains(line), "{said:?}");
    }
    let set = typed(&["set", "openai"], &format!("{key}\n")).exited(0);
    assert!(set.stderr.contains("your key …x4f9"), "{set:?}");
    let listed = typed(&["list"], "").exited(0).stdout;
    assert!(listed.starts_with("openai  …x4f9  since "), "{listed}");
    assert!(!listed.contains("0123456789"), "{listed}");
    typed(&["remove", "openai"], "").exited(0);
    let listed = typed(&["list", "--json"], "").exited(0).stdout;
    assert_eq!(listed.trim(), "[]");
    let again = typed(&["remove", "openai"], "");
    let is_refused = !again.status.success() && again.stderr.contains("provider key");
    assert!(is_refused, "{again:?}");
}

fn on_a_teams_server() -> Vec<String> {
    let team = TeamDeployment::start_without_request_limits();
    let ada = team.person("ada", "203.0.113.9");
    team.register(&ada);
    let access = team.sign_in(&ada);
    let body = json!({ "name": "First", "slug": "first-one" });
    let create = "POST /api/v1/organizations";
    let (status, made) = team.ask((0, &ada), create, Some(&access), Some(&body));
    assert_eq!(status, 201, "{made}");
    // A sign-in may do what no key may.
    let token = team.world.beside("access");
    fs::write(&token, &access).unwrap();
    let mut login = team.command(&ada, &ada.clone, &["login"]);
    login.args([&team.url(0), "--token", "-", "--name", "team"]);
    login.stdin(Stdio::from(File::open(&token).unwrap()));
    start_reading(login, team.world.beside("said"))
        .wait()
        .exited(0);
    let home = team.world.home();
    let run = |words: &[&str]| -> Said {
        let command = team.command(&ada, &home, words);
        start_reading(command, team.world.beside("said")).wait()
    };
    let place = Place {
        run: &run,
        org: "first-one",
    };
    let told = story_of(&place);
    organisations_are_made_and_chosen(&team, &ada, &place);
    told
}

/// With a key: what it may not do asks for the password, and who belongs to two organisations says which is meant.
fn organisations_are_made_and_chosen(team: &TeamDeployment, ada: &TeamPerson, place: &Place<'_>) {
    let login = ["login", &team.url(1), "--email", &ada.mail, "--name", "key"];
    team.omoi(ada, &login).exited(0);
    place.refused(&["project", "create", "--repo", "."], "does not see");
    let create = ["org", "create", "acme", "--title", "Acme Works"];
    place.refused(&create, "--password");
    let made = place.told(&[&create[..], &["--password"]].concat());
    assert_eq!(made["slug"], "acme");
    // Whoever made another organisation acts in the first one until they say otherwise.
    let names = |words: &[&str]| -> Vec<String> {
        let told = place.told(words);
        let rows = told.as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["project", "list"]), ["Lists"]);
    assert!(names(&["project", "list", "--org", "acme"]).is_empty());
    place.told(&["org", "use", "acme"]);
    assert!(names(&["project", "list"]).is_empty());
    place.told(&["project", "create", "Another"]);
    assert_eq!(names(&["project", "list"]), ["Another"]);
    let mut all = names(&["org", "list"]);
    all.sort();
    assert_eq!(all, ["Acme Works", "First"]);
    // Where the environment names the server nothing was chosen, and whoever asks is told what to do.
    let mut list = team.command(ada, &team.world.home(), &["project", "list"]);
    list.env("OMOI_API_URL", team.url(0));
    list.env("OMOI_API_KEY", ada.stored_key("key"));
    let said = start_reading(list, team.world.beside("said")).wait();
    let is_told = said.stderr.contains("omoi org use NAME");
    assert!(!said.status.success() && is_told, "{said:?}");
    place.told(&["org", "archive", "acme", "--password"]);
    place.refused(&["project", "create", "More"], "project:write");
    place.told(&["org", "restore", "acme", "--password"]);
    place.told(&["project", "create", "More"]);
}
