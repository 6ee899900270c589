//! Rows that belong to no organisation: what is looked up before it is known whose rows a caller may see.

use sqlx::AssertSqlSafe;

use super::Tx;
use crate::column::Args;
use crate::error::StoreError;
use crate::row::GlobalRow;

impl Tx {
    /// Rows of `R` where `tail` holds; its parameters start at `$1`.
    pub(crate) async fn all_global<R: GlobalRow>(
        &mut self,
        tail: &'static str,
        args: Args,
    ) -> Result<Vec<R>, StoreError> {
        let sql = AssertSqlSafe(format!("{} where {tail}", R::select()));
        self.conn.fetch_each(sql, args.0, R::read).await
    }

    /// The one row of `R` where `tail` holds, if any.
    pub(crate) async fn find_global<R: GlobalRow>(
        &mut self,
        tail: &'static str,
        args: Args,
    ) -> Result<Option<R>, StoreError> {
        Ok(self.all_global(tail, args).await?.into_iter().next())
    }

    /// The same, kept from others until the transaction ends: `touch` is an `update` of it that changes nothing and
    /// ends with `returning id` or another column.
    pub(crate) async fn lock_global<R: GlobalRow>(
        &mut self,
        touch: &'static str,
        tail: &'static str,
        args: impl Fn() -> Result<Args, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let touched = self.conn.fetch_all(touch, args()?.0).await;
        if touched.map_err(|error| self.failed(error))?.is_empty() {
            return Ok(None);
        }
        self.find_global(tail, args()?).await
    }

    /// Runs a statement on rows of no organisation. Returns the rows it touched.
    pub(crate) async fn execute_global(
        &mut self,
        sql: &'static str,
        args: Args,
    ) -> Result<u64, StoreError> {
        let done = self.conn.execute(sql, args.0).await;
        let n_rows = done.map_err(|error| self.failed(error))?;
        self.is_written |= n_rows > 0;
        Ok(n_rows)
    }
}
