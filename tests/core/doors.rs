//! Lists of traffic filters in a fleet: each opens one port, by which it is known wherever it takes effect.

use std::collections::BTreeSet;

use crate::fleet::{Fleet, NETWORKS};

/// How many sorts of lists there are; the first is to have none.
pub const LISTS: usize = 4;

/// The only port that a half's lists open.
fn port((from, to): (usize, usize), lists: usize) -> usize {
    50_000 + 100 * from + 10 * to + lists
}

/// Keys of a half: no list, the one, the other, the one with another port.
pub fn list_keys(half: (usize, usize), lists: usize) -> String {
    if lists == 0 {
        return String::new();
    }
    let key = if lists == 2 { "out" } else { "in" };
    format!("{key} = [{{ protocol = \"tcp\", ports = [{}] }}]\n", port(half, lists))
}

/// Which lists a half has whose declaration has this text in some form.
pub fn lists_in(text: &str, half: (usize, usize)) -> usize {
    (1..LISTS).find(|lists| text.contains(&port(half, *lists).to_string())).unwrap_or(0)
}

/// The port to which something may be opened at `here`, by what this half and the other one say; none: no list
/// restricts it, or the two have nothing in common.
fn opened(
    (here, own): ((usize, usize), usize),
    (there, other): ((usize, usize), usize),
) -> Option<usize> {
    let inward = (own % 2 == 1).then(|| port(here, own));
    let out = (other == 2).then(|| port(there, other));
    if inward.is_some() && out.is_some() { None } else { inward.or(out) }
}

impl Fleet {
    /// On each router the links of pairs of which nobody disagrees open what the lists of both halves say.
    pub fn check_doors(
        &self,
        linked: &BTreeSet<(usize, usize)>,
        lists: impl Fn(usize, usize) -> usize,
    ) {
        for here in 0..NETWORKS {
            for there in (0..NETWORKS).filter(|there| *there != here) {
                if !linked.contains(&(here.min(there), here.max(there))) {
                    continue;
                }
                let of = |from, to| ((from, to), lists(from, to));
                let wanted = opened(of(here, there), of(there, here));
                let found = self.doors(here, there);
                assert_eq!(found, wanted.into_iter().collect(), "opened at {here} for {there}");
            }
        }
    }

    /// The ports that a router opens to another one.
    pub fn doors(&self, here: usize, there: usize) -> BTreeSet<usize> {
        let (port, _) = self.world.link(here, there).expect("a link");
        let mut policies = self.world.policies(here);
        policies.retain(|policy| policy.allows && policy.text.contains(&format!("{port:?}")));
        let texts = policies.iter().flat_map(|policy| policy.text.split("tcp.dst == ").skip(1));
        let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        texts.map(|text| number(text).parse().expect("a port")).collect()
    }
}
