//! Servers that behave oddly: one that is gone, and one that sends the command line elsewhere.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::{fs, thread};

use super::Home;

/// A port of loopback that nobody listens at.
fn free_url() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", free.local_addr().unwrap())
}

#[test]
fn a_server_that_is_gone_is_left_by_force_alone() {
    let home = Home::new();
    let url = free_url();
    let profiles = format!(
        r#"{{"current":"team","profiles":{{"team":{{"url":"{url}","account":"ada",
            "key_id":"01930000-0000-7000-8000-000000000004"}}}}}}"#
    );
    home.file(".config/omoios/profiles.json", &profiles);
    let stored = format!(r#"{{"url":"{url}","key":"sk_live_1"}}"#);
    let key = home.file(".config/omoios/credentials/team", &stored);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let kept = home.omoi(&["logout"]);
    assert_eq!(kept.code, 1, "{}", kept.all());
    assert!(
        kept.err.contains("--force") && key.exists(),
        "{}",
        kept.all()
    );
    let left = home.omoi(&["logout", "--force"]);
    assert_eq!(left.code, 0, "{}", left.all());
    assert!(
        left.err.contains("still good") && !key.exists(),
        "{}",
        left.all()
    );
}

#[test]
fn a_key_is_not_taken_where_a_server_sends_the_command_line() {
    let home = Home::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let sending = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", sending.local_addr().unwrap());
    let target = elsewhere.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut stream, _) = sending.accept().unwrap();
        let mut head = vec![0; 4096];
        let n_bytes = stream.read(&mut head).unwrap();
        write!(
            stream,
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n"
        )
        .unwrap();
        String::from_utf8_lossy(&head[..n_bytes]).into_owned()
    });
    let variables = [
        ("OMOI_API_URL", url.as_str()),
        ("OMOI_API_KEY", "sk_live_1"),
    ];
    let said = home.omoi_with(&variables, &["spec", "list"]);
    assert_ne!(said.code, 0, "{}", said.all());
    let asked = asked.join().unwrap();
    assert!(asked.contains("sk_live_1"), "{asked}");
    assert!(elsewhere.accept().is_err(), "somebody came: {}", said.all());
}

#[test]
fn a_server_that_others_reach_says_all_that_they_need() {
    let home = Home::new();
    let team = ("SERVER_MODE", "team");
    let url = ("SERVER_PUBLIC_URL", "https://omoi.example.org");
    let proxies = ("SERVER_TRUSTED_PROXIES", "10.0.0.0/8");
    for (variables, says) in [
        (vec![("SERVER_HOST", "0.0.0.0")], "server.mode=team"),
        (vec![team], "server.public_url"),
        (
            vec![team, ("SERVER_PUBLIC_URL", "http://omoi.example.org")],
            "plain http",
        ),
        (vec![team, url], "server.trusted_proxies"),
        (vec![team, url, proxies], "auth.keys"),
        (
            vec![team, url, proxies, ("SERVER_ALLOWED_ORIGINS", "*")],
            "server.allowed_origins",
        ),
    ] {
        let said = home.omoi_with(&variables, &["up", "--port", "0"]);
        assert_eq!(said.code, 2, "{}", said.all());
        assert!(said.err.contains(says), "{says}: {}", said.all());
    }
    assert!(!home.path().join(".local/share/omoios/omoios.db").exists());
}
