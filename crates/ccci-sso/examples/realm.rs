//! A realm's life on the Keycloak of a ccci server, here the lab's. The password comes in by standard input:
//!
//! ```text
//! docker exec $(docker ps --quiet --filter name=warm-keycloak_lab_test_app) cat /run/secrets/admin_password |
//!     cargo run -p ccci-sso --example realm -- /var/lib/ccci-lab/ccci.yaml
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{error::Error, io, path::Path};

use ccci_core::{secret::Redactor, secret::Secret, settings::Settings};
use ccci_sso::{AdminLogin, Audience, Issuer, Keycloak, Net, Realm, RealmSpec, StateId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("name the server's settings file")?;
    let settings = Settings::load(Path::new(&file))?;
    let password = Secret::new(io::read_to_string(io::stdin())?.trim_end().to_owned());
    let net = Net::from_settings(&settings, &Redactor::default());
    let origin = format!("https://warm-keycloak.{}", settings.base_domain);
    let keycloak = Keycloak::new(&net, &origin, AdminLogin { user: "admin".to_owned(), password })?;
    keycloak.login().await?;

    let (recipe, run, state) = ("example".parse()?, "0a1b2c".parse()?, StateId::of(&settings.state_dir)?);
    let spec = RealmSpec::for_app(&recipe, &run, &state, "https://app.example.org");
    let realm = Realm::create(&keycloak, &spec).await?;
    println!("created {realm}: {}", realm.issuer);
    let proved = prove(&net, &realm).await;
    realm.close(&keycloak).await?;
    println!("closed {realm}");
    proved
}

async fn prove(net: &Net, realm: &Realm) -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::discover(net, &realm.issuer).await?;
    let tokens = issuer.password_grant(&realm.client, &realm.user).await?;
    let claims = issuer.verify(&tokens.access, Audience::IssuedTo(&realm.client.id)).await?;
    println!("{} has a token that verifies, until {:?}", realm.user.name, claims.get("exp"));
    Ok(())
}
