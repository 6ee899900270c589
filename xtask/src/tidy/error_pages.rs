//! Every code that the API refuses with has a page with cause and remedy, and no page is left behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// Where refusals are made.
const SERVER: &str = "crates/omoi-server/src/";
/// Where failures of other crates become codes: here an arm of a match may be a code alone.
const FAILURES: &str = "crates/omoi-server/src/error.rs";
/// A page per code.
const PAGES: &str = "docs/errors";
/// The page about the pages.
const INDEX: &str = "README.md";
/// What a page has to say.
const SECTIONS: [&str; 2] = ["## Cause", "## Remedy"];

/// Checks the codes against the pages.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let codes = codes(texts);
    if codes.is_empty() {
        let remedy = "tell this rule where refusals are made";
        return vec![Finding::new(
            Path::new(FAILURES),
            1,
            "no code is made here",
            remedy,
        )];
    }
    let mut findings = Vec::new();
    for (code, (file, line)) in &codes {
        let page = page_of(code);
        let Some(text) = texts.get(page.as_path()) else {
            let what = format!("the code `{code}` has no page");
            let remedy = format!("write {} with its cause and remedy", page.display());
            findings.push(Finding::new(file, *line, what, remedy));
            continue;
        };
        let missing = SECTIONS
            .iter()
            .filter(|section| !has_section(text, section));
        findings.extend(missing.map(|section| {
            let what = format!("nothing stands under `{section}`");
            Finding::new(
                &page,
                1,
                what,
                "say why this answer comes and what to do about it",
            )
        }));
    }
    let pages = texts
        .keys()
        .filter(|file| file.parent() == Some(Path::new(PAGES)));
    for page in pages.filter(|page| !page.ends_with(INDEX)) {
        let code = page.file_stem().unwrap_or_default().to_string_lossy();
        if !codes.contains_key(code.as_ref()) {
            let what = format!("no answer has the code `{code}`");
            findings.push(Finding::new(
                page,
                1,
                what,
                "remove the page, or name it after its code",
            ));
        }
    }
    findings
}

fn page_of(code: &str) -> PathBuf {
    Path::new(PAGES).join(format!("{code}.md"))
}

/// Whether text follows the heading before the next one.
fn has_section(page: &str, heading: &str) -> bool {
    let mut lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let mut body = lines.by_ref().take_while(|line| !line.starts_with('#'));
    body.any(|line| !line.trim().is_empty())
}

/// Every code with where it is made: the text after a status, or alone in an arm of a match.
fn codes<'a>(texts: &Texts<'a>) -> BTreeMap<&'a str, (&'a Path, usize)> {
    let mut codes = BTreeMap::new();
    for (&file, text) in texts {
        if !file.starts_with(SERVER) || is_test(file) {
            continue;
        }
        let mut after_status = false;
        for (number, line) in lines_without_tests(text) {
            let line = line.trim();
            let status = line.split_once("StatusCode::").map(|(_, rest)| rest);
            let beside = status.and_then(|rest| quoted(rest.split_once(", ")?.1));
            let below = quoted(line).filter(|_| after_status);
            let arm = line
                .split_once(" => ")
                .and_then(|(_, result)| quoted(result));
            let arm = arm.filter(|_| file == Path::new(FAILURES));
            for code in beside.into_iter().chain(below).chain(arm) {
                codes.entry(code).or_insert((file, number));
            }
            after_status = status.is_some_and(|rest| rest.ends_with(','));
        }
    }
    codes
}

/// The code in quotes at the start of `text`.
fn quoted(text: &str) -> Option<&str> {
    let (code, rest) = text.strip_prefix('"')?.split_once('"')?;
    let is_code = !code.is_empty() && code.chars().all(|c| c == '_' || c.is_ascii_lowercase());
    (is_code && rest.starts_with(',')).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# `x`\n\n## Cause\n\nWhy.\n\n## Remedy\n\nWhat to do.\n";

    fn findings(code: &str, pages: &[(&str, &str)]) -> Vec<String> {
        let mut texts: Texts<'_> = [(Path::new(FAILURES), code)].into();
        texts.extend(pages.iter().map(|(file, text)| (Path::new(*file), *text)));
        let found = check(&texts);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_way_to_name_a_code_is_seen() {
        for code in [
            "    Self::new(StatusCode::CONFLICT, \"busy\", says)\n",
            "    Self::new(\n        StatusCode::CONFLICT,\n        \"busy\",\n        says,\n    )\n",
            "        CommandError::Busy { .. } => \"busy\",\n",
        ] {
            assert_eq!(findings(code, &[]).len(), 1, "{code}");
            assert_eq!(
                findings(code, &[("docs/errors/busy.md", PAGE)]).len(),
                0,
                "{code}"
            );
        }
    }

    #[test]
    fn a_page_has_a_code_a_cause_and_a_remedy() {
        let code = "    Self::new(StatusCode::CONFLICT, \"busy\", says)\n";
        let busy = ("docs/errors/busy.md", PAGE);
        let other = ("docs/errors/other.md", PAGE);
        assert_eq!(findings(code, &[busy, other]).len(), 1);
        assert_eq!(
            findings(code, &[busy, ("docs/errors/README.md", "")]).len(),
            0
        );
        let half = "# `x`\n\n## Cause\n\nWhy.\n\n## Remedy\n\n## More\n\nx\n";
        assert_eq!(findings(code, &[("docs/errors/busy.md", half)]).len(), 1);
        assert_eq!(findings("", &[]).len(), 1);
    }
}
