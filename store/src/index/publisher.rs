//! The writer's side of the index: what was committed becomes segments, and `CURRENT` names them.
//!
//! Whatever is found wrong with the published state is repaired here, from the catalogue and the packs: segments that are
//! behind are caught up with, segments that are missing or damaged are built again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::current::Current;
use super::draft::{Draft, encode_image};
use super::fresh::{Fresh, Written};
use super::merge::{merge, merge_from};
use super::origin::{self, all_blobs, document_place, fingerprint, pack_documents};
use super::segment::{Segment, SegmentId, file_name};
use super::state::{IndexedImage, State};
use super::views::{self, Layers, Stack, Wanted};
use crate::error::{Result, StoreError};
use crate::id::{BlobDigest, ChainId, DiffId, ImageId};
use crate::images;
use crate::log::catalogue::Tree;
use crate::log::journal::{Applied, Journal};
use crate::record::{ImageRecord, LayerRecord};
use crate::tally::Change;

/// Entries of the layers that are held at one time while postings are made of them.
const ENTRIES_MAX: u64 = 400_000;
/// Postings after which a segment is written. One takes 16 bytes.
const POSTINGS_MAX: usize = 3 << 20;
/// One image in so many may be overridden or gone before all segments are merged.
const DEAD_DIVISOR: u64 = 5;

/// The published state of a store that this process has open for writing.
pub(crate) struct Publisher {
    root: PathBuf,
    directory: PathBuf,
    current: Current,
    state: State,
    /// Something was committed that could not be published.
    is_behind: bool,
}

/// What is to be published besides images, and what is known of their layers.
struct Rest<'a> {
    gone: &'a BTreeSet<ImageId>,
    blobs: Vec<(BlobDigest, DiffId)>,
    layers: &'a BTreeSet<DiffId>,
    steps: &'a HashMap<ChainId, Change>,
}

/// Is told how many images are done, of how many.
pub(crate) type Observer<'a> = &'a dyn Fn(u64, u64);
/// Images sorted by their layers, so that those with a common base stand together.
type Order = Vec<(Vec<DiffId>, ImageId)>;
/// Returns what the index keeps of an image.
type Load<'a> = &'a dyn Fn(&ImageId) -> Result<Option<IndexedImage>>;

impl Publisher {
    /// Opens the published state, and repairs it where it is not what was committed.
    pub(crate) fn open(journal: &Journal) -> Result<Self> {
        let layout = journal.layout();
        let directory = layout.segments();
        fs::create_dir_all(&directory).map_err(StoreError::io(&directory, "create"))?;
        let mut publisher = Self {
            root: layout.root.clone(),
            directory,
            current: Current::default(),
            state: State::default(),
            is_behind: false,
        };
        let repaired = match publisher.load(journal) {
            Ok(true) if publisher.current.through == journal.applied().end => return Ok(publisher),
            Ok(true) => publisher.catch_up(journal),
            Ok(false) => {
                pack_documents(journal)?;
                publisher.reindex(journal, &|_, _| ())
            }
            Err(error) => Err(error),
        };
        match repaired {
            Err(error) if error.is_index_damage() => publisher.reindex(journal, &|_, _| ())?,
            repaired => repaired?,
        }
        Ok(publisher)
    }

    /// Remembers that what was put since the last time is not to be had any more.
    pub(crate) fn fall_behind(&mut self) {
        self.is_behind = true;
    }

    /// Publishes what was put since the last time.
    pub(crate) fn publish(&mut self, journal: &Journal, fresh: Fresh) -> Result<()> {
        let done = match self.is_behind {
            true => self.catch_up(journal),
            false => self.add(journal, fresh),
        };
        let done = match done {
            Err(error) if error.is_index_damage() => self.reindex(journal, &|_, _| ()),
            done => done,
        };
        self.is_behind = done.is_err();
        done
    }

    /// Builds all segments again.
    pub(crate) fn reindex(&mut self, journal: &Journal, observer: Observer) -> Result<()> {
        // What is pending is left out: it belongs to the next commit, or, if the process dies, to none.
        self.state = State::default();
        let mut order = Order::new();
        for record in journal.committed_records::<ImageRecord>(Tree::Images) {
            let record = record?;
            order.push((record.layers, record.id));
        }
        let load = |id: &ImageId| images::indexed(journal, id);
        let none = BTreeSet::new();
        let (blobs, steps) = (all_blobs(journal)?, HashMap::new());
        let rest = Rest { gone: &BTreeSet::new(), blobs, layers: &none, steps: &steps };
        self.build(journal, order, &load, rest, observer)?;
        if self.state.segments.len() > 1 {
            self.merge(journal, 0)?;
        }
        self.finish(journal)
    }

    /// Adds what is new. Where it replaces what was damaged, nodes may lack contents that they have: all is built again.
    fn add(&mut self, journal: &Journal, fresh: Fresh) -> Result<()> {
        for written in &fresh.written {
            if self.replaces_damage(journal, *written)? {
                return self.reindex(journal, &|_, _| ());
            }
        }
        let order = fresh.images.values().map(|image| (image.record.layers.clone(), image.record.id));
        let load = |id: &ImageId| Ok(fresh.images.get(id).cloned());
        let Fresh { gone, blobs, layers, steps, .. } = &fresh;
        let rest = Rest { gone, blobs: blobs.clone(), layers, steps };
        self.build(journal, order.collect(), &load, rest, &|_, _| ())?;
        self.finish(journal)
    }

    /// Reads what was published. False if it cannot be used.
    fn load(&mut self, journal: &Journal) -> Result<bool> {
        let store_id = &journal.layout().store_id;
        let current = match Current::read(&self.root, store_id) {
            Ok(Some(current)) => current,
            Ok(None) => return Ok(false),
            Err(error) if error.is_index_damage() => return Ok(false),
            Err(error) => return Err(error),
        };
        let opened = State::open(&self.directory, store_id, &current.segments, &State::default());
        match opened.and_then(|state| state.check_if_small().map(|()| state)) {
            Ok(state) => self.state = state,
            Err(error) if error.is_index_damage() => return Ok(false),
            Err(error) => return Err(error),
        }
        self.current = current;
        Ok(true)
    }

    /// Compares all images with what is published: some commits were not, or not whole.
    fn catch_up(&mut self, journal: &Journal) -> Result<()> {
        let mut fresh = Fresh { blobs: all_blobs(journal)?, ..Fresh::default() };
        for record in journal.committed_records::<ImageRecord>(Tree::Images) {
            let id = record?.id;
            let Some(image) = images::indexed(journal, &id)? else { continue };
            if !self.has(&image)? {
                fresh.images.insert(id, image);
            }
        }
        for at in self.state.images() {
            let id = self.state.image_id(at)?;
            if !journal.is_committed(Tree::Images, id.as_bytes())? {
                fresh.gone.insert(id);
            }
        }
        for record in journal.committed_records::<LayerRecord>(Tree::Layers) {
            let record = record?;
            fresh.written.push(Written::Layer(record.diff_id));
            if !self.has_layer_record(&record)? {
                fresh.layers.insert(record.diff_id);
            }
        }
        self.add(journal, fresh)
    }

    /// Returns true if the index knows another place of what was written, and nothing whole is there.
    fn replaces_damage(&self, journal: &Journal, written: Written) -> Result<bool> {
        let (tree, key, indexed) = match written {
            Written::Layer(diff_id) => {
                let number = self.state.layer_of_diff_id(&diff_id)?;
                let place = number.map(|number| self.state.place(number)).transpose()?;
                (Tree::Bodies, diff_id.as_bytes().to_vec(), place)
            }
            Written::Document(digest) => (Tree::Documents, digest.to_key(), self.state.document(&digest)?),
        };
        let Some(indexed) = indexed else { return Ok(false) };
        let is_elsewhere = journal.place(tree, &key)? != Some(indexed);
        Ok(is_elsewhere && !journal.is_whole_at(indexed, tree, &key)?)
    }

    /// Returns true if the index has the record of a layer, or no use for it.
    fn has_layer_record(&self, record: &LayerRecord) -> Result<bool> {
        let number = self.state.layer_of_diff_id(&record.diff_id)?;
        number.map_or(Ok(true), |number| Ok(self.state.layer_record(number)? == *record))
    }

    fn has(&self, image: &IndexedImage) -> Result<bool> {
        let Some(at) = self.state.image(&image.record.id)? else { return Ok(false) };
        let same_layers = self.state.layers(self.state.row(at)?.node)? == image.record.layers;
        Ok(same_layers && self.state.record_bytes(at)? == encode_image(&mut image.clone()))
    }

    /// Writes segments of images that are new or changed, and of images that are gone.
    fn build(
        &mut self,
        journal: &Journal,
        mut order: Order,
        load: Load,
        rest: Rest,
        observer: Observer,
    ) -> Result<()> {
        order.sort_unstable();
        let mut draft = Draft::after(&self.state);
        for id in rest.gone {
            if let Some(at) = self.state.image(id)? {
                draft.add_override(&self.state, at);
            }
        }
        let layer = |diff_id: &DiffId| origin::layer(journal, diff_id);
        let mut next = 0;
        while next < order.len() {
            let (mut chunk, new_first) = (Chunk::default(), draft.nodes_end()?);
            while next < order.len() && draft.posting_count() <= POSTINGS_MAX {
                let (layers, id) = &order[next];
                let chain = ChainId::of_prefixes(layers);
                let is_told = self.is_told(&chain, rest.steps)?;
                if !is_told && !chunk.has_room(journal, layers)? {
                    break;
                }
                next += 1;
                let Some(image) = load(id)? else { continue };
                if self.has(&image)? {
                    continue;
                }
                let first = draft.nodes_end()?;
                let nodes = draft.nodes_of(&self.state, &chain, layers, layer)?;
                for document in &image.record.documents {
                    draft.add_document(&self.state, &document.digest, |digest| {
                        document_place(journal, digest)
                    })?;
                }
                draft.add_image(&self.state, nodes.last().copied(), image)?;
                for (node, chain) in nodes.iter().zip(&chain).filter(|(node, _)| **node >= first) {
                    if let Some(change) = rest.steps.get(chain) {
                        chunk.posted.insert(*node);
                        draft.post(change, *node);
                    }
                }
                if !is_told && nodes.last().is_some_and(|node| *node >= first) {
                    chunk.stacks.push(Stack { layers: layers.clone(), nodes });
                }
            }
            let layers = chunk.read(journal)?;
            for diff_id in layers.unreadable {
                draft.add_unreadable(&self.state, &diff_id)?;
            }
            let nodes_first = draft.nodes_first();
            let wanted = Wanted { nodes_first, new_first, posted: &chunk.posted };
            draft.add_postings(views::postings(&chunk.stacks, &layers.readable, &wanted));
            if draft.posting_count() > POSTINGS_MAX {
                draft = self.write(journal, draft)?;
            }
            observer(next as u64, order.len() as u64);
        }
        for (blob, diff_id) in rest.blobs {
            draft.add_blob(&self.state, blob, &diff_id)?;
        }
        for diff_id in rest.layers {
            draft.add_layer_record(&self.state, &layer(diff_id)?.record)?;
        }
        if !draft.is_empty() {
            self.write(journal, draft)?;
        }
        Ok(())
    }

    /// Returns true if for every stack of a chain it is published or known what its top layer does.
    fn is_told(&self, chain: &[ChainId], steps: &HashMap<ChainId, Change>) -> Result<bool> {
        // A stack is published with all that are below it.
        for stack in chain.iter().rev() {
            if !steps.contains_key(stack) {
                return Ok(self.state.node_of_chain(stack)?.is_some());
            }
        }
        Ok(true)
    }

    /// Writes a segment, and merges what has become many. Returns the next draft.
    fn write(&mut self, journal: &Journal, draft: Draft) -> Result<Draft> {
        let id = draft.write(&self.directory, &journal.layout().store_id)?;
        let mut ids = self.ids();
        ids.push(id);
        self.reopen(journal, &ids)?;
        let sizes: Vec<u64> = self.state.segments.iter().map(|segment| segment.file_bytes()).collect();
        if let Some(from) = merge_from(&sizes) {
            self.merge(journal, from)?;
        }
        let (live, dead) = self.state.image_counts();
        if dead * DEAD_DIVISOR > live + dead {
            self.merge(journal, 0)?;
        }
        Ok(Draft::after(&self.state))
    }

    fn merge(&mut self, journal: &Journal, from: usize) -> Result<()> {
        let end = self.state.segments.len();
        let id = merge(&self.state, from..end, &self.directory, &journal.layout().store_id)?;
        let mut ids = self.ids();
        ids.splice(from.., [id]);
        self.reopen(journal, &ids)
    }

    fn reopen(&mut self, journal: &Journal, ids: &[SegmentId]) -> Result<()> {
        self.state = State::open(&self.directory, &journal.layout().store_id, ids, &self.state)?;
        Ok(())
    }

    fn ids(&self) -> Vec<SegmentId> {
        self.state.segments.iter().map(|segment| segment.id).collect()
    }

    /// Makes the segments the published state, and removes all others.
    fn finish(&mut self, journal: &Journal) -> Result<()> {
        let Applied { end, commit_bytes } = journal.applied();
        let current = Current { through: end, commit_bytes, segments: self.ids() };
        if current != self.current {
            current.publish(&self.root, &journal.layout().store_id)?;
            self.current = current;
        }
        remove_others(&self.directory, &self.state.segments)
    }
}

/// Images whose postings are made at one time.
#[derive(Default)]
struct Chunk {
    stacks: Vec<Stack>,
    entries: u64,
    layers: HashMap<DiffId, u64>,
    /// Nodes whose postings are made already.
    posted: HashSet<u32>,
}

impl Chunk {
    /// Takes the layers of an image, unless they are too many beside those of others.
    fn has_room(&mut self, journal: &Journal, layers: &[DiffId]) -> Result<bool> {
        let mut more = HashMap::new();
        for layer in layers.iter().filter(|layer| !self.layers.contains_key(layer)) {
            let record: Option<LayerRecord> = journal.record(Tree::Layers, layer.as_bytes())?;
            more.insert(*layer, record.map_or(0, |record| record.entry_count));
        }
        let entries = self.entries + more.values().sum::<u64>();
        let has_room = self.layers.is_empty() || entries <= ENTRIES_MAX;
        if has_room {
            self.entries = entries;
            self.layers.extend(more);
        }
        Ok(has_room)
    }

    fn read(&self, journal: &Journal) -> Result<ChunkLayers> {
        let wanted: BTreeSet<&DiffId> = self.stacks.iter().flat_map(|stack| &stack.layers).collect();
        let read: Vec<_> = wanted
            .into_par_iter()
            .map(|diff_id| Ok((*diff_id, fingerprint(journal, diff_id)?)))
            .collect::<Result<_>>()?;
        let unreadable = read.iter().filter(|(_, fingerprint)| fingerprint.is_none());
        let unreadable = unreadable.map(|(diff_id, _)| *diff_id).collect();
        let readable = read.into_iter();
        let readable = readable.map(|(diff_id, layer)| (diff_id, Arc::new(layer.unwrap_or_default())));
        Ok(ChunkLayers { readable: readable.collect(), unreadable })
    }
}

/// Layers of a chunk; those that cannot be read are empty, and listed.
struct ChunkLayers {
    readable: Layers,
    unreadable: Vec<DiffId>,
}

/// Removes segments that are not live, and what a process that died left half made. A reader that was about to open one
/// of them reads `CURRENT` again.
fn remove_others(directory: &Path, live: &[Arc<Segment>]) -> Result<()> {
    let names: BTreeSet<String> = live.iter().map(|segment| file_name(&segment.id)).collect();
    for item in fs::read_dir(directory).map_err(StoreError::io(directory, "list"))? {
        let path = item.map_err(StoreError::io(directory, "list"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_ours = name.ends_with(".segment") || name.starts_with("new.");
        if is_ours && !names.contains(&name) {
            fs::remove_file(&path).map_err(StoreError::io(&path, "remove"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::{KEY_CONTEXT, VERSION};
    use crate::index::Index;
    use crate::index::segment::{HEADER_BYTES, checksum};
    use crate::record::Document;
    use crate::store::Store;

    /// Makes a store what a program left whose index was of another version and had no documents.
    fn make_old(store: Store, document: &[u8], digest: &BlobDigest) {
        let (key, layout) = (digest.to_key(), store.journal.layout());
        let mut writer = store.journal.write().unwrap();
        let compressed = crate::compression::compress(document, 3);
        writer.put(Tree::Documents, &key, &compressed).unwrap();
        drop(writer.finish());
        store.journal.commit(|| ()).unwrap();
        assert_eq!(store.journal.place(Tree::Documents, &key).unwrap(), None, "it is in the catalogue");
        let secret = blake3::derive_key(KEY_CONTEXT, &layout.store_id);
        let mut segments = Vec::new();
        for id in store.publisher.lock().unwrap().ids() {
            let mut bytes = fs::read(layout.segments().join(file_name(&id))).unwrap();
            bytes[4..6].copy_from_slice(&(VERSION - 1).to_le_bytes());
            let (head, own) = bytes[..HEADER_BYTES].split_at_mut(HEADER_BYTES - id.len());
            own.copy_from_slice(&checksum(&secret, head));
            let id: SegmentId = (*own).try_into().unwrap();
            fs::write(layout.segments().join(file_name(&id)), bytes).unwrap();
            segments.push(id);
        }
        let Applied { end, commit_bytes } = store.journal.applied();
        let current = Current { through: end, commit_bytes, segments };
        current.publish(&layout.root, &layout.store_id).unwrap();
    }

    #[test]
    fn an_index_of_another_version_is_built_again_with_the_documents_that_the_catalogue_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (path, document) = (folder.path().join("store"), b"{\"config\":{}}");
        let digest = BlobDigest::Sha256([7; 32]);
        let store = Store::create_or_open(&path).unwrap();
        let image = ImageRecord {
            documents: vec![Document { media_type: "text/plain".into(), digest }],
            ..ImageRecord::of_contents(ImageId::from_bytes([1; 32]), Vec::new(), &[], 0)
        };
        store.put_image(&image, &["old:1".into()]).unwrap();
        store.commit().unwrap();
        make_old(store, document, &digest);
        let refused = Index::open(&path).err().unwrap();
        assert!(refused.is_index_damage(), "a reader repairs nothing: {refused}");
        drop(Store::open(&path).unwrap());
        let index = Index::open(&path).unwrap();
        assert_eq!(index.image_count(), 1);
        assert_eq!(index.document(&digest).unwrap().as_deref(), Some(&document[..]));
        drop(index);
        // What was repaired stays so, and nothing is packed a second time.
        let stats = |store: &Store| store.stats().unwrap().pack_bytes;
        let store = Store::open(&path).unwrap();
        let before = stats(&store);
        pack_documents(&store.journal).unwrap();
        assert_eq!(stats(&store), before);
        assert_eq!(store.document(&digest).unwrap().as_deref(), Some(&document[..]));
    }
}
