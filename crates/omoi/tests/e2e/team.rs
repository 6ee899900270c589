//! A team from the first registration to the branch: two processes answer people, one does the work.

mod board_watch;
pub(crate) mod deployment;

use omoi_domain::access::role::SystemRole;
use serde_json::{Value, json};

use self::board_watch::BoardWatch;
use self::deployment::{LOOK, LOOKS_MAX, TeamDeployment, TeamPerson};
use crate::binary::start_reading;
use crate::read_answers::ReadPlace;
use crate::sign_in::ask_for_text;
use crate::story;

const IDEA: &str = "Say goodbye, also loudly.";
/// Passes once the simulated model has written its file.
const PROOF: &str = "python3 -S -c 'import bye'";

/// The people of the story: the owner, a member, a viewer, and one who belongs to nothing.
struct People {
    ada: TeamPerson,
    bob: TeamPerson,
    vic: TeamPerson,
    eve: TeamPerson,
}

#[test]
fn a_team_works_from_the_first_registration_to_the_branch() {
    let team = TeamDeployment::start();
    let people = People {
        ada: team.person("ada", "203.0.113.1"),
        bob: team.person("bob", "203.0.113.2"),
        vic: team.person("vic", "203.0.113.3"),
        eve: team.person("eve", "203.0.113.4"),
    };
    let (org, access) = an_organisation_is_made(&team, &people.ada);
    people_are_invited(&team, &people, &org, &access);
    team.register(&people.eve);
    let login = [
        "login",
        &team.url(0),
        "--email",
        &people.eve.mail,
        "--name",
        "team",
    ];
    team.omoi(&people.eve, &login).exited(0);
    let watch = BoardWatch::begin(&team.ports[1], &people.bob.stored_key("team"));
    let spec = a_run_is_approved_and_delivered(&team, &people);
    tickets_crossed_the_board(&team, &people, &watch);
    its_proof_and_branch_are_there(&team, &people.ada, &spec);
    reads_as_on_a_laptop(&team, &people.vic);
    a_quick_ticket_is_done(&team, &people, &watch);
    the_viewer_changes_nothing(&team, &people);
    the_outsider_gets_nothing(&team, &people.eve, (&org, &spec));
    whoever_watches_the_work_is_told(&team, &access);
    assert!(watch.count() > 0);
}

/// Ada registers, verifies, makes the organisation, and lets her machine in by the code that it shows. Gives the
/// organisation's id, and the token of her sign-in.
fn an_organisation_is_made(team: &TeamDeployment, ada: &TeamPerson) -> (String, String) {
    team.register(ada);
    let access = team.sign_in(ada);
    let body = json!({ "name": "Acme Works", "slug": "acme" });
    let create = "POST /api/v1/organizations";
    let (status, made) = team.ask((0, ada), create, Some(&access), Some(&body));
    assert_eq!(status, 201, "{made}");
    // The other process knows the sign-in, and what was made by it.
    let list = "GET /api/v1/organizations";
    let (status, all) = team.ask((1, ada), list, Some(&access), None);
    assert_eq!(
        (status, &all["items"][0]["id"]),
        (200, &made["id"]),
        "{all}"
    );

    let words = ["login", &team.url(0), "--name", "team"];
    let login = team.command(ada, &ada.clone, &words);
    let mut login = start_reading(login, team.world.beside("login-ada"));
    let code = loop {
        let said = login.stderr();
        if let Some((_, code)) = said.split_once("the code ") {
            break code.trim().to_owned();
        }
        assert!(!login.ends_within(LOOK), "{said}");
    };
    let decide = format!("POST /api/v1/auth/device/{code}/decision");
    let yes = json!({ "approve": true });
    let (status, told) = team.ask((1, ada), &decide, Some(&access), Some(&yes));
    assert_eq!(status, 204, "{told}");
    login.wait().exited(0);
    let who = team.told(ada, &["whoami"]);
    assert_eq!(who["account"]["email"], ada.mail.as_str(), "{who}");
    (made["id"].as_str().unwrap().to_owned(), access)
}

/// Ada invites a member from the command line, for which no key is enough, and a viewer by a request; each registers by
/// the link of their mail, and signs in.
fn people_are_invited(team: &TeamDeployment, people: &People, org: &str, access: &str) {
    let (ada, bob, vic) = (&people.ada, &people.bob, &people.vic);
    let invite = ["org", "invite", &bob.mail];
    team.refused(ada, &invite, "insufficient_scope");
    team.omoi(ada, &[&invite[..], &["--password"]].concat())
        .exited(0);
    let viewer = SystemRole::Viewer.role_id();
    let body = json!({ "email": vic.mail, "role_id": viewer });
    let invite = format!("POST /api/v1/organizations/{org}/invitations");
    let (status, told) = team.ask((1, ada), &invite, Some(access), Some(&body));
    assert_eq!(status, 201, "{told}");
    for (person, door) in [(bob, 1), (vic, 0)] {
        let body = json!({
            "email": person.mail, "password": deployment::PASSWORD, "full_name": person.name,
            "invitation_token": team.mailed_token(person, "invite"),
        });
        let register = "POST /api/v1/auth/register";
        let (status, told) = team.ask((door, person), register, None, Some(&body));
        assert_eq!(status, 202, "{told}");
        let url = team.url(door);
        let login = ["login", &url, "--email", &person.mail, "--name", "team"];
        team.omoi(person, &login).exited(0);
    }
    let members = team.told(vic, &["org", "members"]);
    let members = members.as_array().unwrap().iter();
    let mut roles: Vec<_> = members
        .map(|one| one["role_name"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    assert_eq!(roles, ["member", "owner", "viewer"]);
}

/// The process that does the work answers probes on loopback, tells its metrics for the folder's token, and nothing else.
fn whoever_watches_the_work_is_told(team: &TeamDeployment, access: &str) {
    let token = std::fs::read_to_string(team.world.data().join("token")).unwrap();
    let ask = |path: &str, token: &str| {
        let bearer = format!("authorization: Bearer {token}\r\n");
        ask_for_text(&team.probe_port, &format!("GET {path}"), &bearer, None)
    };
    for probe in ["/health", "/health/ready"] {
        assert_eq!(ask(probe, "").0, 200, "{probe}");
    }
    assert_eq!(ask("/metrics", access).0, 401);
    let (status, metrics) = ask("/metrics", token.trim());
    assert_eq!(status, 200, "{metrics}");
    for line in [
        "omoi_tasks{status=\"completed\"} ",
        "omoi_reconciler_ticks_total{name=\"dispatcher\"} ",
    ] {
        let (_, rest) = metrics.split_once(line).unwrap();
        let n: u64 = rest.lines().next().unwrap().parse().unwrap();
        assert!(n > 0, "{line}{n}");
    }
    assert_eq!(ask("/api/v1/specs", token.trim()).0, 404);
}

/// The only thing that waits for a yes: its id and kind. What exploring left open waits beside it.
fn asked(team: &TeamDeployment, person: &TeamPerson) -> (String, String) {
    let pending = team.told(person, &["approvals"]);
    let waiting = pending.as_array().unwrap().iter();
    let waiting: Vec<_> = waiting.filter(|one| one["kind"] != "question").collect();
    let [only] = waiting[..] else {
        panic!("{pending:#}")
    };
    let text = |field: &str| only[field].as_str().unwrap().to_owned();
    (text("id"), text("kind"))
}

/// Bob runs an idea and Ada approves what planning made; gives the id of the spec.
fn a_run_is_approved_and_delivered(team: &TeamDeployment, people: &People) -> String {
    let (ada, bob, vic) = (&people.ada, &people.bob, &people.vic);
    let run = ["run", IDEA, "--repo", ".", "--yes", "--gates", "--json"];
    let said = team.omoi(bob, &run).exited(3);
    let head = bob.git(&["rev-parse", "HEAD"]);
    assert_eq!(bob.git(&["status", "--porcelain"]), "", "{said:?}");
    for wanted in ["spec_requirements", "spec_design"] {
        let (question, kind) = asked(team, ada);
        assert_eq!(kind, wanted);
        // A member writes specs and does not approve them; a viewer only looks.
        for person in [bob, vic] {
            let yes = ["approvals", "approve", &question];
            team.refused(person, &yes, "forbidden");
        }
        team.omoi(ada, &["approvals", "approve", &question])
            .exited(0);
        let resume = ["spec", "resume", "SPEC-1", "--json"];
        let ends = if wanted == "spec_design" { 0 } else { 3 };
        team.omoi(bob, &resume).exited(ends);
    }
    assert_eq!(bob.git(&["rev-parse", "HEAD"]), head);
    let shown = team.told(vic, &["spec", "show", "SPEC-1"]);
    assert_eq!(shown["spec"]["status"], "delivered", "{shown:#}");
    shown["spec"]["id"].as_str().unwrap().to_owned()
}

/// Bob saw each ticket of the plan cross the board on his socket, and the board has them where they came to.
fn tickets_crossed_the_board(team: &TeamDeployment, people: &People, watch: &BoardWatch) {
    let tickets = team.told(&people.bob, &["ticket", "list"]);
    let tickets = tickets.as_array().unwrap();
    assert!(!tickets.is_empty());
    for ticket in tickets {
        assert_eq!(ticket["status"], "done", "{ticket:#}");
        let seen = watch.until_status(ticket["id"].as_str().unwrap(), "done");
        assert!(seen.iter().any(|status| status == "building"), "{seen:?}");
        assert!(seen.iter().any(|status| status == "testing"), "{seen:?}");
    }
    let board = team.told(&people.vic, &["board"]);
    let columns = board["columns"].as_array().unwrap().iter();
    let filled = columns.filter(|column| column["current_count"] != 0);
    let filled: Vec<_> = filled.map(|column| &column["current_count"]).collect();
    assert_eq!(filled, [&Value::from(tickets.len())], "{board:#}");
}

/// Every criterion has a receipt, and Ada fetches the branch into a clone that had no part in the run.
fn its_proof_and_branch_are_there(team: &TeamDeployment, ada: &TeamPerson, spec: &str) {
    let trace = team.told(ada, &["trace", spec]);
    let requirements = trace["requirements"].as_array().unwrap().iter();
    let criteria = requirements.flat_map(|one| one["criteria"].as_array().unwrap());
    let criteria: Vec<_> = criteria.collect();
    assert!(!criteria.is_empty());
    for criterion in criteria {
        let has_receipt = !criterion["receipts"].as_array().unwrap().is_empty();
        assert!(criterion["proven"] == true && has_receipt, "{criterion:#}");
    }
    let before = ada.git(&["rev-parse", "HEAD"]);
    let fetched = team.told(ada, &["spec", "fetch", "SPEC-1"]);
    let (branch, commit) = (&fetched["branch"], &fetched["commit"]);
    let head = ada.git(&["rev-parse", branch.as_str().unwrap()]);
    assert_eq!(*commit, Value::from(head.clone()), "{fetched}");
    ada.git(&["merge-base", "--is-ancestor", &before, &head]);
    assert_eq!(ada.git(&["rev-parse", "HEAD"]), before);
}

/// Whoever may only look reads what a laptop's owner reads.
fn reads_as_on_a_laptop(team: &TeamDeployment, vic: &TeamPerson) {
    let place = ReadPlace {
        world: &team.world,
        repo: "todo",
        project: "todo",
        run: &|words| team.omoi(vic, words),
    };
    place.reads_as_everywhere();
}

/// Bob writes a ticket that one task does; it crosses the board by itself.
fn a_quick_ticket_is_done(team: &TeamDeployment, people: &People, watch: &BoardWatch) {
    let bob = &people.bob;
    let create = [
        "ticket",
        "create",
        "Say goodbye",
        "--quick",
        "--check",
        PROOF,
    ];
    let made = team.told(bob, &create);
    let id = made["id"].as_str().unwrap();
    let seen = watch.until_status(id, "done");
    assert!(seen.iter().any(|status| status == "building"), "{seen:?}");
    let name = made["ticket_ref"].as_str().unwrap();
    let done = team.told(bob, &["ticket", "show", name]);
    assert_eq!(done["evidence"], "proven", "{done:#}");
    let run = done["run_ref"].as_str().unwrap();
    for _ in 0..LOOKS_MAX {
        let said = team.omoi(bob, &["spec", "fetch", run, "--json"]);
        if said.status.success() {
            let fetched: Value = serde_json::from_str(&said.stdout).unwrap();
            let shown = format!("{}:bye.py", fetched["branch"].as_str().unwrap());
            assert!(bob.git(&["show", &shown]).contains("Goodbye"));
            return;
        }
        std::thread::sleep(LOOK);
    }
    panic!("the branch of {run} is not handed over");
}

/// What a person changes shows in one of these numbers.
fn row_counts(team: &TeamDeployment) -> Vec<Option<String>> {
    [
        "events",
        "tickets",
        "comments",
        "projects",
        "memberships",
        "invitations",
        "api_keys",
        "specs",
    ]
    .map(|table| format!("select cast(count(*) as text) from {table}"))
    .map(|sql| story::one(&team.world.database(), &sql))
    .to_vec()
}

fn the_viewer_changes_nothing(team: &TeamDeployment, people: &People) {
    let vic = &people.vic;
    let before = row_counts(team);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    for words in [
        &["ticket", "create", "Mine"][..],
        &["ticket", "comment", "TKT-1", "Mine"],
        &["ticket", "move", "TKT-1", "backlog"],
        &["project", "create", "Mine"],
        &["project", "archive", "todo"],
        &["org", "invite", "mallory@example.org"],
        &["org", "remove", &people.bob.mail],
        &["key", "create", "mine", "--role", "viewer"],
        &["spec", "cancel", "SPEC-1"],
    ] {
        team.refused(vic, words, "forbidden");
    }
    // Nor by the password, where a key would not be enough.
    let invite = ["org", "invite", "mallory@example.org", "--password"];
    team.refused(vic, &invite, "forbidden");
    assert_eq!(row_counts(team), before);
}

fn the_outsider_gets_nothing(team: &TeamDeployment, eve: &TeamPerson, (org, spec): (&str, &str)) {
    for words in [
        &["spec", "list"][..],
        &["ticket", "list"],
        &["project", "list"],
        &["board"],
    ] {
        team.refused(eve, words, "forbidden");
    }
    assert_eq!(team.told(eve, &["org", "list"]), json!([]));
    let key = eve.stored_key("team");
    let nowhere = "01930000-0000-7000-8000-0000000000ff";
    for (door, route) in [
        (0, "specs/{}"),
        (1, "specs/{}/trace"),
        (
            0,
            "specs/{}/bundle?have=0000000000000000000000000000000000000000",
        ),
    ] {
        let answer = |id: &str| {
            let route = format!("GET /api/v1/{}", route.replace("{}", id));
            let (status, mut told) = team.ask((door, eve), &route, Some(&key), None);
            told["request_id"] = Value::Null;
            (status, told.to_string().replace(id, "ID"))
        };
        let told = answer(spec);
        assert_eq!(told.0, 404, "{told:?}");
        assert_eq!(told, answer(nowhere));
    }
    for path in ["", "/members", "/invitations", "/audit", "/api-keys"] {
        let route = format!("GET /api/v1/organizations/{org}{path}");
        let (status, told) = team.ask((1, eve), &route, Some(&key), None);
        assert_eq!(status, 404, "{route}: {told}");
    }
}
