//! What a provider says about its failure, as one line of plain text.

/// Most characters that are kept.
const WORDS_CHARS_MAX: usize = 1_000;
/// Most characters of a page that has no title.
const PAGE_CHARS_MAX: usize = 200;

/// `text` on one line, without control characters; of an HTML page its title, or its first words.
pub(super) fn plain_words(text: &str) -> String {
    match is_page(text) {
        true => page_words(text),
        false => one_line(text, WORDS_CHARS_MAX),
    }
}

fn is_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(200).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.contains("<head>")
}

fn page_words(page: &str) -> String {
    let title = element_text(page, "title").map(|title| unescape_entities(&without_tags(title)));
    let title = title.map(|title| one_line(&title, PAGE_CHARS_MAX));
    match title.filter(|title| !title.is_empty()) {
        Some(title) => format!("an HTML page: {title}"),
        None => {
            let words = unescape_entities(&without_tags(page));
            format!("an HTML page: {}", one_line(&words, PAGE_CHARS_MAX))
        }
    }
}

/// The content of the first element `name`.
fn element_text<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let lower = page.to_ascii_lowercase();
    let open = lower.find(&format!("<{name}"))?;
    let from = open + page[open..].find('>')? + 1;
    let to = from + lower[from..].find(&format!("</{name}"))?;
    Some(&page[from..to])
}

fn without_tags(page: &str) -> String {
    let mut rest = page;
    let mut out = String::new();
    while let Some((text, tag)) = rest.split_once('<') {
        out.push_str(text);
        out.push(' ');
        let start: String = tag.chars().take(6).collect();
        // What a script or a style says is for no reader.
        let skipped = ["script", "style"]
            .into_iter()
            .find(|name| start.to_ascii_lowercase().starts_with(name));
        let end = match skipped {
            Some(name) => tag.to_ascii_lowercase().find(&format!("</{name}")),
            None => Some(0),
        };
        let Some((_, after)) = end.and_then(|end| tag[end..].split_once('>')) else {
            return out;
        };
        rest = after;
    }
    out.push_str(rest);
    out
}

fn unescape_entities(text: &str) -> String {
    let names = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let replace = |text: String, (name, letter)| text.replace(name, letter);
    names.into_iter().fold(text.to_owned(), replace)
}

fn one_line(text: &str, chars_max: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_plain_line() {
        let page = "<!DOCTYPE html>\n<html><head><TITLE lang=en>502 Bad\n Gateway &amp; more</TITLE>\
                    <style>b { x }</style></head><body><h1>no</h1></body></html>";
        let bare =
            "<html><body><script>evil()</script><h1>Down for\nmaintenance</h1></body></html>";
        for (text, expected) in [
            ("", ""),
            (" Overloaded \n", "Overloaded"),
            ("a\u{1b}[2J\r\nb\u{9b}", "a [2J b"),
            ("1 < 2", "1 < 2"),
            (page, "an HTML page: 502 Bad Gateway & more"),
            (bare, "an HTML page: Down for maintenance"),
            ("<html><script>never closed", "an HTML page: "),
            ("<html", "an HTML page: "),
        ] {
            assert_eq!(plain_words(text), expected, "{text:?}");
        }
        assert_eq!(plain_words(&"ä".repeat(5_000)).chars().count(), 1_001);
    }
}
