//! What metrics are made from, and what is written of it: how many halves have series of their own, what their labels are,
//! and what is measured of the engine's work.

use std::fmt::Write as _;
use std::time::Duration;

use ovn_peerd::declare::{Directory, FileId, HalfKey, NetworkKey, SourceFile};
use ovn_peerd::engine::{Measured, Outcome};
use ovn_peerd::metrics::{
    Exposition, Format, MOST_HALVES, MOST_NAME_BYTES, Recorder, fits, selection,
};
use ovn_peerd::view::{HalfSample, MetricsView, PerHalf, Reason, State, Viewer};
use proptest::prelude::*;

use crate::world::{World, settings};

fn view(world: &mut World) -> MetricsView {
    let (status, now) = (world.engine.status(), world.now());
    let _ = world.engine.changes();
    world.engine.meter().view(status, PerHalf::All, now)
}

/// All parts of the halves, and how many each has.
fn parts(world: &mut World, selection: PerHalf) -> (Vec<HalfSample>, Vec<usize>) {
    let (mut samples, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let meter = world.engine.meter();
        let part = meter.halves(&Viewer::Operator, selection, after.as_ref());
        sizes.push(part.samples.len());
        samples.extend(part.samples);
        after = part.last;
        if !part.more {
            return (samples, sizes);
        }
    }
}

fn read(world: &mut World, name: &str, text: String) {
    let name = format!("{name}.toml");
    world.read(SourceFile {
        id: FileId { directory: Directory::Peerings, name: name.as_str().into() },
        path: name.as_str().into(),
        text: Ok(text),
        owner: None,
    });
}

/// So many halves that ask somebody, a thousand in each file and project.
fn declare(world: &mut World, halves: usize) {
    for first in (0..halves).step_by(1000) {
        let mut text = format!("project = \"p{first}\"\n");
        for at in first..halves.min(first + 1000) {
            let half = format!("[[peering]]\nname = \"h{at}\"\nnetwork = \"n{at}\"\n");
            write!(text, "{half}target_project = \"x{at}\"\ntarget_network = \"n\"\n").unwrap();
        }
        read(world, &format!("p{first}"), text);
    }
    let _ = world.engine.changes();
    while world.engine.has_changes() {
        let _ = world.engine.changes();
    }
}

#[test]
fn beyond_5000_halves_only_those_with_troubles_have_series() {
    let mut world = World::bare(&settings());
    world.connect();
    declare(&mut world, MOST_HALVES);
    let all = view(&mut world);
    assert_eq!(all.status.halves.values().sum::<usize>(), 5000);
    assert_eq!(selection(&all), PerHalf::All);
    let (samples, sizes) = parts(&mut world, PerHalf::All);
    assert_eq!(samples.len(), 5000);
    assert!(
        sizes.iter().all(|size| *size <= 128),
        "the event loop does other work between: {sizes:?}"
    );
    let keys: std::collections::BTreeSet<&HalfKey> = samples.iter().map(|it| &it.half).collect();
    assert_eq!(keys.len(), 5000, "each once");

    declare(&mut world, MOST_HALVES + 1);
    let more = view(&mut world);
    assert_eq!(more.status.halves.values().sum::<usize>(), 5001);
    assert_eq!(selection(&more), PerHalf::Troubled);
    assert_eq!(selection(&MetricsView { per_half: PerHalf::Troubled, ..all }), PerHalf::Troubled);
    let text = rendered(more, Some((PerHalf::Troubled, samples[..3].to_vec())), Format::Prometheus);
    assert!(text.contains("\novn_peerd_per_half_info{mode=\"troubled\"} 1\n"), "it says so");
    assert!(text.contains("\novn_peerd_halves_unnamed 4998\n"), "and how many have none: {text}");
}

fn rendered(
    view: MetricsView,
    halves: Option<(PerHalf, Vec<HalfSample>)>,
    format: Format,
) -> String {
    Exposition { view, halves }.render(&Recorder::new(), format).unwrap()
}

fn sample(project: &str, network: &str, name: &str, state: State) -> HalfSample {
    HalfSample {
        half: HalfKey::new(NetworkKey::new(project, network), name),
        state,
        reason: (state == State::Failed).then_some(Reason::ConflictSubnet),
        degraded: state == State::Active,
        since: None,
        expires: None,
        prefixes: Some((1, 2)),
    }
}

/// The value of a label in a line, read as a scraper reads it, and what follows its closing quote.
fn label<'a>(line: &'a str, key: &str) -> (String, &'a str) {
    let (_, rest) = line.split_once(&format!("{key}=\"")).unwrap_or_else(|| panic!("{line}"));
    let (mut value, mut letters) = (String::new(), rest.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &rest[at + 1..]),
            '\\' => value.push(match letters.next().unwrap().1 {
                'n' => '\n',
                letter => letter,
            }),
            letter => value.push(letter),
        }
    }
    panic!("no end: {line}")
}

proptest! {
    /// Whatever names owners choose, a scraper reads these names, one line for each series, and no other label.
    #[test]
    fn odd_names_are_quoted_and_are_all_that_is_a_label(
        names in prop::collection::vec("[a-z\"\\\\{}=,# \u{e9}\u{65e5}\n]{1,12}", 3),
        formats in prop::bool::ANY,
    ) {
        let mut world = World::bare(&settings());
        world.connect();
        let view = view(&mut world);
        let [project, network, name] = &names[..] else { unreachable!("three") };
        let states = [State::Active, State::Failed];
        let halves = states.map(|state| sample(project, network, name, state)).to_vec();
        let format = if formats { Format::OpenMetrics } else { Format::Prometheus };
        let text = rendered(view, Some((PerHalf::All, halves)), format);
        let lines: Vec<&str> = text.lines().filter(|it| it.starts_with("ovn_peerd_half_")).collect();
        // Active, degraded, the state of one, and two directions of each.
        prop_assert_eq!(lines.len(), 2 + 1 + 1 + 4);
        for line in lines {
            let (first, rest) = label(line, "project");
            let (second, rest) = label(rest, "network");
            let (third, rest) = label(rest, "name");
            prop_assert_eq!([&first, &second, &third], [project, network, name]);
            let known = [
                "} 1",
                "} 0",
                ",direction=\"out\"} 1",
                ",direction=\"in\"} 2",
                ",state=\"failed\",reason=\"conflict-subnet\"} 1",
            ];
            prop_assert!(known.contains(&rest), "{}", line);
        }
    }
}

/// What stands in a label is a name, or one of the words that the documentation lists: no prefix, address, UUID or text.
#[test]
fn no_prefix_uuid_or_text_of_an_error_is_a_label() {
    let mut world = World::new();
    world.add_networks(&[(0, 4), (1, 5)]);
    read(&mut world, "a", "project = \"p0\"\n[[peering]]\nname = 7\n".to_owned());
    let view = view(&mut world);
    let halves = parts(&mut world, PerHalf::All).0;
    let text = rendered(view, Some((PerHalf::All, halves)), Format::Prometheus);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        for value in labels.split('"').skip(1).step_by(2) {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
            assert!(value.chars().all(plain) && value.len() < 32, "{line}");
            assert!(value.parse::<std::net::IpAddr>().is_err(), "{line}");
            assert!(value.parse::<uuid::Uuid>().is_err(), "{line}");
        }
    }
}

#[test]
fn names_that_would_fill_a_scrape_have_no_series() {
    let long = "x".repeat(MOST_NAME_BYTES - 2);
    assert!(fits(&sample("a", "b", &long, State::Active)));
    assert!(!fits(&sample("a", "bb", &long, State::Active)));
    // Three UUIDs, as other systems name projects and networks, are short enough.
    let uuid = uuid::Uuid::from_u128(1).to_string();
    assert!(fits(&sample(&uuid, &uuid, &uuid, State::Active)));
}

/// All is written and acted on; what changes is drawn before ovn-northd acts, and after that.
fn settle(world: &mut World) -> Vec<Measured> {
    world.settle();
    let _ = world.engine.changes();
    world.northd();
    world.pass(1);
    world.settle();
    let _ = world.engine.changes();
    world.engine.meter().measured()
}

#[test]
fn transactions_and_the_way_to_active_are_measured_by_the_moments_of_events() {
    let mut world = World::new();
    world.add_networks(&[(0, 4), (1, 5)]);
    settle(&mut world);
    let half = |from: usize, to: usize| {
        format!(
            "project = \"p{from}\"\n[[peering]]\nname = \"h\"\nnetwork = \"n\"\ntarget_project = \"p{to}\"\n\
             target_network = \"n\"\n"
        )
    };
    let converged = |of: &[Measured]| -> Vec<Duration> {
        let took = of.iter().filter_map(|it| match it {
            Measured::Converged { took } => Some(*took),
            Measured::Transaction { .. } | Measured::Repaired { .. } => None,
        });
        took.collect()
    };
    read(&mut world, "one", half(0, 1));
    let alone = settle(&mut world);
    assert_eq!(converged(&alone), [], "it waits for the other side: {alone:?}");
    (0..9).for_each(|_| world.pass(60));
    // Its file was seen to change two seconds before it was read.
    let changed = world.now().since_start.saturating_sub(Duration::from_secs(2));
    world.engine.meter().files_changed(changed);
    read(&mut world, "two", half(1, 0));
    let both = settle(&mut world);
    assert_eq!(converged(&both), [Duration::from_secs(3)], "of the half that came last: {both:?}");
    let committed = |it: &&Measured| matches!(it, Measured::Transaction { outcome: Outcome::Committed, took } if took.is_zero());
    assert!(both.iter().any(|it| committed(&it)), "{both:?}");
}
