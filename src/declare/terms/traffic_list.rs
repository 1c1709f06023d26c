//! A list of a traffic filter, as `in` and `out` have it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::traffic::{Action, Entry, IcmpType, Nets, Ports, Protocol};

/// A list of entries; without a declaration, the operator's policy is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrafficList(pub Option<Box<[Entry]>>);

impl TrafficList {
    /// Whether the half does not have it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// As users read it: a text for each entry.
    pub(super) fn shown(&self) -> Value {
        self.0.as_ref().map(|list| list.iter().map(Entry::to_string).collect::<Vec<_>>()).into()
    }

    /// As declarations have it.
    pub(super) fn written(&self) -> Option<toml::Value> {
        let list = self.0.as_ref()?;
        Some(toml::Value::Array(list.iter().map(|entry| written(entry).into()).collect()))
    }

    /// Its bytes in the half's record.
    pub(super) fn weight(&self) -> usize {
        self.0.iter().flatten().map(|entry| entry.to_string().len()).sum()
    }
}

fn written(entry: &Entry) -> toml::Table {
    let mut table = toml::Table::new();
    if entry.action == Action::Deny {
        table.insert("action".to_owned(), "deny".into());
    }
    let mut ports: Option<&Ports> = None;
    let mut types: &[IcmpType] = &[];
    let protocol: Option<toml::Value> = match &entry.protocol {
        Protocol::Any => None,
        Protocol::Tcp(of) => {
            ports = Some(of);
            Some("tcp".into())
        }
        Protocol::Udp(of) => {
            ports = Some(of);
            Some("udp".into())
        }
        Protocol::Sctp(of) => {
            ports = Some(of);
            Some("sctp".into())
        }
        Protocol::Icmp(of) => {
            types = of;
            Some("icmp".into())
        }
        Protocol::Number(number) => Some(i64::from(*number).into()),
    };
    table.extend(protocol.map(|protocol| ("protocol".to_owned(), protocol)));
    let ranges = ports.map(Ports::ranges).unwrap_or_default();
    let range = |(first, last): &(u16, u16)| match first == last {
        true => toml::Value::from(i64::from(*first)),
        false => format!("{first}-{last}").into(),
    };
    let lists = [
        ("ports", ranges.iter().map(range).collect()),
        ("types", types.iter().map(|message| message.as_str().into()).collect()),
        ("remote", prefixes(&entry.remote)),
        ("local", prefixes(&entry.local)),
    ];
    let lists = lists.into_iter().filter(|(_, list): &(_, Vec<toml::Value>)| !list.is_empty());
    table.extend(lists.map(|(key, list)| (key.to_owned(), list.into())));
    table
}

fn prefixes(nets: &Nets) -> Vec<toml::Value> {
    nets.some().unwrap_or_default().iter().map(|net| net.to_string().into()).collect()
}
