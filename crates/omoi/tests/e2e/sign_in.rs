//! A server that other machines reach: people sign in to it, and the token of its data folder opens nothing there.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use omoi_testkit::postgres;
use serde_json::{Value, json};

use crate::binary::start_reading;
use crate::processes::address;
use crate::world::World;

const MAIL: &str = "ada@example.org";
const PASSWORD: &str = "Opal-Harbour-7";
/// What a server needs that others reach.
const TEAM: [(&str, &str); 5] = [
    ("SERVER_MODE", "team"),
    ("SERVER_HOST", "0.0.0.0"),
    ("SERVER_PUBLIC_URL", "https://omoi.example.org"),
    ("SERVER_TRUSTED_PROXIES", "10.0.0.0/8"),
    ("AUTH_KEYS", "k1:kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd"),
];

/// What the server at `port` answers.
fn ask(port: &str, route: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    let credential = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    ask_with_headers(port, route, &credential.unwrap_or_default(), body)
}

/// What the server at `port` answers to a request with lines of `headers` of its own.
pub(crate) fn ask_with_headers(
    port: &str,
    route: &str,
    headers: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let (status, text) = ask_for_text(port, route, headers, body);
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// The same as it came.
pub(crate) fn ask_for_text(
    port: &str,
    route: &str,
    headers: &str,
    body: Option<&Value>,
) -> (u16, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{route} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len(),
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    let status = told.split(' ').nth(1).unwrap().parse().unwrap();
    let body = told.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

#[test]
fn people_sign_in_where_the_folders_token_opens_nothing() {
    let world = World::demo("scenario.yaml");
    let database = postgres::database();
    let password = world.beside("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let run = |words: &[&str]| {
        let mut command = world.command(words);
        command.env("DATABASE_URL", database.url());
        command.stdin(Stdio::from(File::open(&password).unwrap()));
        let said = start_reading(command, world.beside("admin")).wait();
        said.exited(0);
    };
    run(&["db", "migrate"]);
    run(&["admin", "add-user", MAIL]);
    run(&["admin", "add-member", MAIL]);
    let mut serve = world.command(&["serve", "--roles", "api", "--json", "--port", "0"]);
    serve.env("DATABASE_URL", database.url());
    for (name, value) in TEAM {
        serve.env(name, value);
    }
    let mut server = world.start(serve);
    let address = address(&mut server).unwrap();
    let port = address.rsplit(':').next().unwrap();
    let token = fs::read_to_string(world.data().join("token")).unwrap();
    let (status, told) = ask(port, "GET /api/v1/specs", Some(token.trim()), None);
    assert_eq!((status, &told["error"]), (401, &json!("unauthenticated")));
    // The command line reaches it by the folder's socket.
    let mut list = world.command(&["spec", "list"]);
    list.env("DATABASE_URL", database.url());
    world.start(list).wait().exited(0);
    let body = json!({ "email": MAIL, "password": PASSWORD });
    let (status, pair) = ask(port, "POST /api/v1/auth/login", None, Some(&body));
    assert_eq!(status, 200, "{pair}");
    let access = pair["access_token"].as_str().unwrap();
    let (status, told) = ask(port, "GET /api/v1/specs", Some(access), None);
    assert_eq!((status, &told["items"]), (200, &json!([])), "{told}");
    let (_, sessions) = ask(port, "GET /api/v1/auth/sessions", Some(access), None);
    assert_eq!(sessions["items"][0]["ip"], "127.0.0.1", "{sessions}");
    a_machine_is_let_in_by_a_browser(&world, port, access);
    let (status, _) = ask(port, "POST /api/v1/auth/logout", Some(access), None);
    assert_eq!(status, 204);
    let (status, told) = ask(port, "GET /api/v1/specs", Some(access), None);
    assert_eq!((status, &told["error"]), (401, &json!("unauthenticated")));
    commands_ask_the_server_signed_in_to(&world, &format!("http://127.0.0.1:{port}"), &password);
}

/// The command line waits until somebody who is signed in says yes to its code.
fn a_machine_is_let_in_by_a_browser(world: &World, port: &str, access: &str) {
    let url = format!("http://127.0.0.1:{port}");
    let mut login = crate::binary::omoi(&world.home());
    login.args(["login", &url, "--name", "browser"]);
    let mut login = start_reading(login, world.beside("browser"));
    let code = loop {
        let said = login.stderr();
        if let Some((_, code)) = said.split_once("the code ") {
            break code.trim().to_owned();
        }
        assert!(!login.ends_within(Duration::from_millis(20)), "{said}");
    };
    let (status, waiting) = ask(
        port,
        &format!("GET /api/v1/auth/device/{code}"),
        Some(access),
        None,
    );
    assert_eq!(
        (status, &waiting["user_code"]),
        (200, &json!(code)),
        "{waiting}"
    );
    let decide = format!("POST /api/v1/auth/device/{code}/decision");
    let yes = json!({ "approve": true });
    assert_eq!(ask(port, &decide, Some(access), Some(&yes)).0, 204);
    let said = login.wait().exited(0);
    assert!(said.stderr.contains(MAIL), "{said:?}");
    let mut who = crate::binary::omoi(&world.home());
    who.args(["whoami", "--profile", "browser"]);
    let who = start_reading(who, world.beside("browser")).wait().exited(0);
    assert!(who.stdout.contains(MAIL), "{who:?}");
}

/// The command line signs in with a key of its own, asks that server, and signs out.
fn commands_ask_the_server_signed_in_to(world: &World, url: &str, password: &Path) {
    let omoi = |words: &[&str]| {
        // No flag names a data folder: the profile in use decides.
        let mut command = crate::binary::omoi(&world.home());
        command.args(words);
        command.stdin(Stdio::from(File::open(password).unwrap()));
        start_reading(command, world.beside("login")).wait()
    };
    let refused = omoi(&["login", "http://omoi.example.org"]).exited(2);
    assert!(refused.stderr.contains("plain http"), "{refused:?}");
    let nobody = omoi(&["login", url, "--email", "eve@example.org"]).exited(1);
    assert!(nobody.stderr.contains("password"), "{nobody:?}");
    omoi(&["login", url, "--email", MAIL, "--name", "team"]).exited(0);
    let who = omoi(&["whoami"]).exited(0);
    assert!(
        who.stdout.contains(MAIL) && who.stdout.contains(url),
        "{who:?}"
    );
    let listed = omoi(&["spec", "list", "--json"]).exited(0);
    assert_eq!(listed.stdout.trim(), "[]");
    let local = omoi(&["whoami", "--profile", "local", "--json"]).exited(0);
    let local: Value = serde_json::from_str(&local.stdout).unwrap();
    assert_eq!(local["account"]["email"], Value::Null);
    let profiles = omoi(&["profile", "list"]).exited(0);
    assert!(profiles.stdout.contains("* team"), "{profiles:?}");
    let credential = world.home().join(".config/omoios/credentials/team");
    // Signing in again takes the place of the earlier key, which opens nothing any more.
    let earlier: Value = serde_json::from_slice(&fs::read(&credential).unwrap()).unwrap();
    omoi(&["login", url, "--email", MAIL, "--name", "team"]).exited(0);
    let key: Value = serde_json::from_slice(&fs::read(&credential).unwrap()).unwrap();
    assert_ne!(earlier["key"], key["key"]);
    let taken = omoi(&["login", "http://127.0.0.1:1", "--name", "team"]).exited(2);
    assert!(taken.stderr.contains("--name"), "{taken:?}");
    omoi(&["logout"]).exited(0);
    assert!(!credential.exists());
    for key in [&earlier["key"], &key["key"]] {
        let mut by_key = crate::binary::omoi(&world.home());
        by_key.args(["spec", "list"]);
        by_key.env("OMOI_API_URL", url);
        by_key.env("OMOI_API_KEY", key.as_str().unwrap());
        let refused = start_reading(by_key, world.beside("login"));
        let refused = refused.wait().exited(2);
        assert!(refused.stderr.contains("OMOI_API_KEY"), "{refused:?}");
    }
}
