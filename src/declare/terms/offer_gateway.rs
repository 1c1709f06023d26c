//! `gateway` and `nat`: whether the other side may use the uplinks of this network's router, and
//! with which addresses it leaves there.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;

const NAT: &str = "nat";

/// Whether the other side may leave by this network's gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferGateway {
    /// The offer, if there is one.
    #[serde(default, rename = "gateway", skip_serializing_if = "Option::is_none")]
    pub offer: Option<GatewayOffer>,
}

/// An offer of the gateway, by how addresses of the other side are translated there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayOffer {
    /// As those of the network's own guests, where these are translated.
    AsOwnGuests,
    /// Never.
    Untranslated,
}

impl Term for OfferGateway {
    const KEYS: &'static [&'static str] = &[Self::KEY, NAT];
    const KEY: &'static str = "gateway";
    const TITLE: &'static str = "Gateway";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        let offered = reader.string(table, Self::KEY).is_some_and(|found| {
            if found.value != "offer" {
                reader.error(
                    &found.span,
                    format!("`{}` is \"{}\"", Self::KEY, found.value.escape_debug()),
                    Some("write \"offer\", or remove the key to offer none".to_owned()),
                );
            }
            found.value == "offer"
        });
        let nat = reader.string(table, NAT).map(|found| {
            if !matches!(found.value, "auto" | "never") {
                reader.error(
                    &found.span,
                    format!("`{NAT}` is \"{}\"", found.value.escape_debug()),
                    Some("write \"auto\" or \"never\"".to_owned()),
                );
            } else if !table.contains_key(Self::KEY) {
                reader.error(
                    &found.span,
                    format!("`{NAT}` is about a gateway, and this half offers none"),
                    Some("add gateway = \"offer\", or remove `nat`".to_owned()),
                );
            }
            found.value
        });
        let offer = match nat {
            Some("never") => GatewayOffer::Untranslated,
            Some(_) | None => GatewayOffer::AsOwnGuests,
        };
        Self { offer: offered.then_some(offer) }
    }

    fn shown(&self) -> Value {
        match self.offer {
            None => Value::Null,
            Some(GatewayOffer::AsOwnGuests) => "offer".into(),
            Some(GatewayOffer::Untranslated) => "offer, nat never".into(),
        }
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        let offer = (Self::KEY, "offer".into());
        match self.offer {
            None => Vec::new(),
            Some(GatewayOffer::AsOwnGuests) => vec![offer],
            Some(GatewayOffer::Untranslated) => vec![offer, (NAT, "never".into())],
        }
    }
}
