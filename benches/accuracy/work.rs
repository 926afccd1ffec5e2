//! One image that is being edited, with what is true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, ensure};
use layerprint_query::Subject;
use layerprint_store::id::DiffId;
use layerprint_store::{Content, Entry, Fingerprint, ImageRecord, MergedView};

use crate::bases::{Bases, record, shared};
use crate::corpus::{Corpus, Image};
use crate::draft::Draft;
use crate::random::Random;

/// What is true of an image.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// What the right answer names: the nearest true base that is stored; after an upgrade the newer one as well. Empty
    /// where no stored image is the base.
    pub right: BTreeSet<String>,
    /// Siblings of the true base: of its family, but not it.
    pub acceptable: BTreeSet<String>,
    /// Further stored images that may be claimed without being wrong: what the true base is itself built on.
    pub below: BTreeSet<String>,
    /// What the true base is itself built on, in order; none of an upgraded one.
    pub lineage: Vec<String>,
    /// For each second base, the stored images any of which may be named for it.
    pub donors: Vec<BTreeSet<String>>,
}

/// An image in question.
pub struct Question {
    /// The row of the table to which it counts.
    pub label: String,
    /// What it was made from, and how.
    pub made: String,
    pub subject: Subject,
    /// Distinct, non-empty contents, sorted.
    pub contents: Vec<Content>,
    pub truth: Truth,
}

impl Question {
    /// Asks about an image of the corpus as it is.
    pub fn of(corpus: &Corpus, bases: &Bases, image: &Image) -> Result<Self> {
        let layers = corpus.layers(&image.record)?;
        let contents = MergedView::of(layers.iter().map(|layer| &**layer)).contents();
        let donors = image.row.mixed_with.iter().flatten();
        let truth = Truth {
            donors: donors.filter_map(|donor| donors_of(bases, image, &contents, donor)).collect(),
            ..truth_of(corpus, image)
        };
        let subject = Subject::new(image.record.clone(), vec![image.row.name.clone()], layers);
        Ok(Self {
            label: image.transform().to_owned(),
            made: image.row.name.clone(),
            subject,
            contents,
            truth,
        })
    }
}

/// Says what is true of an image as the corpus has it.
fn truth_of(corpus: &Corpus, image: &Image) -> Truth {
    let Some(base) = image.base() else { return Truth::default() };
    let mut acceptable: BTreeSet<String> = image.row.acceptable.iter().flatten().cloned().collect();
    if let Some(series) = corpus.base(base).map(|base| &base.row.series).filter(|series| series.is_some()) {
        let siblings = corpus.bases().filter(|other| other.row.series == *series && other.row.name != *base);
        acceptable.extend(siblings.map(|other| other.row.name.clone()));
    }
    let upgraded = image.row.name.contains("apt-upgraded");
    let mut right = BTreeSet::from([base.clone()]);
    if upgraded {
        right.extend(image.row.acceptable.iter().flatten().cloned());
    }
    let ancestors = image.lineage().iter().filter(|name| *name != base);
    let lineage: Vec<String> = if upgraded { Vec::new() } else { ancestors.clone().cloned().collect() };
    Truth { right, acceptable, below: ancestors.cloned().collect(), lineage, donors: Vec::new() }
}

/// What an image has from a donor and not from its base; whatever holds all of that is as good a donor.
fn donors_of(bases: &Bases, image: &Image, contents: &[Content], donor: &str) -> Option<BTreeSet<String>> {
    let base = bases.named(image.row.base.as_ref()?)?;
    let donor = bases.named(donor)?;
    let mut donated: Vec<Content> = shared(&donor.contents, contents).collect();
    let own: BTreeSet<Content> = shared(&base.contents, &donated).collect();
    donated.retain(|content| !own.contains(content));
    (!donated.is_empty()).then(|| holders(bases, &donated))
}

/// Returns the stored images that hold all of these contents.
fn holders(bases: &Bases, contents: &[Content]) -> BTreeSet<String> {
    let all = contents.len() as u64;
    let holders = bases.stored.iter().filter(|stored| stored.shared(contents) == all);
    holders.map(|stored| stored.name.clone()).collect()
}

/// In what layers an edited image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One layer holds all.
    Squashed,
    /// The base's layers as they were, and one above.
    AboveBase,
}

/// An image that is being edited.
pub struct Work<'a> {
    pub random: Random,
    pub draft: Draft,
    pub truth: Truth,
    corpus: &'a Corpus,
    bases: &'a Bases,
    start: &'a Image,
    base: &'a Image,
    notes: Vec<String>,
}

impl<'a> Work<'a> {
    /// Begins with an image of the corpus that has a base or is one.
    pub fn begin(
        corpus: &'a Corpus,
        bases: &'a Bases,
        start: &'a Image,
        random: Random,
    ) -> Result<Option<Self>> {
        let truth = truth_of(corpus, start);
        let Some(base) = truth.right.first().and_then(|name| corpus.base(name)) else { return Ok(None) };
        let layers = corpus.layers(&start.record)?;
        let draft = Draft::of(&MergedView::of(layers.iter().map(|layer| &**layer)));
        Ok(Some(Self { random, draft, truth, corpus, bases, start, base, notes: Vec::new() }))
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub fn base_name(&self) -> String {
        self.base.row.name.clone()
    }

    pub fn base_content_count(&self) -> usize {
        usize::try_from(self.base.record.content_count).unwrap_or(usize::MAX)
    }

    /// Returns the share of the base's contents that is still there.
    pub fn kept_share(&self) -> f64 {
        let layer = self.draft.squashed();
        let contents = MergedView::of([&layer]).contents();
        self.bases
            .named(&self.base.row.name)
            .map_or(0.0, |base| share(base.shared(&contents), base.contents.len()))
    }

    /// Returns the name of some base of another family than this one's and what it is built on. None that is built on this
    /// one: what that adds could as well be installed.
    pub fn base_of_other_family(&mut self) -> Option<String> {
        let own = self.base.lineage().iter().filter_map(|name| self.corpus.base(name)).chain([self.base]);
        let own: BTreeSet<_> = own.map(|base| &base.row.family).collect();
        let others = self
            .corpus
            .bases()
            .filter(|base| !own.contains(&base.row.family) && !base.lineage().contains(&self.base.row.name));
        let others: Vec<String> = others.map(|base| base.row.name.clone()).collect();
        self.random.pick(&others).cloned()
    }

    /// Returns the name of the next newer base of the same series.
    pub fn newer_sibling(&self) -> Option<String> {
        let own = self.base;
        let newer = self.corpus.bases().filter(|base| {
            base.row.series.is_some()
                && base.row.series == own.row.series
                && base.record.set_id != own.record.set_id
                && base.record.created > own.record.created
        });
        newer.min_by_key(|base| &base.record.created).map(|base| base.row.name.clone())
    }

    /// Returns the entries of a base by path.
    pub fn entries_of(&self, base: &str) -> BTreeMap<Box<[u8]>, Entry> {
        let base = self.corpus.base(base).expect("the names come from the corpus");
        let layers = self.corpus.layers(&base.record).expect("the store was written by this process");
        let view = MergedView::of(layers.iter().map(|layer| &**layer));
        let entry =
            |(path, entry): (&[u8], &Entry)| (path.into(), Entry { path: path.into(), ..entry.clone() });
        view.entries().map(entry).collect()
    }

    /// Returns the non-empty regular files of a base.
    pub fn files_of(&self, base: &str) -> Vec<(Box<[u8]>, Content)> {
        let files =
            self.entries_of(base).into_iter().filter_map(|(path, entry)| Some((path, entry.content()?)));
        files.filter(|(_, content)| content.size_bytes > 0).collect()
    }

    /// Puts what another image has at a path, or removes what is there.
    pub fn replace(&mut self, path: &[u8], entry: Option<&Entry>) {
        match entry {
            Some(entry) => self.draft.put(entry.clone()),
            None => _ = self.draft.remove(|other| other == path),
        }
    }

    /// Notes that contents were copied from a donor. Returns false if too few of them are not the base's own.
    pub fn donate(&mut self, donor: String, mut donated: Vec<Content>) -> bool {
        donated.retain(|content| content.size_bytes > 0);
        donated.sort_unstable();
        donated.dedup();
        let base = self.bases.named(&self.base.row.name).expect("all bases of the corpus are stored");
        let own: BTreeSet<Content> = shared(&base.contents, &donated).collect();
        donated.retain(|content| !own.contains(content));
        let mut holders = holders(self.bases, &donated);
        holders.insert(donor);
        self.truth.donors.push(holders);
        donated.len() >= 30
    }

    /// Ends with an image in one of the forms.
    pub fn finish(mut self, label: &str, form: Form) -> Result<Question> {
        let (diff_ids, layers) = match form {
            Form::Squashed => (Vec::new(), vec![Arc::new(self.draft.squashed())]),
            Form::AboveBase => {
                let mut layers = self.corpus.layers(&self.base.record)?;
                layers.push(Arc::new(self.draft.above(&layers)));
                let above = MergedView::of(layers.iter().map(|layer| &**layer)).set_id();
                let squashed = MergedView::of([&self.draft.squashed()]).set_id();
                ensure!(above == squashed, "{}: the layer above the base is wrong", self.start.row.name);
                (self.base.record.layers.clone(), layers)
            }
        };
        Ok(self.question(label, diff_ids, layers))
    }

    /// Ends with the layers as they were, each written anew: other digests, and other contents where `new` gives one.
    pub fn rebuilt(
        mut self,
        label: &str,
        new: impl Fn(&mut Random, &[u8], Content) -> Option<Content>,
    ) -> Result<Question> {
        let mut layers = self.corpus.layers(&self.start.record)?;
        for layer in &mut layers {
            let mut entries = layer.entries().to_vec();
            for entry in &mut entries {
                let content = entry.content().and_then(|content| new(&mut self.random, &entry.path, content));
                if let Some(content) = content {
                    entry.kind = layerprint_store::EntryKind::File { content, linked: false };
                }
            }
            *layer = Arc::new(Fingerprint::from_entries(entries));
        }
        Ok(self.question(label, Vec::new(), layers))
    }

    fn question(&mut self, label: &str, known: Vec<DiffId>, layers: Vec<Arc<Fingerprint>>) -> Question {
        let view = MergedView::of(layers.iter().map(|layer| &**layer));
        let contents = view.contents();
        let described = record(&view, &mut self.random, layers.len());
        let new = described.layers.iter().skip(known.len()).copied();
        let layers_ids = known.iter().copied().chain(new).collect();
        drop(view);
        let record = ImageRecord {
            layers: layers_ids,
            platform: self.start.record.platform.clone(),
            created: self.created(),
            ..described
        };
        let made = format!("{}: {}", self.start.row.name, self.notes.join(", "));
        let truth = std::mem::take(&mut self.truth);
        Question {
            label: label.to_owned(),
            subject: Subject::new(record, vec![made.clone()], layers),
            made,
            contents,
            truth,
        }
    }

    /// When the image was made: later than all bases, or not said, or the day that builds write which can be repeated.
    fn created(&mut self) -> Option<String> {
        match self.random.below(10) {
            0 => None,
            1 | 2 => Some("1970-01-01T00:00:00Z".into()),
            _ => Some("2027-03-01T00:00:00Z".into()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share is for reading")]
pub fn share(part: u64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
