//! Atoms of RFC 7047 section 5.1.
//!
//! Owns the five kinds and their order. May not touch JSON, the schema or how atoms are kept in a
//! row. Invariant: equal numbers are equal atoms (no real is negative zero).

use std::cmp::Ordering;

use uuid::Uuid;

/// One atom (RFC 7047 section 5.1, `<atom>`); it owns its text or borrows it.
#[derive(Clone, Copy, Debug)]
pub enum Atom<S = Box<str>> {
    /// A 64-bit signed integer.
    Integer(i64),
    /// A double; never negative zero.
    Real(f64),
    /// A boolean.
    Boolean(bool),
    /// A string without NUL.
    String(S),
    /// The identity of a row.
    Uuid(Uuid),
}

impl<S> Atom<S> {
    /// A real atom; negative zero becomes zero.
    pub fn real(real: f64) -> Self {
        Self::Real(if real == 0.0 { 0.0 } else { real })
    }

    /// The row identity in this atom, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(uuid) = self { Some(*uuid) } else { None }
    }

    /// Orders the kinds among each other, so that the order is total even in a set of mixed kinds.
    fn kind(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
        }
    }
}

impl<S: AsRef<str>> Atom<S> {
    /// The same atom with borrowed text.
    pub fn borrowed(&self) -> Atom<&str> {
        match self {
            Self::Integer(integer) => Atom::Integer(*integer),
            Self::Real(real) => Atom::Real(*real),
            Self::Boolean(boolean) => Atom::Boolean(*boolean),
            Self::String(string) => Atom::String(string.as_ref()),
            Self::Uuid(uuid) => Atom::Uuid(*uuid),
        }
    }
}

impl<S: Into<Box<str>>> Atom<S> {
    /// The string in this atom, if it is one.
    pub fn text(self) -> Option<S> {
        if let Self::String(string) = self { Some(string) } else { None }
    }

    /// The same atom with owned text.
    pub fn owned(self) -> Atom {
        match self {
            Self::Integer(integer) => Atom::Integer(integer),
            Self::Real(real) => Atom::Real(real),
            Self::Boolean(boolean) => Atom::Boolean(boolean),
            Self::String(string) => Atom::String(string.into()),
            Self::Uuid(uuid) => Atom::Uuid(uuid),
        }
    }
}

impl<S: Ord> Ord for Atom<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }
}

impl<S: Ord> PartialOrd for Atom<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: Ord> PartialEq for Atom<S> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<S: Ord> Eq for Atom<S> {}

impl From<&str> for Atom {
    fn from(string: &str) -> Self {
        Self::String(string.into())
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<i64> for Atom {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Atom {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_zero_is_zero() {
        assert_eq!(Atom::<&str>::real(-0.0), Atom::real(0.0));
    }
}
