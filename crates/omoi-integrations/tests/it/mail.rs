//! Mails over SMTP to a real server, and what the fake does in its place.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::time::Timestamp;
use omoi_integrations::mail::fake::FakeMailer;
use omoi_integrations::mail::letter::MailContent;
use omoi_integrations::mail::smtp::{
    MailEncryption, MailServer, MailServerError, MailUser, SmtpMailer,
};
use omoi_integrations::mail::{OutgoingMail, SendMail, SendMailError};
use omoi_testkit::mail_sink::{MailSink, mail_sink};
use uuid::Uuid;

use crate::letters::{contents, link};

/// The server of the tests, as a deployment would name it.
fn server_of(sink: &MailSink) -> MailServer {
    MailServer {
        host: sink.host.clone(),
        port: sink.port,
        encryption: MailEncryption::StartTls,
        user: Some(MailUser {
            name: sink.user.clone(),
            password: sink.password.clone().into(),
        }),
        from: "omoi@omoi.example".parse().unwrap(),
        timeout: Duration::from_secs(10),
        more_roots: Some(fs::read_to_string(sink.certificate_file()).unwrap()),
    }
}

/// A mail to an address of its own, which begins with `prefix`.
fn mail_to(prefix: &str, content: MailContent) -> OutgoingMail {
    let id = Uuid::now_v7();
    OutgoingMail {
        id,
        to: format!("{prefix}-{}@example.org", id.simple())
            .parse()
            .unwrap(),
        content,
        written_at: Timestamp::from_micros(1_764_460_800_000_000),
    }
}

async fn send(mailer: &dyn SendMail, prefix: &str) -> Result<MailAddress, SendMailError> {
    let mail = mail_to(prefix, MailContent::Verification(link()));
    mailer.send_mail(&mail).await.map(|()| mail.to)
}

#[tokio::test]
async fn each_mail_arrives_with_both_forms_and_no_header_too_many() {
    let sink = mail_sink();
    let mailer = SmtpMailer::new(&server_of(&sink)).unwrap();
    for content in contents() {
        let mail = mail_to("ada", content);
        mailer.send_mail(&mail).await.unwrap();
        let [raw] = &sink.mails_to(mail.to.as_str())[..] else {
            panic!("one mail is expected")
        };
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name)
            .collect();
        let expected = [
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Date",
            "MIME-Version",
            "Content-Type",
        ];
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut wanted = expected;
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert!(head.contains(&format!("Message-ID: <{}@omoi.example>", mail.id)));
        assert!(head.contains("Date: Sun, 30 Nov 2025 00:00:00 +0000"));
        assert!(head.contains("From: OmoiOS <omoi@omoi.example>"));
        assert!(
            body.contains("text/plain; charset=utf-8") && body.contains("text/html; charset=utf-8")
        );
    }
}

#[tokio::test]
async fn a_refused_mail_is_told_from_one_to_try_again() {
    let sink = mail_sink();
    let smtp = SmtpMailer::new(&server_of(&sink)).unwrap();
    let fake = FakeMailer::default();
    for mailer in [&smtp as &dyn SendMail, &fake] {
        assert!(send(mailer, "ada").await.is_ok(), "{mailer:?}");
        let refused = send(mailer, "refused").await.unwrap_err();
        assert!(matches!(refused, SendMailError::Refused { code: 550, .. }));
        assert!(refused.is_final());
        let later = send(mailer, "later").await.unwrap_err();
        assert!(matches!(later, SendMailError::Busy { code: 451, .. }));
        assert!(!later.is_final());
    }
    let taken = send(&fake, "ada").await.unwrap();
    assert_eq!(fake.mails_to(&taken)[0].subject, "Confirm your address");
    fake.set_away(true);
    let away = send(&fake, "ada").await.unwrap_err();
    assert!(matches!(away, SendMailError::Unreachable(_)) && !away.is_final());
}

#[tokio::test]
async fn a_server_that_is_not_to_be_trusted_gets_nothing() {
    let sink = mail_sink();
    let mut strange = server_of(&sink);
    strange.more_roots = None;
    let error = send(&SmtpMailer::new(&strange).unwrap(), "ada").await;
    assert!(
        matches!(error, Err(SendMailError::Unreachable(_))),
        "{error:?}"
    );

    // The server demands TLS; without it it lets nobody in.
    let mut clear = server_of(&sink);
    (clear.encryption, clear.user) = (MailEncryption::None, None);
    let error = send(&SmtpMailer::new(&clear).unwrap(), "ada").await;
    assert!(
        matches!(error, Err(SendMailError::SignIn { code: 530, .. })),
        "{error:?}"
    );

    clear.host = "mail.example.org".to_owned();
    let error = SmtpMailer::new(&clear).unwrap_err();
    assert!(matches!(error, MailServerError::InTheClear { .. }));
    let mut broken = server_of(&sink);
    broken.more_roots =
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned());
    assert!(matches!(
        SmtpMailer::new(&broken).unwrap_err(),
        MailServerError::Tls { .. }
    ));
}

#[tokio::test]
async fn a_wrong_password_is_no_fault_of_the_mail() {
    let sink = mail_sink();
    let mut server = server_of(&sink);
    server.user = Some(MailUser {
        name: sink.user.clone(),
        password: "guessed".to_owned().into(),
    });
    let error = send(&SmtpMailer::new(&server).unwrap(), "ada")
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendMailError::SignIn { code: 535, .. }),
        "{error:?}"
    );
    assert!(!error.is_final() && !format!("{error:?} {error}").contains("guessed"));
}

#[tokio::test]
async fn a_server_that_is_away_or_says_nothing_is_an_error_in_time() {
    let sink = mail_sink();
    let mut server = server_of(&sink);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    server.port = silent.local_addr().unwrap().port();
    server.timeout = Duration::from_millis(200);
    let error = send(&SmtpMailer::new(&server).unwrap(), "ada").await;
    assert!(
        matches!(error, Err(SendMailError::TimedOut(_))),
        "{error:?}"
    );
    drop(silent);
    let error = send(&SmtpMailer::new(&server).unwrap(), "ada").await;
    assert!(
        matches!(error, Err(SendMailError::Unreachable(_))),
        "{error:?}"
    );
}
