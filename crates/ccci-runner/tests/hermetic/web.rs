//! Where the apps answer over HTTPS: one certificate for all of them, and the fake engine says what each answers.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::engine::Engine;
use crate::wire::{self, Reply};

/// The domain below which all apps are.
pub(crate) const BASE_DOMAIN: &str = "ci.test";

/// The web.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Arc<Proxy>,
    ended: Arc<AtomicBool>,
}

/// What stands between the web and the engine: by default it sees every change at once.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    read: Mutex<BTreeMap<String, (Instant, u16)>>,
    /// Milliseconds between two looks at one app.
    interval: AtomicU64,
}

impl Proxy {
    /// From now on it goes by what it saw of an app this long ago.
    pub(crate) fn looks_every(&self, interval: Duration) {
        self.interval.store(u64::try_from(interval.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// What the app answers, as far as the proxy has noticed.
    fn answers(&self, engine: &Engine, stack: &str) -> u16 {
        let interval = Duration::from_millis(self.interval.load(Ordering::Relaxed));
        let mut read = self.read.lock().unwrap();
        match read.get(stack) {
            Some((at, status)) if at.elapsed() < interval => *status,
            _ => {
                let status = engine.answers(stack);
                read.insert(stack.to_owned(), (Instant::now(), status));
                status
            }
        }
    }
}

impl Web {
    /// Answers for the engine's apps until this is dropped; the authority's certificate is put at `ca_file`.
    pub(crate) fn start(engine: &Engine, ca_file: &Path) -> Self {
        let Identity { authority, server } = identity();
        std::fs::write(ca_file, authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, ended) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
        let proxy = Arc::<Proxy>::default();
        let (engine, over, between) = (engine.clone(), Arc::clone(&ended), Arc::clone(&proxy));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (stream, engine, between) = (stream.unwrap(), engine.clone(), Arc::clone(&between));
                std::thread::spawn(move || talk(stream, Arc::clone(server), &engine, &between));
            }
        });
        Self { address, proxy, ended }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn talk(stream: TcpStream, server: Arc<ServerConfig>, engine: &Engine, proxy: &Proxy) {
    stream.set_nodelay(true).unwrap();
    let session = ServerConnection::new(server).unwrap();
    wire::serve(StreamOwned::new(session, stream), |request| {
        let status = proxy.answers(engine, &request.host.replace('.', "_"));
        Reply::Text(status, if status == 200 { "hello" } else { "not now" })
    });
}

/// One authority and one certificate for all tests of this process.
struct Identity {
    authority: String,
    server: Arc<ServerConfig>,
}

fn identity() -> &'static Identity {
    static MADE: OnceLock<Identity> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let names = vec![format!("*.{BASE_DOMAIN}")];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let server = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], private)
            .unwrap();
        Identity { authority: certificate.pem(), server: Arc::new(server) }
    })
}
