//! The permissions of the system's roles, each through an operation that asks for it: a role is let in exactly where it has
//! the permission.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use axum::http::{Method, Request};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use serde_json::Value;

use crate::matrix::{Asked, KeptRows, MatrixWorld};
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(a_role_is_let_in_exactly_where_it_has_the_permission);

/// What no operation asks for yet, or asks for only beside another permission.
const OF_NO_OPERATION: [Permission; 22] = [
    Permission::OrgLimitsWrite,
    Permission::BillingSummaryRead,
    Permission::BillingRead,
    Permission::BillingWrite,
    Permission::BillingLifetime,
    Permission::TicketForce,
    Permission::TicketDelete,
    Permission::TaskCompleteExecute,
    Permission::SandboxWrite,
    Permission::SandboxTerminate,
    Permission::MemoryRead,
    Permission::MemoryWrite,
    Permission::MemoryCurate,
    Permission::MonitorRead,
    Permission::MonitorIntervene,
    Permission::MonitorConfigure,
    Permission::AlertAck,
    Permission::McpRead,
    Permission::McpInvoke,
    Permission::McpAdmin,
    Permission::DocumentRead,
    Permission::DocumentWrite,
];

/// How an operation is asked without anything coming of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    /// It only reads.
    Look,
    /// Its body is no JSON, which is found out once the caller is let in.
    BrokenBody,
    /// It is done, and taken back.
    Done,
}

fn harm_of(operation: &Described) -> Harm {
    match (&operation.method, operation.body_media()) {
        (&Method::GET, _) => Harm::Look,
        (_, Some("application/json")) => Harm::BrokenBody,
        _ => Harm::Done,
    }
}

/// An operation that asks for `permission`: the one that does least.
fn operation_of(operations: &[Described], permission: Permission) -> Option<&Described> {
    let asks = |operation: &&Described| {
        operation.path.starts_with("/api/v1/")
            && Permission::parse(operation.permission()) == Some(permission)
    };
    operations
        .iter()
        .filter(asks)
        .min_by_key(|operation| harm_of(operation))
}

/// The token of a new member with `role`.
async fn token_of(desk: &SignInDesk, role: SystemRole) -> String {
    let name = role.as_str().replace('_', "-");
    let address = format!("{name}@roles.example.org");
    desk.add_user(&address, &[(OrgId::LOCAL, role)]).await;
    desk.sign_in(&address, PASSWORD).await.access_token
}

async fn ask_as(
    desk: &SignInDesk,
    world: &MatrixWorld,
    operation: &Described,
    token: &str,
) -> (u16, Value) {
    let asked = Asked::of_world(desk, world, (operation, None));
    let path = asked.path_below_root(false);
    let body = match harm_of(operation) {
        Harm::BrokenBody => Body::from("["),
        Harm::Look | Harm::Done => Body::empty(),
    };
    let request = Request::builder()
        .method(&operation.method)
        .uri(format!("/api/v1{path}"))
        .header(HOST, "127.0.0.1:8000")
        .header(CONTENT_TYPE, "application/json")
        .header(IF_MATCH, "*")
        .header(AUTHORIZATION, format!("Bearer {token}"));
    desk.send(request.body(body).unwrap()).await
}

async fn a_role_is_let_in_exactly_where_it_has_the_permission(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let mut callers = Vec::new();
    for role in SystemRole::ALL.iter().copied() {
        callers.push((role, token_of(&desk, role).await));
    }
    let mut rows = KeptRows::copy_all(desk.test.database_url()).await;
    let operations = described(&description());
    let mut of_none = BTreeSet::new();
    let mut wrong = Vec::new();
    for permission in Permission::ALL.iter().copied() {
        let Some(operation) = operation_of(&operations, permission) else {
            of_none.insert(permission);
            continue;
        };
        for (role, token) in &callers {
            let has_it = role.permission_set().contains(permission);
            let (status, told) = ask_as(&desk, &world, operation, token).await;
            let is_right = match has_it {
                true => !matches!(status, 401 | 403 | 404 | 429 | 500..),
                false => {
                    status == 403
                        && told["error"] == "forbidden"
                        && told["permission"] == permission.as_str()
                }
            };
            if !is_right {
                let name = operation.name();
                let role = role.as_str();
                wrong.push(format!("{name} by {role}, {has_it}: {status} {told}"));
            }
            if has_it && harm_of(operation) == Harm::Done {
                rows.put_all_back().await;
                // What was looked up before is not believed for longer.
                desk.test.advance_clock(6);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(of_none, BTreeSet::from(OF_NO_OPERATION));
}
