//! Who has a place within a limit: first the members that are linked, then the others by name.
//!
//! Adding or removing a member costs the logarithm of their number.

use std::collections::BTreeSet;

/// The members that share a limit: halves, rejections or networks.
#[derive(Clone, Debug)]
pub struct LimitGroup<K> {
    standing: BTreeSet<K>,
    inside: BTreeSet<K>,
    /// The members without a place: they sort after those with one; empty while there is room.
    outside: BTreeSet<K>,
}

impl<K> Default for LimitGroup<K> {
    fn default() -> Self {
        let (standing, inside, outside) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { standing, inside, outside }
    }
}

impl<K: Ord + Clone> LimitGroup<K> {
    /// Adds a member, or notes whether it is linked; adds the members that gain or lose a place to
    /// `moved`.
    pub fn put(&mut self, member: &K, stands: bool, moved: &mut BTreeSet<K>) {
        if stands {
            self.inside.remove(member);
            if self.outside.remove(member) {
                moved.insert(member.clone());
            }
            self.standing.insert(member.clone());
            return;
        }
        self.standing.remove(member);
        if self.inside.contains(member) || self.outside.contains(member) {
            return;
        }
        if self.outside.first().is_some_and(|first| first < member) {
            moved.insert(member.clone());
            self.outside.insert(member.clone());
        } else {
            self.inside.insert(member.clone());
        }
    }

    /// Removes a member.
    pub fn take(&mut self, member: &K) {
        self.standing.remove(member);
        self.inside.remove(member);
        self.outside.remove(member);
    }

    /// Assigns the free places, in order of names.
    pub fn fill(&mut self, limit: u32, moved: &mut BTreeSet<K>) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let room = limit.saturating_sub(self.standing.len());
        while self.inside.len() > room {
            let Some(member) = self.inside.pop_last() else { break };
            moved.insert(member.clone());
            self.outside.insert(member);
        }
        while self.inside.len() < room {
            let Some(member) = self.outside.pop_first() else { break };
            moved.insert(member.clone());
            self.inside.insert(member);
        }
    }

    /// Whether it has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty() && self.inside.is_empty() && self.outside.is_empty()
    }

    /// Whether this is a member without a place.
    #[must_use]
    pub fn is_outside(&self, member: &K) -> bool {
        self.outside.contains(member)
    }

    /// Whether this is a member.
    #[must_use]
    pub fn contains(&self, member: &K) -> bool {
        self.standing.contains(member)
            || self.inside.contains(member)
            || self.outside.contains(member)
    }
}
