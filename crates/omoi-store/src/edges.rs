//! Edges between rows of one table: which of them waits for which.

use omoi_domain::id::SpecId;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::tx::Tx;

/// A table of edges.
pub(crate) struct EdgeTable {
    /// Its name.
    pub(crate) name: &'static str,
    /// The table of the rows that wait for each other.
    pub(crate) between: &'static str,
    /// The column of the one that waits.
    pub(crate) waiting: &'static str,
}

impl EdgeTable {
    /// Makes `waiting` wait for `depends_on`; false when it does already, or when either is not of this
    /// organisation.
    pub(crate) async fn insert_edge<I: Column>(
        &self,
        tx: &mut Tx,
        waiting: I,
        depends_on: I,
    ) -> Result<bool, StoreError> {
        let Self {
            name,
            between,
            waiting: column,
        } = self;
        let sql = format!(
            "insert into {name} ({column}, depends_on_id, org_id)
             select a.id, b.id, a.org_id from {between} a, {between} b
             where a.org_id = $1 and b.org_id = $1 and a.id = $2 and b.id = $3
             on conflict do nothing returning depends_on_id"
        );
        let written = tx.built_rows(sql, args![waiting, depends_on]).await?;
        Ok(!written.is_empty())
    }

    /// Takes an edge away; false when there was none.
    pub(crate) async fn delete_edge<I: Column>(
        &self,
        tx: &mut Tx,
        waiting: I,
        depends_on: I,
    ) -> Result<bool, StoreError> {
        let Self {
            name,
            waiting: column,
            ..
        } = self;
        let sql = format!(
            "delete from {name} where org_id = $1 and {column} = $2 and depends_on_id = $3
             returning depends_on_id"
        );
        let taken = tx.built_rows(sql, args![waiting, depends_on]).await?;
        Ok(!taken.is_empty())
    }

    /// The edges of a spec: (the one that waits, what it waits for).
    pub(crate) async fn of_spec<I: Column>(
        &self,
        tx: &mut Tx,
        spec: SpecId,
    ) -> Result<Vec<(I, I)>, StoreError> {
        let Self {
            name,
            between,
            waiting,
        } = self;
        let sql = format!(
            "select d.{waiting} as waiting, d.depends_on_id from {name} d
             join {between} t on t.id = d.{waiting}
             where d.org_id = $1 and t.org_id = $1 and t.spec_id = $2 order by 1, 2"
        );
        let rows = tx.built_rows(sql, args![spec]).await?;
        let edges = rows
            .iter()
            .map(|row| Ok((I::read(row, "waiting")?, I::read(row, "depends_on_id")?)));
        edges.collect()
    }
}
