//! `s3 <address> <directory>`: serves the directory's sub-directories as buckets to whoever signs with the keys in
//! the files that `S3_ACCESS_KEY_FILE` and `S3_SECRET_KEY_FILE` name. Unsigned requests are refused. The keys are
//! read from files because arguments are shown to everybody on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// How long open connections may take to end.
const GRACE: Duration = Duration::from_secs(3);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_ansi(false).init();
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(root)) = (args.next(), args.next()) else {
        return Err("usage: s3 <address> <directory>".into());
    };
    let files = s3s_fs::FileSystem::new(PathBuf::from(root)).map_err(|error| format!("{error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key("S3_ACCESS_KEY_FILE")?, key("S3_SECRET_KEY_FILE")?));
    let listener = TcpListener::bind(&address).await?;
    println!("s3: listens on {address}");
    serve(listener, service.build()).await
}

/// The key in the file that this variable names.
fn key(variable: &str) -> Result<String, Failure> {
    let file = std::env::var(variable).map_err(|_| format!("{variable} is not set"))?;
    let text = std::fs::read_to_string(&file).map_err(|error| format!("cannot read {file}: {error}"))?;
    match text.trim() {
        "" => Err(format!("{file} is empty").into()),
        key => Ok(key.to_owned()),
    }
}

/// Serves until told to stop, then lets open requests end.
async fn serve(listener: TcpListener, service: S3Service) -> Result<(), Failure> {
    let (server, graceful) = (Builder::new(TokioExecutor::new()), GracefulShutdown::new());
    let mut stop = signal(SignalKind::terminate())?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.recv() => break,
        };
        let Ok((socket, _)) = accepted else { continue };
        let connection = server.serve_connection(TokioIo::new(socket), service.clone());
        let connection = graceful.watch(connection.into_owned());
        // A client that goes away in the middle is no concern of the server's.
        tokio::spawn(async move { connection.await.ok() });
    }
    println!("s3: stops");
    tokio::time::timeout(GRACE, graceful.shutdown()).await.ok();
    Ok(())
}
