//! One TCP port, opened a number of times in a row.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::wait;

/// Pause between two of the connections in a row.
const BETWEEN: Duration = Duration::from_millis(100);

/// Opens the port `times` in a row; says which one failed and why.
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
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", deadline.as_secs()),
        };
        return Err(if times == 1 { why } else { format!("connection {time} of {times}: {why}") });
    }
    Ok(())
}
