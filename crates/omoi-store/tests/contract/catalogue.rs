//! What the catalogue of a migrated server says of references, indexes and types.

use std::collections::BTreeSet;

use omoi_testkit::raw_connection::RawConnection;

use crate::bench::Bench;

/// References without an index of their own, and why.
const WITHOUT_INDEX: &[(&str, &str)] = &[
    // The primary key begins with the first column, and the second holds one word only.
    ("check_criteria", "check_id,check_kind"),
];
/// Indexes that another one begins with, and why.
const COVERING: &[&str] = &[
    // What `check_criteria` refers to, so that only proofs have criteria.
    "checks_id_kind_key",
];
/// Columns of numbers with fractions: scores and guesses of models, of which nothing is paid.
const FRACTIONS: &[&str] = &[
    "spec_phase_runs.rejected_score",
    "spec_phase_runs.score",
    "tasks.estimated_hours",
    "tasks.score",
];

/// An index as the server holds it.
struct CatalogueIndex {
    table: String,
    name: String,
    columns: Vec<String>,
    /// What rows it has, where it does not have all.
    predicate: Option<String>,
}

impl CatalogueIndex {
    /// Whether the rows that refer to a row are found by it: `columns` lead it, and it has all rows that refer to any.
    fn supports(&self, columns: &BTreeSet<&str>) -> bool {
        let leading = self.columns.iter().take(columns.len());
        let leading: BTreeSet<&str> = leading.map(String::as_str).collect();
        let has_all = self.predicate.as_ref().is_none_or(|predicate| {
            let mut columns = columns.iter();
            columns.any(|column| *predicate == format!("({column} IS NOT NULL)"))
        });
        leading == *columns && has_all
    }
}

async fn rows_of(sql: &str) -> Vec<Vec<Option<String>>> {
    let bench = Bench::postgres().await;
    let mut conn = RawConnection::open(bench.url()).await.unwrap();
    let rows = conn.rows(sql).await.unwrap();
    conn.close().await.unwrap();
    rows
}

/// The texts of a row without absent values.
fn texts<const N: usize>(row: Vec<Option<String>>) -> [String; N] {
    let texts: Vec<String> = row.into_iter().map(Option::unwrap).collect();
    texts.try_into().unwrap()
}

async fn indexes() -> Vec<CatalogueIndex> {
    let sql = "select t.relname::text, x.relname::text, string_agg(a.attname::text, ',' order by k.n),
             pg_get_expr(i.indpred, i.indrelid)
         from pg_index i join pg_class t on t.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
         join pg_namespace s on s.oid = t.relnamespace
         cross join lateral unnest(i.indkey) with ordinality as k(attnum, n)
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum
         where s.nspname = 'public' group by t.relname, x.relname, i.indpred, i.indrelid";
    let rows = rows_of(sql).await.into_iter();
    let indexes = rows.map(|mut row| {
        let predicate = row.pop().unwrap();
        let [table, name, columns] = texts(row);
        CatalogueIndex {
            table,
            name,
            columns: columns.split(',').map(str::to_owned).collect(),
            predicate,
        }
    });
    let indexes: Vec<CatalogueIndex> = indexes.collect();
    assert!(indexes.len() > 200, "only {} were read", indexes.len());
    indexes
}

#[tokio::test]
async fn each_reference_has_one_index() {
    let references = "select t.relname::text, string_agg(a.attname::text, ',' order by k.n)
         from pg_constraint c join pg_class t on t.oid = c.conrelid
         cross join lateral unnest(c.conkey) with ordinality as k(attnum, n)
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum
         where c.contype = 'f' group by c.oid, t.relname order by 1, 2";
    let indexes = indexes().await;
    let (mut faults, mut n_references) = (Vec::new(), 0);
    for [table, columns] in rows_of(references).await.into_iter().map(texts) {
        // Rows of an organisation go table by table.
        if columns == "org_id" {
            continue;
        }
        let leading = columns.split(',').collect();
        let own = indexes.iter().filter(|index| index.table == table);
        let supporting = own.filter(|index| index.supports(&leading));
        let names: Vec<&str> = supporting.map(|index| index.name.as_str()).collect();
        let is_named = WITHOUT_INDEX.contains(&(&table, &columns));
        if names.len() != usize::from(!is_named) {
            faults.push(format!("{table}({columns}): {names:?}"));
        }
        n_references += 1;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(n_references > 120, "only {n_references} were read");
}

#[tokio::test]
async fn no_index_begins_with_another() {
    let indexes = indexes().await;
    let whole: Vec<_> = indexes.iter().filter(|i| i.predicate.is_none()).collect();
    let mut covering = BTreeSet::new();
    for index in &whole {
        let others = whole.iter().filter(|other| other.name != index.name);
        let mut same_table = others.filter(|other| other.table == index.table);
        if same_table.any(|other| index.columns.starts_with(&other.columns)) {
            covering.insert(index.name.as_str());
        }
    }
    let named: BTreeSet<&str> = COVERING.iter().copied().collect();
    assert_eq!(covering, named);
}

/// Texts have no length that only one database holds, and money is counted in whole nano-dollars.
#[tokio::test]
async fn texts_have_no_length_and_money_no_fractions() {
    let sql = "select data_type::text, table_name::text || '.' || column_name from information_schema.columns
         where table_schema = 'public' and table_name <> '_sqlx_migrations' order by 2";
    let mut fractions = Vec::new();
    for [native, column] in rows_of(sql).await.into_iter().map(texts) {
        match native.as_str() {
            "real" | "double precision" | "numeric" | "money" => fractions.push(column),
            "character varying" | "character" => panic!("{column} is {native}"),
            _ if column.ends_with("_nanousd") => assert_eq!(native, "bigint", "{column}"),
            _ => {}
        }
    }
    assert_eq!(fractions, FRACTIONS);
}
