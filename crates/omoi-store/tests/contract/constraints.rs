//! Every check and every key refuses a row that violates it. The databases say which there are: closed sets, flags,
//! numbers and keys have their cases by themselves, and a check over several columns without a case fails.

use std::collections::{BTreeMap, BTreeSet};

use omoi_store::StoreError;
use omoi_testkit::raw_connection::RawConnection;

use crate::bench::Bench;

both!(every_constraint_refuses_a_row);

/// Values of some columns, as SQL. `@row` is an id that no row has, `@now` an instant.
type Given = &'static [(&'static str, &'static str)];

/// What rows of tables hold whose checks compare columns: without more, such a row is let in.
const WELL_FORMED: &[(&str, Given)] = &[
    ("api_keys", &[("kind", "'person'"), ("user_id", "@row")]),
    ("approvals", &[("ticket_id", "@row")]),
    ("attempts", &[("subject", "'base_suite'")]),
    ("cost_entries", &[("purpose", "'judge'")]),
    (
        "egress_entries",
        &[("digest", "'d'"), ("packages_layer", "'l'")],
    ),
    ("events", &[("actor_kind", "'system'")]),
    ("mail_intents", &[("user_id", "@row")]),
    ("open_calls", &[("purpose", "'judge'")]),
    ("phase_artifacts", &[("content", "'text'")]),
];

/// Rows that violate one check over several columns, or one column's where the others of the table must fit it.
const BROKEN: &[(&str, Given)] = &[
    ("api_keys", &[("user_id", "null"), ("org_id", "@row")]),
    (
        "api_keys",
        &[
            ("kind", "'agent'"),
            ("user_id", "null"),
            ("project_id", "@row"),
        ],
    ),
    ("api_keys", &[("project_id", "@row")]),
    ("api_keys", &[("role", "'member'")]),
    (
        "api_keys",
        &[("kind", "'none'"), ("user_id", "null"), ("org_id", "@row")],
    ),
    (
        "api_keys",
        &[
            ("kind", "'organization'"),
            ("user_id", "null"),
            ("org_id", "@row"),
            ("role", "'none'"),
        ],
    ),
    ("approvals", &[("spec_id", "@row")]),
    ("approvals", &[("ticket_id", "null")]),
    ("approvals", &[("gate_phase", "'PHASE_DONE'")]),
    ("approvals", &[("target_phase", "'PHASE_DONE'")]),
    ("approvals", &[("question", "'why'")]),
    ("approvals", &[("task_id", "@row"), ("attempt_id", "@row")]),
    ("approvals", &[("merge_id", "@row")]),
    (
        "approvals",
        &[
            ("kind", "'phase_gate'"),
            ("question", "'q'"),
            ("gate_phase", "'none'"),
            ("target_phase", "'PHASE_DONE'"),
        ],
    ),
    (
        "approvals",
        &[
            ("kind", "'phase_gate'"),
            ("question", "'q'"),
            ("gate_phase", "'PHASE_DONE'"),
            ("target_phase", "'none'"),
        ],
    ),
    ("attempts", &[("subject", "'task'")]),
    ("attempts", &[("subject", "'merge'")]),
    ("attempts", &[("subject", "'spec_phase'")]),
    ("cost_entries", &[("attempt_id", "@row")]),
    ("cost_entries", &[("unrecorded", "true")]),
    ("egress_entries", &[("reason", "'r'")]),
    ("egress_entries", &[("digest", "null")]),
    ("egress_entries", &[("spec_id", "@row")]),
    ("egress_entries", &[("packages_layer", "null")]),
    (
        "egress_entries",
        &[("outcome", "'none'"), ("digest", "null")],
    ),
    ("events", &[("actor_id", "@row")]),
    ("invitations", &[("custom_role_id", "@row")]),
    ("mail_intents", &[("invitation_id", "@row")]),
    ("mail_intents", &[("user_id", "null")]),
    ("memberships", &[("custom_role_id", "@row")]),
    ("one_time_tokens", &[("purpose", "'provider_flow'")]),
    ("open_calls", &[("attempt_id", "@row")]),
    ("phase_artifacts", &[("percent", "7")]),
    (
        "phase_artifacts",
        &[("content", "null"), ("percent", "101")],
    ),
    ("projects", &[("archived_at", "@now")]),
    ("sessions", &[("revoked_at", "@now")]),
    (
        "sessions",
        &[("revoked_at", "@now"), ("revoke_reason", "'none'")],
    ),
    ("tasks", &[("status", "'blocked'")]),
    ("tasks", &[("blocked_by_id", "@row")]),
    ("tickets", &[("status", "'done'")]),
];

/// What rows of an index hold that has some rows of its table only, or columns that fit one kind of row.
const INDEXED: &[(&str, &str, Given)] = &[
    (
        "approvals",
        "project_id",
        &[
            ("kind", "'repository_trust'"),
            ("ticket_id", "null"),
            ("question", "'q'"),
        ],
    ),
    (
        "approvals",
        "spec_id,kind",
        &[("kind", "'spec_design'"), ("ticket_id", "null")],
    ),
    (
        "approvals",
        "task_id",
        &[
            ("kind", "'question'"),
            ("question", "'q'"),
            ("attempt_id", "@row"),
        ],
    ),
    ("attempts", "merge_id", &[("subject", "'merge'")]),
    (
        "attempts",
        "spec_id,phase",
        &[("subject", "'spec_phase'"), ("phase", "'p'")],
    ),
    ("attempts", "task_id,subject", &[("subject", "'task'")]),
    (
        "egress_entries",
        "attempt_id,target,detail,digest",
        &[("packages_layer", "null"), ("spec_id", "@row")],
    ),
    (
        "receipts",
        "check_id,commit_sha,stage",
        &[("passed", "true")],
    ),
    (
        "workflow_results",
        "ticket_id",
        &[("status", "'validated'")],
    ),
];

/// Constraints that another one refuses rows for first, so that no error names them.
const IMPLIED: &[&str] = &[
    // The numbers of acts: a guard speaks first on SQLite.
    "audit_log(org_id,seq)",
    // The primary key is the first column of the other, so that either answers for both.
    "checks(id)",
    "checks(id,kind)",
    "checks_id_kind_key",
    "checks_pkey",
    // A phase has statuses of its own, which are all that there are.
    "tickets_phase_id_check",
    "tickets_status_check",
];

/// A column as a database holds it.
struct ProbedColumn {
    name: String,
    native: String,
    /// Whether a row without it is refused.
    is_required: bool,
}

/// A check as a database holds it.
struct ProbedCheck {
    table: String,
    /// What errors call it.
    name: String,
    condition: String,
    columns: BTreeSet<String>,
}

impl ProbedCheck {
    fn is_flag(&self) -> bool {
        self.condition.contains("false, true")
    }

    /// A value that its only column may have.
    fn allowed(&self) -> String {
        if self.is_flag() {
            return "false".to_owned();
        }
        let word = self.condition.split('\'').nth(1);
        word.map_or_else(|| "1".to_owned(), |word| format!("'{word}'"))
    }

    /// A value that its only column may not have. PostgreSQL's flags have no such value.
    fn refused(&self, is_sqlite: bool) -> Option<&'static str> {
        match self.is_flag() {
            true => is_sqlite.then_some("2"),
            false if self.condition.contains('\'') => Some("'no such word'"),
            false => Some("-1"),
        }
    }
}

/// Columns of which at most one row has the same values.
struct ProbedKey {
    table: String,
    /// What errors call it.
    name: String,
    columns: Vec<String>,
}

/// A database, what it says that it refuses, and what was seen refused.
struct ConstraintProbe {
    conn: RawConnection,
    is_sqlite: bool,
    tables: BTreeMap<String, Vec<ProbedColumn>>,
    checks: Vec<ProbedCheck>,
    keys: Vec<ProbedKey>,
    n_values: u64,
    seen: BTreeSet<String>,
    n_cases: usize,
}

impl ConstraintProbe {
    async fn open(url: &str) -> Self {
        let mut probe = Self {
            conn: RawConnection::open(url).await.unwrap(),
            is_sqlite: url.starts_with("sqlite:"),
            tables: BTreeMap::new(),
            checks: Vec::new(),
            keys: Vec::new(),
            n_values: 0,
            seen: BTreeSet::new(),
            n_cases: 0,
        };
        match probe.is_sqlite {
            true => probe.read_sqlite().await,
            false => probe.read_postgres().await,
        }
        // Rows stand alone: what they refer to is another test's.
        let alone = match probe.is_sqlite {
            true => "pragma foreign_keys = off",
            false => "set session_replication_role = replica",
        };
        probe.conn.execute(alone).await.unwrap();
        probe.conn.execute("begin").await.unwrap();
        probe
    }

    async fn lines<const N: usize>(&mut self, sql: &str) -> Vec<[String; N]> {
        let rows = self.conn.rows(sql).await.unwrap().into_iter();
        let texts = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap).collect();
        rows.map(|row| Vec::try_into(texts(row)).unwrap()).collect()
    }

    fn add_column(&mut self, [table, name, native, required]: [String; 4]) {
        let column = ProbedColumn {
            name,
            native,
            is_required: required == "1",
        };
        self.tables.entry(table).or_default().push(column);
    }

    fn add_check(&mut self, table: String, name: String, condition: String) {
        let columns = self.tables[&table].iter().map(|column| column.name.clone());
        let outside_quotes: String = condition.split('\'').step_by(2).collect();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let words: BTreeSet<&str> = outside_quotes.split(|c| !is_word(c)).collect();
        let columns = columns.filter(|column| words.contains(column.as_str()));
        let columns: BTreeSet<String> = columns.collect();
        self.checks.push(ProbedCheck {
            table,
            name,
            condition,
            columns,
        });
    }

    async fn read_postgres(&mut self) {
        let columns = "select table_name::text, column_name::text, data_type::text,
                 case when is_nullable = 'NO' and column_default is null and is_identity = 'NO'
                     and is_generated = 'NEVER' then '1' else '0' end
             from information_schema.columns
             where table_schema = 'public' and table_name <> '_sqlx_migrations' order by table_name, ordinal_position";
        for column in self.lines(columns).await {
            self.add_column(column);
        }
        let checks = "select t.relname::text, c.conname::text, pg_get_constraintdef(c.oid)
             from pg_constraint c join pg_class t on t.oid = c.conrelid
             join pg_namespace s on s.oid = t.relnamespace where c.contype = 'c' and s.nspname = 'public'";
        for [table, name, condition] in self.lines(checks).await {
            self.add_check(table, name, condition);
        }
        let keys = "select t.relname::text, x.relname::text, string_agg(a.attname::text, ',' order by k.n)
             from pg_index i join pg_class t on t.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
             join pg_namespace s on s.oid = t.relnamespace
             cross join lateral unnest(i.indkey) with ordinality as k(attnum, n)
             join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum
             where i.indisunique and s.nspname = 'public' and t.relname <> '_sqlx_migrations'
             group by t.relname, x.relname having not bool_or(a.attidentity = 'a')";
        for [table, name, columns] in self.lines(keys).await {
            let columns = columns.split(',').map(str::to_owned).collect();
            self.keys.push(ProbedKey {
                table,
                name,
                columns,
            });
        }
    }

    async fn read_sqlite(&mut self) {
        let tables =
            "select name, sql from sqlite_master where type = 'table' and name not like 'sqlite_%'
             and name <> '_sqlx_migrations' and name not like 'search_text%'";
        let tables = self.lines::<2>(tables).await;
        for [table, sql] in &tables {
            let columns = format!(
                "select '{table}', name, lower(type),
                     case when (\"notnull\" = 1 or pk > 0) and dflt_value is null then '1' else '0' end
                 from pragma_table_info('{table}')"
            );
            for column in self.lines(&columns).await {
                self.add_column(column);
            }
            for condition in conditions_of(sql) {
                self.add_check(table.clone(), format!("{table}: {condition}"), condition);
            }
        }
        let keys = "select distinct t.name, (select group_concat(c.name) from
                 (select name from pragma_index_info(i.name) order by seqno) c)
             from sqlite_master t, pragma_index_list(t.name) i where t.type = 'table' and i.\"unique\" = 1
             and t.name not like 'search_text%' and t.name <> '_sqlx_migrations'";
        for [table, columns] in self.lines(keys).await {
            self.keys.push(ProbedKey {
                name: format!("{table}({columns})"),
                columns: columns.split(',').map(str::to_owned).collect(),
                table,
            });
        }
    }

    /// A value that no other row has in its column.
    fn fresh(&mut self, native: &str) -> String {
        self.n_values += 1;
        let n = self.n_values;
        match native {
            "uuid" | "text" => format!("'01930000-0000-7000-9000-{n:012}'"),
            "boolean" => "false".to_owned(),
            "timestamp with time zone" => format!("to_timestamp({n})"),
            "json" | "jsonb" => format!("'[{n}]'"),
            "bytea" => format!("'\\x{n:08x}'"),
            "blob" => format!("x'{n:08x}'"),
            _ => n.to_string(),
        }
    }

    /// What a table's `given` says of a column, or what a row must have there.
    fn value_of(&mut self, table: &str, at: usize, given: Given) -> Option<String> {
        let column = &self.tables[table][at];
        let (name, native) = (column.name.clone(), column.native.clone());
        let well_formed = WELL_FORMED.iter().find(|(of, _)| *of == table);
        let well_formed = well_formed.map_or(&[][..], |(_, given)| given);
        let mut all = given.iter().chain(well_formed);
        match all.find(|(of, _)| *of == name) {
            Some((_, "@row")) => return Some(self.fresh("uuid")),
            Some((_, "@now")) => return Some(self.fresh(&native)),
            Some((_, value)) => return Some((*value).to_owned()),
            None if !column.is_required => return None,
            None => {}
        }
        let only = BTreeSet::from([name]);
        let mut checks = self.checks.iter().filter(|check| check.table == table);
        let check = checks.find(|check| check.columns == only);
        Some(match check.map(ProbedCheck::allowed) {
            Some(allowed) => allowed,
            None => self.fresh(&native),
        })
    }

    /// A row of a table with what is `given`, and else what it must have.
    fn row(&mut self, table: &str, given: Given) -> BTreeMap<String, String> {
        let n_columns = self.tables[table].len();
        let mut row = BTreeMap::new();
        for at in 0..n_columns {
            if let Some(value) = self.value_of(table, at, given) {
                row.insert(self.tables[table][at].name.clone(), value);
            }
        }
        row
    }

    /// The error that rows end with, of which nothing stays.
    async fn insert(&mut self, table: &str, rows: &[&BTreeMap<String, String>]) -> Option<String> {
        self.conn.execute("savepoint one_case").await.unwrap();
        let mut error = None;
        for row in rows {
            let columns: Vec<&str> = row.keys().map(String::as_str).collect();
            let values: Vec<&str> = row.values().map(String::as_str).collect();
            let (columns, values) = (columns.join(", "), values.join(", "));
            let sql = format!("insert into {table} ({columns}) values ({values})");
            error = self.conn.execute(&sql).await.err();
            if error.is_some() {
                break;
            }
        }
        let undone = "rollback to savepoint one_case; release savepoint one_case";
        self.conn.execute(undone).await.unwrap();
        let error = error?;
        let refused = error.as_database_error().unwrap();
        if let Some(constraint) = refused.constraint() {
            return Some(constraint.to_owned());
        }
        let message = refused.message();
        if let Some(condition) = message.strip_prefix("CHECK constraint failed: ") {
            return Some(format!("{table}: {}", with_single_spaces(condition)));
        }
        let Some(columns) = message.strip_prefix("UNIQUE constraint failed: ") else {
            return Some(message.to_owned());
        };
        let columns = columns.replace(&format!("{table}."), "").replace(' ', "");
        Some(format!("{table}({columns})"))
    }

    /// Inserts a row that must be refused.
    async fn refuse(&mut self, table: &str, given: Given) {
        let row = self.row(table, given);
        let Some(constraint) = self.insert(table, &[&row]).await else {
            panic!("{table} takes {row:?}");
        };
        let mut checks = self.checks.iter();
        assert!(
            checks.any(|check| check.name == constraint),
            "{table} refuses {row:?} for {constraint}"
        );
        self.seen.insert(constraint);
        self.n_cases += 1;
    }

    /// A row is let in with what is given, and a second one with the same key is not.
    async fn refuse_twin(&mut self, key: &ProbedKey) {
        let ProbedKey {
            table,
            name,
            columns,
        } = key;
        let joined = columns.join(",");
        let mut indexed = INDEXED.iter();
        let given = indexed.find(|(of, key, _)| of == table && *key == joined);
        let given = given.map_or(&[][..], |(_, _, given)| given);
        let mut first = self.row(table, given);
        for at in 0..self.tables[table].len() {
            let column = &self.tables[table][at];
            if columns.contains(&column.name) && !first.contains_key(&column.name) {
                let (name, native) = (column.name.clone(), column.native.clone());
                first.insert(name, self.fresh(&native));
            }
        }
        let mut twin = self.row(table, given);
        for column in columns {
            twin.insert(column.clone(), first[column].clone());
        }
        let Some(constraint) = self.insert(table, &[&first, &twin]).await else {
            panic!("{name} lets in {first:?} and {twin:?}");
        };
        let is_implied = IMPLIED.contains(&name.as_str());
        assert!(
            constraint == *name || is_implied,
            "{constraint} in place of {name}: {first:?} and {twin:?}"
        );
        self.seen.insert(constraint);
        self.n_cases += 1;
    }
}

/// What checks of a table say, each without its parentheses.
fn conditions_of(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect();
    let code = code.join("\n");
    let condition = |text: &str| {
        let (mut depth, mut is_quoted) = (1, false);
        let end = text.find(|c| {
            is_quoted ^= c == '\'';
            depth += match c {
                '(' if !is_quoted => 1,
                ')' if !is_quoted => -1,
                _ => 0,
            };
            depth == 0
        });
        with_single_spaces(&text[..end.unwrap()])
    };
    code.split("check (").skip(1).map(condition).collect()
}

fn with_single_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn every_constraint_refuses_a_row(bench: Bench) -> Result<(), StoreError> {
    let mut probe = ConstraintProbe::open(bench.url()).await;
    let mut expected = BTreeSet::new();
    for at in 0..probe.checks.len() {
        let check = &probe.checks[at];
        let is_flag = check.is_flag();
        if !is_flag || probe.is_sqlite {
            expected.insert(check.name.clone());
        }
        let mut columns = check.columns.iter();
        let (Some(column), None) = (columns.next(), columns.next()) else {
            continue;
        };
        if let Some(value) = check.refused(probe.is_sqlite) {
            let (table, column) = (check.table.clone(), column.clone());
            let mut row = probe.row(&table, &[]);
            row.insert(column, value.to_owned());
            let constraint = probe.insert(&table, &[&row]).await;
            let constraint = constraint.unwrap_or_else(|| panic!("{table} takes {row:?}"));
            probe.seen.insert(constraint);
            probe.n_cases += 1;
        }
    }
    for (table, given) in BROKEN {
        probe.refuse(table, given).await;
    }
    for key in std::mem::take(&mut probe.keys) {
        expected.insert(key.name.clone());
        probe.refuse_twin(&key).await;
    }
    let unseen = expected.difference(&probe.seen);
    let unseen: Vec<_> = unseen
        .filter(|name| !IMPLIED.contains(&name.as_str()))
        .collect();
    assert!(unseen.is_empty(), "no case violates {unseen:#?}");
    assert!(probe.n_cases > 250, "only {} cases", probe.n_cases);
    probe.conn.close().await.unwrap();
    Ok(())
}
