//! Short ways to write the inputs of these tests.

use std::path::Path;

use ovn_peerd::declare::{
    Directory, FileId, Giver, HalfKey, LocalDeclarations, NetworkKey, Owner, Reading, Settings,
    SourceFile,
};

/// A bound network, in a file's text.
pub(crate) const WEB: &str = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"lr\"\n";

pub(crate) fn settings(text: &str) -> Settings {
    let (settings, diagnostics) = Settings::parse(Path::new("/etc/ovn-peerd.toml"), text);
    assert_eq!(diagnostics, []);
    settings
}

pub(crate) fn local() -> LocalDeclarations {
    LocalDeclarations::new(&settings(""))
}

pub(crate) fn file(id: FileId, text: &str) -> SourceFile {
    let directory = match id.directory {
        Directory::Networks => "networks.d",
        Directory::Peerings => "peerings.d",
    };
    let path = format!("{directory}/{}", id.name).into();
    SourceFile { id, path, text: Ok(text.to_owned()), owner: Some(owner(1000, "alice")) }
}

pub(crate) fn owner(uid: u32, name: &str) -> Owner {
    Owner { uid, name: Some(name.to_owned()) }
}

/// A file of peerings.d.
pub(crate) fn peerings(name: &str, text: &str) -> SourceFile {
    file(FileId::peerings(name), text)
}

/// The giver of such a file's declarations.
pub(crate) fn giver(name: &str) -> Giver {
    Giver { file: FileId::peerings(name), owner: Some(1000) }
}

/// A file of networks.d.
pub(crate) fn networks(name: &str, text: &str) -> SourceFile {
    file(FileId::networks(name), text)
}

/// A reading of these files alone.
pub(crate) fn some(files: impl IntoIterator<Item = SourceFile>) -> Reading {
    Reading { files: files.into_iter().collect(), ..Reading::default() }
}

/// A full listing of both directories.
pub(crate) fn all(files: impl IntoIterator<Item = SourceFile>) -> Reading {
    Reading {
        complete: true,
        directories: Directory::ALL.map(|directory| (directory, Ok(()))).into(),
        ..some(files)
    }
}

pub(crate) fn without(files: impl IntoIterator<Item = FileId>) -> Reading {
    Reading { removed: files.into_iter().collect(), ..Reading::default() }
}

/// `halves` halves of `project`/web, named `{prefix}0`..., in one file's text.
pub(crate) fn many(project: &str, prefix: &str, halves: usize) -> String {
    let entry = |n| {
        format!(
            "[[peering]]\nname = \"{prefix}{n}\"\nnetwork = \"web\"\ntarget_project = \"t\"\n\
             target_network = \"n{n}\"\n"
        )
    };
    format!("project = \"{project}\"\n{}", (0..halves).map(entry).collect::<String>())
}

pub(crate) fn network_key(project: &str, name: &str) -> NetworkKey {
    NetworkKey::new(project, name)
}

pub(crate) fn half_key(project: &str, network: &str, name: &str) -> HalfKey {
    HalfKey::new(NetworkKey::new(project, network), name)
}

/// The diagnostics as text, one after the other.
pub(crate) fn told(local: &LocalDeclarations) -> String {
    local.diagnostics().map(|diagnostic| format!("{diagnostic}\n")).collect()
}
