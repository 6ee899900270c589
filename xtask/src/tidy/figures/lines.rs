//! Lines: how many write a log, how long files and functions are.

use crate::tidy::files::functions;

use super::{Place, Source};

const LOG_MACROS: &[&str] = &["trace", "debug", "info", "warn", "error"];

/// How much the code tells about itself while it runs.
#[derive(Default)]
pub(super) struct LogLines {
    n_logs: usize,
    n_lines: usize,
    /// Files that log nothing, the longest first.
    pub(super) files_without: Vec<Place>,
}

impl LogLines {
    pub(super) fn read(sources: &[Source<'_>]) -> Self {
        let mut all = Self::default();
        let mut without = Vec::new();
        for source in sources {
            let code = || source.text.lines().filter(|line| is_code(line));
            let n_logs: usize = code().map(count_logs).sum();
            let n_lines = code().count();
            all.n_logs += n_logs;
            all.n_lines += n_lines;
            if n_logs == 0 && n_lines > 0 {
                without.push((n_lines, Place::new(source, 1, format!("{n_lines} lines"))));
            }
        }
        without.sort_by(|(a, _), (b, _)| b.cmp(a));
        all.files_without = without.into_iter().map(|(_, place)| place).collect();
        all
    }

    pub(super) fn per_1000(&self) -> f64 {
        1000.0 * self.n_logs as f64 / self.n_lines.max(1) as f64
    }
}

/// Whether a line is neither empty nor a comment.
fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

fn count_logs(line: &str) -> usize {
    let calls = line.match_indices("!(");
    calls
        .filter(|(at, _)| {
            let front = &line[..*at];
            let start = front.rfind(|c: char| !(c == '_' || c.is_alphanumeric()));
            LOG_MACROS.contains(&&front[start.map_or(0, |start| start + 1)..])
        })
        .count()
}

/// Sizes in lines with where each begins, the longest first.
pub(super) struct Sizes(Vec<(usize, Place)>);

impl Sizes {
    /// Every line before the tests.
    pub(super) fn of_files(sources: &[Source<'_>]) -> Self {
        let sizes = sources.iter().map(|source| {
            let n_lines = source.text.lines().count();
            (n_lines, Place::new(source, 1, format!("{n_lines} lines")))
        });
        Self::sorted(sizes.collect())
    }

    /// From the signature to the closing brace; functions inside functions belong to the outer one,
    /// declarations without a body are left out.
    pub(super) fn of_functions(sources: &[Source<'_>]) -> Self {
        let mut sizes = Vec::new();
        for source in sources {
            for lines in functions(source.text) {
                let (Some((number, first)), Some((_, last))) = (lines.first(), lines.last()) else {
                    continue;
                };
                if last.ends_with('}') {
                    let says = format!("{} lines: {}", lines.len(), first.trim());
                    sizes.push((lines.len(), Place::new(source, *number, says)));
                }
            }
        }
        Self::sorted(sizes)
    }

    fn sorted(mut sizes: Vec<(usize, Place)>) -> Self {
        sizes.sort_by(|(a, _), (b, _)| b.cmp(a));
        Self(sizes)
    }

    /// The size that 95 of 100 do not exceed.
    pub(super) fn percentile_95(&self) -> f64 {
        let n_longer = self.0.len() / 20;
        self.0.get(n_longer).map_or(0.0, |(size, _)| *size as f64)
    }

    pub(super) fn max(&self) -> f64 {
        self.0.first().map_or(0.0, |(size, _)| *size as f64)
    }

    pub(super) fn longer_than(&self, limit: usize) -> Vec<Place> {
        let longer = self.0.iter().take_while(|(size, _)| *size > limit);
        longer
            .map(|(_, place)| Place {
                file: place.file.clone(),
                line: place.line,
                text: place.text.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_log_macros_count() {
        for (line, count) in [
            ("    info!(\"x\");", 1),
            ("tracing::warn!(a = 1); error!(\"b\")", 2),
            ("my_error!(\"x\")", 0),
            ("println!(\"info\")", 0),
        ] {
            assert_eq!(count_logs(line), count, "{line}");
        }
        assert!(!is_code("    // info!(\"x\");") && !is_code("  "));
    }

    #[test]
    fn sizes_are_ranked() {
        let bodies: String = (0..20)
            .map(|n| format!("fn f{n}() {{\n{}}}\n", "    x();\n".repeat(n)))
            .collect();
        let text = format!("{bodies}trait A {{\n    fn declared();\n}}\n");
        let file = Path::new("a.rs");
        let sizes = Sizes::of_functions(&[Source { file, text: &text }]);
        assert_eq!(sizes.0.len(), 20);
        assert_eq!((sizes.percentile_95(), sizes.max()), (20.0, 21.0));
        assert_eq!(sizes.longer_than(19).len(), 2);
    }
}
