//! What a realm is made of, as Keycloak wants it in one import.

use std::collections::BTreeMap;

use super::{Client, RealmSpec, User};
use crate::admin::{ClientWire, CredentialWire, GroupWire, MapperWire, RealmWire, RolesWire, UserWire};
use crate::name::Stamp;

/// Who is in a realm.
pub(super) struct People<'a> {
    pub(super) client: &'a Client,
    /// Who has what the realm's specification grants.
    pub(super) user: &'a User,
    /// Who has none of it.
    pub(super) other: &'a User,
}

/// The whole realm.
pub(super) fn realm_wire<'a>(spec: &'a RealmSpec, people: &People<'a>, stamp: &'a Stamp) -> RealmWire<'a> {
    let named = |names: &'a [String]| names.iter().map(|name| GroupWire { name }).collect::<Vec<_>>();
    RealmWire {
        realm: spec.name().to_string(),
        enabled: true,
        default_signature_algorithm: "RS256",
        attributes: stamp.attributes(),
        clients: [client_wire(spec, people.client)],
        users: [user_wire(people.user, &spec.groups, &spec.roles), user_wire(people.other, &[], &[])],
        groups: named(&spec.groups),
        roles: (!spec.roles.is_empty()).then(|| RolesWire { realm: named(&spec.roles) }),
    }
}

fn client_wire<'a>(spec: &'a RealmSpec, client: &'a Client) -> ClientWire<'a> {
    let mut attributes = BTreeMap::from([("post.logout.redirect.uris", "+")]);
    if spec.pkce {
        attributes.insert("pkce.code.challenge.method", "S256");
    }
    ClientWire {
        client_id: &client.id,
        secret: client.secret.expose(),
        redirect_uris: &spec.redirect_uris,
        web_origins: &spec.web_origins,
        protocol: "openid-connect",
        enabled: true,
        public_client: false,
        standard_flow_enabled: true,
        direct_access_grants_enabled: true,
        attributes,
        protocol_mappers: mappers(spec),
    }
}

/// What tokens say beside what they say anyway.
fn mappers(spec: &RealmSpec) -> Vec<MapperWire<'_>> {
    let mut all = Vec::new();
    for audience in &spec.audience {
        let config = [("included.custom.audience", audience.as_str())];
        all.push(mapper(&format!("audience {audience}"), "oidc-audience-mapper", &config));
    }
    if !spec.groups.is_empty() {
        let config = [("claim.name", "groups"), ("full.path", "false"), ("userinfo.token.claim", "true")];
        all.push(mapper("groups", "oidc-group-membership-mapper", &config));
    }
    if !spec.roles.is_empty() {
        let config = [
            ("claim.name", "roles"),
            ("jsonType.label", "String"),
            ("multivalued", "true"),
            ("userinfo.token.claim", "true"),
        ];
        all.push(mapper("roles", "oidc-usermodel-realm-role-mapper", &config));
    }
    all
}

fn mapper<'a>(name: &str, kind: &'static str, config: &[(&'static str, &'a str)]) -> MapperWire<'a> {
    let tokens = [("id.token.claim", "true"), ("access.token.claim", "true")];
    MapperWire {
        name: name.to_owned(),
        protocol: "openid-connect",
        protocol_mapper: kind,
        config: config.iter().copied().chain(tokens).collect(),
    }
}

fn user_wire<'a>(user: &'a User, groups: &[String], roles: &'a [String]) -> UserWire<'a> {
    UserWire {
        username: &user.name,
        email: &user.email,
        first_name: "Test",
        last_name: "User",
        email_verified: true,
        enabled: true,
        credentials: [CredentialWire { r#type: "password", value: user.password.expose(), temporary: false }],
        groups: groups.iter().map(|group| format!("/{group}")).collect(),
        realm_roles: roles,
    }
}
