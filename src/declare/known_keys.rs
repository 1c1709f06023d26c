//! All keys of all files, by their sections: for the test of the manual pages.

use super::terms::{ENTRY_KEYS, RULE_KEYS};
use super::{
    api_file, appliances_file, metrics_file, networks, peerings, policy_file, rejections,
    routes_file, settings_file, tool_network, tools_file,
};

/// The sections of a file, each with its keys.
pub(crate) type Sections = Vec<(&'static str, Vec<&'static str>)>;

/// Every section has a list of keys here, and every list is of a section.
fn all_of(sections: Sections, keys: &[&str]) -> Sections {
    for key in keys {
        let named = |section: &str| section.trim_matches(['[', ']']) == *key;
        assert!(sections.iter().any(|(section, _)| named(section)), "[{key}] is not listed here");
    }
    sections
}

/// `ovn-peerd.toml`.
pub(crate) fn settings() -> Sections {
    let sections = vec![
        ("[northbound]", settings_file::NORTHBOUND_KEYS.to_vec()),
        ("[paths]", settings_file::PATHS_KEYS.to_vec()),
        ("[control]", settings_file::CONTROL_KEYS.to_vec()),
        ("[daemon]", settings_file::DAEMON_KEYS.to_vec()),
        ("[policy]", policy_file::KEYS.to_vec()),
        ("[policy].max_withdrawals", policy_file::MAX_WITHDRAWALS_KEYS.to_vec()),
        ("[metrics]", metrics_file::keys()),
        ("[tools]", tools_file::KEYS.to_vec()),
        ("[[project]]", settings_file::PROJECT_KEYS.to_vec()),
        ("[api]", api_file::API_KEYS.to_vec()),
        ("[api].rate", api_file::RATE_KEYS.to_vec()),
        ("[[token]]", api_file::TOKEN_KEYS.to_vec()),
    ];
    all_of(sections, settings_file::FILE_KEYS)
}

/// `networks.d`.
pub(crate) fn networks() -> Sections {
    let sections = vec![
        ("[[network]]", networks::NETWORK_KEYS.to_vec()),
        ("[[network]].router", tool_network::KEYS.to_vec()),
    ];
    all_of(sections, networks::FILE_KEYS)
}

/// `peerings.d`.
pub(crate) fn peerings() -> Sections {
    let sections = vec![
        ("Top of the file", vec!["project"]),
        ("[[peering]]", peerings::peering_keys().collect()),
        ("Entries of export and import", RULE_KEYS.to_vec()),
        ("Entries of in and out", ENTRY_KEYS.to_vec()),
        ("[[route]]", routes_file::KEYS.to_vec()),
        ("[[appliance]]", appliances_file::KEYS.to_vec()),
        ("[[rejection]]", rejections::KEYS.to_vec()),
    ];
    let tables: Vec<&str> =
        peerings::FILE_KEYS.iter().copied().filter(|key| *key != "project").collect();
    all_of(sections, &tables)
}
