//! What mails say, and what no value can do to them.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::time::Timestamp;
use omoi_integrations::mail::letter::{LetterError, MailContent, MailLink};

const DAY: Timestamp = Timestamp::from_micros(1_764_460_800_000_000);

pub(crate) fn link() -> MailLink {
    MailLink {
        url: "https://omoi.example/verify#abc".to_owned(),
        expires_at: DAY,
    }
}

fn reader() -> MailAddress {
    "ada@example.org".parse().unwrap()
}

/// One of each kind.
pub(crate) fn contents() -> Vec<MailContent> {
    let page = |name: &str| format!("https://omoi.example/{name}");
    vec![
        MailContent::Verification(link()),
        MailContent::KnownAddress {
            sign_in: page("login"),
        },
        MailContent::Reset {
            link: link(),
            keys: vec!["laptop".to_owned(), "build server".to_owned()],
        },
        MailContent::Invitation {
            link: link(),
            organization: "Analytical <b>Engines</b> & Co".to_owned(),
            invited_by: "Charles \"Chas\" Babbage".to_owned(),
            role: "member".to_owned(),
        },
        MailContent::Unlock(link()),
        MailContent::TokenReuse {
            seen_at: DAY,
            address: Some("203.0.113.7".to_owned()),
            sessions: page("sessions"),
        },
    ]
}

#[test]
fn every_letter_in_text() {
    let texts: Vec<String> = contents()
        .iter()
        .map(|content| {
            let letter = content.write_letter(&reader()).unwrap();
            let text = letter.render_letter().unwrap().text;
            format!("Subject: {}\n\n{text}", letter.subject)
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n==========\n"));
}

#[test]
fn no_value_is_markup() {
    let letter = contents()[3].write_letter(&reader()).unwrap();
    let html = letter.render_letter().unwrap().html;
    assert!(!html.contains("<b>"));
    insta::assert_snapshot!(html);
}

#[test]
fn a_value_with_a_line_end_is_refused_wherever_it_stands() {
    let with = |organization: &str, invited_by: &str, role: &str, url: &str| {
        let content = MailContent::Invitation {
            link: MailLink {
                url: url.to_owned(),
                expires_at: DAY,
            },
            organization: organization.to_owned(),
            invited_by: invited_by.to_owned(),
            role: role.to_owned(),
        };
        content.write_letter(&reader())
    };
    let url = link().url;
    assert!(with("Engines", "Charles", "member", &url).is_ok());
    for evil in [
        "x\r\nBcc: eve@example.org",
        "x\nBcc: eve@example.org",
        "x\rBcc: eve@example.org",
        "x\u{2028}Bcc: eve@example.org",
        "x\0y",
        "x\u{85}y",
        "\u{1b}[2J",
    ] {
        for letter in [
            with(evil, "Charles", "member", &url),
            with("Engines", evil, "member", &url),
            with("Engines", "Charles", evil, &url),
        ] {
            assert!(
                matches!(letter, Err(LetterError::Control { .. })),
                "{evil:?}"
            );
        }
        let address = format!("https://omoi.example/{evil}");
        assert!(with("Engines", "Charles", "member", &address).is_err());
    }
    let long = "x".repeat(201);
    let letter = with(&long, "Charles", "member", &url);
    assert!(matches!(letter, Err(LetterError::TooLong { max: 200, .. })));
    for no_link in ["javascript:alert(1)", "", "/verify", "https://a b"] {
        let letter = with("Engines", "Charles", "member", no_link);
        assert!(
            matches!(letter, Err(LetterError::NoLink { .. })),
            "{no_link}"
        );
    }
}
