//! Languages by file name.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::listing::FileListing;
use super::{LanguageShare, Survey, ToolchainKind};

/// What a line of source takes on average.
const BYTES_PER_LINE: u64 = 32;

/// Extension, language; in order of extension.
const EXTENSIONS: &[(&str, &str)] = &[
    ("bash", "Shell"),
    ("c", "C"),
    ("cc", "C++"),
    ("cjs", "JavaScript"),
    ("clj", "Clojure"),
    ("cpp", "C++"),
    ("cs", "C#"),
    ("css", "CSS"),
    ("cts", "TypeScript"),
    ("cxx", "C++"),
    ("dart", "Dart"),
    ("ex", "Elixir"),
    ("exs", "Elixir"),
    ("fs", "F#"),
    ("go", "Go"),
    ("h", "C"),
    ("hh", "C++"),
    ("hpp", "C++"),
    ("hs", "Haskell"),
    ("html", "HTML"),
    ("java", "Java"),
    ("jl", "Julia"),
    ("js", "JavaScript"),
    ("jsx", "JavaScript"),
    ("kt", "Kotlin"),
    ("kts", "Kotlin"),
    ("lua", "Lua"),
    ("md", "Markdown"),
    ("mjs", "JavaScript"),
    ("ml", "OCaml"),
    ("mts", "TypeScript"),
    ("nim", "Nim"),
    ("php", "PHP"),
    ("pl", "Perl"),
    ("pm", "Perl"),
    ("proto", "Protocol Buffers"),
    ("py", "Python"),
    ("pyi", "Python"),
    ("r", "R"),
    ("rb", "Ruby"),
    ("rs", "Rust"),
    ("rst", "reStructuredText"),
    ("scala", "Scala"),
    ("scss", "CSS"),
    ("sh", "Shell"),
    ("sql", "SQL"),
    ("svelte", "Svelte"),
    ("swift", "Swift"),
    ("tf", "Terraform"),
    ("ts", "TypeScript"),
    ("tsx", "TypeScript"),
    ("vue", "Vue"),
    ("zig", "Zig"),
];

/// The language of a file, by its name.
pub(super) fn language_of_path(path: &str) -> Option<&'static str> {
    let (stem, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    if stem.is_empty() || path.ends_with(".min.js") || path.ends_with(".min.css") {
        return None;
    }
    let lower = || extension.bytes().map(|b| b.to_ascii_lowercase());
    let found = EXTENSIONS
        .binary_search_by(|(e, _)| e.bytes().cmp(lower()))
        .ok()?;
    Some(EXTENSIONS[found].1)
}

pub(super) fn language_shares(listing: &FileListing) -> Vec<LanguageShare> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for file in listing.files.iter().filter(|f| !f.vendored) {
        if let Some(language) = file.language {
            let sum = sums.entry(language).or_default();
            sum.0 += 1;
            sum.1 += file.bytes;
        }
    }
    let mut shares: Vec<LanguageShare> = sums
        .into_iter()
        .map(|(name, (files, bytes))| LanguageShare {
            name: name.to_owned(),
            files,
            bytes,
            lines_approx: bytes / BYTES_PER_LINE,
        })
        .collect();
    shares.sort_by_key(|l| (Reverse(l.bytes), l.name.clone()));
    shares
}

/// How much of the code a toolchain is for.
pub(super) fn toolchain_bytes(survey: &Survey, kind: ToolchainKind) -> u64 {
    let names: &[&str] = match kind {
        ToolchainKind::Python => &["Python"],
        ToolchainKind::Rust => &["Rust"],
        ToolchainKind::Node | ToolchainKind::Deno => &["JavaScript", "TypeScript", "Vue", "Svelte"],
        ToolchainKind::Go => &["Go"],
        ToolchainKind::Jvm => &["Java", "Kotlin", "Scala"],
        ToolchainKind::Native => &["C", "C++"],
        ToolchainKind::Ruby => &["Ruby"],
        ToolchainKind::Php => &["PHP"],
        ToolchainKind::Dotnet => &["C#", "F#"],
        ToolchainKind::Elixir => &["Elixir"],
        ToolchainKind::Swift => &["Swift"],
        ToolchainKind::Zig => &["Zig"],
        ToolchainKind::Shell => &[],
    };
    let of = survey
        .languages
        .iter()
        .filter(|l| names.contains(&l.name.as_str()));
    of.map(|l| l.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        assert!(EXTENSIONS.is_sorted_by_key(|(e, _)| e));
        for (path, want) in [
            ("a/b.py", Some("Python")),
            ("X.CPP", Some("C++")),
            ("app.min.js", None),
            (".rs", None),
            ("Makefile", None),
            ("a.b/c", None),
        ] {
            assert_eq!(language_of_path(path), want, "{path}");
        }
    }
}
