//! Tunnels to listed hosts: TLS for the host that was named, counted, and nothing else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use omoi_runtime::clock::{Clock, with_deadline};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::debug;

use crate::host::{EgressHost, EgressTarget};
use crate::refusal::{Refusal, RefusalReason};
use crate::session::EgressSession;

/// Bytes that a TLS greeting may have.
const GREETING_BYTES_MAX: usize = 64 << 10;
/// How long a client may take to say it.
const GREETING_MAX: Duration = Duration::from_secs(30);
/// How long a tunnel may stand.
const TUNNEL_MAX: Duration = Duration::from_secs(3600);
/// Bytes that are passed on at once.
const CHUNK_BYTES: usize = 32 << 10;

/// A tunnel whose host was judged and connected to.
pub(crate) struct HostTunnel {
    /// The host that the client named.
    pub(crate) target: EgressTarget,
    /// The connection to exactly the address that was judged.
    pub(crate) upstream: TcpStream,
}

/// Why a tunnel ended early.
enum TunnelEnd {
    Refused(Refusal),
    Broken(io::Error),
}

impl From<io::Error> for TunnelEnd {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for TunnelEnd {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl HostTunnel {
    /// Passes bytes on until one side ends, a cap is reached or the client turns out to speak something else.
    pub(crate) async fn run<S>(self, client: S, session: &Arc<EgressSession>, clock: &dyn Clock)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let target = self.target.clone();
        match with_deadline(clock, TUNNEL_MAX, self.pass_on(client, session, clock)).await {
            Ok(Ok(())) => debug!(%target, "A tunnel ended"),
            Ok(Err(TunnelEnd::Refused(refusal))) => session.note_refusal(&refusal),
            Ok(Err(TunnelEnd::Broken(error))) => debug!(%target, "A tunnel broke: {error}"),
            Err(passed) => debug!(%target, "A tunnel was cut: {passed}"),
        }
    }

    async fn pass_on<S>(
        mut self,
        mut client: S,
        session: &Arc<EgressSession>,
        clock: &dyn Clock,
    ) -> Result<(), TunnelEnd>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let subject = self.target.to_string();
        let greeting = read_greeting(&mut client, &self.target);
        let greeting = with_deadline(clock, GREETING_MAX, greeting)
            .await
            .map_err(|passed| {
                Refusal::new(RefusalReason::NotTls, &subject).with_detail(passed)
            })??;
        session.count_upload(&subject, greeting.len() as u64)?;
        self.upstream.write_all(&greeting).await?;
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_host, mut to_host) = self.upstream.split();
        let up = pump(&mut from_client, &mut to_host, |bytes| {
            session.count_upload(&subject, bytes)
        });
        let down = pump(&mut from_host, &mut to_client, |bytes| {
            session.count_download(&subject, bytes)
        });
        tokio::try_join!(up, down).map(|_| ())
    }
}

/// Passes bytes on in one direction, each counted before it goes, and closes at the end.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    count: impl Fn(u64) -> Result<(), Refusal>,
) -> Result<(), TunnelEnd> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let bytes = from.read(&mut chunk).await?;
        if bytes == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        count(bytes as u64)?;
        to.write_all(&chunk[..bytes]).await?;
        to.flush().await?;
    }
}

/// Reads the TLS greeting and holds its server name against the host of the tunnel. Gives the bytes, which
/// are still to be passed on.
async fn read_greeting(
    client: &mut (impl AsyncRead + Unpin),
    target: &EgressTarget,
) -> Result<Vec<u8>, TunnelEnd> {
    let not_tls = || Refusal::new(RefusalReason::NotTls, target);
    let mut acceptor = Acceptor::default();
    let mut greeting = Vec::new();
    let mut chunk = vec![0; 4096];
    loop {
        let bytes = client.read(&mut chunk).await?;
        if bytes == 0 || greeting.len() + bytes > GREETING_BYTES_MAX {
            return Err(not_tls().into());
        }
        greeting.extend_from_slice(&chunk[..bytes]);
        let mut unread = &chunk[..bytes];
        while !unread.is_empty() {
            let taken = acceptor.read_tls(&mut unread).map_err(|_| not_tls())?;
            if taken == 0 {
                break;
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    check_server_name(accepted.client_hello().server_name(), target)?;
                    return Ok(greeting);
                }
                Err((error, _)) => return Err(not_tls().with_detail(error).into()),
            }
        }
    }
}

/// Addresses have no server name; names must be the one of the tunnel.
fn check_server_name(server_name: Option<&str>, target: &EgressTarget) -> Result<(), Refusal> {
    let named = server_name.map(str::parse::<EgressHost>);
    match (named, &target.host) {
        (None, EgressHost::Address(_)) => Ok(()),
        (None, EgressHost::Name(_)) => Err(Refusal::new(RefusalReason::ServerNameMissing, target)),
        (Some(Ok(named)), host) if named == *host => Ok(()),
        (Some(_), _) => Err(Refusal::new(RefusalReason::ServerNameDiffers, target)
            .with_detail(server_name.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn greeting(server_name: &str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from(server_name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        bytes
    }

    async fn read(bytes: &[u8], target: &str) -> Result<usize, RefusalReason> {
        let target = EgressTarget::parse(target, 443).unwrap();
        let mut bytes = bytes;
        match read_greeting(&mut bytes, &target).await {
            Ok(greeting) => Ok(greeting.len()),
            Err(TunnelEnd::Refused(refusal)) => Err(refusal.reason),
            Err(TunnelEnd::Broken(error)) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_tunnel_carries_tls_for_its_own_host_alone() {
        use RefusalReason::{NotTls, ServerNameDiffers, ServerNameMissing};
        let named = greeting("example.com");
        let unnamed = greeting("1.1.1.1");
        assert_eq!(read(&named, "example.com").await, Ok(named.len()));
        assert_eq!(read(&named, "EXAMPLE.com.").await, Ok(named.len()));
        assert_eq!(read(&unnamed, "1.1.1.1").await, Ok(unnamed.len()));
        assert_eq!(read(&named, "other.com").await, Err(ServerNameDiffers));
        assert_eq!(read(&named, "1.1.1.1").await, Err(ServerNameDiffers));
        assert_eq!(read(&unnamed, "example.com").await, Err(ServerNameMissing));
        for other in [
            &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
            b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            b"",
            &named[..named.len() / 2],
            &[0x16; 200],
            &vec![0; 70_000],
        ] {
            assert_eq!(
                read(other, "example.com").await,
                Err(NotTls),
                "{} bytes",
                other.len()
            );
        }
    }
}
