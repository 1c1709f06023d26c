//! What the files of a deployment say.

use ovn_peerd::declare::{Directory, FileId, NetworkKey, Reading, SourceFile, default_of_network};
use ovn_peerd::engine::Event;

use crate::world::{NETWORKS, PREFIXES, World, moment};

impl World {
    pub fn network_file(&self, network: usize) -> SourceFile {
        let text = match self.bindings.get(&network) {
            Some(router) => {
                let bounds = self.may_export.get(&network).into_iter().flatten();
                let bounds: Vec<&str> = bounds.map(|at| PREFIXES[*at]).collect();
                let tells = if self.tells.contains(&network) { &["dhcp", "ra"][..] } else { &[] };
                format!(
                    "[[network]]\nproject = \"p{network}\"\nname = \"n\"\nrouter = \"r{router}\"\nmay_export = {bounds:?}\ntell_guests = {tells:?}\n"
                )
            }
            None => "# nothing\n".to_owned(),
        };
        source(Directory::Networks, network, text)
    }

    pub fn halves_file(&self, network: usize) -> SourceFile {
        let mut text = format!("project = \"p{network}\"\n");
        let mut routes = String::new();
        for (target, enabled) in self.halves.get(&network).into_iter().flatten() {
            let status = if *enabled { "active" } else { "disabled" };
            text += &format!(
                "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\n{}configured_status = \"{status}\"\n",
                self.target(network, *target)
            );
            if let Some(at) = self.requested.get(&network).and_then(|of| of.get(target)) {
                text += &format!("requested = {}\n", moment(*at));
            }
            if let Some(terms) = self.terms.get(&network).and_then(|of| of.get(target)) {
                text += &terms.keys();
                routes += &terms.routes(*target);
            }
        }
        text += &routes;
        if self.broken.contains(&network) {
            text += "[[peering]\n";
        }
        source(Directory::Peerings, network, text)
    }

    fn target(&self, network: usize, target: usize) -> String {
        if self.by_uuid.contains(&(network, target)) {
            let uuid = default_of_network(&NetworkKey::new(format!("p{target}"), "n"));
            return format!("target_uuid = \"{uuid}\"\n");
        }
        format!("target_project = \"p{target}\"\ntarget_network = \"n\"\n")
    }

    /// In a file of its own: across files a half outweighs a rejection.
    pub fn rejections_file(&self, network: usize) -> SourceFile {
        let mut text = format!("project = \"p{network}\"\n");
        for from in self.rejects.get(&network).into_iter().flatten() {
            text += &format!(
                "[[rejection]]\nnetwork = \"n\"\nfrom_project = \"p{from}\"\nfrom_network = \"n\"\n"
            );
        }
        let file = source(Directory::Peerings, network, text);
        let name = format!("p{network}-no.toml");
        SourceFile { id: FileId::peerings(&name), path: name.into(), ..file }
    }

    pub fn read(&mut self, file: SourceFile) {
        self.handle(Event::Reading(Reading { files: vec![file], ..Reading::default() }.parse()));
    }

    pub fn complete(&self) -> Reading {
        let networks = (0..NETWORKS).map(|network| self.network_file(network));
        let halves = (0..NETWORKS).map(|network| self.halves_file(network));
        let rejections = (0..NETWORKS).map(|network| self.rejections_file(network));
        Reading {
            complete: true,
            files: networks.chain(halves).chain(rejections).collect(),
            removed: Vec::new(),
            directories: Directory::ALL.iter().map(|directory| (*directory, Ok(()))).collect(),
        }
    }

    pub fn read_all(&mut self) {
        let reading = self.complete();
        self.handle(Event::Reading(reading.parse()));
    }
}

pub fn source(directory: Directory, network: usize, text: String) -> SourceFile {
    let name = format!("p{network}.toml");
    SourceFile {
        id: FileId { directory, name: name.as_str().into() },
        path: name.as_str().into(),
        text: Ok(text),
        owner: None,
    }
}
