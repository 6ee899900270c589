//! Plain HTTP to listed hosts.

use std::sync::{Arc, Mutex};

use omoi_egress::refusal::RefusalReason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Fixture, ProxiedAttempt};
use crate::tunnels::listed;

/// Serves one answer to plain requests, and keeps the heads that it saw.
async fn serve_plain(
    fixture: &mut Fixture,
    name: &str,
    answer: &'static str,
) -> Arc<Mutex<Vec<String>>> {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    let serve = move |mut stream: TcpStream| {
        let seen = seen.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    fixture.serve_host(name, serve).await;
    heads
}

#[tokio::test]
async fn plain_requests_read_and_do_nothing_else() {
    const MOVED: &str = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 2\r\nkeep-alive: x\r\n\r\nhi";
    let mut fixture = Fixture::start().await;
    let heads = serve_plain(&mut fixture, "plain.example.com", MOVED).await;
    let policy = listed(&["plain.example.com", "127.0.0.1"]);
    let attempt = fixture.attempt(policy).await;
    let client = attempt.client();
    let request = client
        .get("http://plain.example.com/a?b=c")
        .header("proxy-authorization", "Basic canary");
    let answer = ProxiedAttempt::see(request.header("x-own", "kept")).await;
    // A redirect is the client's own next request.
    assert_eq!(
        (answer.status, answer.reason, answer.text().as_str()),
        (302, None, "hi")
    );
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("host: plain.example.com\r\n") && head.contains("x-own: kept"),
        "{head}"
    );
    assert!(
        !head.contains("canary") && !head.contains("proxy-"),
        "{head}"
    );
    for (request, expected) in [
        (
            client.get("http://169.254.169.254/"),
            RefusalReason::HostNotListed,
        ),
        (
            client.post("http://plain.example.com/"),
            RefusalReason::MethodNotAllowed,
        ),
        (
            client.get("http://plain.example.com/").body("x"),
            RefusalReason::BodyNotAllowed,
        ),
        (
            client.get("http://plain.example.com:8080/"),
            RefusalReason::PortNotListed,
        ),
        (
            client.get("http://registry.npmjs.org/greeter"),
            RefusalReason::RegistryWithoutTls,
        ),
        (
            client.get("http://other.example.com/"),
            RefusalReason::HostNotListed,
        ),
    ] {
        let answer = ProxiedAttempt::see(request).await;
        assert_eq!(
            (answer.status, answer.reason),
            (403, Some(expected)),
            "{}",
            answer.text()
        );
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn more_than_may_be_received_breaks_the_answer() {
    const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
    let mut fixture = Fixture::start().await;
    serve_plain(&mut fixture, "plain.example.com", LONG).await;
    let mut policy = listed(&["plain.example.com", "127.0.0.1"]);
    policy.caps.download_bytes = 15;
    let attempt = fixture.attempt(policy).await;
    assert_eq!(
        attempt.get("http://plain.example.com/").await.body.len(),
        10
    );
    let broken = match attempt
        .client()
        .get("http://plain.example.com/")
        .send()
        .await
    {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(broken);
    assert_eq!(attempt.reasons(), [RefusalReason::DownloadCap]);
}
