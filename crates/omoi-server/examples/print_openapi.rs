//! Prints the description of the API; with the argument `worker` that of the API of workers.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let is_worker = std::env::args().nth(1).is_some_and(|api| api == "worker");
    let text = match is_worker {
        true => omoi_server::worker::worker_openapi_text(),
        false => omoi_server::api::openapi_text(),
    };
    std::io::stdout().write_all(text.as_bytes())
}
