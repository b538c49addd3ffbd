//! What a program does wrong on purpose, so that a drill's check is seen to catch it (`make selftest`).
//!
//! Nothing of it happens unless the cargo feature `defects` is on, which no release build can have, and
//! `BULKHEAD_DEFECT` names it. Without the feature the compiler sees that it cannot. Each program knows
//! what is wrong with it by the name; where one defect is covered by another part of the platform, several
//! are named, with commas between them.

#[cfg(all(feature = "defects", not(debug_assertions)))]
compile_error!(
    "the feature `defects` makes programs lose data on purpose: it is for `make selftest`, not for a release"
);

/// Which defects this platform has.
const NAMES: &str = "BULKHEAD_DEFECT";

/// Returns whether this program is to do wrong what `name` says.
#[inline]
#[must_use]
pub fn is_on(name: &str) -> bool {
    cfg!(feature = "defects") && std::env::var(NAMES).is_ok_and(|names| names_it(&names, name))
}

fn names_it(names: &str, name: &str) -> bool {
    names.split(',').any(|named| named == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_names_is_heard_and_none_that_it_is_a_part_of() {
        let names = "epoch-ignored,no-fence-on-thaw";
        assert!(names_it(names, "epoch-ignored") && names_it(names, "no-fence-on-thaw"));
        assert!(!names_it(names, "no-fence") && !names_it("", "epoch-ignored"));
    }
}
