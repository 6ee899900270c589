//! Mails that acts write down: sent once each, tried again, and without a token in their rows.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use omoi_accounts::commands::invitation::{InvitationWay, accept_invitation, invite_member};
use omoi_accounts::commands::password::ask_password_reset;
use omoi_accounts::commands::register::register_user;
use omoi_accounts::commands::verify::verify_mail;
use omoi_accounts::error::AccountError;
use omoi_accounts::mail_links::MailLinks;
use omoi_accounts::mail_options::{MAIL_KEYS, MailOptionsError, mail_sender};
use omoi_accounts::mailer::Mailer;
use omoi_domain::access::mail_intent::MAIL_LEASE;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::OrgId;
use omoi_integrations::mail::{OutgoingMail, SendMail, SendMailError};
use omoi_runtime::config::{ConfigSources, KeyTable, load_config};
use omoi_runtime::reconcile::Next;
use omoi_store::{Tx, organisations};
use omoi_testkit::mail_sink::mail_sink;
use uuid::Uuid;

use crate::desk::{Desk, registration, source, token_of};
use crate::members::{add, by};

both!(
    a_mail_is_sent_once_by_many_and_tried_again,
    whoever_dies_with_a_mail_leaves_it_to_another,
    an_invitation_tells_where_to_and_makes_one_member_of_fifty_followers,
);

const ADA: &str = "ada@example.org";
static TABLE: KeyTable = KeyTable {
    sections: &[MAIL_KEYS],
    rules: &[],
};

/// What `values` set up.
fn configured(
    values: &[(&'static str, &str)],
    public_url: Option<&str>,
) -> Result<Option<Arc<dyn SendMail>>, MailOptionsError> {
    let sources = values
        .iter()
        .fold(ConfigSources::default(), |sources, &(key, value)| {
            sources.with_flag(key, value)
        });
    mail_sender(&load_config(&TABLE, &sources).unwrap(), public_url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_server_gets_what_an_act_wrote_down() {
    const HOME: Option<&str> = Some("https://omoi.example.org");
    let host = ("mail.host", "smtp.example.org");
    let from = ("mail.from", "omoi@example.org");
    assert!(configured(&[], None).unwrap().is_none());
    assert!(configured(&[host, from], HOME).unwrap().is_some());
    for (values, public_url, says) in [
        (&[host, from][..], None, "the links of mails lead to"),
        (&[host], HOME, "not the address that mails come from"),
        (&[host, ("mail.from", "x")], HOME, "no mail address"),
        (&[host, from, ("mail.user", "omoi")], HOME, "one is set"),
        (
            &[host, from, ("mail.tls", "none")],
            HOME,
            "not this machine",
        ),
        (
            &[host, from, ("mail.ca_file", "/nowhere.pem")],
            HOME,
            "/nowhere.pem",
        ),
    ] {
        let refused = configured(values, public_url).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }

    let sink = mail_sink();
    let (port, roots) = (sink.port.to_string(), sink.certificate_file());
    let values = [
        ("mail.host", sink.host.as_str()),
        ("mail.port", &port),
        ("mail.user", &sink.user),
        ("mail.password", &sink.password),
        ("mail.ca_file", roots.to_str().unwrap()),
        from,
    ];
    let sender = configured(&values, HOME).unwrap().unwrap();
    let desk = Desk::sqlite().await;
    let address = format!("ada-{}@example.org", Uuid::now_v7().simple());
    register_user(&desk.accounts, registration(&address), &source("192.0.2.1"))
        .await
        .unwrap();
    let links = MailLinks::new("https://omoi.example.org/");
    let mailer = Mailer::new(desk.accounts.clone(), sender, links);
    assert_eq!(mailer.send_due().await.unwrap(), Next::Idle);
    assert_eq!(states(&desk).await, [row("confirmed", "1", None)]);
    let [mail] = &sink.mails_to(&address)[..] else {
        panic!("one mail is expected")
    };
    assert!(mail.contains("https://omoi.example.org/verify#"), "{mail}");
}

/// State, tries and error of every mail, the first one first.
async fn states(desk: &Desk) -> Vec<Vec<Option<String>>> {
    desk.raw_rows("select state, tries, error from mail_intents order by created_at, id")
        .await
}

fn row(state: &str, tries: &str, error: Option<&str>) -> Vec<Option<String>> {
    vec![
        Some(state.to_owned()),
        Some(tries.to_owned()),
        error.map(str::to_owned),
    ]
}

async fn a_mail_is_sent_once_by_many_and_tried_again(desk: Desk) {
    let accounts = &desk.accounts;
    register_user(accounts, registration(ADA), &source("192.0.2.1"))
        .await
        .unwrap();
    desk.mail_server.set_away(true);
    let Next::At(again) = desk.send_mails().await else {
        panic!("a mail that failed is tried again")
    };
    assert_eq!(again, desk.now() + Duration::from_mins(1));
    let failed = "could not talk to the mail server";
    let [only] = &states(&desk).await[..] else {
        panic!("one mail is expected")
    };
    assert_eq!(only[..2], row("planned", "1", None)[..2]);
    assert!(only[2].as_deref().unwrap().starts_with(failed), "{only:?}");
    desk.mail_server.set_away(false);
    assert!(desk.mails_to(ADA).await.is_empty(), "not before its time");
    desk.advance(Duration::from_mins(1));
    let mailers = [(); 4].map(|()| desk.mailer());
    let sent = join_all(mailers.iter().map(Mailer::send_due)).await;
    assert!(sent.into_iter().all(|next| next.is_ok()));
    let mails = desk.mails_to(ADA).await;
    let [mail] = &mails[..] else {
        panic!("{mails:?}")
    };
    assert_eq!(states(&desk).await, [row("confirmed", "2", None)]);
    // Nothing that a dump of the rows shows opens the account.
    let digests = desk.raw_rows("select digest from one_time_tokens").await;
    assert!(!format!("{digests:?}").contains(&token_of(mail)));
    verify_mail(accounts, &token_of(mail), &source("192.0.2.1"))
        .await
        .unwrap();

    for (address, state, n_tries) in [
        ("refused@example.org", "bounced", "1"),
        ("later@example.org", "failed", "15"),
    ] {
        register_user(accounts, registration(address), &source("192.0.2.1"))
            .await
            .unwrap();
        while let Next::At(next) = desk.send_mails().await {
            desk.advance(next.since(desk.now()));
        }
        let last = states(&desk).await.pop().unwrap();
        assert_eq!(last[..2], row(state, n_tries, None)[..2], "{address}");
        assert!(last[2].as_deref().unwrap().contains("as the address asks"));
    }
}

/// A mail server that takes a mail and never says so.
struct SilentServer;

impl fmt::Debug for SilentServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SilentServer")
    }
}

impl SendMail for SilentServer {
    fn send_mail<'a>(&'a self, _: &'a OutgoingMail) -> BoxFuture<'a, Result<(), SendMailError>> {
        pending().boxed()
    }
}

async fn whoever_dies_with_a_mail_leaves_it_to_another(desk: Desk) {
    let accounts = &desk.accounts;
    register_user(accounts, registration(ADA), &source("192.0.2.1"))
        .await
        .unwrap();
    let links = MailLinks::new("https://omoi.example.org");
    let dying = Mailer::new(accounts.clone(), Arc::new(SilentServer), links);
    let mut sending = Box::pin(dying.send_due());
    // It dies where its mail is with the server.
    while states(&desk).await != [row("sent", "1", None)] {
        assert!((&mut sending).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(sending);
    let left = desk.raw_rows("select digest from one_time_tokens").await;
    assert!(
        desk.mails_to(ADA).await.is_empty(),
        "another may still send it"
    );
    desk.advance(MAIL_LEASE);
    let mails = desk.mails_to(ADA).await;
    assert_eq!(
        (mails.len(), states(&desk).await),
        (1, vec![row("confirmed", "2", None)])
    );
    // The token of the mail that was left is void.
    let now = desk.raw_rows("select digest from one_time_tokens").await;
    assert_eq!((left.len(), now.len()), (1, 1));
    assert_ne!(left, now);
    // What nobody needs any more is not sent.
    ask_password_reset(accounts, ADA, &source("192.0.2.1"))
        .await
        .unwrap();
    desk.advance(Duration::from_hours(24));
    assert_eq!(desk.mails_to(ADA).await.len(), 1);
    let last = states(&desk).await.pop().unwrap();
    assert_eq!(last, row("failed", "1", Some("nobody needs it any more")));
}

async fn an_invitation_tells_where_to_and_makes_one_member_of_fifty_followers(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, ADA, SystemRole::Owner).await;
    let bob = desk.add_user("bob@example.org").await;
    let tenant = accounts.store.tenant(OrgId::LOCAL);
    let long = format!("Engines {}", "x".repeat(240));
    let rename = async |tx: &mut Tx| {
        let mut row = organisations::get(tx).await?;
        row.name = long.clone();
        organisations::save(tx, &mut row).await
    };
    let point = omoi_domain::crash::CrashPoint::AccountChanged;
    tenant.write(point, rename).await.unwrap();
    let to = "bob@example.org".parse().unwrap();
    let meant = (&to, MemberRole::System(SystemRole::Member));
    let owner = by(ada, SystemRole::Owner);
    for _ in 0..2 {
        let made = invite_member(accounts, owner, meant, InvitationWay::Mailed).await;
        assert!(made.unwrap().token.is_none());
    }
    let mails = desk.mails_to("bob@example.org").await;
    let [mail] = &mails[..] else {
        panic!("the first one is void: {mails:?}")
    };
    assert!(mail.subject.contains("Engines xxx"), "{}", mail.subject);
    assert!(mail.text.contains("https://omoi.example.org/invite#"));
    let (token, another) = (token_of(mail), desk.another().await);
    let many = (0..50).map(|n| {
        let accounts = if n % 2 == 0 { accounts } else { &another };
        accept_invitation(accounts, bob, &token)
    });
    let (joined, refused): (Vec<_>, Vec<_>) =
        join_all(many).await.into_iter().partition(Result::is_ok);
    assert_eq!((joined.len(), refused.len()), (1, 49));
    assert!(
        refused
            .iter()
            .all(|refused| matches!(refused, Err(AccountError::InvalidToken)))
    );
    let members = desk.raw_rows("select user_id from memberships").await;
    assert_eq!(members.len(), 3, "the laptop's user, Ada and Bob");
}
