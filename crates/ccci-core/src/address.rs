//! Addresses of a server's settings: where apps answer that DNS does not know, and where Traefik's API is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize};

use crate::yaml;

/// An IP address, with a port or without: `127.0.0.1`, `127.0.0.1:8443`, `::1`, `[::1]:8443`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Address {
    ip: IpAddr,
    /// 0 stands for the port of what is asked: 443 for `https`.
    port: u16,
}

impl Address {
    /// The IP address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// For a resolver of names. A port in it takes the place of the scheme's own; 0 leaves that.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip, port: 0 }
    }
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither an IP address nor an IP address with a port")]
pub struct AddressError {
    /// The text.
    pub text: String,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let alone = || text.parse::<IpAddr>().ok().map(Self::from);
        let with_port = || {
            let socket = text.parse::<SocketAddr>().ok().filter(|socket| socket.port() != 0)?;
            Some(Self { ip: socket.ip(), port: socket.port() })
        };
        alone().or_else(with_port).ok_or_else(|| AddressError { text: text.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == 0 { self.ip.fmt(f) } else { self.socket().fmt(f) }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let what = "an IP address, with a port or without";
        source.deserialize_str(yaml::Checked(what, |text: String| text.parse::<Self>()))
    }
}

/// Where Traefik's API is: `https://traefik.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiUrl(String);

impl ApiUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ApiUrl {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(yaml::Checked("the address of Traefik's API", |text: String| text.parse()))
    }
}

impl FromStr for ApiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok();
        // A password would stand in every log.
        let plain = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.password().is_none());
        match plain {
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
            None => Err(format!("`{text}` is not an address such as https://traefik.example.org")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_or_not_and_is_written_as_it_is_read() {
        for (text, port) in [("127.0.0.1", 0), ("127.0.0.1:8443", 8443), ("::1", 0), ("[::1]:8443", 8443)] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.socket().port(), address.to_string().as_str()), (port, text));
        }
        for text in ["nowhere", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "localhost:1", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
