//! The audit log, looked through by whoever runs the deployment.

use std::path::Path;

use omoi_testkit::raw_connection::RawConnection;

use super::Home;

/// Does what whoever owns the file can do.
fn change_rows(database: &Path, sql: &str) {
    let url = format!("sqlite://{}", database.display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = RawConnection::open(&url).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn a_changed_row_of_the_audit_log_is_named() {
    let home = Home::new();
    let data = home.path().join("data");
    let omoi = |words: &[&str]| {
        let folder = ["--data-dir", data.to_str().unwrap()];
        home.omoi(&[&folder, words].concat())
    };
    let verify = ["admin", "audit", "verify"];
    for words in [
        &["org", "list"][..],
        &["admin", "audit", "export"],
        &["admin", "audit", "export"],
        &verify,
    ] {
        let said = omoi(words);
        assert_eq!(said.code, 0, "{}", said.all());
    }
    change_rows(
        &data.join("omoios.db"),
        "drop trigger audit_log_is_never_updated; update audit_log set ip = '192.0.2.1' where seq = 1",
    );
    let said = omoi(&verify);
    assert_eq!(said.code, 1, "{}", said.all());
    let told = "the audit log of the platform is broken: row 1 was changed";
    assert!(said.err.contains(told), "{}", said.all());
    assert!(
        said.out.contains("the platform: row 1 was changed\n"),
        "{}",
        said.all()
    );
    let listed = omoi(&[&verify[..], &["--json"]].concat());
    assert_eq!(listed.code, 1, "{}", listed.all());
    assert!(listed.out.contains("row 1 was changed"), "{}", listed.all());
}
