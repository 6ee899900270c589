//! Prints the description of the API.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(omoi_server::api::openapi_text().as_bytes())
}
