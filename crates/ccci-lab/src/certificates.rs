//! The lab's certificate authority and the wildcard certificate under which its Traefik answers. Both are made once
//! and again before they end; keys are readable by their owner only and leave the machine on no path.

use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use x509_parser::pem::parse_x509_pem;

use crate::layout::{BASE_DOMAIN, LabLayout};

/// How long the authority is good for, in years. Every image that trusts it is built again when it changes.
const CA_YEARS: i16 = 10;
/// How long the wildcard certificate is good for, in years.
const LEAF_YEARS: i16 = 1;
/// A certificate with fewer days left is made again.
const RENEW_DAYS: i64 = 30;

/// Certificates that could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The certificate library refused.
    #[error("cannot make the certificate {what}: {source}")]
    Make {
        /// Which certificate.
        what: &'static str,
        /// The library's answer.
        source: rcgen::Error,
    },
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The certificate and key that Traefik serves.
#[derive(Debug, Clone)]
pub struct Wildcard {
    /// The certificate as PEM.
    pub certificate: String,
    /// Its key as PEM.
    pub key: Secret,
    /// Eight characters that change with the certificate: the version of the swarm secrets made from it.
    pub version: String,
}

/// Makes the authority and the wildcard certificate where they are missing, near their end or not a pair.
pub fn ensure(layout: &LabLayout, now: jiff::Timestamp) -> Result<Wildcard, CertificateError> {
    let dir = layout.ca();
    atomic::create_dir(&dir)?;
    let ca = Pair { certificate: layout.ca_file(), key: dir.join("ca.key") };
    let leaf = Pair { certificate: layout.wildcard_file(), key: dir.join(format!("{BASE_DOMAIN}.key")) };
    let fresh = !ca.is_good(now)?;
    if fresh {
        make_ca(&ca, now)?;
    }
    if fresh || !leaf.is_good(now)? {
        make_leaf(&ca, &leaf, now)?;
    }
    let certificate = read(&leaf.certificate)?;
    let version = blake3::hash(certificate.as_bytes()).to_hex()[..8].to_owned();
    Ok(Wildcard { certificate, key: Secret::new(read(&leaf.key)?), version })
}

/// Where a certificate and its key are.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// True when both are there, belong together, and the certificate is good for a while.
    fn is_good(&self, now: jiff::Timestamp) -> Result<bool, PathError> {
        let (certificate, key) =
            (atomic::read_optional(&self.certificate)?, atomic::read_optional(&self.key)?);
        let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(false) };
        Ok(days_left(&certificate, &key, now).is_some_and(|days| days >= RENEW_DAYS))
    }

    /// The key first: a crash in between leaves a pair that does not match, which is made again.
    fn write(&self, certificate: &str, key: &KeyPair) -> Result<(), PathError> {
        atomic::write_private(&self.key, key.serialize_pem().as_bytes())?;
        atomic::write(&self.certificate, certificate.as_bytes())
    }
}

/// How many days a certificate is still good for; `None` when it cannot be read or the key is not its own.
fn days_left(certificate: &str, key: &str, now: jiff::Timestamp) -> Option<i64> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
    let parsed = pem.parse_x509().ok()?;
    let key = KeyPair::from_pem(key).ok()?;
    let own = parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw();
    own.then(|| (parsed.validity().not_after.timestamp() - now.as_second()) / 86_400)
}

fn make_ca(ca: &Pair, now: jiff::Timestamp) -> Result<(), CertificateError> {
    let make = |source| CertificateError::Make { what: "authority", source };
    let mut params = params(Vec::new(), "ccci lab authority", CA_YEARS, now).map_err(make)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(make)?;
    let certificate = params.self_signed(&key).map_err(make)?;
    Ok(ca.write(&certificate.pem(), &key)?)
}

fn make_leaf(ca: &Pair, leaf: &Pair, now: jiff::Timestamp) -> Result<(), CertificateError> {
    let make = |source| CertificateError::Make { what: "for the lab's domain", source };
    let ca_key = KeyPair::from_pem(&read(&ca.key)?).map_err(make)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca.certificate)?, ca_key).map_err(make)?;
    let names = vec![format!("*.{BASE_DOMAIN}"), BASE_DOMAIN.to_owned()];
    let mut params = params(names, BASE_DOMAIN, LEAF_YEARS, now).map_err(make)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(make)?;
    let certificate = params.signed_by(&key, &issuer).map_err(make)?;
    Ok(leaf.write(&certificate.pem(), &key)?)
}

fn params(
    names: Vec<String>,
    common: &str,
    years: i16,
    now: jiff::Timestamp,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |year: i16, date: jiff::civil::Date| {
        // The 29th of February is not in every year.
        let day = u8::try_from(date.day().min(28)).unwrap_or(1);
        date_time_ymd(i32::from(year), u8::try_from(date.month()).unwrap_or(1), day)
    };
    // From yesterday on: clocks of containers and of other machines may be behind.
    let from = today.yesterday().unwrap_or(today);
    params.not_before = day(from.year(), from);
    params.not_after = day(today.year() + years, today);
    Ok(params)
}

fn read(path: &Path) -> Result<String, PathError> {
    std::fs::read_to_string(path).path("read", path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn certificates_are_kept_until_they_near_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let first = ensure(&layout, at("2026-02-27T12:00:00Z")).unwrap();
        let ca = read(&layout.ca_file()).unwrap();
        let later = ensure(&layout, at("2026-12-01T00:00:00Z")).unwrap();
        assert_eq!(first.version, later.version);
        let renewed = ensure(&layout, at("2027-02-10T00:00:00Z")).unwrap();
        assert_ne!(first.version, renewed.version);
        assert_eq!(read(&layout.ca_file()).unwrap(), ca, "the authority lives longer");
        ensure(&layout, at("2036-02-10T00:00:00Z")).unwrap();
        assert_ne!(read(&layout.ca_file()).unwrap(), ca);
    }

    #[test]
    fn keys_are_private_and_a_pair_that_does_not_match_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let now = at("2026-06-01T12:00:00Z");
        let first = ensure(&layout, now).unwrap();
        for key in ["ca.key", "lab.test.key"] {
            let mode = std::fs::metadata(layout.ca().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        let other = KeyPair::generate().unwrap().serialize_pem();
        atomic::write_private(&layout.ca().join("lab.test.key"), other.as_bytes()).unwrap();
        assert_ne!(ensure(&layout, now).unwrap().version, first.version);
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }
}
