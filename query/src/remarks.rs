//! What there is to say about a row of a report, whatever anybody's policy is.

use crate::finding::Verdict;
use crate::row::{Level, Remark, Row, Rule};
use crate::words::either;

/// Returns the remarks about a row whose children are counted. What is itself a base needs none; that another build of the
/// same seems to stand on it makes it none.
pub fn remarks(row: &Row) -> Vec<Remark> {
    [unexplained(row), outdated(row)].into_iter().flatten().collect()
}

fn unexplained(row: &Row) -> Option<Remark> {
    let rule = match row.finding.verdict {
        Verdict::None => Rule::BaseUnknown,
        Verdict::Family => Rule::BaseUncertain,
        Verdict::Base => return None,
    };
    let message = row.reason().to_owned();
    (!row.is_base).then_some(Remark::new(rule, Level::Warning, message))
}

fn outdated(row: &Row) -> Option<Remark> {
    let newest =
        row.freshness.as_ref().and_then(|freshness| Some((freshness.newer, freshness.newest.as_ref()?)));
    let (newer, newest) = newest?;
    let day = newest.created.get(..10).unwrap_or(&newest.created);
    let (are, s) = if newer == 1 { ("is", "") } else { ("are", "s") };
    let (names, base) = (either(&newest.names), either(row.base_names()));
    let message = format!("{newer} newer image{s} than {base} {are} stored, the last is {names} of {day}");
    Some(Remark::new(Rule::BaseOutdated, Level::Warning, message))
}
