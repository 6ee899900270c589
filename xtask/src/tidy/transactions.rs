//! Nothing but the database is awaited inside a transaction.
//!
//! SQLite has one connection that writes, and a row that PostgreSQL has locked stays locked: git, a
//! model, a sandbox or a timer awaited in between would hold up everybody else. A transaction is a closure
//! of `Tenant::read` or `Tenant::write`, or a function that is handed its `tx`, so every `.await` in one
//! must be of a call that takes `tx` itself; what `tx` says of itself may go to anybody. Transactions begun by hand, which this rule could not see, are for
//! tests.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::is_test;
use super::{Finding, Texts};

/// What begins a transaction by hand.
const BY_HAND: &[&str] = &[".begin_read(", ".begin_write("];
/// What begins the text in which `tx` is a transaction.
const OPENS: &[&str] = &[
    "async |tx|",
    "async move |tx|",
    "async |tx: &mut Tx|",
    "async move |tx: &mut Tx|",
];
/// The parameter of a function that is handed a transaction.
const PARAMETER: &str = "tx: &mut Tx";

/// Checks the crates that use the store.
pub(crate) fn check(all: &Texts<'_>) -> Vec<Finding> {
    let files = all.iter().filter(|(file, _)| is_checked(file));
    files
        .flat_map(|(file, text)| check_file(file, text))
        .collect()
}

fn is_checked(file: &Path) -> bool {
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    let ours = file.starts_with("crates") && file.iter().any(|part| part == "src");
    let of_store = file.starts_with("crates/omoi-store") || file.starts_with("crates/omoi-testkit");
    is_rust && ours && !of_store && !is_test(file)
}

fn check_file(file: &Path, text: &str) -> Vec<Finding> {
    let code = shipped(text);
    let mut findings = Vec::new();
    for word in BY_HAND {
        for (at, _) in code.match_indices(word) {
            let what = format!("`{word}…)` opens a transaction that nobody closes for it");
            let remedy = "run a closure: `store.read(async |tx| …)`, `store.write(CrashPoint::…, async |tx| …)`";
            findings.push(Finding::new(file, line_of(code, at), what, remedy));
        }
    }
    // A closure whose parameter has its type is found as both.
    let bodies = transactions(code).into_iter();
    let foreign = bodies.flat_map(|body| {
        let start = body.start;
        foreign_awaits(&code[body])
            .into_iter()
            .map(move |at| start + at)
    });
    for at in foreign.collect::<BTreeSet<usize>>() {
        let what = "something else than the database is awaited inside a transaction".to_owned();
        let remedy = "await it before the transaction begins, or after it has ended";
        findings.push(Finding::new(file, line_of(code, at), what, remedy));
    }
    findings
}

/// The text before the tests at the end of a file.
fn shipped(text: &str) -> &str {
    let tests = text.find("\n#[cfg(test)]\nmod ");
    &text[..tests.unwrap_or(text.len())]
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where `tx` is a transaction: bodies of closures, and of functions that are handed one.
fn transactions(code: &str) -> Vec<std::ops::Range<usize>> {
    let closures = OPENS.iter().flat_map(|opens| {
        let found = code.match_indices(opens);
        found.map(|(at, _)| closure_body(code, at + opens.len()))
    });
    let functions = code.match_indices(PARAMETER).filter_map(|(at, _)| {
        let open = at + body_of_signature(&code[at..])?;
        Some(open..block_end(code, open))
    });
    closures.chain(functions).collect()
}

/// Where the block begins of a function whose parameters end in `rest`; none where it has none, as in a
/// trait.
fn body_of_signature(rest: &str) -> Option<usize> {
    let (mut depth, mut outermost) = (0_i32, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' if depth == outermost => return Some(at),
            ';' | '}' if depth == outermost => return None,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        // The parenthesis that closes the parameters was opened before.
        outermost = outermost.min(depth);
    }
    None
}

/// A closure's body ends with its block, or before the parenthesis that closes the call it is given to.
fn closure_body(code: &str, from: usize) -> std::ops::Range<usize> {
    let mut depth = 0_usize;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 0 => return from..from + at,
            '}' | ')' | ']' => depth -= 1,
            ';' if depth == 0 => return from..from + at,
            _ => {}
        }
    }
    from..code.len()
}

fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open + at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Where something is awaited that does not take `tx`. A name that is awaited by itself was
/// bound before, where the same rule has seen its call.
fn foreign_awaits(body: &str) -> Vec<usize> {
    let awaits = body.match_indices(".await");
    let found = awaits.filter(|(at, _)| {
        let expression = expression_before(&body[..*at]);
        expression.contains('(') && !takes_tx(expression)
    });
    found.map(|(at, _)| at).collect()
}

/// The expression that ends here: calls with their arguments, paths and fields.
fn expression_before(text: &str) -> &str {
    let mut depth = 0_usize;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth == 0 => break,
            '(' | '[' | '{' => depth -= 1,
            _ if depth > 0 => {}
            '.' | '_' | ':' | '?' | '&' => {}
            c if c.is_alphanumeric() => {}
            // A chain goes on in the line above.
            c if c.is_whitespace() && text[at..].trim_start().starts_with('.') => {}
            _ => break,
        }
        start = at;
    }
    &text[start..]
}

/// Whether the last call of a chain is one of `tx`, or is given it. A future may lie in a box.
fn takes_tx(expression: &str) -> bool {
    let expression = expression.trim();
    let boxed = expression.strip_prefix("Box::pin(");
    if let Some(boxed) = boxed.and_then(|rest| rest.strip_suffix(')')) {
        return takes_tx(boxed);
    }
    if expression.starts_with("tx.") {
        return true;
    }
    let Some(arguments) = expression.strip_suffix(')') else {
        return false;
    };
    let mut depth = 0_usize;
    let mut end = arguments.len();
    for (at, c) in arguments.char_indices().rev() {
        let is_outermost = depth == 0;
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' | ',' if is_outermost => {
                if arguments[at + 1..end].trim() == "tx" {
                    return true;
                }
                if c != ',' {
                    return false;
                }
                end = at;
            }
            '(' | '[' | '{' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(code: &str) -> Vec<usize> {
        let file = Path::new("crates/omoi-execution/src/reaper.rs");
        let findings = check_file(file, code);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn only_the_database_is_awaited_in_a_transaction() {
        let fine = "async fn f(store: &Tenant, mirror: &Mirror) -> Result<(), E> {
    let head = mirror.head(&branch).await?;
    store.write(CrashPoint::X, async |tx| {
        let task = tasks::get(tx, id).await?;
        tx.insert(&task).await?;
        apply(tx, task, actions)
            .await?;
        Ok(())
    }).await?;
    mirror.push(&head).await
}\n";
        assert_eq!(lines(fine), []);
        let closure = fine.replace("tx.insert(&task).await?;", "mirror.push(&task).await?;");
        assert_eq!(lines(&closure), [5]);
        let short = "let head = store.read(async |tx| git.head(&x).await).await?;\n";
        assert_eq!(lines(short), [1]);
        let handed = "async fn move_task(tx: &mut Tx, task: Task) -> Result<(), E> {
    clock.sleep(PAUSE).await;
    tasks::save(tx, task).await
}\n";
        assert_eq!(lines(handed), [2]);
    }

    #[test]
    fn what_tx_says_of_itself_makes_no_call_one_of_the_database() {
        let within = |call: &str| format!("store.read(async |tx| {call}.await).await?;\n");
        for fine in [
            "tasks::get(tx, task.id)",
            "new.with_turns(tx)",
            "insert(tx, Task { id: tx.new_id(), ..task })",
            "tx.commit(point)",
            "Box::pin(stop(tx, task))",
        ] {
            assert_eq!(lines(&within(fine)), [], "{fine}");
        }
        for foreign in [
            "mirror.push(tx.org())",
            "clock.sleep(until(tx, task))",
            "Box::pin(mirror.push(tx.org()))",
            "git.show(Place { org: tx.org(), tx })",
        ] {
            assert_eq!(lines(&within(foreign)), [1], "{foreign}");
        }
    }

    #[test]
    fn every_body_that_is_handed_a_transaction_is_looked_at() {
        for opens in [
            "store.write(point, async move |tx| {",
            "let apply = async move |tx: &mut Tx| {",
            "async fn f(tx: &mut Tx, key: [u8; 32]) -> Result<(), E> {",
            "async fn f(key: [u8; 32], tx: &mut Tx) -> Result<[u8; 4], E> {",
            "async fn f<F>(tx: &mut Tx, done: F)\nwhere\n    F: Fn([u8; 4]),\n{",
        ] {
            let code = format!("{opens}\n    mirror.push(&head).await\n}}\n");
            let line = opens.lines().count() + 1;
            assert_eq!(lines(&code), [line], "{opens}");
        }
        let declared = "trait T {
    async fn f(tx: &mut Tx, key: [u8; 4]);
}
async fn g(mirror: &Mirror) {
    mirror.push(&head).await
}\n";
        assert_eq!(lines(declared), []);
    }

    #[test]
    fn transactions_begun_by_hand_are_for_tests() {
        let by_hand = "let mut tx = store.begin_write().await?;\n";
        assert_eq!(lines(by_hand), [1]);
        let tested = format!("fn f() {{}}\n\n#[cfg(test)]\nmod tests {{\n    {by_hand}}}\n");
        assert_eq!(lines(&tested), []);
    }
}
