//! What stands before a plain server in an installation: takes encrypted connections and passes their bytes on.

use std::sync::Arc;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// The authority that vouches for the encrypted server, as PEM.
pub const AUTHORITY: &[u8] = include_bytes!("../samples/tls/authority.pem");

/// Shows the certificate of `localhost` that [`AUTHORITY`] vouches for.
pub(crate) fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../samples/tls/server.pem")).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../samples/tls/server.key.pem")).expect("PEM");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")))
}

/// A front before one server. It is gone with the test.
pub struct EncryptedFront {
    /// `https://localhost:PORT`
    pub url: String,
    serving: JoinHandle<()>,
}

impl Drop for EncryptedFront {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl EncryptedFront {
    /// Before `server`, `http://HOST:PORT`.
    pub async fn before(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("a plain server").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = tokio::spawn(async move {
            let acceptor = acceptor();
            while let Ok((outside, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate, or goes away, is what a test may be about.
                    let Ok(mut outside) = acceptor.accept(outside).await else { return };
                    let Ok(mut inside) = TcpStream::connect(server).await else { return };
                    let _ended = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { url: format!("https://localhost:{port}"), serving }
    }
}
