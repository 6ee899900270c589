//! Shapes of tokens, places in patches and commits.

use super::*;

fn scan(patches: &str, mask: &SecretMask) -> Vec<SecretFinding> {
    let mut scan = SecretScan::new(mask);
    scan.add_patches(patches);
    scan.into_findings()
}

fn places(found: &[SecretFinding]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

fn found(line: &str, mask: &SecretMask) -> Option<(&'static str, bool)> {
    let diff = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+{line}\n");
    let found = scan(&diff, mask).pop();
    found.map(|found| (found.kind, found.is_known))
}

#[test]
fn shapes_of_tokens_are_found_and_plain_text_is_not() {
    let mask = SecretMask::default();
    let long = "aB3".repeat(30);
    for (shape, expected) in [
        (
            "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
            Some("a private key"),
        ),
        (
            "-----BEGIN PRIVATE KEY-----".to_owned(),
            Some("a private key"),
        ),
        (
            format!("KEY=sk-ant-api03-{long}"),
            Some("a key of Anthropic"),
        ),
        (
            format!("sk-proj-{long}"),
            Some("a key of OpenAI or OpenRouter"),
        ),
        (
            format!("token: ghp_{}", &long[..36]),
            Some("a token of GitHub"),
        ),
        (format!("github_pat_{long}"), Some("a token of GitHub")),
        (format!("glpat-{}", &long[..20]), Some("a token of GitLab")),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), Some("a key of AWS")),
        (format!("AIza{}", &long[..35]), Some("a key of Google")),
        (format!("xoxb-{}", &long[..24]), Some("a token of Slack")),
        (
            format!("//registry/:_authToken=npm_{}", &long[..36]),
            Some("a token of npm"),
        ),
        (
            format!("pypi-AgEIcHlwaS5vcmc{long}"),
            Some("a token of PyPI"),
        ),
        (
            format!("hf_{}", &long[..34]),
            Some("a token of Hugging Face"),
        ),
        (format!("sk_live_{}", &long[..24]), Some("a key of Stripe")),
        (format!("cio{}", &long[..32]), Some("a token of crates.io")),
        (
            format!("dckr_pat_{}", &long[..27]),
            Some("a token of Docker"),
        ),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), None),
        ("sk-local".to_owned(), None),
        ("let ghp_token = read();".to_owned(), None),
        (format!("sha512-{long}"), None),
        (format!("task-{long}"), None),
        (String::new(), None),
    ] {
        assert_eq!(
            found(&shape, &mask).map(|(kind, _)| kind),
            expected,
            "{shape}"
        );
    }
}

#[test]
fn known_values_are_found_however_they_are_written() {
    let mask = SecretMask::new(["my own/key-1"]);
    for line in [
        "x=my own/key-1;",
        "x=my%20own%2Fkey-1",
        "bXkgb3duL2tleS0x",
        "{\"k\": \"my own/key-1\"}",
    ] {
        assert_eq!(
            found(line, &mask),
            Some(("a secret of this deployment", true)),
            "{line}"
        );
    }
    assert_eq!(found("my own key", &mask), None);
}

#[test]
fn only_what_is_added_counts_with_its_place() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let patches = format!(
        "commit 0123456789abcdef\n\ndiff --git a/old b/old\n--- a/old\n+++ b/old\n@@ -3,2 +3 @@ fn {key}\n-{key}\n \
         context {key}\ndiff --git a/a b.txt b/a b.txt\nnew file mode 100644\n--- /dev/null\n+++ b/a b.txt\t\n\
         @@ -0,0 +1,3 @@\n+one\n++++ b/not-a-file\n+{key}\n@@ -9 +12,2 @@\n same\n+2 {key}\n"
    );
    let found = scan(&patches, &SecretMask::default());
    assert_eq!(
        places(&found),
        [
            "`a b.txt:3` of commit 0123456789ab (a key of AWS)",
            "`a b.txt:13` of commit 0123456789ab (a key of AWS)"
        ]
    );
    assert!(!format!("{found:?}").contains(key));
}

#[test]
fn a_line_that_two_commits_add_is_found_in_the_first() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let file = |name: &str| {
        format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1,0 +2 @@\n+{key}\n")
    };
    let patches = format!(
        "commit aaaa\n\n{}commit bbbb\n\n{}{}",
        file("x"),
        file("x"),
        file("y")
    );
    assert_eq!(
        places(&scan(&patches, &SecretMask::default())),
        [
            "`x:2` of commit aaaa (a key of AWS)",
            "`y:2` of commit bbbb (a key of AWS)"
        ]
    );
}

#[test]
fn names_of_files_and_texts_of_commits_are_searched_and_not_repeated() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let mask = SecretMask::new(["my-own-key-1"]);
    let patches = format!(
        "commit aaaa\n\ndiff --git a/d/{key} b/d/{key}\nnew file mode 100644\nindex 0..0\n\
         diff --git a/{key}.old b/{key}.old\ndeleted file mode 100644\n\
         diff --git a/x b/my-own-key-1\nsimilarity index 100%\nrename from x\nrename to my-own-key-1\n\
         diff --git a/{key}.txt b/{key}.txt\n--- a/{key}.txt\n+++ b/{key}.txt\n@@ -1,0 +7 @@\n+key {key}\n"
    );
    let mut scan = SecretScan::new(&mask);
    scan.add_patches(&patches);
    let object =
        format!("tree 00\nauthor A <my-own-key-1@x> 0 +0000\n\nfeat: Done\n\nWith {key}.\n");
    scan.add_commit("bbbb", &object);
    let found = scan.into_findings();
    assert_eq!(
        places(&found),
        [
            "the file name `d/****` of commit aaaa (a key of AWS)",
            "the file name `****` of commit aaaa (a secret of this deployment)",
            "`****.txt:7` of commit aaaa (a key of AWS)",
            "the text of commit bbbb (a secret of this deployment)",
            "the text of commit bbbb (a key of AWS)",
        ]
    );
    let shown = format!("{found:?}");
    assert!(!shown.contains(key) && !shown.contains("my-own-key-1"));
}

#[test]
fn text_of_two_bytes_per_character_is_read() {
    let wide: String = "KEY=AKIAIOSFODNN7EXAMPLE"
        .chars()
        .flat_map(|c| [c, '\0'])
        .collect();
    let kind = found(&wide, &SecretMask::default()).map(|(kind, _)| kind);
    assert_eq!(kind, Some("a key of AWS"));
}

#[test]
fn a_known_value_is_found_behind_any_number_of_lookalikes() {
    let mask = SecretMask::new(["my-own-key-1"]);
    let mut scan = SecretScan::new(&mask);
    for n in 0..2 * FINDINGS_MAX {
        scan.add_commit(&format!("{n:040}"), "AKIAIOSFODNN7EXAMPLE");
    }
    for n in 0..2 * FINDINGS_MAX {
        scan.add_commit(&format!("{n:040}"), "my-own-key-1");
    }
    let found = scan.into_findings();
    let n_known = found.iter().filter(|one| one.is_known).count();
    assert_eq!((found.len(), n_known), (2 * FINDINGS_MAX, FINDINGS_MAX));
}

#[test]
fn what_is_kept_in_files_for_secrets_is_found_without_any_shape() {
    let patches = "commit aaaa\n\ndiff --git a/web/.env b/web/.env\nnew file mode 100644\n--- /dev/null\n\
         +++ b/web/.env\n@@ -0,0 +1,2 @@\n+PORT=80\n+DB_PASSWORD=hunter2\n\
         diff --git a/x b/id_rsa\nsimilarity index 100%\nrename from x\nrename to id_rsa\n";
    let mask = SecretMask::default();
    let mut scan = SecretScan::new(&mask);
    scan.add_patches(patches);
    scan.add_commit(
        "bbbb",
        "tree 00\n\nUse postgres://app:tr0ub4dor@db.corp.net\n",
    );
    let found = scan.into_findings();
    assert_eq!(
        places(&found),
        [
            "the file name `web/.env` of commit aaaa (a file of settings that are secret)",
            "`web/.env:2` of commit aaaa (a setting that is secret)",
            "the file name `id_rsa` of commit aaaa (a private key)",
            "the text of commit bbbb (a password in an address)",
        ]
    );
    assert!(!format!("{found:?}").contains("hunter2"));
}
