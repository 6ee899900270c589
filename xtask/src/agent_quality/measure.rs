//! A measure with its target, as a program prints it and as people read it.

use std::fmt::Write as _;

/// A figure and what it should come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    name: String,
    value: f64,
    target: f64,
}

impl Measure {
    pub(super) fn new(name: &str, value: f64, target: f64) -> Self {
        let name = name.to_owned();
        Self {
            name,
            value,
            target,
        }
    }

    /// Reads `{"measure":"…","value":…,"target":…}`; names have no quotation marks.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line
            .trim()
            .strip_prefix("{\"measure\":\"")?
            .strip_suffix('}')?;
        let (name, rest) = rest.split_once('"')?;
        let (value, target) = rest
            .strip_prefix(",\"value\":")?
            .split_once(",\"target\":")?;
        Some(Self::new(
            name,
            value.trim().parse().ok()?,
            target.trim().parse().ok()?,
        ))
    }

    /// A target of 0 is what may not happen; any other is the least.
    pub(super) fn is_met(&self) -> bool {
        match self.target == 0.0 {
            true => self.value == 0.0,
            false => self.value >= self.target,
        }
    }
}

/// The measures under each other.
pub(super) fn render_table(measures: &[Measure]) -> String {
    let names = measures.iter().map(|measure| measure.name.chars().count());
    let width = names.chain(["measure".len()]).max().unwrap_or(0);
    let mut table = format!("{:width$}  {:>9}  {:>9}\n", "measure", "value", "target");
    for measure in measures {
        let Measure {
            name,
            value,
            target,
        } = measure;
        let sign = if *target == 0.0 { "=" } else { "≥" };
        let target = format!("{sign} {}", figure(*target));
        let verdict = if measure.is_met() { "" } else { "  missed" };
        let value = figure(*value);
        let _ = writeln!(table, "{name:width$}  {value:>9}  {target:>9}{verdict}");
    }
    table
}

fn figure(value: f64) -> String {
    match value.fract() == 0.0 {
        true => format!("{value:.0}"),
        false => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    #[test]
    fn measures_are_read_and_held_against_their_targets() {
        for (line, met) in [
            (r#"{"measure":"a: b","value":0.95,"target":0.95}"#, true),
            (r#"{"measure":"a: b","value":0.949,"target":0.95}"#, false),
            (r#"{"measure":"a: b","value":0,"target":0}"#, true),
            (r#"{"measure":"a: b","value":1,"target":0}"#, false),
        ] {
            let measure = Measure::parse(line).unwrap();
            assert_eq!(
                (measure.name.as_str(), measure.is_met()),
                ("a: b", met),
                "{line}"
            );
        }
        for line in [
            "",
            "{}",
            "warning: x",
            r#"{"measure":"a","value":x,"target":1}"#,
        ] {
            assert_eq!(Measure::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_miss_stands_in_the_table() {
        let table = render_table(&[
            Measure::new("edits", 0.5, 0.95),
            Measure::new("wrong", 0.0, 0.0),
        ]);
        assert_eq!(
            table,
            "measure      value     target\nedits        0.500    ≥ 0.950  missed\nwrong            0        = 0\n"
        );
    }
}
