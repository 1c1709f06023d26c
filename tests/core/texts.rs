//! What the files of a deployment say, and what is stored by command.

use std::collections::BTreeSet;

use ovn_peerd::declare::{
    Directory, Edit, FileId, NetworkKey, NotStored, Reading, SourceFile, default_of_network,
    parse_stored,
};
use ovn_peerd::engine::Event;

use crate::world::{Halves, NETWORKS, PREFIXES, World, moment};

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
            text += &self.half_text(network, *target, *enabled);
            if let Some(at) = self.requested.get(&network).and_then(|of| of.get(target)) {
                text += &format!("requested = {}\n", moment(*at));
            }
            if let Some(terms) = self.terms.get(&network).and_then(|of| of.get(target)) {
                text += &terms.keys();
                routes += &terms.routes(*target);
            }
            text.extend(self.more.get(&(network, *target)).map(String::as_str));
        }
        text += &routes;
        if self.broken.contains(&network) {
            text += "[[peering]\n";
        }
        source(Directory::Peerings, network, text)
    }

    fn half_text(&self, network: usize, target: usize, enabled: bool) -> String {
        let status = if enabled { "active" } else { "disabled" };
        format!(
            "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\n{}configured_status = \"{status}\"\n",
            self.target(network, target)
        )
    }

    /// Makes what a project has in the store equal to this.
    fn apply(&self, network: usize, halves: &Halves, rejects: &BTreeSet<usize>) -> Edit {
        let mut text = format!("project = \"p{network}\"\n");
        text.extend(halves.iter().map(|(target, on)| self.half_text(network, *target, *on)));
        text.extend(rejects.iter().map(|from| rejection_text(*from)));
        let (project, halves, rejections) = parse_stored("stored", text).unwrap();
        let edit = Edit::new(project, "alice".to_owned());
        Edit { halves, rejections, replace: true, ..edit }
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
            text += &rejection_text(*from);
        }
        let file = source(Directory::Peerings, network, text);
        let name = format!("p{network}-no.toml");
        SourceFile { id: FileId::peerings(&name), path: name.into(), ..file }
    }

    /// Somebody stores by command what a project shall have in the store. It is refused as a whole
    /// if it has a half that a file declares, or if nobody binds the network. (What becomes of it on
    /// a server that takes its time, or fails, is looked at in fleets.)
    pub fn store(&mut self, network: usize, halves: &Halves, rejects: &BTreeSet<usize>) {
        if self.late.is_some() {
            return;
        }
        let halves: Halves =
            halves.iter().filter(|(to, _)| **to != network).map(|(to, on)| (*to, *on)).collect();
        // In one text a half and a rejection of the same network contradict each other.
        let others = rejects.iter().filter(|from| **from != network);
        let rejects: BTreeSet<usize> =
            others.filter(|from| !halves.contains_key(from)).copied().collect();
        let edit = self.apply(network, &halves, &rejects);
        let now = self.now();
        let id = self.engine.store(edit, now);
        self.settle();
        self.handle(Event::Tick);
        let answers = self.engine.take_stored();
        let [(answered, result)] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!(*answered, id);
        let in_file = self.halves.get(&network).is_some_and(|in_file| {
            !self.broken.contains(&network) && halves.keys().any(|half| in_file.contains_key(half))
        });
        match result {
            Ok(_) => {
                assert!(!in_file, "{halves:?} of {network} is in a file");
                self.stored.insert(network, halves);
                self.stored_rejects.insert(network, rejects);
            }
            Err(NotStored::InFile { .. }) => assert!(in_file || self.broken.contains(&network)),
            Err(NotStored::NoNetwork(_)) => assert!(!self.bindings.contains_key(&network)),
            // A file has what is to be rejected.
            Err(NotStored::Consented { .. }) => {
                let halves = self.halves.get(&network);
                let declared =
                    halves.is_some_and(|of| rejects.iter().any(|it| of.contains_key(it)));
                assert!(declared || self.broken.contains(&network));
            }
            Err(NotStored::Newer) => assert!(self.engine.status().newer_version.is_some()),
            Err(why) => panic!("{why}"),
        }
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

fn rejection_text(from: usize) -> String {
    format!("[[rejection]]\nnetwork = \"n\"\nfrom_project = \"p{from}\"\nfrom_network = \"n\"\n")
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
