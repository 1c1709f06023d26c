//! Whether everything is to be read anew.

/// Whether everything is to be read anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Resync {
    #[default]
    Needless,
    /// An update did not follow from the rows.
    Needed,
    /// The client was asked for it.
    UnderWay,
}

impl Resync {
    /// Whether the client is to be asked for it now.
    pub(super) fn begin(&mut self) -> bool {
        let wants = *self == Self::Needed;
        if wants {
            *self = Self::UnderWay;
        }
        wants
    }
}
