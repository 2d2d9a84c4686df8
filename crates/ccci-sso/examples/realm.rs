//! A realm's life: `KEYCLOAK_PASSWORD=… cargo run -p ccci-sso --example realm -- https://keycloak.example.org`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]
#![expect(clippy::disallowed_methods, reason = "an example is an edge: it reads the environment")]

use std::error::Error;

use ccci_core::secret::Secret;
use ccci_sso::{AdminLogin, Audience, Issuer, Keycloak, Net, Realm, RealmSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = std::env::args().nth(1).ok_or("name Keycloak's origin")?;
    let password = Secret::new(std::env::var("KEYCLOAK_PASSWORD")?);
    let net = Net::default();
    let keycloak = Keycloak::new(&net, &origin, AdminLogin { user: "admin".to_owned(), password })?;

    let (recipe, run, state) = ("example".parse()?, "0a1b2c".parse()?, "example".parse()?);
    let spec = RealmSpec::for_app(&recipe, &run, &state, "https://app.example.org");
    let realm = Realm::create(&keycloak, &spec).await?;
    println!("created {realm}");

    let issuer = Issuer::discover(&net, &realm.issuer).await?;
    let tokens = issuer.password_grant(&realm.client, &realm.user).await?;
    let claims = issuer.verify(&tokens.access, Audience::IssuedTo(&realm.client.id)).await?;
    println!("{} has a token until {:?}", realm.user.name, claims.get("exp"));

    realm.close(&keycloak).await?;
    println!("closed {realm}");
    Ok(())
}
