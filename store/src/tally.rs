//! The contents of a merged view, and how often each stands in it, so that a layer costs what it changes.
//!
//! Counts follow what [`MergedView::apply_observed`] tells. The empty content is left out.

use crate::fingerprint::{Content, Fingerprint};
use crate::id::ContentId;
use crate::merge::{MergedView, Step};

/// What is counted of a view.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Distinct contents, sorted, each with the number of files that have it.
    counted: Vec<Counted>,
    /// Empty. Room for what is counted with one more layer.
    spare: Vec<Counted>,
    /// Files, empty ones among them.
    file_count: u64,
}

type Counted = (Content, u64);

/// What a layer does to the keys of a view: the first 64 bits of its contents' ids. Both lists are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) came: Vec<u64>,
    pub(crate) went: Vec<u64>,
}

impl Change {
    /// Returns how many keys it tells of.
    pub(crate) fn len(&self) -> usize {
        self.came.len() + self.went.len()
    }
}

impl Tally {
    /// Lays a layer over a view and counts what that changes.
    pub(crate) fn apply<'a>(&mut self, view: &mut MergedView<'a>, layer: &'a Fingerprint) -> Change {
        let (mut steps, mut files) = (Vec::with_capacity(layer.entries().len()), 0);
        view.apply_observed(layer, |step| {
            let (entry, by) = match step {
                Step::Comes(entry) => (entry, 1),
                Step::Goes(entry) => (entry, -1),
            };
            if let Some(content) = entry.content() {
                files += by;
                steps.extend((content.id != ContentId::EMPTY).then_some((content, by)));
            }
        });
        self.file_count = self.file_count.saturating_add_signed(files);
        self.add(steps)
    }

    /// Returns the distinct contents, sorted by id.
    pub(crate) fn contents(&self) -> Vec<Content> {
        let mut contents: Vec<Content> = self.counted.iter().map(|(content, _)| *content).collect();
        // Where one id is said to have two sizes, the smaller one counts.
        contents.dedup_by_key(|content| content.id);
        contents
    }

    /// Returns how many files there are, counting each name.
    pub(crate) fn file_count(&self) -> u64 {
        self.file_count
    }

    fn add(&mut self, mut steps: Vec<(Content, i64)>) -> Change {
        steps.sort_unstable();
        let below = &self.counted;
        let mut counted = std::mem::take(&mut self.spare);
        counted.reserve(below.len() + steps.len());
        let (mut came, mut went, mut reached) = (Vec::new(), Vec::new(), 0);
        for group in steps.chunk_by(|a, b| a.0 == b.0) {
            let (content, by) = (group[0].0, group.iter().map(|(_, by)| by).sum::<i64>());
            let before = reached + below[reached..].partition_point(|(known, _)| *known < content);
            counted.extend_from_slice(&below[reached..before]);
            let known = below.get(before).filter(|(known, _)| *known == content).map_or(0, |known| known.1);
            reached = before + usize::from(known > 0);
            let count = known.saturating_add_signed(by);
            if count > 0 {
                counted.push((content, count));
            }
            match (known, count) {
                (0, 1..) => came.push(content.id.head()),
                (1.., 0) => went.push(content.id.head()),
                _ => {}
            }
        }
        counted.extend_from_slice(&below[reached..]);
        let mut below = std::mem::replace(&mut self.counted, counted);
        // Of several contents with one key the index knows only that there is one.
        came.dedup();
        went.dedup();
        came.retain(|key| !has_key(&below, *key));
        went.retain(|key| !has_key(&self.counted, *key));
        below.clear();
        self.spare = below;
        Change { came, went }
    }
}

fn has_key(counted: &[Counted], key: u64) -> bool {
    let at = counted.partition_point(|(content, _)| content.id.head() < key);
    counted.get(at).is_some_and(|(content, _)| content.id.head() == key)
}
