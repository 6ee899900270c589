//! Pages of lists: how many rows, which, and where the next page begins.

use std::fmt::Write as _;

use omoi_domain::time::Timestamp;

use crate::column::{Args, Column};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::list_order::{ListOrder, ListedRow, PagePosition};
use crate::tx::Tx;

/// Which page of a list is read.
pub struct PageRequest<R: 'static> {
    /// The order of the list.
    pub order: ListOrder<R>,
    /// The place that it begins after; none for the first page.
    pub after: Option<PagePosition>,
    /// Rows that are passed over before it begins.
    pub offset: u32,
    /// Rows of it at most.
    pub limit: u32,
    /// Rows of the whole list that are counted, at most; none counts nothing.
    pub count_max: Option<u32>,
}

/// A page, of rows or of what was made of them.
#[derive(Debug)]
pub struct RowPage<T> {
    /// What is on it, in the order of the list.
    pub rows: Vec<T>,
    /// The place of its last row; none where the list ends.
    pub next: Option<PagePosition>,
    /// Rows of the whole list, where they were asked for.
    pub total: Option<ListTotal>,
}

/// How many rows a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTotal {
    /// How many were counted.
    pub rows: u32,
    /// Whether there are more than that.
    pub is_lower_bound: bool,
}

impl<T> RowPage<T> {
    /// The same page of what was made of its rows.
    pub fn replace_rows<U>(self, rows: Vec<U>) -> RowPage<U> {
        RowPage {
            rows,
            next: self.next,
            total: self.total,
        }
    }
}

/// When rows of a list were made and last changed: after one instant and before another.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListWindow {
    /// Made after this.
    pub created_after: Option<Timestamp>,
    /// Made before this.
    pub created_before: Option<Timestamp>,
    /// Last changed after this.
    pub updated_after: Option<Timestamp>,
    /// Last changed before this.
    pub updated_before: Option<Timestamp>,
}

/// What the rows of a list have in common, besides their organisation.
#[derive(Default)]
pub(crate) struct ListConditions {
    sql: String,
    args: Args,
}

impl ListConditions {
    /// The number of `value` in the statement. The organisation is the first.
    fn bind_value<C: Column>(&mut self, value: &C) -> Result<usize, StoreError> {
        self.args.push(value)?;
        Ok(self.args.0.len() + 1)
    }

    /// `column` holds one of `values`, where there are any.
    pub(crate) fn one_of<C: Column>(
        &mut self,
        column: &'static str,
        values: &[C],
    ) -> Result<(), StoreError> {
        let mut marks = Vec::with_capacity(values.len());
        for value in values {
            marks.push(format!("${}", self.bind_value(value)?));
        }
        if !marks.is_empty() {
            let _ = write!(self.sql, " and {column} in ({})", marks.join(", "));
        }
        Ok(())
    }

    /// `column` holds one of the rows that `related` selects, a statement that ends with the column which is to hold one of
    /// `values`, where there are any.
    pub(crate) fn one_related<C: Column>(
        &mut self,
        column: &'static str,
        related: &'static str,
        values: &[C],
    ) -> Result<(), StoreError> {
        let mut marks = Vec::with_capacity(values.len());
        for value in values {
            marks.push(format!("${}", self.bind_value(value)?));
        }
        if !marks.is_empty() {
            let _ = write!(
                self.sql,
                " and {column} in ({related} in ({}))",
                marks.join(", ")
            );
        }
        Ok(())
    }

    /// `column` holds nothing.
    pub(crate) fn has_no_value(&mut self, column: &'static str) {
        let _ = write!(self.sql, " and {column} is null");
    }

    /// The row was made and changed within `window`.
    pub(crate) fn within_window(&mut self, window: &ListWindow) -> Result<(), StoreError> {
        self.within_instants("created_at", "updated_at", window)
    }

    /// The same for rows that hold in other columns when they were made and changed.
    pub(crate) fn within_instants(
        &mut self,
        created: &'static str,
        updated: &'static str,
        window: &ListWindow,
    ) -> Result<(), StoreError> {
        for (column, comparison, instant) in [
            (created, ">", window.created_after),
            (created, "<", window.created_before),
            (updated, ">", window.updated_after),
            (updated, "<", window.updated_before),
        ] {
            if let Some(instant) = instant {
                let mark = self.bind_value(&instant)?;
                let _ = write!(self.sql, " and {column} {comparison} ${mark}");
            }
        }
        Ok(())
    }

    /// One of `columns` has `text` in it, whatever the case of its letters.
    pub(crate) fn mentions_text(
        &mut self,
        columns: &[&'static str],
        text: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(text) = text else {
            return Ok(());
        };
        let plain = text
            .replace('\\', r"\\")
            .replace('%', r"\%")
            .replace('_', r"\_");
        let mark = self.bind_value(&format!("%{plain}%"))?;
        let columns = columns.iter();
        let like = columns.map(|column| format!(r"lower({column}) like lower(${mark}) escape '\'"));
        let _ = write!(self.sql, " and ({})", like.collect::<Vec<_>>().join(" or "));
        Ok(())
    }

    /// Reads what `select` makes of all rows that they hold for, with `tail` behind them.
    pub(crate) async fn read_groups(
        self,
        tx: &mut Tx,
        select: &'static str,
        tail: &'static str,
    ) -> Result<Vec<DatabaseRow>, StoreError> {
        let sql = format!("{select} where org_id = $1{} {tail}", self.sql);
        tx.built_rows(sql, self.args).await
    }

    /// Reads a page of the rows that they hold for.
    pub(crate) async fn read_page<R: ListedRow>(
        self,
        tx: &mut Tx,
        request: &PageRequest<R>,
    ) -> Result<RowPage<R>, StoreError> {
        let total = match request.count_max {
            Some(most) => Some(self.count_rows::<R>(tx, most).await?),
            None => None,
        };
        let (sql, args) = self.page_statement(request)?;
        let rows = tx.built_rows(sql, args).await?;
        let rows: Result<Vec<R>, StoreError> = rows.iter().map(R::read).collect();
        let mut rows = rows?;
        let limit = request.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        Ok(RowPage {
            next: last.map(|row| request.order.position_of(row)),
            rows,
            total,
        })
    }

    async fn count_rows<R: ListedRow>(
        &self,
        tx: &mut Tx,
        most: u32,
    ) -> Result<ListTotal, StoreError> {
        let (table, sql) = (R::TABLE, &self.sql);
        let limit = i64::from(most) + 1;
        let sql = format!(
            "select count(*) as n from (select 1 as one from {table} where org_id = $1{sql} limit {limit}) as counted"
        );
        let rows = tx.built_rows(sql, Args(self.args.0.clone())).await?;
        let counted = rows.first().map_or(Ok(0), |row| i64::read(row, "n"))?;
        Ok(ListTotal {
            rows: u32::try_from(counted).unwrap_or(u32::MAX).min(most),
            is_lower_bound: counted > i64::from(most),
        })
    }

    fn page_statement<R: ListedRow>(
        mut self,
        request: &PageRequest<R>,
    ) -> Result<(String, Args), StoreError> {
        if let Some(after) = &request.after {
            let first = self.args.0.len() + 2;
            self.args.0.extend(request.order.position_values(after));
            let _ = write!(self.sql, " and {}", request.order.place_text(first));
        }
        // One more than the page has: it tells whether there is a next one.
        let limit = self.bind_value(&(i64::from(request.limit) + 1))?;
        let offset = self.bind_value(&i64::from(request.offset))?;
        let sql = format!(
            "{} where org_id = $1{} order by {} limit ${limit} offset ${offset}",
            R::select(),
            self.sql,
            request.order.order_text()
        );
        Ok((sql, self.args))
    }
}
