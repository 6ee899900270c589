use proptest::prelude::*;

use super::*;

fn definitions(path: &str, source: &str) -> Vec<String> {
    let language = SourceLanguage::of_path(path).unwrap_or(SourceLanguage::Rust);
    let tags = TagReader::default().read_tags(language, source.as_bytes());
    let shown = tags.definitions.iter();
    shown
        .map(|found| format!("{} {} {}", found.line, found.kind.as_str(), found.name))
        .collect()
}

/// A path, its source, and what is defined there.
const SOURCES: [(&str, &str, &[&str]); 7] = [
    (
        "a.rs",
        "pub fn one() {}\nstruct Two;\nenum Three { A }\ntrait Four { fn five(); }\nmod six;\nconst SEVEN: u8 = 1;\n\
             macro_rules! eight { () => {} }\ntype Nine = u8;\nimpl Two { fn ten(&self) { let local = 1; } }\n",
        &[
            "1 fn one",
            "2 type Two",
            "3 type Three",
            "4 interface Four",
            "4 fn five",
            "5 module six",
            "6 const SEVEN",
            "7 macro eight",
            "8 type Nine",
            "9 fn ten",
        ],
    ),
    (
        "a.py",
        "LIMIT = 1\nclass A:\n    size = 2\n    async def run(self):\n        local = 3\n",
        &["1 const LIMIT", "2 type A", "4 fn run"],
    ),
    (
        "a.ts",
        "export interface A { b(): void }\ntype C = string;\nenum D { E }\nexport const f = (x: number) => x;\nabstract class G { h() {} }\n\
             function i<T>(t: T) { const local = 1; }\n",
        &[
            "1 interface A",
            "1 fn b",
            "2 type C",
            "3 type D",
            "4 fn f",
            "5 type G",
            "5 fn h",
            "6 fn i",
        ],
    ),
    (
        "a.js",
        "const LIMIT = 3;\nexports.run = function () {};\nA.prototype.go = () => 1;\nmodule.exports = { stop() {}, wait: async () => 2, n: 1 };\n\
             class B { c() { return <div/>; } }\n",
        &[
            "1 const LIMIT",
            "2 fn run",
            "3 fn go",
            "4 fn stop",
            "4 fn wait",
            "5 type B",
            "5 fn c",
        ],
    ),
    (
        "a.go",
        "package a\ntype A struct{}\nfunc (a *A) B() { c := 1 }\nfunc D() {}\nconst E = 1\nvar F = 2\n",
        &["2 type A", "3 fn B", "4 fn D", "5 const E", "6 const F"],
    ),
    (
        "A.java",
        "interface A { void b(); }\nclass C extends D { C() {} int e() { return 1; } }\nrecord F(int g) {}\nenum H { I }\n",
        &[
            "1 interface A",
            "1 fn b",
            "2 type C",
            "2 fn C",
            "2 fn e",
            "3 type F",
            "4 type H",
        ],
    ),
    (
        "a.cpp",
        "#define A 1\n#define B(x) x\nnamespace c { class D { int e() { return 1; } }; }\nint D::f(int g) { return g; }\n\
             static char *h(void) { return 0; }\ntypedef struct i { int j; } k;\nstruct l;\n",
        &[
            "1 macro A",
            "2 macro B",
            "3 module c",
            "3 type D",
            "3 fn e",
            "4 fn f",
            "5 fn h",
            "6 type k",
            "6 type i",
        ],
    ),
];

#[test]
fn definitions_are_found_in_every_language() {
    for (path, source, want) in SOURCES {
        assert_eq!(definitions(path, source), want, "{path}");
    }
}

#[test]
fn references_are_names_that_are_not_defined_there() {
    let source = "fn run() {\n    helper();\n    helper();\n    run();\n}\n/// Reads the cached tokens.\nfn helper_two() {}\n";
    let mut reader = TagReader::default();
    let tags = reader.read_tags(SourceLanguage::Rust, source.as_bytes());
    assert_eq!(tags.references.get("helper"), Some(&2));
    assert_eq!(
        tags.references.get("run"),
        Some(&1),
        "its call, not its definition"
    );
    let words: Vec<&str> = tags.words.keys().map(String::as_str).collect();
    assert_eq!(words, ["cach", "read", "token"]);
    let places = reader.find_symbol(SourceLanguage::Rust, source.as_bytes(), "run");
    let lines: Vec<_> = places
        .iter()
        .map(|place| (place.line, place.defines))
        .collect();
    assert_eq!(lines, [(1, Some(DefinitionKind::Function)), (4, None)]);
}

#[test]
fn what_is_no_source_has_no_tags() {
    let minified = format!("function a(){{{}}}", "b();".repeat(1_000));
    for source in [
        minified.as_bytes(),
        b"\xff\xfe\x00f\x00n",
        &vec![b'\n'; SOURCE_BYTES_MAX + 1],
        b"",
    ] {
        let tags = TagReader::default().read_tags(SourceLanguage::JavaScript, source);
        assert_eq!(tags, FileTags::default());
    }
}

#[test]
fn deep_nesting_ends() {
    for (language, open) in [
        (SourceLanguage::Rust, "fn a() {\n"),
        (SourceLanguage::JavaScript, "f(\n[{a:\n"),
        (SourceLanguage::Cpp, "((\n"),
        (SourceLanguage::Python, "if a:\n ("),
    ] {
        let source = open.repeat(30_000);
        TagReader::default().read_tags(language, source.as_bytes());
    }
}

/// Pieces that sources are made of, and some that they are not.
fn any_source() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "fn ",
        "def ",
        "class ",
        "function ",
        "func ",
        "a",
        "b1",
        "\u{e9}",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "<",
        ">",
        ";",
        ":",
        ",",
        "\n",
        "\n    ",
        "\t",
        "\"",
        "'",
        "`",
        "#",
        "/*",
        "*/",
        "//",
        "=",
        "=>",
        "->",
        "::",
        ".",
        "\0",
        "\u{feff}",
        "r#\"",
        "'''",
        "${",
        "<div>",
        "template<",
        "operator",
        "impl ",
        "mod ",
        "interface ",
        "\\",
    ]);
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No text makes a reader fail, and what was read before does not change what is read.
    #[test]
    fn any_text_has_the_same_tags_again(source in any_source(), before in any_source(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = TagReader::default();
        for language in SourceLanguage::ALL {
            reader.read_tags(language, before.as_bytes());
            reader.read_tags(language, &bytes);
            let tags = reader.read_tags(language, source.as_bytes());
            prop_assert_eq!(&tags, &TagReader::default().read_tags(language, source.as_bytes()));
            for definition in &tags.definitions {
                prop_assert!(source.contains(&definition.name));
                prop_assert!(definition.line as usize <= source.matches('\n').count() + 1);
            }
        }
    }
}
