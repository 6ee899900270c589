//! What a measurement says: figure, baseline, how they compare, target.

use std::fmt::{self, Write as _};

/// One line of the table, with two lines below it that say what was measured.
pub(super) struct Row {
    /// What was measured, in a few words.
    pub(super) figure: String,
    /// What it came to.
    pub(super) ours: Amount,
    /// What the baseline came to; none where the target alone says what is good.
    pub(super) baseline: Option<Amount>,
    /// Ratio or difference, in words.
    pub(super) compared: String,
    /// What design asks for; none where it asks for nothing.
    pub(super) target: Option<Target>,
    /// Runs the medians are of.
    pub(super) runs: String,
    /// The baseline's exact command.
    pub(super) baseline_is: String,
    /// What exactly was measured, and what is in it that one would not expect.
    pub(super) measured: String,
}

/// A figure with its unit.
#[derive(Clone, Copy)]
pub(super) struct Amount(pub(super) f64, pub(super) Unit);

/// What figures are counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Microseconds,
    Milliseconds,
    Megabytes,
    Percent,
    PerSecond,
    Times,
}

/// A limit that a figure should not pass.
pub(super) struct Target {
    /// The limit.
    pub(super) limit: Limit,
    /// The figure it is for, which need not be the one the row begins with.
    pub(super) reached: Amount,
    /// What it limits, such as `added`; may be empty.
    pub(super) of: &'static str,
}

/// Which side of a figure is good.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// It should not be more.
    Most(f64),
    /// It should not be less.
    Least(f64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, unit) = *self;
        match unit {
            Unit::Microseconds => write!(f, "{value:.1} µs"),
            Unit::Milliseconds if value >= 1e3 => write!(f, "{:.2} s", value / 1e3),
            Unit::Milliseconds if value >= 100.0 => write!(f, "{value:.0} ms"),
            Unit::Milliseconds => write!(f, "{value:.1} ms"),
            Unit::Megabytes => write!(f, "{value:.1} MB"),
            Unit::Percent => write!(f, "{value:.1} %"),
            Unit::PerSecond => write!(f, "{value:.0} /s"),
            Unit::Times => write!(f, "{value:.2} ×"),
        }
    }
}

impl Target {
    fn limit(&self) -> String {
        // Limits are round numbers: `20 ms`, not `20.0 ms`.
        let (sign, limit) = match self.limit {
            Limit::Most(limit) => ("≤", limit),
            Limit::Least(limit) => ("≥", limit),
        };
        let limit = Amount(limit, self.reached.1).to_string();
        let text = format!("{sign} {} {}", limit.replace(".0 ", " "), self.of);
        text.trim_end().to_owned()
    }

    fn verdict(&self) -> String {
        let Amount(reached, unit) = self.reached;
        let (is_met, limit) = match self.limit {
            Limit::Most(limit) => (reached <= limit, limit),
            Limit::Least(limit) => (reached >= limit, limit),
        };
        let by = Amount((reached - limit).abs(), unit);
        if is_met {
            format!("met by {by}")
        } else {
            format!("MISSED by {by}")
        }
    }
}

/// How much longer `ours` is than `baseline`.
pub(super) fn ratio(ours: f64, baseline: f64) -> String {
    format!("{:.2} ×", ours / baseline)
}

/// All rows under each other, columns aligned.
pub(super) fn table(rows: &[Row]) -> String {
    let head = [
        "figure", "ours", "baseline", "compared", "target", "verdict", "runs",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let width = |line: &[String; 7]| line[column].chars().count();
        lines.iter().map(width).max().unwrap_or(0)
    });
    let below = rows.iter().map(|row| {
        format!(
            "    baseline  {}\n    measured  {}\n",
            row.baseline_is, row.measured
        )
    });
    let below = std::iter::once(String::new()).chain(below);
    let mut text = String::new();
    for (line, below) in lines.iter().zip(below) {
        let cells = line.iter().zip(widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(n, (cell, width))| padded(cell, width, n))
            .collect();
        let _ = writeln!(text, "{}\n{below}", cells.join("   ").trim_end());
    }
    text
}

fn cells(row: &Row) -> [String; 7] {
    let target = row.target.as_ref();
    [
        row.figure.clone(),
        row.ours.to_string(),
        row.baseline.map_or("–".to_owned(), |b| b.to_string()),
        row.compared.clone(),
        target.map_or("none set".to_owned(), Target::limit),
        target.map_or("–".to_owned(), Target::verdict),
        row.runs.clone(),
    ]
}

/// Amounts, in the second and third column, stand under each other's last digit.
fn padded(cell: &str, width: usize, column: usize) -> String {
    let blanks = " ".repeat(width - cell.chars().count());
    if matches!(column, 1 | 2) {
        blanks + cell
    } else {
        cell.to_owned() + &blanks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, target: Option<Target>) -> Row {
        Row {
            figure: "start".to_owned(),
            ours: Amount(ours, Unit::Milliseconds),
            baseline: Some(Amount(4.0, Unit::Milliseconds)),
            compared: ratio(ours, 4.0),
            target,
            runs: "11".to_owned(),
            baseline_is: "`bwrap true`".to_owned(),
            measured: "everything".to_owned(),
        }
    }

    #[test]
    fn a_table_lines_up_and_says_by_how_much() {
        let target = |reached| {
            Some(Target {
                limit: Limit::Most(20.0),
                reached: Amount(reached, Unit::Milliseconds),
                of: "added",
            })
        };
        let rows = [
            row(8.0, target(4.0)),
            row(1_204.0, target(1_200.0)),
            row(120.4, None),
        ];
        let expected = "\
figure     ours   baseline   compared   target          verdict            runs

start    8.0 ms     4.0 ms   2.00 ×     ≤ 20 ms added   met by 16.0 ms     11
    baseline  `bwrap true`
    measured  everything

start    1.20 s     4.0 ms   301.00 ×   ≤ 20 ms added   MISSED by 1.18 s   11
    baseline  `bwrap true`
    measured  everything

start    120 ms     4.0 ms   30.10 ×    none set        –                  11
    baseline  `bwrap true`
    measured  everything

";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn a_target_may_be_the_least() {
        let target = |reached| Target {
            limit: Limit::Least(0.6),
            reached: Amount(reached, Unit::Times),
            of: "of the bare queue",
        };
        assert_eq!(target(0.7).limit(), "≥ 0.60 × of the bare queue");
        assert_eq!(target(0.7).verdict(), "met by 0.10 ×");
        assert_eq!(target(0.5).verdict(), "MISSED by 0.10 ×");
    }
}
