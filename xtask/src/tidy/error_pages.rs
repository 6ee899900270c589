//! Every code that the API refuses with has a page with cause and remedy, and no page is left behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// Every code with its status.
const REGISTRY: &str = "crates/omoi-domain/src/error_code.rs";
/// Where refusals are made.
const SERVER: &str = "crates/omoi-server/src/";
/// A page per code.
const PAGES: &str = "docs/errors";
/// The page about the pages.
const INDEX: &str = "README.md";
/// What a page has to say.
const SECTIONS: [&str; 2] = ["## Cause", "## Remedy"];

/// A code as the registry declares it.
struct RegisteredCode<'a> {
    variant: &'a str,
    status: &'a str,
    line: usize,
}

/// Checks the codes against the pages.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let registry = Path::new(REGISTRY);
    let codes = codes(texts);
    if codes.is_empty() {
        let remedy = "tell this rule where codes are registered";
        return vec![Finding::new(
            registry,
            1,
            "no code is declared here",
            remedy,
        )];
    }
    let mut findings = Vec::new();
    for (code, registered) in &codes {
        if !is_answered(texts, registered.variant) {
            let what = format!("nothing answers with the code `{code}`");
            let remedy = "remove it until a handler needs it";
            findings.push(Finding::new(registry, registered.line, what, remedy));
        }
        let page = page_of(code);
        let Some(text) = texts.get(page.as_path()) else {
            let what = format!("the code `{code}` has no page");
            let remedy = format!("write {} with its cause and remedy", page.display());
            findings.push(Finding::new(registry, registered.line, what, remedy));
            continue;
        };
        let status = format!("HTTP status {}", registered.status);
        if !text.lines().any(|line| line.starts_with(&status)) {
            let what = format!("the page does not say `{status}`");
            findings.push(Finding::new(&page, 1, what, "say what the registry says"));
        }
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

/// Every code of the registry: lines such as `NotFound = "not_found", 404;`.
fn codes<'a>(texts: &Texts<'a>) -> BTreeMap<&'a str, RegisteredCode<'a>> {
    let text = texts.get(Path::new(REGISTRY)).copied().unwrap_or_default();
    let declared = lines_without_tests(text).filter_map(|(line, text)| {
        let (variant, rest) = text.trim().split_once(" = \"")?;
        let (code, rest) = rest.split_once("\", ")?;
        let status = rest.strip_suffix(';')?;
        let registered = RegisteredCode {
            variant,
            status,
            line,
        };
        status.parse::<u16>().ok().map(|_| (code, registered))
    });
    declared.collect()
}

/// Whether code of the server names `variant`.
fn is_answered(texts: &Texts<'_>, variant: &str) -> bool {
    let name = format!("ErrorCode::{variant}");
    let of_server = texts
        .iter()
        .filter(|(file, _)| file.starts_with(SERVER) && !is_test(file));
    let mut lines = of_server.flat_map(|(_, text)| lines_without_tests(text));
    lines.any(|(_, line)| {
        line.split(&name)
            .skip(1)
            .any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = "    Busy = \"busy\", 503;\n";
    const MAKER: (&str, &str) = (
        "crates/omoi-server/src/error.rs",
        "    Self::new(ErrorCode::Busy, says)\n",
    );
    const PAGE: &str =
        "# `x`\n\nHTTP status 503.\n\n## Cause\n\nWhy.\n\n## Remedy\n\nWhat to do.\n";

    fn findings(registry: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut texts: Texts<'_> = [(Path::new(REGISTRY), registry)].into();
        texts.extend(files.iter().map(|(file, text)| (Path::new(*file), *text)));
        let found = check(&texts);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_page_has_a_code_its_status_a_cause_and_a_remedy() {
        let busy = ("docs/errors/busy.md", PAGE);
        let other = ("docs/errors/other.md", PAGE);
        let index = ("docs/errors/README.md", "");
        assert_eq!(findings(BUSY, &[MAKER, busy, index]), Vec::<String>::new());
        assert_eq!(findings(BUSY, &[MAKER]).len(), 1);
        assert_eq!(findings(BUSY, &[MAKER, busy, other]).len(), 1);
        let elsewhere = PAGE.replace("503", "409");
        assert_eq!(
            findings(BUSY, &[MAKER, (busy.0, &elsewhere)]).len(),
            1,
            "another status"
        );
        let half = "HTTP status 503.\n\n## Cause\n\nWhy.\n\n## Remedy\n\n## More\n\nx\n";
        assert_eq!(findings(BUSY, &[MAKER, (busy.0, half)]).len(), 1);
        assert_eq!(findings("", &[]).len(), 1);
    }

    #[test]
    fn a_code_that_nothing_answers_with_is_named() {
        let busy = ("docs/errors/busy.md", PAGE);
        let longer = (MAKER.0, "Self::new(ErrorCode::BusyBody, says)\n");
        assert_eq!(findings(BUSY, &[busy, longer]).len(), 1);
        assert_eq!(findings(BUSY, &[busy]).len(), 1);
    }
}
