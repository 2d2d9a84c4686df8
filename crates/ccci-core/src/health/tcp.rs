//! One TCP port, opened a number of times in a row.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::wait;

/// Pause between two of the connections in a row.
const BETWEEN: Duration = Duration::from_millis(100);
/// How long a connection must be borne. A proxy accepts before it asks what is behind it, and closes when nobody is there.
const BORNE: Duration = Duration::from_millis(500);

/// Opens the port `times` in a row, each time until somebody speaks or [`BORNE`] is over; says which one failed and why.
pub(super) async fn open(
    host: &str,
    address: Option<IpAddr>,
    port: u16,
    times: u16,
    deadline: Duration,
) -> Result<(), String> {
    let target = address.map_or_else(|| host.to_owned(), |address| address.to_string());
    for time in 1..=times {
        if time > 1 {
            wait::pause(BETWEEN).await;
        }
        let opened = tokio::time::timeout(deadline, TcpStream::connect((target.as_str(), port))).await;
        let why = match opened {
            Ok(Ok(stream)) => match borne(stream).await {
                Ok(()) => continue,
                Err(why) => why,
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", deadline.as_secs()),
        };
        return Err(if times == 1 { why } else { format!("connection {time} of {times}: {why}") });
    }
    Ok(())
}

/// Says how a connection was ended by the other side before anybody spoke.
async fn borne(mut stream: TcpStream) -> Result<(), String> {
    match tokio::time::timeout(BORNE, stream.read(&mut [0])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => {
            Err("it was accepted and closed at once, as a proxy does with nobody behind it".to_owned())
        }
        Ok(Err(error)) => Err(format!("it was accepted and then ended: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// What a probe says of a listener that does this with each connection, and how long it took.
    async fn asked<F: Future<Output = ()> + Send>(
        times: u16,
        does: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> (Result<(), String>, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = async {
            loop {
                does(listener.accept().await.unwrap().0).await;
            }
        };
        let start = std::time::Instant::now();
        tokio::select! {
            () = serving => unreachable!("it serves for ever"),
            said = open("127.0.0.1", None, port, times, Duration::from_secs(5)) => (said, start.elapsed()),
        }
    }

    #[tokio::test]
    async fn a_port_that_is_held_open_answers_and_one_that_speaks_does_so_at_once() {
        let silent = |mut stream: TcpStream| async move { drop(stream.read(&mut [0]).await) };
        let (said, took) = asked(2, silent).await;
        assert_eq!(said, Ok(()));
        assert!(took >= 2 * BORNE, "{took:?}");
        let speaks = |mut stream: TcpStream| async move {
            stream.write_all(b"220 here").await.unwrap();
        };
        let (said, took) = asked(2, speaks).await;
        assert_eq!(said, Ok(()));
        assert!(took < 2 * BORNE, "{took:?}");
    }

    #[tokio::test]
    async fn a_port_that_is_accepted_and_closed_has_nobody_behind_it() {
        let (said, _) = asked(1, |stream| async move { drop(stream) }).await;
        assert!(said.unwrap_err().starts_with("it was accepted and closed at once"));
        let resets = |stream: TcpStream| async move {
            stream.set_zero_linger().unwrap();
            drop(stream);
        };
        let (said, _) = asked(3, resets).await;
        let why = said.unwrap_err();
        // The reset may come before the connection counts as open.
        assert!(why.starts_with("connection 1 of 3: ") && why.contains("reset"), "{why}");
    }
}
