//! The best of many, without putting all of them in order.

use std::ops::ControlFlow;

use layerprint_store::{Index, Overlap, Result};

/// Images that are put in order at one time.
const SORTED_AT_ONCE: usize = 1024;

/// Shows images to `visit`, those with the highest figure first, until it has enough. Where figures are the same their
/// contents and ids decide, so that the order does not depend on when they were stored.
pub(crate) fn for_best(
    index: &Index,
    mut rest: &mut [Overlap],
    figure: impl Fn(&Overlap) -> f64,
    mut visit: impl FnMut(&Overlap) -> Result<ControlFlow<()>>,
) -> Result<()> {
    // What cannot be read says so when it is visited.
    let key = |overlap: &Overlap| index.key_at(overlap.image).ok();
    let order = |a: &Overlap, b: &Overlap| figure(b).total_cmp(&figure(a)).then_with(|| key(a).cmp(&key(b)));
    while !rest.is_empty() {
        let count = rest.len().min(SORTED_AT_ONCE);
        if count < rest.len() {
            rest.select_nth_unstable_by(count - 1, order);
        }
        let (first, others) = rest.split_at_mut(count);
        first.sort_unstable_by(order);
        for overlap in first.iter() {
            if visit(overlap)?.is_break() {
                return Ok(());
            }
        }
        rest = others;
    }
    Ok(())
}
