//! The audit log: each act is told once, in one chain, which shows any change of it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use omoi_accounts::audit::{record_act, verify_chain};
use omoi_accounts::commands::denied_key::note_denied_key;
use omoi_accounts::commands::invitation::{
    InvitationWay, accept_invitation, invite_member, revoke_invitation,
};
use omoi_accounts::commands::key::{NewApiKey, create_person_key, revoke_person_key};
use omoi_accounts::commands::member::{
    MemberAuthority, add_member, remove_member, set_member_role,
};
use omoi_accounts::commands::operator::make_operator_token;
use omoi_accounts::commands::password::{PasswordChange, change_password, reset_password};
use omoi_accounts::commands::refresh::refresh_session;
use omoi_accounts::commands::sign_out::{
    revoke_session, set_user_active, sign_out, sign_out_everywhere,
};
use omoi_accounts::error::AccountError;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction, AuditOutcome, ChainFault, RequestOrigin};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{CredentialId, OrgId, UserId};
use omoi_domain::planted_bug::{PlantedBug, plant_bug};
use omoi_store::audit_log::{self, AuditEntry};
use omoi_store::{StoreError, Tx};
use omoi_testkit::audited::ACTS_OF_COMMANDS;
use omoi_testkit::invariant::tell_row;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::desk::{Desk, PASSWORD, source};
use crate::invitations::printed_token;
use crate::members::by;

both!(
    each_act_of_an_account_is_told_once,
    each_act_on_members_is_told_once_in_their_organisation,
    acts_at_once_make_one_chain,
    any_change_of_a_row_names_it,
    the_database_itself_keeps_rows_as_they_are,
    an_act_is_told_with_its_change_or_not_at_all,
    acts_that_no_operation_comes_to_are_told,
);

const ADA: &str = "ada@example.org";
const HERE: &str = "192.0.2.1";

pub(crate) async fn entries(desk: &Desk, org: OrgId) -> Vec<AuditEntry> {
    let tenant = desk.accounts.store.tenant(org);
    tenant
        .read(async |tx: &mut Tx| audit_log::entries_after(tx, 0).await)
        .await
        .unwrap()
}

/// What the log of `org` tells after the first `known`, and how many there are now.
async fn told_since(desk: &Desk, org: OrgId, known: &mut usize) -> Vec<&'static str> {
    let all = entries(desk, org).await;
    let new = all.iter().skip(*known).map(|entry| entry.action.as_str());
    let new = new.collect();
    *known = all.len();
    new
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn each_act_of_an_account_is_told_once(desk: Desk) {
    let mut known = 0;
    let accounts = &desk.accounts;
    let platform = OrgId::PLATFORM;
    let ada = desk.add_user(ADA).await;
    assert_eq!(told_since(&desk, platform, &mut known).await, ["register"]);
    desk.make_user("bob@example.org").await;
    let made = told_since(&desk, platform, &mut known).await;
    assert_eq!(made, ["register", "email_verified"]);

    let first = desk.sign_in(ADA, PASSWORD, HERE).await.unwrap();
    let second = desk.sign_in(ADA, PASSWORD, HERE).await.unwrap();
    desk.sign_in(ADA, "Wrong-Guess-1", HERE).await.unwrap_err();
    let nobody = desk.sign_in("nobody@example.org", PASSWORD, HERE).await;
    nobody.unwrap_err();
    let told = told_since(&desk, platform, &mut known).await;
    let expected = [
        "login_success",
        "login_success",
        "login_failed",
        "login_failed",
    ];
    assert_eq!(told, expected);
    let last = entries(&desk, platform).await.pop().unwrap();
    assert_eq!(
        (last.target.target_id, last.outcome),
        (None, AuditOutcome::Denied)
    );

    let token = second.refresh_token.expose_secret();
    refresh_session(accounts, token).await.unwrap();
    // The other tab gets the same tokens: nothing was done.
    refresh_session(accounts, token).await.unwrap();
    desk.advance(Duration::from_secs(60));
    refresh_session(accounts, token).await.unwrap_err();
    let told = told_since(&desk, platform, &mut known).await;
    assert_eq!(told, ["token_refresh", "refresh_token_reuse"]);

    let third = desk.sign_in(ADA, PASSWORD, HERE).await.unwrap();
    assert!(revoke_session(accounts, ada, third.session).await.unwrap());
    assert!(!revoke_session(accounts, ada, third.session).await.unwrap());
    assert!(sign_out(accounts, ada, first.session).await.unwrap());
    sign_out_everywhere(accounts, ada).await.unwrap();
    let told = told_since(&desk, platform, &mut known).await;
    assert_eq!(
        told,
        ["login_success", "session_revoked", "logout", "logout"]
    );

    let change = PasswordChange {
        old: PASSWORD.into(),
        new: "Basalt-Meadow-4".into(),
    };
    change_password(accounts, ada, change, &source(HERE))
        .await
        .unwrap();
    let reset = make_operator_token(accounts, ada, TokenPurpose::Reset).await;
    let reset = reset.unwrap().token;
    let (token, here) = (reset.expose_secret(), source(HERE));
    let reset = reset_password(accounts, token, PASSWORD.into(), &here).await;
    reset.unwrap();
    set_user_active(accounts, ada, false).await.unwrap();
    set_user_active(accounts, ada, true).await.unwrap();
    let told = told_since(&desk, platform, &mut known).await;
    let expected = [
        "password_change",
        "account_link_made",
        "password_reset",
        "account_disabled",
        "account_enabled",
    ];
    assert_eq!(told, expected);

    for n in 0..6 {
        desk.advance(Duration::from_secs(61));
        let refused = desk.sign_in(ADA, "Wrong-Guess-1", HERE).await;
        let is_locked = matches!(refused, Err(AccountError::Locked { .. }));
        assert_eq!(is_locked, n == 5);
    }
    let told = told_since(&desk, platform, &mut known).await;
    assert_eq!(told[4..], ["login_failed", "login_blocked_lockout"]);
    // Whoever goes on trying is let in no more by their address, and fills no log.
    for _ in 0..9 {
        desk.sign_in(ADA, PASSWORD, HERE).await.unwrap_err();
    }
    let told = told_since(&desk, platform, &mut known).await;
    assert_eq!(told, ["login_blocked_lockout"; 4]);

    let new = NewApiKey {
        name: "ci".to_owned(),
        scopes: Vec::new(),
        days: None,
    };
    let key = create_person_key(accounts, ada, None, new).await.unwrap();
    assert!(revoke_person_key(accounts, ada, key.row.id).await.unwrap());
    let told = told_since(&desk, platform, &mut known).await;
    assert_eq!(told, ["api_key_created", "api_key_revoked"]);
    let text = format!("{:?}", entries(&desk, platform).await);
    for secret in [key.key.expose_secret(), token, PASSWORD, &key.row.digest] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(
        verify_chain(&accounts.store, platform).await.unwrap(),
        Ok(known as i64)
    );
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn each_act_on_members_is_told_once_in_their_organisation(desk: Desk) {
    let (org, mut known) = (OrgId::LOCAL, 0);
    let ada = desk.add_user(ADA).await;
    desk.make_user("bob@example.org").await;
    let operator = MemberAuthority::of_operator(org);
    let member = MemberRole::System(SystemRole::Member);
    let owner = MemberRole::System(SystemRole::Owner);
    add_member(&desk.accounts, operator, ada, owner)
        .await
        .unwrap();
    assert_eq!(told_since(&desk, org, &mut known).await, ["member_added"]);
    assert_eq!(entries(&desk, org).await[0].actor, Actor::System);

    // From here on Ada asks, by a key of hers.
    let origin = RequestOrigin {
        actor: Actor::User(ada),
        credential: Some(CredentialId::from_uuid(Uuid::from_u128(7))),
        ip: Some("192.0.2.9".to_owned()),
        user_agent: Some("curl\r\nx".to_owned()),
        request_id: Some("request-1".to_owned()),
    };
    let accounts = desk.accounts.for_request(origin);
    let by = by(ada, SystemRole::Owner);
    let bob_address = || "bob@example.org".parse().unwrap();
    let eve = "eve@example.org".parse().unwrap();
    let way = InvitationWay::Printed;
    invite_member(&accounts, by, (&eve, member), way)
        .await
        .unwrap();
    assert_eq!(revoke_invitation(&accounts, by, &eve).await.unwrap(), 1);
    assert_eq!(revoke_invitation(&accounts, by, &eve).await.unwrap(), 0);
    let made = invite_member(&accounts, by, (&bob_address(), member), way)
        .await
        .unwrap();
    let bob = desk.read(async |tx| omoi_store::users::find_by_email(tx, &bob_address()).await);
    let bob = bob.await.unwrap().id;
    let (_, id) = accept_invitation(&desk.accounts, bob, &printed_token(made))
        .await
        .unwrap();
    set_member_role(
        &accounts,
        by,
        id,
        MemberRole::System(SystemRole::Viewer),
        None,
    )
    .await
    .unwrap();
    remove_member(&accounts, by, id).await.unwrap();
    let told = told_since(&desk, org, &mut known).await;
    let expected = [
        "member_invited",
        "invitation_revoked",
        "member_invited",
        "member_added",
        "member_role_changed",
        "member_removed",
    ];
    assert_eq!(told, expected);
    let all = entries(&desk, org).await;
    assert_eq!(all[4].actor, Actor::User(bob), "whoever accepts acts");
    for entry in [&all[1], &all[5], &all[6]] {
        assert_eq!(entry.actor, Actor::User(ada));
        assert_eq!(entry.credential_id.unwrap().as_uuid(), Uuid::from_u128(7));
        assert_eq!(entry.ip.as_deref(), Some("192.0.2.9"));
        assert_eq!(entry.user_agent.as_deref(), Some("curl\\u{d}\\u{a}x"));
        assert_eq!(entry.request_id.as_deref(), Some("request-1"));
    }
    let changed = &all[5];
    let (before, after) = (member.role_id(), SystemRole::Viewer.role_id());
    let role = |id| Some(format!("{{\"role_id\":\"{id}\"}}"));
    assert_eq!(changed.value_before, role(before));
    assert_eq!(changed.value_after, role(after));
    assert_eq!(verify_chain(&accounts.store, org).await.unwrap(), Ok(7));
}

async fn acts_at_once_make_one_chain(desk: Desk) {
    let another = desk.another().await;
    let acts = (0..20).map(|n| {
        let store = if n % 2 == 0 {
            &desk.accounts.store
        } else {
            &another.store
        };
        let org = if n % 4 < 2 {
            OrgId::LOCAL
        } else {
            OrgId::PLATFORM
        };
        let act = AuditAct::done_to(AuditAction::Logout, UserId::LOCAL);
        record_act(store, org, act.with_reason(format!("act {n}")))
    });
    for done in join_all(acts).await {
        done.unwrap();
    }
    for org in [OrgId::LOCAL, OrgId::PLATFORM] {
        assert_eq!(
            verify_chain(&another.store, org).await.unwrap(),
            Ok(10),
            "{org}"
        );
        let all = entries(&desk, org).await;
        let numbers: Vec<i64> = all.iter().map(|entry| entry.seq).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<i64>>());
    }
}

/// Three rows, of which the second has something in every column.
async fn write_rows(desk: &Desk) {
    for n in 1..=3 {
        let origin = RequestOrigin {
            actor: Actor::User(UserId::LOCAL),
            credential: Some(CredentialId::from_uuid(Uuid::from_u128(0xabc))),
            ip: Some("192.0.2.9".to_owned()),
            user_agent: Some("curl".to_owned()),
            request_id: Some("request-1".to_owned()),
        };
        let store = desk.accounts.store.for_request(origin);
        let act = AuditAct::done_to(AuditAction::Logout, UserId::LOCAL)
            .with_reason(format!("reason {n}"))
            .with_before(serde_json::json!({ "z": 1, "a": [null, "é"] }))
            .with_after(serde_json::json!({ "n": n }));
        record_act(&store, OrgId::LOCAL, act).await.unwrap();
    }
}

const COLUMNS: [&str; 18] = [
    "org_id",
    "seq",
    "id",
    "occurred_at",
    "actor_kind",
    "actor_id",
    "credential_id",
    "action",
    "target_kind",
    "target_id",
    "outcome",
    "ip",
    "user_agent",
    "request_id",
    "reason",
    "value_before",
    "value_after",
    "digest",
];

/// The values that a column that holds `value` is changed to: each differs from it in one place.
fn changed_values(value: &str) -> Vec<String> {
    if let Ok(number) = value.parse::<i64>() {
        return vec![(number + 90).to_string()];
    }
    let letters: Vec<char> = value.chars().collect();
    (0..letters.len())
        .map(|at| {
            let mut changed = letters.clone();
            changed[at] = match changed[at] {
                'a' => 'A',
                '-' => 'b',
                'b' => 'c',
                _ => 'b',
            };
            changed.into_iter().collect()
        })
        .collect()
}

/// What became of changes of the second row.
#[derive(Default)]
struct TriedChanges {
    n_named: usize,
    /// The tables themselves refuse some.
    n_refused: usize,
    unnamed: Vec<String>,
}

/// Changes each column of the second row, which holds `row`, in up to `most` ways, and puts it back.
async fn try_changes(desk: &Desk, row: &[Option<String>], most: usize) -> TriedChanges {
    let mut tried = TriedChanges::default();
    for (column, value) in COLUMNS.into_iter().zip(row) {
        let value = value.as_ref().unwrap();
        for changed in changed_values(value).into_iter().take(most) {
            let sql = format!(
                "update audit_log set {column} = '{}' where seq = 2",
                changed.replace('\'', "''")
            );
            if desk.try_raw(&sql).await.is_err() {
                tried.n_refused += 1;
                continue;
            }
            let told = verify_chain(&desk.accounts.store, OrgId::LOCAL)
                .await
                .unwrap();
            let expected = match column {
                "org_id" | "seq" => ChainFault::MissingRow { seq: 2 },
                _ => ChainFault::ChangedRow { seq: 2 },
            };
            match told == Err(expected) {
                true => tried.n_named += 1,
                false => tried
                    .unnamed
                    .push(format!("{column}: {value} -> {changed}: {told:?}")),
            }
            desk.raw("delete from audit_log; insert into audit_log select * from kept")
                .await;
        }
    }
    tried
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn any_change_of_a_row_names_it(desk: Desk) {
    write_rows(&desk).await;
    if desk.is_sqlite() {
        // Whoever owns the file can do even this.
        desk.raw(
            "drop trigger audit_log_is_never_updated; drop trigger audit_log_is_never_deleted",
        )
        .await;
    }
    desk.raw("create table kept as select * from audit_log")
        .await;
    let select = format!("select {} from audit_log where seq = 2", COLUMNS.join(", "));
    let row = desk.raw_rows(&select).await.remove(0);
    let check = async || {
        verify_chain(&desk.accounts.store, OrgId::LOCAL)
            .await
            .unwrap()
    };
    // Each is three round trips: on a server the ends of a text are as good as its middle.
    let most = if desk.is_sqlite() { usize::MAX } else { 2 };
    let seen = try_changes(&desk, &row, most).await;
    let planted = plant_bug(PlantedBug::AuditChain);
    let with_bug = try_changes(&desk, &row, 1).await;
    drop(planted);
    let (n_found, n_refused) = (seen.n_named, seen.n_refused);
    tell_row(&format!(
        "S10: {} changes of a row on {}, not named: {}; with `{}` off: {}",
        n_found + seen.unnamed.len(),
        if desk.is_sqlite() {
            "SQLite"
        } else {
            "PostgreSQL"
        },
        seen.unnamed.len(),
        PlantedBug::AuditChain,
        with_bug.unnamed.len(),
    ));
    assert!(seen.unnamed.is_empty(), "{:#?}", seen.unnamed);
    assert!(!with_bug.unnamed.is_empty(), "it shows nothing");
    // Checks of the tables refuse some.
    assert!(n_found > 14 && n_found > n_refused, "{n_found} {n_refused}");
    assert_eq!(check().await, Ok(3));
    for (sql, expected) in [
        (
            "delete from audit_log where seq = 3",
            ChainFault::MissingRow { seq: 3 },
        ),
        (
            "delete from audit_log where seq = 1",
            ChainFault::MissingRow { seq: 1 },
        ),
        (
            "update audit_heads set digest = 'x'",
            ChainFault::ChangedHead { seq: 3 },
        ),
        (
            "update audit_heads set seq = 2",
            ChainFault::ChangedHead { seq: 2 },
        ),
        (
            "delete from audit_heads",
            ChainFault::ChangedHead { seq: 0 },
        ),
        (
            "update audit_log set reason = null where seq = 2",
            ChainFault::ChangedRow { seq: 2 },
        ),
    ] {
        desk.raw("create table heads as select * from audit_heads")
            .await;
        desk.raw(sql).await;
        assert_eq!(check().await, Err(expected), "{sql}");
        desk.raw(
            "delete from audit_log; insert into audit_log select * from kept;
             delete from audit_heads; insert into audit_heads select * from heads; drop table heads",
        )
        .await;
    }
    assert_eq!(check().await, Ok(3));
}

async fn the_database_itself_keeps_rows_as_they_are(desk: Desk) {
    write_rows(&desk).await;
    let (serves, refusal) = match desk.is_sqlite() {
        true => (String::new(), "are never"),
        false => {
            let org = OrgId::LOCAL;
            let serves = format!("set role omoi_app; set app.org_id = '{org}'; ");
            (serves, "permission denied for table audit_")
        }
    };
    // A file replaces rows without a delete; on a server, a head that is gone would begin its chain anew.
    let replaced = match desk.is_sqlite() {
        true => "insert or replace into audit_log select * from audit_log where seq = 3",
        false => "delete from audit_heads",
    };
    for change in [
        "update audit_log set reason = 'none'",
        "delete from audit_log",
        "delete from audit_log where seq = 3",
        replaced,
    ] {
        let refused = desk
            .try_raw(&format!("{serves}{change}"))
            .await
            .unwrap_err();
        assert!(refused.contains(refusal), "{change}: {refused}");
    }
    let store = &desk.accounts.store;
    assert_eq!(verify_chain(store, OrgId::LOCAL).await.unwrap(), Ok(3));
}

async fn an_act_is_told_with_its_change_or_not_at_all(desk: Desk) {
    let store = &desk.accounts.store;
    let system = store.system();
    let fails = async |tx: &mut Tx| -> Result<(), StoreError> {
        tx.record_act(AuditAct::done_to(AuditAction::Logout, UserId::LOCAL));
        omoi_store::users::get(tx, UserId::from_uuid(Uuid::from_u128(9))).await?;
        Ok(())
    };
    let failed = system.write(CrashPoint::AccountChanged, fails).await;
    assert!(matches!(failed, Err(StoreError::NotFound { .. })));
    assert!(entries(&desk, OrgId::PLATFORM).await.is_empty());
    // Where the log cannot be written, the account is not made.
    desk.raw("drop table audit_heads").await;
    let new = omoi_accounts::commands::register::NewUser {
        email: ADA.parse().unwrap(),
        name: None,
        is_staff: false,
    };
    let made = omoi_accounts::commands::register::add_user(&desk.accounts, new, PASSWORD.into());
    made.await.unwrap_err();
    let ada =
        desk.read(async |tx| omoi_store::users::find_by_email(tx, &ADA.parse().unwrap()).await);
    assert!(ada.await.is_none());
}

/// Each of [`ACTS_OF_COMMANDS`], and who it is of.
async fn acts_that_no_operation_comes_to_are_told(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user(ADA).await;
    let [revoked, ended] = [None, Some(1)].map(|days| NewApiKey {
        name: "ci".to_owned(),
        scopes: Vec::new(),
        days,
    });
    let revoked = create_person_key(accounts, ada, None, revoked)
        .await
        .unwrap();
    let ended = create_person_key(accounts, ada, None, ended).await.unwrap();
    revoke_person_key(accounts, ada, revoked.row.id)
        .await
        .unwrap();
    let mut known = 0;
    told_since(&desk, OrgId::PLATFORM, &mut known).await;
    let n_known = known;
    let keys = [&revoked, &ended].map(|made| made.key.expose_secret());
    // A text that is no key, and a key that is good, are no acts.
    for key in [keys[0], keys[0], keys[1], "sk_live_nothing", ""] {
        note_denied_key(accounts, key).await.unwrap();
    }
    let told = told_since(&desk, OrgId::PLATFORM, &mut known).await;
    assert_eq!(told, ["api_key_denied"]);
    desk.advance(Duration::from_hours(25));
    note_denied_key(accounts, keys[1]).await.unwrap();
    let last = entries(&desk, OrgId::PLATFORM).await.pop().unwrap();
    assert!(last.value_after.unwrap().contains("expired"));
    let signed_in = desk.sign_in(ADA, PASSWORD, HERE).await.unwrap();
    let token = signed_in.refresh_token.expose_secret();
    refresh_session(accounts, token).await.unwrap();
    desk.advance(Duration::from_secs(60));
    refresh_session(accounts, token).await.unwrap_err();
    desk.sign_in(ADA, "Wrong-Guess-1", HERE).await.unwrap_err();
    // The fiftieth guess, without the work of fifty.
    desk.raw("update sign_in_limits set tries = 50 where scope = 'sign_in_account'")
        .await;
    desk.sign_in(ADA, PASSWORD, "198.51.100.1")
        .await
        .unwrap_err();
    let link = make_operator_token(accounts, ada, TokenPurpose::Verify).await;
    link.unwrap();
    set_user_active(accounts, ada, false).await.unwrap();
    set_user_active(accounts, ada, true).await.unwrap();
    let all = entries(&desk, OrgId::PLATFORM).await;
    let new = &all[n_known..];
    let seen: BTreeSet<AuditAction> = new.iter().map(|entry| entry.action).collect();
    let by_operations = [AuditAction::LoginSuccess, AuditAction::TokenRefresh];
    let expected = ACTS_OF_COMMANDS.into_iter().chain(by_operations);
    assert_eq!(seen, expected.collect());
    for entry in new {
        let is_theirs = entry.actor == Actor::User(ada);
        let by_themselves = by_operations.contains(&entry.action);
        assert_eq!(is_theirs, by_themselves, "{entry:?}");
        let is_refusal = entry.outcome == AuditOutcome::Denied;
        let in_vain = [
            AuditAction::LoginFailed,
            AuditAction::LoginBlockedLockout,
            AuditAction::RefreshTokenReuse,
            AuditAction::ApiKeyDenied,
        ];
        assert_eq!(is_refusal, in_vain.contains(&entry.action), "{entry:?}");
    }
}
