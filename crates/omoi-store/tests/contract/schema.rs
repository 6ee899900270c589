//! Migrations: safe to repeat, and one schema on both backends.

use std::collections::BTreeSet;

use omoi_store::StoreError;
use omoi_testkit::raw_connection::RawConnection;

use crate::bench::{Bench, LOCAL};

both!(migrate_twice_and_at_once, seeds_one_organisation);

async fn migrate_twice_and_at_once(bench: Bench) -> Result<(), StoreError> {
    bench.store.migrate().await?;
    let (one, two) = (bench.another().await, bench.another().await);
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first?;
    second?;
    let migrations = bench.store.migrations().await?;
    assert!(!migrations.is_empty());
    assert!(migrations.iter().all(|(_, _, applied)| *applied));
    Ok(())
}

async fn seeds_one_organisation(bench: Bench) -> Result<(), StoreError> {
    let orgs = bench.store.system().organisations().await?;
    let names: Vec<String> = orgs.iter().map(ToString::to_string).collect();
    assert_eq!(names, [LOCAL]);
    Ok(())
}

#[tokio::test]
async fn an_empty_database_is_migrated_by_two_processes_at_once() {
    let database = omoi_testkit::postgres::empty_database();
    let open = async || {
        omoi_store::Store::connect(omoi_store::StoreOptions {
            url: database.url().to_owned(),
            now: None,
            new_uuid: std::sync::Arc::new(uuid::Uuid::nil),
            server: omoi_store::ServerOptions::default(),
        })
        .await
        .unwrap()
    };
    let (one, two) = (open().await, open().await);
    assert!(one.migrations().await.unwrap().iter().all(|m| !m.2));
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first.unwrap();
    second.unwrap();
    assert_eq!(one.system().organisations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn both_backends_have_the_same_schema() {
    let (sqlite, postgres) = (Bench::sqlite().await, Bench::postgres().await);
    let (left, right) = (
        schema_of(sqlite.url()).await,
        schema_of(postgres.url()).await,
    );
    assert!(left.len() > 300, "only {} facts were read", left.len());
    let only_left: Vec<_> = left.difference(&right).collect();
    let only_right: Vec<_> = right.difference(&left).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "only in SQLite: {only_left:#?}\nonly in PostgreSQL: {only_right:#?}"
    );
}

/// Ids, flags and instants are told by their names: none of them hides in a text or a number.
#[tokio::test]
async fn postgres_has_native_types() {
    let bench = Bench::postgres().await;
    let mut conn = RawConnection::open(bench.url()).await.unwrap();
    let columns = "select table_name, column_name, data_type from information_schema.columns
         where table_schema = 'public' and table_name <> '_sqlx_migrations'";
    let columns = lines(&mut conn, columns).await;
    let mut n_checked = 0;
    for column in columns {
        let [table, name, native]: [String; 3] = column.try_into().unwrap();
        let expected = match (table.as_str(), name.as_str()) {
            // The plan's own ids, and what a data folder calls itself.
            (
                _,
                "local_id" | "phase_id" | "previous_phase_id" | "folder_id" | "provider_user_id",
            ) => "text",
            // What a caller calls its request.
            ("audit_log", "request_id") => "text",
            // What an agent program calls its conversation.
            ("attempt_notes", "conversation_id") => "text",
            ("deployment", "id") => "bigint",
            (_, id) if id == "id" || id.ends_with("_id") => "uuid",
            (_, at) if at.ends_with("_at") || at == "not_before" => "timestamp with time zone",
            (_, is) if is.starts_with("is_") || is.starts_with("was_") => "boolean",
            // A transcript goes to the model again as it was: the order of its keys counts.
            ("turns", "response" | "tool_results") => "json",
            ("events", "body") | ("tasks", "files") => "jsonb",
            _ => continue,
        };
        assert_eq!(native, expected, "{table}.{name}");
        n_checked += 1;
    }
    assert!(n_checked > 120, "only {n_checked} columns were looked at");
    conn.close().await.unwrap();
}

async fn lines(conn: &mut RawConnection, sql: &str) -> Vec<Vec<String>> {
    let rows = conn.rows(sql).await.unwrap();
    let texts = |row: Vec<Option<String>>| row.into_iter().map(|value| value.unwrap()).collect();
    rows.into_iter().map(texts).collect()
}

/// One line per column, per index with its columns, and per reference.
pub(crate) async fn schema_of(url: &str) -> BTreeSet<String> {
    match url.starts_with("sqlite:") {
        true => sqlite_schema(url).await,
        false => postgres_schema(url).await,
    }
}

async fn sqlite_schema(url: &str) -> BTreeSet<String> {
    let mut conn = RawConnection::open(url).await.unwrap();
    let tables = lines(
        &mut conn,
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'
         and name <> '_sqlx_migrations' and name not like 'search_text%'",
    )
    .await;
    let mut facts = BTreeSet::new();
    for table in tables.into_iter().flatten() {
        let columns = format!(
            "select name, lower(type), case when \"notnull\" = 1 or pk > 0 then 'not null' else 'null' end,
                 coalesce(dflt_value, '-') from pragma_table_info('{table}')"
        );
        for column in lines(&mut conn, &columns).await {
            // A number that the database gives is called so.
            let column = column.join(" ").replace(" integer ", " bigint ");
            facts.insert(format!("{table}.{column}"));
        }
        let indexes = format!(
            "select name, case when \"unique\" = 1 then 'unique' else 'plain' end,
                 case when partial = 1 then 'partial' else 'whole' end from pragma_index_list('{table}')"
        );
        for index in lines(&mut conn, &indexes).await {
            let columns = lines(
                &mut conn,
                &format!(
                    "select name from pragma_index_info('{}') order by seqno",
                    index[0]
                ),
            )
            .await;
            let columns: Vec<String> = columns.into_iter().flatten().collect();
            facts.insert(format!(
                "{table}({}) {} {}",
                columns.join(","),
                index[1],
                index[2]
            ));
        }
        let references =
            format!("select \"from\", \"table\", \"to\" from pragma_foreign_key_list('{table}')");
        for key in lines(&mut conn, &references).await {
            facts.insert(format!("{table}.{} -> {}.{}", key[0], key[1], key[2]));
        }
    }
    conn.close().await.unwrap();
    facts
}

/// What SQLite has in place of a type of PostgreSQL's own.
fn in_sqlite(native: &str) -> &str {
    match native {
        "uuid" | "json" | "jsonb" => "text",
        "boolean" | "timestamp with time zone" => "bigint",
        "bytea" => "blob",
        same => same,
    }
}

async fn postgres_schema(url: &str) -> BTreeSet<String> {
    let mut conn = RawConnection::open(url).await.unwrap();
    let mut facts = BTreeSet::new();
    let columns = "select table_name::text, column_name::text, data_type::text,
             case when is_nullable = 'NO' then 'not null' else 'null' end,
             replace(replace(coalesce(column_default, '-')::text, '::text', ''), '::jsonb', '')
         from information_schema.columns
         where table_schema = 'public' and table_name <> '_sqlx_migrations' and column_name <> 'word_vector'";
    for column in lines(&mut conn, columns).await {
        let [table, name, native, null, default]: [String; 5] = column.try_into().unwrap();
        let kind = in_sqlite(&native);
        facts.insert(format!("{table}.{name} {kind} {null} {default}"));
    }
    let indexes = "select t.relname::text,
             string_agg(a.attname::text, ',' order by k.n),
             case when i.indisunique then 'unique' else 'plain' end,
             case when i.indpred is null then 'whole' else 'partial' end
         from pg_index i join pg_class t on t.oid = i.indrelid
         join pg_namespace s on s.oid = t.relnamespace
         cross join lateral unnest(i.indkey) with ordinality as k(attnum, n)
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum
         where s.nspname = 'public' and t.relname <> '_sqlx_migrations'
         group by i.indexrelid, t.relname, i.indisunique, i.indpred";
    for index in lines(&mut conn, indexes).await {
        // SQLite finds rows by their numbers without an index.
        if index[1] == "document_no" {
            continue;
        }
        facts.insert(format!(
            "{}({}) {} {}",
            index[0], index[1], index[2], index[3]
        ));
    }
    let references = "select t.relname::text, a.attname::text, f.relname::text, b.attname::text
         from pg_constraint c join pg_class t on t.oid = c.conrelid
         join pg_class f on f.oid = c.confrelid
         cross join lateral unnest(c.conkey, c.confkey) as k(own, other)
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.own
         join pg_attribute b on b.attrelid = f.oid and b.attnum = k.other
         where c.contype = 'f'";
    for key in lines(&mut conn, references).await {
        facts.insert(format!("{}.{} -> {}.{}", key[0], key[1], key[2], key[3]));
    }
    conn.close().await.unwrap();
    facts
}
