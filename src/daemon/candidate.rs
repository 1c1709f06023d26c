//! Converts a candidate to a reading, and a reading to a candidate.

use crate::control::{Candidate, CandidateContent, CandidateDirectory, CandidateFile};
use crate::declare::{Directory, FileId, Owner, Reading, SourceFile};

/// A candidate from the control socket, as a complete reading.
#[must_use]
pub fn reading_of(candidate: Candidate) -> Reading {
    let mut reading = Reading { complete: true, ..Reading::default() };
    let directories =
        [(Directory::Networks, candidate.networks), (Directory::Peerings, candidate.peerings)];
    for (directory, CandidateDirectory { files, error }) in directories {
        reading.directories.push((directory, error.map_or(Ok(()), Err)));
        reading.files.extend(files.into_iter().map(|file| SourceFile {
            id: FileId { directory, name: file.name.into() },
            path: file.path.into(),
            text: match file.content {
                CandidateContent::Text(text) => Ok(text),
                CandidateContent::Error(why) => Err(why),
            },
            owner: file.owner_uid.map(|uid| Owner { uid, name: file.owner_name }),
        }));
    }
    reading
}

/// A complete reading, as a candidate for the control socket.
#[must_use]
pub fn candidate_of(reading: Reading) -> Candidate {
    let mut candidate = Candidate::default();
    for (directory, found) in reading.directories {
        directory_of(&mut candidate, directory).error = found.err();
    }
    for file in reading.files {
        directory_of(&mut candidate, file.id.directory).files.push(CandidateFile {
            name: file.id.name.to_string(),
            path: file.path.to_string(),
            content: match file.text {
                Ok(text) => CandidateContent::Text(text),
                Err(why) => CandidateContent::Error(why),
            },
            owner_uid: file.owner.as_ref().map(|owner| owner.uid),
            owner_name: file.owner.and_then(|owner| owner.name),
        });
    }
    candidate
}

fn directory_of(candidate: &mut Candidate, directory: Directory) -> &mut CandidateDirectory {
    match directory {
        Directory::Networks => &mut candidate.networks,
        Directory::Peerings => &mut candidate.peerings,
    }
}

#[cfg(test)]
mod tests {
    use super::{candidate_of, reading_of};
    use crate::declare::{Directory, FileId, Owner, Reading, SourceFile};

    #[test]
    fn a_reading_survives_the_wire() {
        let file = |id, text, owner| SourceFile { id, path: "/p".into(), text, owner };
        let alice = Owner { uid: 1000, name: Some("alice".into()) };
        let reading = Reading {
            complete: true,
            files: vec![
                file(FileId::networks("a.toml"), Ok("x".into()), Some(alice)),
                file(FileId::peerings("b.toml"), Err("no".into()), None),
            ],
            removed: Vec::new(),
            directories: vec![
                (Directory::Networks, Ok(())),
                (Directory::Peerings, Err("gone".into())),
            ],
        };
        let json = serde_json::to_string(&candidate_of(reading.clone())).unwrap();
        assert_eq!(reading_of(serde_json::from_str(&json).unwrap()), reading);
    }
}
