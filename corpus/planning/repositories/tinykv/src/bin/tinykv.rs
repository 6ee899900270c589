use std::path::Path;
use std::process::ExitCode;

use tinykv::{Store, StoreError};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tinykv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, StoreError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [path, rest @ ..] = words.as_slice() else {
        return Ok(usage());
    };
    let mut store = Store::open(Path::new(path))?;
    match rest {
        ["get", key] => match store.get(key) {
            Some(value) => println!("{value}"),
            None => return Ok(ExitCode::FAILURE),
        },
        ["set", key, value] => store.set(key, value)?,
        ["del", key] => {
            store.delete(key)?;
        }
        ["keys"] => store.keys().for_each(|key| println!("{key}")),
        _ => return Ok(usage()),
    }
    Ok(ExitCode::SUCCESS)
}

fn usage() -> ExitCode {
    eprintln!("usage: tinykv FILE get KEY | set KEY VALUE | del KEY | keys");
    ExitCode::from(2)
}
