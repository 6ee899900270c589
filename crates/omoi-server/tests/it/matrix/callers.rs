//! Who asks: with no credential, a bad one, from another organisation, with too little, as an agent.

use omoi_accounts::access_token::AccessClaims;
use omoi_accounts::commands::key::{
    NewApiKey, OrganisationKey, create_organisation_key, create_person_key, revoke_person_key,
};
use omoi_accounts::commands::member::MemberAuthority;
use omoi_accounts::commands::role::{RoleDraft, create_role};
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::{OrgId, RoleId, UserId};
use omoi_runtime::clock::Clock as _;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::world::{MatrixWorld, OWNER};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk};

/// The credentials of everybody who asks.
pub(super) struct Callers {
    expired: String,
    revoked: String,
    sandbox: String,
    /// The key of the owner of another organisation.
    pub(super) foreign: String,
    /// A key whose role is changed for each operation.
    pub(super) lower: LowerRole,
    /// The key of an agent at the project of the world.
    pub(super) agent: String,
    /// A key of the owner of the world's organisation, who is no staff.
    pub(super) owner: String,
}

/// A role that is given all but one permission, and a key that has it.
pub(super) struct LowerRole {
    pub(super) role: RoleId,
    pub(super) key: String,
}

fn new_key(scope: &str) -> NewApiKey {
    NewApiKey {
        name: scope.to_owned(),
        scopes: vec![scope.parse().unwrap()],
        days: None,
    }
}

impl Callers {
    pub(super) async fn of_desk(desk: &SignInDesk, world: &MatrixWorld) -> Self {
        let accounts = &desk.accounts;
        let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
        let eve = [(elsewhere, SystemRole::Owner)];
        let eve = desk.add_user("eve@example.org", &eve).await;
        let key_of = async |user: UserId, org: OrgId| {
            let made = create_person_key(accounts, user, Some(org), new_key("*:*")).await;
            made.unwrap()
        };
        let pair = desk.sign_in(OWNER, PASSWORD).await;
        let claims = AccessClaims {
            user: world.owner,
            session: pair.session_id,
            epoch: 0,
        };
        let ended = desk.test.clock.now() - std::time::Duration::from_mins(17);
        let expired = accounts
            .access_tokens
            .sign_token(&claims, Uuid::from_u128(7), ended);
        let revoked = key_of(world.owner, OrgId::LOCAL).await;
        revoke_person_key(accounts, world.owner, revoked.row.id)
            .await
            .unwrap();
        let task = desk.test.add_task(5, &[]).await;
        let sandbox = desk.test.run_task(task.id).await.token;
        desk.test.leaves_open_attempts();
        Self {
            expired: expired.unwrap().expose_secret().to_owned(),
            revoked: revoked.key.expose_secret().to_owned(),
            sandbox,
            foreign: key_of(eve, elsewhere).await.key.expose_secret().to_owned(),
            lower: lower_role(desk, world.owner).await,
            agent: agent_key(desk, world, world.owner).await,
            owner: key_of(world.owner, OrgId::LOCAL)
                .await
                .key
                .expose_secret()
                .to_owned(),
        }
    }

    /// Credentials that let nobody in, and what they are called.
    pub(super) fn refused(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("none", None),
            ("malformed", Some("a.b.c")),
            ("expired", Some(&self.expired)),
            ("revoked", Some(&self.revoked)),
            ("sandbox", Some(&self.sandbox)),
        ]
    }
}

async fn lower_role(desk: &SignInDesk, maker: UserId) -> LowerRole {
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let draft = RoleDraft {
        name: "All but one".to_owned(),
        description: None,
        permissions: vec!["spec:read".parse().unwrap()],
        inherits_from: None,
    };
    let role = create_role(&desk.accounts, operator, draft)
        .await
        .unwrap()
        .id;
    let owner = OrganisationKey::Role(MemberRole::Custom(role));
    let new = NewApiKey {
        name: "all but one".to_owned(),
        scopes: vec!["spec:read".parse().unwrap()],
        days: None,
    };
    let made = create_organisation_key(&desk.accounts, operator, maker, owner, new).await;
    let made = made.unwrap();
    widen_key(desk, made.row.id.to_string()).await;
    LowerRole {
        role,
        key: made.key.expose_secret().to_owned(),
    }
}

/// The scopes of a key are those of its role when it was made: this one has whatever its role has.
async fn widen_key(desk: &SignInDesk, key: String) {
    use omoi_testkit::raw_connection::RawConnection;
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    let sql = format!("update api_keys set scopes = '[\"*:*\"]' where id = '{key}'");
    conn.execute(&sql).await.unwrap();
    conn.close().await.unwrap();
}

async fn agent_key(desk: &SignInDesk, world: &MatrixWorld, maker: UserId) -> String {
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let project = world.row_id("project_id").parse().unwrap();
    let owner = OrganisationKey::Agent(project);
    let made =
        create_organisation_key(&desk.accounts, operator, maker, owner, new_key("spec:read")).await;
    let made = made.unwrap();
    widen_key(desk, made.row.id.to_string()).await;
    made.key.expose_secret().to_owned()
}
