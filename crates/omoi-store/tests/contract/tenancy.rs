//! Every table is of organisations or named as one that is not, and a server keeps organisations apart by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use omoi_domain::id::OrgId;
use omoi_store::{ServerOptions, Store, StoreError, StoreOptions};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::earlier_release::ReleasedData;
use omoi_testkit::raw_connection::RawConnection;
use uuid::Uuid;

use crate::bench::{Bench, LOCAL};
use crate::schema::schema_of;

/// Tables whose rows are looked up before an organisation is known, or belong to none. At most 15.
const GLOBAL: &[&str] = &[
    "api_keys",
    "attempt_tokens",
    "closed_credentials",
    "deployment",
    "invitations",
    "mail_intents",
    "memberships",
    "one_time_tokens",
    "organisations",
    "request_keys",
    "sessions",
    "sign_in_limits",
    "staff_entries",
    "user_identities",
    "users",
];
/// Tables whose rows are never changed: the role that serves may not.
const APPEND_ONLY: &[&str] = &["audit_log"];
/// Tables whose rows are changed and never removed.
const KEPT: &[&str] = &["audit_heads"];
/// An organisation that owns nothing.
const OTHER: &str = "01930000-0000-7000-8000-00000000ffff";

#[tokio::test]
async fn every_table_is_of_organisations_or_named() {
    assert!(GLOBAL.len() <= 15, "{GLOBAL:?}");
    for bench in [Bench::sqlite().await, Bench::postgres().await] {
        let facts = schema_of(bench.url()).await;
        let columns = facts.iter().filter_map(|fact| fact.split_once('.'));
        let mut has_org: BTreeMap<&str, bool> = BTreeMap::new();
        for (table, column) in columns.filter(|(table, _)| !table.contains('(')) {
            *has_org.entry(table).or_default() |= column.starts_with("org_id text not null");
        }
        let without: BTreeSet<&str> = has_org
            .iter()
            .filter(|(_, has)| !**has)
            .map(|(t, _)| *t)
            .collect();
        let named: BTreeSet<&str> = GLOBAL.iter().copied().collect();
        let unnamed: Vec<_> = without.difference(&named).collect();
        assert!(unnamed.is_empty(), "without an organisation: {unnamed:?}");
        assert!(
            has_org.len() > 30,
            "only {} tables were read",
            has_org.len()
        );
    }
}

/// A database with rows in many tables, and a connection that does as the platform's do.
struct ServedDatabase {
    database: TestDatabase,
    conn: RawConnection,
}

impl ServedDatabase {
    async fn new() -> Self {
        let database = omoi_testkit::postgres::empty_database();
        ReleasedData::HalfDone.restore_into(&database).await;
        let store = open(database.url()).await;
        store.migrate().await.unwrap();
        store.close().await;
        let mut conn = RawConnection::open(database.url()).await.unwrap();
        conn.execute("set role omoi_app").await.unwrap();
        Self { database, conn }
    }

    /// Every table of organisations, with its rows as the owner sees them.
    async fn tenant_tables(&self) -> BTreeMap<String, i64> {
        let mut owner = RawConnection::open(self.database.url()).await.unwrap();
        let tables = owner
            .texts(
                "select c.table_name::text from information_schema.columns c
                 where c.table_schema = 'public' and c.column_name = 'org_id'",
            )
            .await
            .unwrap();
        let mut counted = BTreeMap::new();
        for table in tables
            .into_iter()
            .filter(|table| !GLOBAL.contains(&table.as_str()))
        {
            let n_rows = owner
                .texts(&format!("select count(*) from {table}"))
                .await
                .unwrap();
            counted.insert(table, n_rows[0].parse().unwrap());
        }
        assert!(counted.len() > 25, "only {counted:?}");
        counted
    }

    /// Serves `org` from now on, or nobody.
    async fn serve(&mut self, org: Option<&str>) {
        let set = match org {
            Some(org) => format!("set app.org_id = '{org}'"),
            None => "reset app.org_id".to_owned(),
        };
        self.conn.execute(&set).await.unwrap();
    }

    /// How many rows of `table` a read, an update and a delete touch.
    async fn touched(&mut self, table: &str) -> [i64; 3] {
        let statements = [
            format!("select count(*) from {table}"),
            format!(
                "with t as (update {table} set org_id = org_id returning 1) select count(*) from t"
            ),
            format!("with t as (delete from {table} returning 1) select count(*) from t"),
        ];
        let mut counts = [0; 3];
        for (at, statement) in statements.iter().enumerate() {
            let told = self.conn.texts(statement).await;
            let is_delete = at == 2;
            if at > 0 && APPEND_ONLY.contains(&table) || is_delete && KEPT.contains(&table) {
                let refused = told.unwrap_err().to_string();
                assert!(refused.contains("permission denied"), "{table}: {refused}");
                continue;
            }
            counts[at] = told.unwrap()[0].parse().unwrap();
        }
        counts
    }
}

async fn open(url: &str) -> Store {
    let options = StoreOptions {
        url: url.to_owned(),
        now: None,
        new_uuid: Arc::new(Uuid::nil),
        server: ServerOptions::default(),
    };
    Store::connect(options).await.unwrap()
}

/// Rows of some tables are made by no earlier release, so that a missing policy would show nowhere else.
#[tokio::test]
async fn every_table_of_organisations_forces_its_policy() {
    let served = ServedDatabase::new().await;
    let mut owner = RawConnection::open(served.database.url()).await.unwrap();
    let forced = owner
        .texts(
            "select c.relname::text from pg_class c join pg_policies p on p.tablename = c.relname
             where c.relkind = 'r' and c.relrowsecurity and c.relforcerowsecurity
             group by c.relname
             having array_agg(p.policyname::text order by p.policyname) = '{migrations,tenant}'",
        )
        .await
        .unwrap();
    let forced: BTreeSet<String> = forced.into_iter().collect();
    let tenant: BTreeSet<String> = served.tenant_tables().await.into_keys().collect();
    assert_eq!(forced, tenant);
}

#[tokio::test]
async fn rows_of_another_organisation_are_not_there() {
    let mut served = ServedDatabase::new().await;
    let tables = served.tenant_tables().await;
    for org in [Some(OTHER), None] {
        served.serve(org).await;
        for table in tables.keys() {
            assert_eq!(
                served.touched(table).await,
                [0, 0, 0],
                "{table} for {org:?}"
            );
        }
        let joined = "select count(*) from organisations o join specs s on s.org_id = o.id
             join tasks t on t.spec_id = s.id join attempts a on a.task_id = t.id";
        assert_eq!(served.conn.texts(joined).await.unwrap(), ["0"]);
    }
    served.serve(Some(LOCAL)).await;
    for (table, n_rows) in &tables {
        let seen = served
            .conn
            .texts(&format!("select count(*) from {table}"))
            .await;
        assert_eq!(seen.unwrap(), [n_rows.to_string()], "{table}");
    }
    let with_rows = tables.values().filter(|n_rows| **n_rows > 0).count();
    assert!(with_rows > 20, "only {with_rows} tables have rows");
}

#[tokio::test]
async fn rows_cannot_be_given_to_another_organisation() {
    let mut served = ServedDatabase::new().await;
    let tables = served.tenant_tables().await;
    let mut owner = RawConnection::open(served.database.url()).await.unwrap();
    let refused = async |conn: &mut RawConnection, sql: &str| {
        let error = conn.execute(sql).await.unwrap_err().to_string();
        assert!(
            error.contains("violates row-level security policy"),
            "{sql}: {error}"
        );
    };
    for (table, _) in tables.iter().filter(|(_, n_rows)| **n_rows > 0) {
        let row = format!("select to_jsonb(t)::text from {table} t limit 1");
        let row = owner
            .texts(&row)
            .await
            .unwrap()
            .remove(0)
            .replace('\'', "''");
        // What the server makes by itself is given to no row.
        let columns = owner
            .texts(&format!(
                "select string_agg(column_name, ', ') from information_schema.columns
                 where table_schema = 'public' and table_name = '{table}'
                 and is_identity = 'NO' and is_generated = 'NEVER'"
            ))
            .await
            .unwrap()
            .remove(0);
        let insert = format!(
            "insert into {table} ({columns}) select {columns}
             from jsonb_populate_record(null::{table}, '{row}')"
        );
        served.serve(Some(OTHER)).await;
        refused(&mut served.conn, &insert).await;
        served.serve(Some(LOCAL)).await;
        let give = format!("update {table} set org_id = '{OTHER}'");
        refused(&mut served.conn, &give).await;
    }
}

#[tokio::test]
async fn a_role_that_could_bypass_is_refused() {
    let database = omoi_testkit::postgres::empty_database();
    let store = open(database.url()).await;
    store.migrate().await.unwrap();
    let mut owner = RawConnection::open(database.url()).await.unwrap();
    // Roles are of the whole server, which other tests use: a table is of this database alone.
    owner
        .execute("create table public.owned (n bigint); alter table owned owner to omoi_app")
        .await
        .unwrap();
    let error = store.migrate().await.unwrap_err();
    let StoreError::RoleMayBypass { role, why } = error else {
        panic!("{error}")
    };
    assert_eq!((role.as_str(), why.as_str()), ("omoi_app", "owns tables"));
    owner.execute("drop table owned").await.unwrap();
    store.migrate().await.unwrap();
}

/// The user of a deployment is no superuser, and owns what it migrates.
#[tokio::test]
async fn a_plain_owner_migrates_and_serves() {
    let database = omoi_testkit::postgres::empty_database();
    ReleasedData::Finished.restore_into(&database).await;
    let mut admin = RawConnection::open(database.url()).await.unwrap();
    let name = database.url().rsplit('/').next().unwrap();
    let owner = format!("owner_{name}");
    admin
        .execute(&format!(
            "create role {owner} login password 'x';
             grant all on database {name} to {owner}; grant all on schema public to {owner};
             do $$ declare t text; begin
                 for t in select tablename from pg_tables where schemaname = 'public' loop
                     execute format('alter table %I owner to {owner}', t);
                 end loop;
             end $$"
        ))
        .await
        .unwrap();
    let (_, server) = database.url().rsplit_once('@').unwrap();
    let store = open(&format!("postgres://{owner}:x@{server}")).await;
    let refused = store.migrate().await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NoRight { version: 5, .. }),
        "{refused:?}"
    );

    // Roles are of the whole server: one that was there before is granted to this user alone.
    let made = "do $$ begin create role omoi_app nologin;
         exception when duplicate_object or unique_violation then null; end $$";
    admin.execute(made).await.unwrap();
    admin
        .execute(&format!("grant omoi_app to {owner}"))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let local: OrgId = LOCAL.parse().unwrap();
    let head = async |org| {
        let tenant = store.tenant(org);
        let events = tenant.read(async |tx| omoi_store::events::after(tx, 0).await);
        events.await.unwrap().len()
    };
    assert_eq!(head(local).await, 500);
    assert_eq!(head(OTHER.parse().unwrap()).await, 0);
    // What a later migration does to rows reaches all of them.
    let mut migrating = RawConnection::open(&format!("postgres://{owner}:x@{server}"))
        .await
        .unwrap();
    let seen = migrating.texts("select count(*) from specs").await.unwrap();
    assert_eq!(seen, ["1"]);
    migrating.close().await.unwrap();
    store.close().await;
    let dropped = format!("drop owned by {owner} cascade; drop role {owner}");
    admin.execute(&dropped).await.unwrap();
}

/// The user of a managed server: it is no superuser, its tables lie in a schema of its own name, and it is a member of the
/// role as whoever made it is, who may give the role to users and not become it.
#[tokio::test]
async fn an_owner_with_a_schema_of_its_own_migrates_and_serves() {
    let database = omoi_testkit::postgres::empty_database();
    let mut admin = RawConnection::open(database.url()).await.unwrap();
    let name = database.url().rsplit('/').next().unwrap();
    let owner = format!("schema_{name}");
    admin
        .execute(&format!(
            "create role {owner} login createrole password 'x'; grant all on database {name} to {owner};
             create schema authorization {owner}; revoke all on schema public from public;
             do $$ begin create role omoi_app nologin;
             exception when duplicate_object or unique_violation then null; end $$;
             grant omoi_app to {owner} with admin true, inherit false, set false"
        ))
        .await
        .unwrap();
    let (_, server) = database.url().rsplit_once('@').unwrap();
    let store = open(&format!("postgres://{owner}:x@{server}")).await;
    store.migrate().await.unwrap();
    // The second start asks for the role again.
    store.migrate().await.unwrap();
    let local: OrgId = LOCAL.parse().unwrap();
    let tenant = store.tenant(local);
    let events = tenant.read(async |tx| omoi_store::events::after(tx, 0).await);
    assert!(events.await.unwrap().is_empty());
    let place = "select distinct table_schema::text from information_schema.tables where table_name = 'events'";
    assert_eq!(admin.texts(place).await.unwrap(), [owner.as_str()]);

    // A grant that was taken back is told at the start, and not by every request.
    admin
        .execute(&format!("revoke omoi_app from {owner} cascade"))
        .await
        .unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NoRight { version: 5, .. }),
        "{refused:?}"
    );
    store.close().await;
    let dropped = format!("drop owned by {owner} cascade; drop role {owner}");
    admin.execute(&dropped).await.unwrap();
}
