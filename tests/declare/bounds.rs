//! What one file can make the daemon do: so much work, so many lines, and no more.

use std::time::Duration;

use ovn_peerd::declare::{FileId, MAX_FAULTS, MAX_HALVES};

use crate::texts::*;

/// However much is wrong with a file: so much of it is kept and reported, of two files that clash too.
#[test]
fn of_one_file_so_much_is_reported() {
    let mut local = local();
    let count = |local: &ovn_peerd::declare::LocalDeclarations| local.diagnostics().count();
    local
        .apply(all([peerings("a.toml", &format!("project = \"blue\"\n{}", "x\n".repeat(50_000)))]));
    assert_eq!(count(&local), MAX_FAULTS + 1);
    assert!(told(&local).starts_with("peerings.d/a.toml: error: 50000 errors; the first 100 are"));
    let all_halves = many("blue", "p", MAX_HALVES);
    local.apply(all([peerings("a.toml", &all_halves), peerings("b.toml", &all_halves)]));
    assert_eq!(local.halves().count(), MAX_HALVES);
    assert_eq!(count(&local), MAX_FAULTS + 1);
    assert!(told(&local).starts_with("peerings.d/b.toml: error: 1000 errors; the first 100 are"));
    local.apply(without([FileId::peerings("a.toml")]));
    assert_eq!((count(&local), local.halves().count()), (0, MAX_HALVES));
    local.apply(some([peerings("b.toml", &many("blue", "p", MAX_HALVES + 1))]));
    assert!(told(&local).contains("the file has 1001 [[peering]]; at most 1000 are allowed"));
    assert_eq!(local.halves().count(), MAX_HALVES, "what it last gave stands");
}

/// What this thread has computed so far. A busy machine does not count.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Half of the tokens that a file may have are enough to make each of these slow where the work is the square of them.
#[test]
fn the_work_follows_the_size_of_a_file() {
    let entries = |n: usize, entry: &dyn Fn(usize) -> String| -> String {
        let entries: String = (0..n).map(entry).collect();
        format!("project = \"blue\"\n{entries}")
    };
    let rejections = |n| {
        let rejection = |at| {
            format!(
                "[[rejection]]\nnetwork = \"web\"\nfrom_project = \"r\"\nfrom_network = \"{at}\"\n"
            )
        };
        many("blue", "p", n / 2) + &(0..n / 2).map(rejection).collect::<String>()
    };
    let one_line = |n| {
        let half = |at| {
            format!(
                "{{name=\"{at}\",network=\"\u{e4}\",target_project=\"t\",target_network=\"n\"}},"
            )
        };
        format!("project=\"blue\"\npeering=[{}]", (0..n).map(half).collect::<String>())
    };
    let routes = |n: usize| {
        let route = |at: usize| {
            let (high, low) = (at / 256, at % 256);
            format!(
                "[[route]]\nnetwork=\"web\"\npeering=\"x\"\ndestination=\"10.{high}.{low}.0/24\"\n"
            )
        };
        let half = "[[peering]]\nname=\"x\"\nnetwork=\"web\"\ntarget_project=\"t\"\ntarget_network=\"n\"\nroutes=\"manual\"\n";
        format!("project = \"blue\"\n{half}{}", (0..n).map(route).collect::<String>())
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 7] = [
        ("rejections beside halves", &rejections),
        ("unknown keys", &|n| entries(4 * n, &|at| format!("k{at} = 1\n"))),
        ("broken lines and unknown keys", &|n| entries(2 * n, &|at| format!("k{at} = 1\nx\n"))),
        ("broken headers", &|n| entries(2 * n, &|_| "[x\ny = 1\n".to_owned())),
        ("many errors on one broken header", &|n| {
            format!("[{}\n{}", "= ".repeat(2 * n), "a\n".repeat(n))
        }),
        ("all on one line", &one_line),
        ("routes", &routes),
    ];
    for (what, shape) in shapes {
        // As much in many files as in one: the kernel counts by the tick, which is longer than a small file takes.
        let took = |n: usize| {
            let file = peerings("a.toml", &shape(n));
            let times = (0..3).map(|_| {
                let files = vec![file.clone(); 2000 / n];
                let start = computed();
                files.into_iter().for_each(|file| drop(file.parse()));
                computed() - start
            });
            times.min().unwrap()
        };
        let (small, large) = (took(250), took(2000));
        println!("{what}: eight files {small:?}, and one of eight times as much {large:?}");
        assert!(large < 3 * small.max(Duration::from_millis(16)), "{what}: {small:?} {large:?}");
    }
}

/// Depth costs the parser's stack: it is looked for before.
#[test]
fn what_is_too_deep_or_too_much_is_not_parsed() {
    for (text, says) in [
        (format!("{}x = 1\n", "a.".repeat(400_000)), "a key of more than 32 parts"),
        (format!("[{}x]\n", "a.".repeat(400_000)), "a key of more than 32 parts"),
        (format!("a = {}\n", "[".repeat(100_000)), "max recursion depth"),
        (format!("a = {}\n", "{a=".repeat(40_000)), "max recursion depth"),
        ("\n".repeat(1 << 22), "the file is empty"),
        ("x\n".repeat(1 << 21), "more than 150000 words and signs"),
        (format!("{} = 1\n", "k".repeat(1 << 22)), "unknown key"),
        (format!("project = \"{}\"\n", "p".repeat(1 << 22)), "1 to 255 are allowed"),
    ] {
        let file = peerings("a.toml", &text).parse();
        let told: Vec<_> = file.diagnostics().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|text| text.contains(says)), "{says}: {:.400}", told.concat());
        assert!(told.concat().len() < 100_000, "{says}");
    }
}
