//! A network by the names that it has in the tool which made it: these stay when the tool makes the
//! network again, and its Logical_Router has another name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use uuid::Uuid;

use super::toml_reader::{Found, TomlReader};

/// A tool that makes networks in OVN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// LXD.
    Lxd,
    /// Incus.
    Incus,
    /// OpenStack's Neutron.
    Neutron,
    /// Kube-OVN.
    KubeOvn,
    /// OVN-Kubernetes.
    OvnKubernetes,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Lxd, Self::Incus, Self::Neutron, Self::KubeOvn, Self::OvnKubernetes];

    /// Its word in files and on command lines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lxd => "lxd",
            Self::Incus => "incus",
            Self::Neutron => "neutron",
            Self::KubeOvn => "kube-ovn",
            Self::OvnKubernetes => "ovn-kubernetes",
        }
    }

    /// Its name in texts.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Lxd => "LXD",
            Self::Incus => "Incus",
            Self::Neutron => "Neutron",
            Self::KubeOvn => "Kube-OVN",
            Self::OvnKubernetes => "OVN-Kubernetes",
        }
    }

    /// Whether the northbound has only numbers of its networks: it must be asked for their names.
    #[must_use]
    pub fn is_numbered(self) -> bool {
        match self {
            Self::Lxd | Self::Incus => true,
            Self::Neutron | Self::KubeOvn | Self::OvnKubernetes => false,
        }
    }

    /// How it names a network here, by an example.
    fn example(self) -> &'static str {
        match self {
            Self::Lxd | Self::Incus => "\"default/net1\" (the project and the network)",
            Self::Neutron => {
                "\"0d4bd3fe7f4d4d6c9c8a9e3d3a3f4c55/router1\" (the project's id and the router's name), \
                 or the router's UUID"
            }
            Self::KubeOvn => "\"vpc1\" (the Vpc)",
            Self::OvnKubernetes => {
                "\"blue_web\" (the namespace and the name of a UserDefinedNetwork)"
            }
        }
    }

    /// Whether it can name a network so.
    fn accepts(self, name: &str) -> bool {
        let parts: Vec<&str> = name.split('/').collect();
        match self {
            Self::Lxd | Self::Incus => parts.len() == 2 && parts.iter().all(|it| !it.is_empty()),
            // A name of a tenant may contain a slash.
            Self::Neutron => {
                Uuid::try_parse(name).is_ok()
                    || (parts.len() >= 2 && parts.iter().take(2).all(|it| !it.is_empty()))
            }
            Self::KubeOvn | Self::OvnKubernetes => true,
        }
    }
}

/// The keys of a table that names a network so: one of them.
pub(super) const KEYS: &[&str] = &["lxd", "incus", "neutron", "kube-ovn", "ovn-kubernetes"];

/// A network by its names in a tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolNetwork {
    /// The tool.
    pub tool: Tool,
    /// Its name there, with that of its project if the tool has projects.
    pub name: Arc<str>,
}

impl ToolNetwork {
    /// Parses what [`ToolNetwork::record`] has written; none of a tool that this version does not know.
    #[must_use]
    pub fn parse(record: &str) -> Option<Self> {
        let (word, name) = record.split_once(':')?;
        let tool = Tool::ALL.into_iter().find(|tool| tool.word() == word)?;
        Some(Self { tool, name: name.into() })
    }

    /// As one word.
    #[must_use]
    pub fn record(&self) -> String {
        format!("{}:{}", self.tool.word(), self.name)
    }
}

impl fmt::Display for ToolNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.tool.title())
    }
}

/// Reads a table with the word of a tool and the name of a network there.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    key: &str,
    found: &Found<&DeTable<'_>>,
) -> Option<ToolNetwork> {
    reader.refuse_unknown(found.value, &format!("`{key}`"), KEYS, &[]);
    let named = Tool::ALL.into_iter().filter(|tool| found.value.contains_key(tool.word()));
    let named: Vec<Tool> = named.collect();
    let [tool] = named[..] else {
        // What is unknown was reported.
        if found.value.is_empty() || named.len() > 1 {
            reader.error(
                &found.span,
                format!("`{key}` names {} tools", named.len()),
                Some(format!("write one, such as {key} = {{ lxd = \"default/net1\" }}")),
            );
        }
        return None;
    };
    let name = reader.optional_name(found.value, tool.word())?;
    if !tool.accepts(name.value) {
        reader.error(
            &name.span,
            format!("\"{}\" is no network of {}", name.value.escape_debug(), tool.title()),
            Some(format!("write {}", tool.example())),
        );
        return None;
    }
    Some(ToolNetwork { tool, name: name.value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_again() {
        for (tool, key) in Tool::ALL.into_iter().zip(KEYS) {
            assert_eq!(tool.word(), *key);
            let network = ToolNetwork { tool, name: "a:b/c".into() };
            assert_eq!(ToolNetwork::parse(&network.record()), Some(network));
        }
        assert_eq!(ToolNetwork::parse("another:a/b"), None);
    }
}
