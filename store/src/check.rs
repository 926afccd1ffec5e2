//! Reads everything that is stored and says what is damaged, whom it concerns and what repairs it.
//!
//! ```text
//! catalogue -> every record, and the fingerprint or document that it leads to
//! packs     -> every frame that no record leads to: commits, and what is out of use
//! both      -> the catalogue is what the commits say, and what records refer to is there
//! index     -> CURRENT, every block of every segment, and the images in them
//! ```
//!
//! Changes nothing. Takes the writer's lock, because a writer would change what is compared; a store that may only be read
//! is checked without its catalogue, which no question needs.

mod catalogue;
mod index;
mod packs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::error::{Result, StoreError};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::index::Index;
use crate::log::catalogue::Catalogue;
use crate::log::frame::{Place, Position};
use crate::log::journal::{Applied, applied_of};
use crate::log::layout::Layout;
use crate::log::lock::WriterLock;
use crate::log::pack::Packs;
use crate::log::recovery::published;
use crate::log::seal::Seal;

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DamagedPart {
    /// `FORMAT`, or the header of a pack.
    Header,
    /// A part of a pack that is a commit, or that nothing refers to.
    Frame,
    /// The packs end too early.
    Extent,
    /// The fingerprint of a layer.
    Fingerprint,
    /// A document of an image.
    Document,
    /// The catalogue as a whole.
    Catalogue,
    /// A record of the catalogue.
    Record,
    /// The index.
    Index,
}

/// One thing that is damaged or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What it is.
    pub what: DamagedPart,
    /// The file and the place in it, or the record.
    #[serde(rename = "where")]
    pub place: String,
    /// What was found there.
    pub problem: String,
    /// Layers that cannot be read because of it.
    pub layers: Vec<DiffId>,
    /// Documents that cannot be read because of it.
    pub documents: Vec<BlobDigest>,
    /// The images that have those.
    pub images: Vec<ImageId>,
    /// Which answers it touches.
    pub effect: &'static str,
    /// What repairs it.
    pub remedy: &'static str,
}

/// How much was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Frames of packs.
    pub frames: u64,
    /// Records of the catalogue.
    pub records: u64,
    /// Fingerprints of layers.
    pub layers: u64,
    /// Documents.
    pub documents: u64,
    /// Images.
    pub images: u64,
    /// Segments of the index.
    pub segments: u64,
    /// Bytes read from packs and segments.
    pub read_bytes: u64,
    /// What is damaged or lost.
    pub damages: u64,
    /// Why the catalogue was left out, if it was.
    pub catalogue_skipped: Option<String>,
}

/// Something that happened on the way.
#[derive(Debug)]
pub enum CheckEvent<'a> {
    /// Bytes read so far, of how many.
    Read(u64, u64),
    /// Something is damaged.
    Damage(&'a Damage),
}

/// Is handed what happens on the way.
pub type CheckObserver<'a> = &'a mut dyn FnMut(CheckEvent);

/// Checks a store. `quick` looks at headers, extents and whether catalogue and index open, and reads no frame.
///
/// # Errors
///
/// Fails if there is no store of this version, another process writes to it, or the operating system refuses to read it.
/// Damage is no error.
pub fn check(root: &Path, quick: bool, observer: CheckObserver) -> Result<Checked> {
    let mut found = Findings::new(observer);
    let Some(layout) = header(root, &mut found)? else { return Ok(found.checked) };
    let lock = match WriterLock::take(root) {
        Ok(lock) => Some(lock),
        Err(StoreError::Io { source, .. }) => {
            found.checked.catalogue_skipped = Some(source.to_string());
            None
        }
        Err(error) => return Err(error),
    };
    let packs = open_packs(&layout, &mut found)?;
    let catalogue = if lock.is_some() { open_catalogue(&layout, &packs, &mut found)? } else { None };
    let floor = floor(&layout, catalogue.as_ref())?;
    extents(&packs, floor, &mut found)?;
    let index = index::open(&layout, &packs, &mut found)?;
    if !quick {
        let store = Opened { seal: Seal::new(&layout.store_id), packs, catalogue, index };
        store.check(floor, &mut found)?;
    }
    Ok(found.checked)
}

/// What is checked.
struct Opened {
    packs: Packs,
    seal: Seal,
    catalogue: Option<(Catalogue, Applied)>,
    index: Option<Index>,
}

impl Opened {
    fn check(&self, floor: Position, found: &mut Findings) -> Result<()> {
        found.total_bytes = self.packs.size_bytes()? + self.index.as_ref().map_or(0, Index::size_bytes);
        let mut whole = match &self.catalogue {
            Some((catalogue, _)) => catalogue::records(self, catalogue, found)?,
            None => self.index.as_ref().map_or(Ok(Vec::new()), |index| index::layers(self, index, found))?,
        };
        whole.sort_unstable_by_key(|place| place.start);
        let commits = packs::frames(self, &whole, floor, found)?;
        if let Some((catalogue, applied)) = &self.catalogue {
            catalogue::compare(self, catalogue, applied, commits, found)?;
            match catalogue::references(self, catalogue, found) {
                Err(error @ StoreError::Catalogue { .. }) => {
                    found.add(DamagedPart::Catalogue, "db", error.to_string());
                }
                done => done?,
            }
        }
        if let Some(index) = &self.index {
            index::check(self, index, found)?;
        }
        self.name_images(found)
    }

    /// Says which images have the layers and documents that are damaged, and hands the damage on.
    fn name_images(&self, found: &mut Findings) -> Result<()> {
        let waiting = std::mem::take(&mut found.waiting);
        let images = self.images_by_part(&waiting)?;
        for mut damage in waiting {
            let layers = damage.layers.iter().map(|layer| Part::Layer(*layer));
            let parts = layers.chain(damage.documents.iter().map(|document| Part::Document(*document)));
            let named: BTreeSet<ImageId> =
                parts.filter_map(|part| images.get(&part)).flatten().copied().collect();
            damage.images.extend(named);
            found.report(&damage);
        }
        Ok(())
    }

    fn images_by_part(&self, damages: &[Damage]) -> Result<BTreeMap<Part, Vec<ImageId>>> {
        let layers = damages.iter().flat_map(|damage| &damage.layers).map(|layer| Part::Layer(*layer));
        let documents = damages.iter().flat_map(|damage| &damage.documents);
        let parts = layers.chain(documents.map(|document| Part::Document(*document)));
        let mut images: BTreeMap<Part, Vec<ImageId>> = parts.map(|part| (part, Vec::new())).collect();
        if images.is_empty() {
            return Ok(images);
        }
        let mut enter = |record: crate::record::ImageRecord| {
            let layers = record.layers.iter().map(|layer| Part::Layer(*layer));
            let documents = record.documents.iter().map(|document| Part::Document(document.digest));
            for part in layers.chain(documents) {
                images.entry(part).and_modify(|images| images.push(record.id));
            }
        };
        match (&self.catalogue, &self.index) {
            (Some((catalogue, _)), _) => catalogue::images(self, catalogue).for_each(&mut enter),
            (None, Some(index)) => index.images().filter_map(Result::ok).for_each(&mut enter),
            (None, None) => {}
        }
        Ok(images)
    }
}

/// What an image is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Layer(DiffId),
    Document(BlobDigest),
}

/// What was found so far.
pub(crate) struct Findings<'a> {
    observer: CheckObserver<'a>,
    checked: Checked,
    total_bytes: u64,
    /// Damage of layers and documents, whose images are looked up at the end.
    waiting: Vec<Damage>,
    /// Where frames begin that were found damaged by what leads to them.
    damaged_starts: BTreeSet<Position>,
}

impl<'a> Findings<'a> {
    fn new(observer: CheckObserver<'a>) -> Self {
        Self {
            observer,
            checked: Checked::default(),
            total_bytes: 0,
            waiting: Vec::new(),
            damaged_starts: BTreeSet::new(),
        }
    }

    fn add(&mut self, what: DamagedPart, place: impl Into<String>, problem: impl Into<String>) {
        let damage = describe(what, place.into(), problem.into());
        self.report(&damage);
    }

    fn add_layer(&mut self, layer: DiffId, place: impl Into<String>, problem: impl Into<String>) {
        let damage = describe(DamagedPart::Fingerprint, place.into(), problem.into());
        self.waiting.push(Damage { layers: vec![layer], ..damage });
    }

    fn add_document(&mut self, document: BlobDigest, place: impl Into<String>, problem: impl Into<String>) {
        let damage = describe(DamagedPart::Document, place.into(), problem.into());
        self.waiting.push(Damage { documents: vec![document], ..damage });
    }

    fn report(&mut self, damage: &Damage) {
        self.checked.damages += 1;
        (self.observer)(CheckEvent::Damage(damage));
    }

    fn read(&mut self, bytes: u64) {
        self.checked.read_bytes += bytes;
        (self.observer)(CheckEvent::Read(self.checked.read_bytes, self.total_bytes));
    }
}

fn describe(what: DamagedPart, place: String, problem: String) -> Damage {
    let (effect, remedy) = match what {
        DamagedPart::Header | DamagedPart::Extent => ("writers refuse the store", "layerprint repair"),
        DamagedPart::Frame => {
            ("none now; the catalogue could not be rebuilt from the packs alone", "layerprint repair")
        }
        DamagedPart::Fingerprint => (
            "answers about these images, and those in which they could be named",
            "layerprint repair, then ingest these images again",
        ),
        DamagedPart::Document => {
            ("labels and configuration of these images", "layerprint repair, then ingest these images again")
        }
        DamagedPart::Catalogue => {
            ("none; the next command that writes rebuilds it from the packs", "layerprint repair")
        }
        DamagedPart::Record => ("commands that write may fail", "layerprint repair"),
        DamagedPart::Index => ("questions fail, or say that they may lack images", "layerprint reindex"),
    };
    let (layers, documents, images) = (Vec::new(), Vec::new(), Vec::new());
    Damage { what, place, problem, layers, documents, images, effect, remedy }
}

/// Reads the header of the store. Where that is damaged, the packs say whose they are.
fn header(root: &Path, found: &mut Findings) -> Result<Option<Layout>> {
    match Layout::open(root) {
        Err(error @ StoreError::Corrupt { .. }) => {
            found.add(DamagedPart::Header, "FORMAT", error.to_string());
            Ok(Packs::store_id_of(&root.join("packs"))?.map(|store_id| Layout::assumed(root, store_id)))
        }
        layout => layout.map(Some),
    }
}

fn open_packs(layout: &Layout, found: &mut Findings) -> Result<Packs> {
    let packs = Packs::open_read_only(layout.packs(), layout.store_id)?;
    for number in packs.numbers_on_disk()? {
        if let Some(problem) = packs.header_problem(number)? {
            found.add(DamagedPart::Header, place_name(&packs, Place::at_start(number)), problem.to_string());
        }
    }
    Ok(packs)
}

fn open_catalogue(
    layout: &Layout,
    packs: &Packs,
    found: &mut Findings,
) -> Result<Option<(Catalogue, Applied)>> {
    let has_commits = packs.end() > packs.start();
    if !layout.catalogue().join("db").exists() {
        if has_commits {
            found.add(DamagedPart::Catalogue, "db", "it is missing");
        }
        return Ok(None);
    }
    let unusable = match Catalogue::open(layout.catalogue()) {
        Ok(catalogue) => match applied_of(&catalogue, &Seal::new(&layout.store_id)) {
            Ok(Some(applied)) => return Ok(Some((catalogue, applied))),
            Ok(None) if !has_commits => return Ok(None),
            Ok(None) => "it does not say how far it goes".to_owned(),
            Err(error) => error.to_string(),
        },
        Err(error @ (StoreError::Catalogue { .. } | StoreError::OpenTimeout { .. })) => error.to_string(),
        Err(error) => return Err(error),
    };
    found.add(DamagedPart::Catalogue, "db", unusable);
    Ok(None)
}

/// Returns the position before which everything was acknowledged.
fn floor(layout: &Layout, catalogue: Option<&(Catalogue, Applied)>) -> Result<Position> {
    let applied = catalogue.map(|(_, applied)| applied.end);
    Ok(applied.max(published(layout)?).unwrap_or_default())
}

fn extents(packs: &Packs, floor: Position, found: &mut Findings) -> Result<()> {
    match packs.expect(floor) {
        Err(error @ StoreError::Corrupt { .. }) => {
            found.add(DamagedPart::Extent, place_name(packs, Place::at(floor)), error.to_string());
            Ok(())
        }
        done => done,
    }
}

/// Says where in the packs something is, as people look it up.
fn place_name(packs: &Packs, place: Place) -> String {
    let path = packs.path(place.start.pack);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("packs/{name} at {}", place.start.offset_bytes)
}
