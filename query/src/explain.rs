//! Explains an image file by file: what became of its base, and from which known image the rest comes.
//!
//! Without a base to compare with, the one that `find` names is taken; where it names none every file is new. Rows are
//! made for one image at a time and borrow what they can, so that a caller can write them as they come.

use std::collections::{BTreeMap, HashMap, HashSet};

use layerprint_store::id::{ImageId, SetId};
use std::sync::Arc;

use layerprint_store::{ImageRecord, Index, Result, StoreError};
use serde::Serialize;

use crate::compare::{Comparison, compare_trees};
use crate::cover::{self, Covered, Known, Part};
use crate::donor::Donor;
use crate::find::{Image, find_with};
use crate::finding::{Evidence, Finding, ImageFacts, Kin, Verdict};
use crate::lineage;
use crate::questions::Questions;
use crate::reader::Reader;
use crate::states::{FileRow, State, rows};
use crate::subject::{Layers, Subject};
use crate::versions::Versions;

/// What is known of the files of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Where the image was read from, as it was named.
    pub source: String,
    /// The image.
    pub image: ImageFacts,
    /// What `find` says of it; absent where the base was given.
    pub verdict: Option<Verdict>,
    /// What it is compared with; absent where no base is known.
    pub base: Option<Against>,
    /// Further stored images that hold parts of the rest, the largest part first.
    pub cover: Vec<Part>,
    /// Files and bytes in each state.
    pub states: BTreeMap<State, Amount>,
    /// Files in each state, for each folder at the top; the name is empty for files that lie there themselves.
    pub folders: BTreeMap<String, BTreeMap<State, u64>>,
    /// The known images that files come from.
    pub origins: Vec<Origin>,
}

/// The base that an image is compared with.
#[derive(Debug, Clone, Serialize)]
pub struct Against {
    /// All names of the tie group, sorted.
    pub names: Vec<String>,
    /// The image that is compared with.
    pub id: ImageId,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// How it was recognised; absent where it was given.
    pub evidence: Option<Evidence>,
    /// What became of its files.
    pub files: Comparison,
    /// What it is itself built on: parent first, oldest last.
    pub lineage: Vec<Kin>,
}

/// A number of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, size_bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size_bytes);
    }
}

/// A known image that files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// All its names.
    pub names: Vec<String>,
    /// What it is to the image.
    pub kind: OriginKind,
    /// Files from there that are in the image.
    pub present: Amount,
    /// Files from there that were deleted.
    pub deleted: Amount,
}

/// What a known image is to another that has files of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// The base.
    Base,
    /// What the base is built on.
    Ancestor,
    /// Another version of the base.
    Relative,
    /// A further image, which holds a part.
    Part,
}

/// Explains an image, and hands on what is found with a row for each file, in the order of paths. `against` is a stored
/// image to compare with; without one it is the base that is found.
pub fn explain<T>(
    index: &Index,
    subject: &Subject,
    against: Option<&ImageId>,
    source: &str,
    then: impl FnOnce(&Explanation, &[FileRow]) -> T,
) -> Result<T> {
    let questions = Questions::new(index);
    let reader = &questions.reader();
    let image = Image::of(reader, subject)?;
    let finding = find_with(reader, &image, source)?;
    let base = match against {
        Some(id) => Some(reader.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?),
        None => found_base(reader, &finding)?,
    };
    let view = subject.layers.view();
    let layers = base.as_ref().map(|base| Layers::stored(index, &base.layers)).transpose()?;
    let base_view = layers.as_ref().map(Layers::view).unwrap_or_default();
    let against = match &base {
        Some(base) => Some(compared(reader, &image, base, &finding, against.is_some())?),
        None => None,
    };
    let home = against.as_ref().and_then(|against| against.files.moved_to.clone()).unwrap_or_default();
    let mut rows = rows(&base_view, &view, home.as_bytes());
    let own = against.iter().flat_map(|against| &against.lineage).map(|kin| kin.set_id);
    let known = Known {
        base: base.as_ref(),
        moved_to: Some(&home),
        own: own.chain(base.as_ref().map(|base| base.set_id)).collect(),
    };
    let parts = cover::cover(reader, &image.record, &image.files, &known)?;
    let mut origins = Origins { reader, subject, list: Vec::new(), places: HashMap::new() };
    if let (Some(base), Some(against)) = (&base, &against) {
        let base = Donor::read(reader, Arc::clone(base))?;
        origins.of_versions(&base, &home, &mut rows)?;
        origins.of_base(&base, &against.lineage, &home, &mut rows)?;
    }
    origins.of_parts(&parts, &mut rows);
    origins.count(&rows);
    let explanation = Explanation {
        source: finding.source,
        image: finding.image,
        verdict: against.as_ref().is_none_or(|against| against.evidence.is_some()).then_some(finding.verdict),
        base: against,
        cover: parts.into_iter().map(|covered| covered.part).collect(),
        states: states(&rows),
        folders: folders(&rows),
        origins: origins.list,
    };
    Ok(then(&explanation, &rows))
}

fn found_base(reader: &Reader, finding: &Finding) -> Result<Option<Arc<ImageRecord>>> {
    let member = finding.base.as_ref().and_then(|base| base.images.first());
    Ok(member.map(|member| reader.image(&member.id)).transpose()?.flatten())
}

/// Tells what the image is compared with: as it was found, or worked out for a base that was given.
fn compared(
    reader: &Reader,
    image: &Image,
    base: &Arc<ImageRecord>,
    finding: &Finding,
    is_given: bool,
) -> Result<Against> {
    let found = finding.base.as_ref().filter(|_| !is_given);
    let (names, evidence, lineage) = match found {
        Some(found) => (found.names.clone(), Some(found.evidence), found.lineage.clone()),
        None => {
            let names = reader.tie_names(&base.set_id, &base.platform)?;
            (names, None, lineage::lineage(reader, &image.record, base)?)
        }
    };
    Ok(Against {
        names,
        id: base.id,
        created: base.created.clone(),
        evidence,
        files: compare_trees(&*reader.tree(base)?, &image.files),
        lineage,
    })
}

fn states(rows: &[FileRow]) -> BTreeMap<State, Amount> {
    let mut states: BTreeMap<State, Amount> = State::ALL.map(|state| (state, Amount::default())).into();
    for row in rows {
        states.entry(row.state).or_default().add(row.content.size_bytes);
    }
    states
}

fn folders(rows: &[FileRow]) -> BTreeMap<String, BTreeMap<State, u64>> {
    let mut folders: BTreeMap<&[u8], BTreeMap<State, u64>> = BTreeMap::new();
    for row in rows {
        let slash = row.path.iter().position(|byte| *byte == b'/').unwrap_or(0);
        *folders.entry(&row.path[..slash]).or_default().entry(row.state).or_default() += 1;
    }
    let text = |folder: &[u8]| String::from_utf8_lossy(folder).into_owned();
    folders.into_iter().map(|(folder, states)| (text(folder), states)).collect()
}

/// The known images that files come from, as they are met.
struct Origins<'s> {
    reader: &'s Reader<'s>,
    subject: &'s Subject,
    list: Vec<Origin>,
    places: HashMap<(OriginKind, SetId), usize>,
}

impl Origins<'_> {
    fn place(&mut self, kind: OriginKind, set: &SetId) -> Result<usize> {
        if let Some(place) = self.places.get(&(kind, *set)) {
            return Ok(*place);
        }
        let names = self.reader.tie_names(set, &self.subject.record.platform)?;
        let place = self.push(kind, names);
        self.places.insert((kind, *set), place);
        Ok(place)
    }

    fn push(&mut self, kind: OriginKind, names: Vec<String>) -> usize {
        self.list.push(Origin { names, kind, present: Amount::default(), deleted: Amount::default() });
        self.list.len() - 1
    }

    /// Tells which modified files another version of the base has at their paths.
    fn of_versions(&mut self, base: &Donor, home: &str, rows: &mut [FileRow]) -> Result<()> {
        let modified = || rows.iter().filter(|row| row.state == State::Modified);
        let changed: HashSet<_> = modified().map(|row| row.content.id).collect();
        let record = &self.subject.record;
        let versions = Versions::of(self.reader, base, record, &changed, &record.platform)?;
        for row in rows.iter_mut().filter(|row| row.state == State::Modified) {
            if let Some((state, from)) = versions.of_file(below(home, &row.path), row.content.id) {
                row.state = state;
                row.origin = Some(self.place(OriginKind::Relative, &from.set_id)?);
            }
        }
        Ok(())
    }

    /// Tells which of the base and its ancestors brought each file of the base: the oldest that has it as it is.
    fn of_base(&mut self, base: &Donor, lineage: &[Kin], home: &str, rows: &mut [FileRow]) -> Result<()> {
        let mut ancestors = Vec::new();
        for kin in lineage.iter().rev() {
            if let Some(record) =
                self.reader.tie(&kin.set_id, &self.subject.record.platform)?.into_iter().next()
            {
                ancestors.push(Donor::read(self.reader, record)?);
            }
        }
        for row in rows.iter_mut() {
            let path = match row.state {
                State::Same | State::Moved | State::Deleted => below(home, &row.path),
                State::Copied => row.from.as_deref().unwrap_or(&row.path),
                State::Modified | State::Upgraded | State::Downgraded | State::New => continue,
            };
            let has = |donor: &Donor| donor.content_at(path) == Some(row.content.id);
            let place = match ancestors.iter().find(|donor| has(donor)) {
                Some(oldest) => self.place(OriginKind::Ancestor, &oldest.record.set_id)?,
                None => self.place(OriginKind::Base, &base.record.set_id)?,
            };
            row.origin = Some(place);
        }
        Ok(())
    }

    /// Tells which files further stored images have.
    fn of_parts(&mut self, parts: &[Covered], rows: &mut [FileRow]) {
        for covered in parts {
            let place = self.push(OriginKind::Part, covered.part.names.clone());
            for path in &covered.places {
                let found = rows.binary_search_by(|row| row.path[..].cmp(path)).ok();
                // Where a file of the base moved to has no row of its own.
                let Some(row) = found.map(|index| &mut rows[index]) else { continue };
                if matches!(row.state, State::New | State::Copied) {
                    row.state = State::New;
                    row.from = Some(covered.origin_of(path));
                    row.origin = Some(place);
                }
            }
        }
    }

    fn count(&mut self, rows: &[FileRow]) {
        for row in rows {
            let Some(origin) = row.origin.and_then(|place| self.list.get_mut(place)) else { continue };
            match row.state {
                State::Deleted => origin.deleted.add(row.content.size_bytes),
                _ => origin.present.add(row.content.size_bytes),
            }
        }
    }
}

/// Returns a path below the folder in which the base's tree stands.
fn below<'p>(home: &str, path: &'p [u8]) -> &'p [u8] {
    let below = path.strip_prefix(home.as_bytes()).filter(|_| !home.is_empty());
    below.and_then(|below| below.strip_prefix(b"/")).unwrap_or(path)
}
