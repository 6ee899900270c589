use std::path::PathBuf;

use tinykv::{Store, StoreError};

fn fresh(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tinykv-{name}-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn values_survive_reopening() {
    let path = fresh("reopen");
    let mut store = Store::open(&path).unwrap();
    store.set("colour", "blue").unwrap();
    store.set("colour", "green").unwrap();
    store.set("shape", "round").unwrap();
    assert!(store.delete("shape").unwrap());
    let store = Store::open(&path).unwrap();
    assert_eq!(store.get("colour"), Some("green"));
    assert_eq!(store.keys().collect::<Vec<_>>(), ["colour"]);
}

#[test]
fn damaged_lines_are_named() {
    let path = fresh("damaged");
    std::fs::write(&path, "set\ta\tb\nnonsense\n").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { line: 2, .. }));
}
