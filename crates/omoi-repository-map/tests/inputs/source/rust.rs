/// Reads "headers".
pub fn parse_header<T: Into<String>>(text: T) -> Result<Header, Error> {
    let r = r#"raw"#;
    match text { Some(x) => x?, None => vec![1; 3] }
}
impl<'a> Header<'a> { const MAX: u8 = 1; }
macro_rules! m { ($($a:expr),*) => { $($a)* } }
