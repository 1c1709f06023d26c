//! Laws of the local, over random texts and histories.

use std::path::Path;

use ovn_peerd::declare::{
    FileId, LocalDeclarations, MaxWithdrawals, Reading, Settings, SourceFile, check,
};
use proptest::prelude::*;

use crate::texts::*;

fn unguarded() -> LocalDeclarations {
    let mut settings = Settings::defaults(Path::new("/etc"));
    settings.policy.max_withdrawals = MaxWithdrawals { halves: 0, percent: 100 };
    LocalDeclarations::new(&settings)
}

/// All that a local shows.
fn shown(local: &LocalDeclarations) -> String {
    let halves: Vec<_> =
        local.halves().map(|half| (half, local.origin_of_half(&half.key))).collect();
    let networks: Vec<_> =
        local.networks().map(|network| (network, local.origin_of_network(&network.key))).collect();
    let rejections: Vec<_> =
        local.rejections().map(|it| (it, local.origin_of_rejection(&it.key))).collect();
    format!("{halves:#?}\n{networks:#?}\n{rejections:#?}\n{}", told(local))
}

/// A small world in which files often claim the same keys; some texts are bad.
fn any_file() -> impl Strategy<Value = SourceFile> {
    let half = ("[ab]", "[xy]", "[st]").prop_map(|(name, network, target)| {
        format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{target}\"\n\
             target_network = \"n\"\n"
        )
    });
    let network = ("[pq]", "[xy]").prop_map(|(project, name)| {
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"r\"\n")
    });
    let rejection = ("[xy]", "[uv]").prop_map(|(network, from)| {
        format!("[[rejection]]\nnetwork = \"{network}\"\nfrom_project = \"{from}\"\nfrom_network = \"n\"\n")
    });
    let half = prop_oneof![3 => half, 1 => rejection];
    let halves = ("[pq]", prop::collection::vec(half, 0..3))
        .prop_map(|(project, halves)| format!("project = \"{project}\"\n{}", halves.concat()));
    let peerings = ("[abc]\\.toml", halves).prop_map(|(name, text)| peerings(&name, &text));
    let networks = ("[abc]\\.toml", prop::collection::vec(network, 0..3))
        .prop_map(|(name, entries)| networks(&name, &entries.concat()));
    let bad = "[abc]\\.toml".prop_map(|name| super::texts::peerings(&name, "project = \n"));
    prop_oneof![4 => peerings, 3 => networks, 1 => bad]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,400}", settings_text in "[\\[\\]a-z_ =\"\n.{}0-9]{0,200}") {
        for id in [FileId::peerings("a.toml"), FileId::networks("a.toml")] {
            let _ = check(&settings(""), all([file(id, &text)]));
        }
        let (settings, _) = Settings::parse(Path::new("c.toml"), &settings_text);
        let _ = check(&settings, all([peerings("a.toml", &settings_text), networks("b.toml", &settings_text)]));
    }

    #[test]
    fn damaged_text_never_panics(at in 0usize..400, with in ".{0,3}", gone in 0usize..9) {
        let whole = format!("{}ports = []\nconfig = {{ user.a = 'x' }}\n", many("blue", "p", 3));
        let start = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap();
        let end = (start + gone).min(whole.len());
        let text = format!("{}{with}{}", &whole[..start], &whole[end..]);
        let once = check(&settings(""), all([peerings("a.toml", &text)]));
        prop_assert_eq!(once, check(&settings(""), all([peerings("a.toml", &text)])));
    }

    #[test]
    fn one_by_one_is_as_all_at_once(files in prop::collection::vec(any_file(), 0..12), keep in prop::collection::vec(any::<bool>(), 12)) {
        // The last text of each file is what a complete reading would find.
        let mut stepwise = unguarded();
        stepwise.apply(all([]));
        let mut last = std::collections::BTreeMap::new();
        for file in files {
            if last.get(&file.id) == Some(&file) { continue }
            // A bad text keeps the former one, which a fresh local cannot know: leave those apart.
            if file.text.as_deref() == Ok("project = \n") { continue }
            stepwise.apply(some([file.clone()]));
            last.insert(file.id.clone(), file);
        }
        for (id, keep) in last.keys().cloned().collect::<Vec<_>>().into_iter().zip(keep) {
            if !keep {
                stepwise.apply(without([id.clone()]));
                last.remove(&id);
            }
        }
        let mut at_once = unguarded();
        at_once.apply(all(last.values().cloned()));
        // A file with an error of its own keeps what it gave before: only without any is it equal.
        let clean = last.values().all(|file| {
            check(&settings(""), all([file.clone()])).diagnostics.iter()
                .all(|it| it.severity == ovn_peerd::declare::Severity::Warning)
        });
        if clean {
            prop_assert_eq!(shown(&stepwise), shown(&at_once));
            prop_assert!(stepwise.apply(all(last.into_values())).is_empty());
        }
    }

    #[test]
    fn order_of_files_is_irrelevant(files in prop::collection::btree_map("[a-d]", any_file(), 0..5), seed in any::<prop::sample::Index>()) {
        let mut unique: Vec<SourceFile> = Vec::new();
        for file in files.into_values() {
            if unique.iter().all(|other| other.id != file.id) { unique.push(file); }
        }
        let mut forward = unguarded();
        for file in &unique { forward.apply(some([file.clone()])); }
        if !unique.is_empty() { let by = seed.index(unique.len()); unique.rotate_left(by); unique.reverse(); }
        let mut other = unguarded();
        for file in &unique { other.apply(some([file.clone()])); }
        prop_assert_eq!(shown(&forward), shown(&other));
    }

    #[test]
    fn changed_is_exactly_what_differs(steps in prop::collection::vec((any_file(), any::<bool>()), 1..16)) {
        let mut local = unguarded();
        for (file, remove) in steps {
            let before = local.clone();
            let reading = if remove { without([file.id.clone()]) } else { some([file]) };
            let changed = local.apply(reading);
            let keys = || before.halves().chain(local.halves()).map(|half| half.key.clone());
            for key in keys() {
                let differs = before.half(&key) != local.half(&key)
                    || before.origin_of_half(&key) != local.origin_of_half(&key);
                prop_assert_eq!(changed.halves.contains(&key), differs, "{}", key);
            }
            prop_assert!(changed.halves.iter().all(|key| keys().any(|known| known == *key)));
        }
    }

    #[test]
    fn confirming_gives_what_no_guard_would(steps in prop::collection::vec((any_file(), any::<bool>()), 1..16)) {
        let mut settings = Settings::defaults(Path::new("/etc"));
        settings.policy.max_withdrawals = MaxWithdrawals { halves: 0, percent: 0 };
        let mut guarded = LocalDeclarations::new(&settings);
        let mut free = unguarded();
        for (file, remove) in steps {
            // A bad file may resurrect what a held removal would take: those are a case of their own.
            let bad = !check(&settings, all([file.clone()])).diagnostics.iter()
                .all(|it| it.severity == ovn_peerd::declare::Severity::Warning);
            if bad { continue }
            let reading: Reading = if remove { without([file.id]) } else { some([file]) };
            guarded.apply(reading.clone());
            free.apply(reading);
        }
        guarded.confirm(None);
        prop_assert_eq!(shown(&guarded), shown(&free));
    }
}
