//! `[[rejection]]` of `peerings.d/*.toml`: the rejection of a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::DeTable;

use super::diagnostic::{DiagnosticCode, Position};
use super::limits::MAX_REJECTIONS;
use super::model::{Half, NetworkKey, Rejection, RejectionKey};
use super::toml_reader::{Found, Refused, TomlReader};

pub(super) const KEYS: &[&str] = &["network", "from_project", "from_network"];

const REFUSED: &[Refused] = &[
    Refused {
        key: "name",
        message: "a rejection has no name",
        hint: "remove it; the peering's name is its owner's affair",
    },
    Refused {
        key: "target_project",
        message: "a rejection names who asked, not a target",
        hint: "write from_project = \"..\"",
    },
    Refused {
        key: "target_network",
        message: "a rejection names who asked, not a target",
        hint: "write from_network = \"..\"",
    },
];

/// Reads a file's rejections. A half and a rejection for the same network are an error in one file;
/// across files, the half overrides the rejection.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    project: &Arc<str>,
    halves: &[(Option<Position>, Half)],
) -> Vec<(Option<Position>, Rejection)> {
    let mut asked = BTreeMap::new();
    for (at, half) in halves {
        asked.entry((&half.key.network, &half.target)).or_insert((at, half));
    }
    let mut seen: BTreeMap<RejectionKey, u32> = BTreeMap::new();
    let mut rejections = Vec::new();
    for entry in reader.limited(table, "rejection", MAX_REJECTIONS) {
        let Some((place, key)) = key(reader, &entry, project) else { continue };
        let position = reader.position(&place);
        if let Some((at, half)) = asked.get(&(&key.network, &key.from)) {
            let line = at.map(|at| format!(" on line {}", at.line)).unwrap_or_default();
            reader.fault(
                DiagnosticCode::Contradiction,
                &place,
                format!(
                    "the half {}{line} asks {} to peer, and this rejects it",
                    half.key, key.from
                ),
                Some("keep one of the two".to_owned()),
            );
        }
        if let Some(first) = seen.insert(key.clone(), position.line) {
            reader.duplicate(
                &place,
                format!("the rejection {key} is already declared on line {first}"),
                Some("one is enough; remove the other".to_owned()),
            );
        }
        rejections.push((Some(position), Rejection { key }));
    }
    rejections
}

fn key(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    project: &Arc<str>,
) -> Option<(std::ops::Range<usize>, RejectionKey)> {
    const WHAT: &str = "[[rejection]]";
    reader.refuse_unknown(entry.value, WHAT, KEYS, REFUSED);
    let network = reader.name(entry, WHAT, "network", "\"web\"");
    let from_project = reader.name(entry, WHAT, "from_project", "\"red\"");
    let from_network = reader.name(entry, WHAT, "from_network", "\"scan\"");
    let (network, from_project, from_network) = (network?, from_project?, from_network?);
    let key = RejectionKey {
        network: NetworkKey::new(Arc::clone(project), network.value),
        from: NetworkKey::new(from_project.value, from_network.value),
    };
    if key.network == key.from {
        reader.error(
            &from_network.span,
            format!("network {} is to reject itself", key.from),
            Some("name the network whose requests are unwanted".to_owned()),
        );
    }
    Some((from_network.span, key))
}
