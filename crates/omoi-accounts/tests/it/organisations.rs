//! Organisations: who may be found in a new one, and with what it begins.

use omoi_accounts::commands::organisation::{
    OrganisationDraft, create_organisation, set_agents_max,
};
use omoi_accounts::error::AccountError;
use omoi_accounts::reach::user_reaches;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::money::NanoUsd;
use omoi_store::{StoreError, Tx, memberships, month_budgets, organisations};

use crate::desk::Desk;

both!(whoever_makes_an_organisation_owns_it);

fn draft(name: &str) -> OrganisationDraft {
    OrganisationDraft {
        name: name.to_owned(),
        slug: "acme".parse().unwrap(),
        description: Some("Kettles".to_owned()),
        billing_email: Some("bills@example.org".parse().unwrap()),
    }
}

async fn whoever_makes_an_organisation_owns_it(desk: Desk) {
    let user = desk.add_user("ada@example.org").await;
    let create = async |name: &str| {
        create_organisation(&desk.accounts, Actor::User(user), user, draft(name)).await
    };
    assert!(matches!(create(" \n").await, Err(AccountError::Name(_))));
    let made = create("Acme\r\nInc.").await.unwrap();
    assert_eq!((made.name.as_str(), made.owner_id), ("Acme Inc.", user));
    assert_eq!(made.max_concurrent_agents, Some(5));

    let tenant = desk.accounts.store.tenant(made.id);
    let budgets = tenant.read(async |tx: &mut Tx| {
        let none = tx.new_id();
        month_budgets::of_project(tx, none).await
    });
    let budgets = budgets.await.unwrap();
    let limits: Vec<_> = budgets.iter().map(|budget| budget.limit_nanousd).collect();
    assert_eq!(limits, [NanoUsd::from_dollars(100)]);

    let members = desk.read(async |tx| memberships::list_of_organisation(tx, made.id).await);
    let members = members.await;
    let owner = MemberRole::System(SystemRole::Owner);
    let roles: Vec<_> = members
        .iter()
        .map(|member| (member.user_id, member.role))
        .collect();
    assert_eq!(roles, [(user, owner)]);
    let reaches = user_reaches(&desk.accounts.store, user).await.unwrap();
    assert_eq!(
        reaches.iter().map(|reach| reach.org).collect::<Vec<_>>(),
        [made.id]
    );

    let again = create("Another").await.unwrap_err();
    assert!(
        matches!(again, AccountError::Store(StoreError::Exists { .. })),
        "{again}"
    );
    set_agents_max(&desk.accounts, Actor::System, made.id, 9)
        .await
        .unwrap();
    let all = desk
        .read(async |tx| organisations::list_all(tx).await)
        .await;
    let listed: Vec<_> = all
        .iter()
        .map(|one| {
            (
                one.slug.as_str(),
                one.max_concurrent_agents,
                one.state_version,
            )
        })
        .collect();
    assert_eq!(listed, [("acme", Some(9), 1), ("local", None, 0)]);
}
