//! A mail server that keeps what it gets as files: aiosmtpd with STARTTLS and AUTH, which it demands.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Plan, Server, Started, start_with_retries};
use crate::{host, process};

/// The Python package of the server.
pub const PACKAGE: &str = "aiosmtpd";
/// Its pinned version.
pub const VERSION: &str = "1.4.6";
/// What it is made of, with the digest of every wheel.
pub const WHEELS: &str = include_str!("../../registries/mail/requirements.txt");
/// The variable that points tests at a running server.
pub const URL_VARIABLE: &str = "OMOI_TEST_MAIL_URL";
/// The server's certificate, which vouches for itself, in the folder of the server.
pub const CERTIFICATE: &str = "certificate.pem";
/// The folder of the mails in the folder of the server: a file per recipient, named by the address and a number.
pub const MAILS: &str = "mails";
/// The user whom the server knows.
pub const USER: &str = "omoi";

const SCRIPT: &str = include_str!("mail_sink.py");
/// The Debian package of the program that makes the certificate.
pub const OPENSSL_PACKAGE: &str = "openssl";

/// Where the wheels are installed, for `PYTHONPATH`.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("{PACKAGE}-{VERSION}")))
}

/// Starts a server without mails. The path of its address is its folder.
///
/// # Errors
/// Fails with the package to install when a program is missing, and with the server's own words when it does not start.
pub fn start() -> Result<Server> {
    let packages = folder()?;
    if !packages.is_dir() {
        anyhow::bail!(
            "the mail server is missing: `cargo xtask setup` installs it (Python package {PACKAGE} {VERSION})"
        );
    }
    let python = host::find_open_program("python3")
        .context("a Python that every user may run is missing: install the package python3")?;
    let openssl = host::find_program("openssl")
        .with_context(|| format!("openssl is missing: install the package {OPENSSL_PACKAGE}"))?;
    let server = MailServer {
        python: python.to_string_lossy().into_owned(),
        openssl,
        packages,
    };
    start_with_retries("mail", |plan| server.start(plan)).context("could not start the mail server")
}

/// The programs that the server is made of.
struct MailServer {
    python: String,
    openssl: PathBuf,
    packages: PathBuf,
}

impl MailServer {
    fn start(&self, plan: Plan) -> Result<Started> {
        let script = plan.write("mail_sink.py", SCRIPT)?;
        plan.write("password", &plan.password)?;
        self.make_certificate(&plan)?;
        let url = format!(
            "smtp://{USER}:{}@127.0.0.1:{}{}",
            plan.password,
            plan.port,
            plan.folder.display()
        );
        let packages = format!("PYTHONPATH={}", self.packages.display());
        let (script, port) = (script.to_string_lossy(), plan.port.to_string());
        // `env` becomes the interpreter, so the guard ends the server itself.
        let server = ["env", &packages, &self.python, "-B", &script, &port];
        plan.start("TERM", &server, url, greets)
    }

    /// Makes a certificate for a day, and its key.
    fn make_certificate(&self, plan: &Plan) -> Result<()> {
        let mut openssl = plan.command(&self.openssl);
        openssl.args(["req", "-x509", "-nodes", "-days", "1", "-subj"]);
        openssl.args(["/CN=localhost", "-newkey", "ec", "-pkeyopt"]);
        openssl.args(["ec_paramgen_curve:P-256", "-keyout", "key.pem", "-out"]);
        // No certificate of an authority: clients refuse one as a server's own.
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        openssl.args([CERTIFICATE, "-config"]);
        openssl.arg(plan.write("openssl.cnf", "[req]\ndistinguished_name=name\n[name]\n")?);
        openssl.args(["-addext", names, "-addext", "basicConstraints=CA:FALSE"]);
        process::output(&mut openssl).context("could not make a certificate")?;
        Ok(())
    }
}

fn greets(plan: &Plan) -> bool {
    let greeting = || -> std::io::Result<String> {
        let stream = TcpStream::connect(("127.0.0.1", plan.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    greeting().is_ok_and(|line| line.starts_with("220 "))
}
