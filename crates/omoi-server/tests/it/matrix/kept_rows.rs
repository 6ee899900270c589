//! The rows of a deployment as they were, what of them changed, and how they are put back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use omoi_domain::id::OrgId;
use omoi_testkit::raw_connection::RawConnection;

/// Tables that only grow: what was refused is written there, too, and no row of them is ever taken back.
const GROWING: [&str; 2] = ["audit_log", "audit_heads"];
/// Columns that anybody who is known writes, whether they are let in or not.
const OF_EVERY_REQUEST: [(&str, &str); 1] = [("api_keys", "last_used_at")];

/// A table with all that can be written of it.
struct KeptTable {
    name: String,
    /// Its columns as they stand in statements.
    columns: Vec<String>,
}

/// A digest of each table: of all its rows, and of those of the organisation of the world.
pub(crate) type RowDigests = BTreeMap<String, TableDigest>;

/// A digest of the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableDigest {
    all: String,
    of_world: String,
}

/// Whose rows are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsOf {
    Everybody,
    World,
}

/// A copy of all rows, on a connection of its own.
pub(crate) struct KeptRows {
    conn: RawConnection,
    tables: Vec<KeptTable>,
    /// As they were when they were copied.
    digests: RowDigests,
    /// As they were when they were last looked at.
    seen: RowDigests,
}

impl KeptRows {
    /// Copies the rows of the database at `url`.
    pub(crate) async fn copy_all(url: &str) -> Self {
        let mut conn = RawConnection::open(url).await.unwrap();
        let tables = read_tables(&mut conn).await;
        assert!(tables.len() > 40, "{}", tables.len());
        let mut copy = match conn {
            RawConnection::Sqlite(_) => "attach database ':memory:' as kept;".to_owned(),
            RawConnection::Postgres(_) => "create schema kept;".to_owned(),
        };
        for KeptTable { name, columns } in &tables {
            let columns = columns.join(", ");
            let here = own_schema(&conn);
            let _ = write!(
                copy,
                "create table kept.{name} as select {columns} from {here}.{name};"
            );
        }
        if let RawConnection::Postgres(_) = conn {
            copy += &touch_triggers(&tables);
        }
        conn.execute(&copy).await.unwrap();
        let mut kept = Self {
            conn,
            tables,
            digests: RowDigests::new(),
            seen: RowDigests::new(),
        };
        kept.digests = kept.read_digests().await;
        kept
    }

    /// The rows as they are now.
    pub(crate) async fn read_digests(&mut self) -> RowDigests {
        let changed = match self.conn {
            RawConnection::Postgres(_) => self.take_touched().await,
            RawConnection::Sqlite(_) => None,
        };
        let is_known = |table: &KeptTable, seen: &RowDigests| {
            let touched = changed.as_ref();
            seen.contains_key(&table.name) && touched.is_some_and(|of| !of.contains(&table.name))
        };
        for table in &self.tables {
            if is_known(table, &self.seen) {
                continue;
            }
            let digest = match self.conn {
                RawConnection::Postgres(_) => {
                    let mut rows = self.conn.rows(&postgres_digest(table)).await.unwrap();
                    let digests = rows.pop().unwrap();
                    let [all, of_world]: [Option<String>; 2] = digests.try_into().unwrap();
                    TableDigest {
                        all: all.unwrap(),
                        of_world: of_world.unwrap(),
                    }
                }
                RawConnection::Sqlite(_) => {
                    sqlite_digest(self.conn.rows(&sqlite_rows(table)).await.unwrap())
                }
            };
            self.seen.insert(table.name.clone(), digest);
        }
        self.seen.clone()
    }

    /// The tables that statements were about since this was asked last.
    async fn take_touched(&mut self) -> Option<BTreeSet<String>> {
        let taken = "delete from kept.touched returning name";
        let touched = self.conn.texts(taken).await.unwrap();
        Some(touched.into_iter().collect())
    }

    /// Puts back every row of the tables that are not as they were when they were copied.
    pub(crate) async fn put_back(&mut self, now: &RowDigests) {
        let here = own_schema(&self.conn);
        let (begin, insert) = match self.conn {
            RawConnection::Sqlite(_) => ("pragma foreign_keys = off; begin immediate;", ""),
            RawConnection::Postgres(_) => (
                "begin; set local session_replication_role = replica;",
                "overriding system value",
            ),
        };
        let mut undo = begin.to_owned();
        for KeptTable { name, columns } in &self.tables {
            if self.digests.get(name) == now.get(name) {
                continue;
            }
            let columns = columns.join(", ");
            let guards = read_guards(&mut self.conn, name).await;
            for [guard, _] in &guards {
                let _ = write!(undo, "drop trigger main.{guard};");
            }
            let _ = write!(
                undo,
                "delete from {here}.{name};
                 insert into {here}.{name} ({columns}) {insert} select {columns} from kept.{name};"
            );
            for [_, sql] in &guards {
                let _ = write!(undo, "{sql};");
            }
        }
        undo += "commit;";
        if *now != self.digests {
            self.conn.execute(&undo).await.unwrap();
            self.seen.clone_from(&self.digests);
        }
    }

    /// The same, whatever they are now.
    pub(crate) async fn put_all_back(&mut self) {
        let now = self.read_digests().await;
        self.put_back(&now).await;
    }
}

/// The triggers that keep rows of `table` as they are, with the SQL of each, on SQLite: on PostgreSQL a replica has none.
async fn read_guards(conn: &mut RawConnection, table: &str) -> Vec<[String; 2]> {
    let RawConnection::Sqlite(_) = conn else {
        return Vec::new();
    };
    let guards = format!(
        "select name, sql from main.sqlite_master where type = 'trigger' and tbl_name = '{table}'"
    );
    let rows = conn.rows(&guards).await.unwrap().into_iter();
    let texts = rows.map(|row| row.into_iter().map(Option::unwrap).collect::<Vec<_>>());
    texts.map(|row| row.try_into().unwrap()).collect()
}

/// The tables whose rows differ.
pub(crate) fn changed_tables(before: &RowDigests, now: &RowDigests, of: RowsOf) -> Vec<String> {
    let part = |digest: Option<&TableDigest>| match of {
        RowsOf::Everybody => digest.map(|digest| digest.all.clone()),
        RowsOf::World => digest.map(|digest| digest.of_world.clone()),
    };
    let changed = now
        .iter()
        .filter(|(name, digest)| part(before.get(*name)) != part(Some(digest)));
    changed.map(|(name, _)| name.clone()).collect()
}

fn own_schema(conn: &RawConnection) -> &'static str {
    match conn {
        RawConnection::Sqlite(_) => "main",
        RawConnection::Postgres(_) => "public",
    }
}

/// Every table that holds rows of ours, but those that only grow.
async fn read_tables(conn: &mut RawConnection) -> Vec<KeptTable> {
    let columns = match conn {
        RawConnection::Sqlite(_) => {
            "select t.name, '\"' || c.name || '\"' from pragma_table_list t, pragma_table_xinfo(t.name) c
             where t.schema = 'main' and t.type = 'table' and c.hidden = 0
             and t.name not like 'sqlite_%' and t.name not like '_sqlx%' order by t.name, c.cid"
        }
        RawConnection::Postgres(_) => {
            "select c.table_name::text, quote_ident(c.column_name::text) from information_schema.columns c
             join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
             where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER'
             and c.table_name not like '\\_sqlx%' order by c.table_name, c.ordinal_position"
        }
    };
    let mut tables: Vec<KeptTable> = Vec::new();
    for row in conn.rows(columns).await.unwrap() {
        let [name, column]: [Option<String>; 2] = row.try_into().unwrap();
        let (name, column) = (name.unwrap(), column.unwrap());
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(KeptTable {
                name,
                columns: vec![column],
            }),
        }
    }
    tables.retain(|table| !GROWING.contains(&table.name.as_str()));
    tables
}

impl KeptTable {
    /// The columns whose values are compared.
    fn compared_columns(&self) -> impl Iterator<Item = &str> {
        let is_noise = |column: &str| OF_EVERY_REQUEST.contains(&(self.name.as_str(), column));
        let columns = self.columns.iter().map(String::as_str);
        columns.filter(move |column| !is_noise(column.trim_matches('"')))
    }

    /// Whose a row is, as a condition.
    fn is_of_world(&self) -> String {
        let mut columns = self.columns.iter();
        match columns.any(|column| column.trim_matches('"') == "org_id") {
            true => format!("org_id = '{}'", OrgId::LOCAL),
            false => "false".to_owned(),
        }
    }
}

/// Triggers that note each table a statement is about, so that the others are not looked at. They do not run where rows are put
/// back.
fn touch_triggers(tables: &[KeptTable]) -> String {
    let mut triggers = "create table kept.touched (name text not null);
         create function kept.note_touch() returns trigger language plpgsql security definer as
         $touch$ begin insert into kept.touched values (tg_table_name); return null; end $touch$;"
        .to_owned();
    for KeptTable { name, .. } in tables {
        let _ = write!(
            triggers,
            "create trigger note_touch after insert or update or delete on public.{name}
             for each statement execute function kept.note_touch();"
        );
    }
    triggers
}

fn postgres_digest(table: &KeptTable) -> String {
    let name = &table.name;
    let columns = table.compared_columns().collect::<Vec<_>>().join(", ");
    let is_of_world = table.is_of_world();
    format!(
        "select md5(coalesce(string_agg(line, '|' order by line), '')),
             md5(coalesce(string_agg(line, '|' order by line) filter (where is_own), ''))
         from (select row({columns})::text as line, {is_of_world} as is_own from public.{name}) as lines"
    )
}

/// Each row as one text, and whose it is; a value may be bytes.
fn sqlite_rows(table: &KeptTable) -> String {
    let quoted = table.compared_columns();
    let quoted: Vec<String> = quoted.map(|column| format!("quote({column})")).collect();
    format!(
        "select {}, cast({} as text) from main.{} order by 1",
        quoted.join(" || '|' || "),
        table.is_of_world(),
        table.name
    )
}

fn sqlite_digest(rows: Vec<Vec<Option<String>>>) -> TableDigest {
    let (mut all, mut of_world) = (DefaultHasher::new(), DefaultHasher::new());
    for row in rows {
        row[0].hash(&mut all);
        if row[1].as_deref() == Some("1") {
            row[0].hash(&mut of_world);
        }
    }
    TableDigest {
        all: all.finish().to_string(),
        of_world: of_world.finish().to_string(),
    }
}
