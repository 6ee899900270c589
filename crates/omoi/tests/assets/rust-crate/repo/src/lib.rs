//! Greets people by name.

/// One friendly sentence.
pub fn greet(name: &str) -> String {
    format!("Hello, {name}.")
}

#[cfg(test)]
mod tests {
    #[test]
    fn greets_by_name() {
        assert_eq!(super::greet("Ann"), "Hello, Ann.");
    }
}
