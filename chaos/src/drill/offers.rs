//! What a platform has been started for, and some drills cannot do without.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
pub(crate) struct Offers {
    /// Its regions are emulated distances apart.
    pub(crate) wan: bool,
    /// Its sites' clocks can be set.
    pub(crate) clocks: bool,
    /// What etcd has can be saved and restored.
    pub(crate) snapshots: bool,
    /// Its cells can be restored from their backups.
    pub(crate) backups: bool,
}
