//! Opening packs and catalogue after whatever happened to the process, the disk or the database.
//!
//! The packs are the truth and the catalogue follows from them. Three positions say what was acknowledged: the end of the
//! last commit that the catalogue has, the one up to which an index was published, and the commits in the packs. Only bytes
//! after all of them are an unfinished tail, which is cut off with a copy set aside. Anything else that is not whole is
//! damage: it is an error, time after time, until `repair` sees to it, and nothing is changed because of it.

use std::fs;
use std::path::Path;

use super::aside::Aside;
use super::catalogue::Catalogue;
use super::changes;
use super::frame::{Frame, FrameKind, Position};
use super::journal::{Applied, applied_of, apply};
use super::layout::Layout;
use super::pack::{Packs, sync_directory};
use super::seal::Seal;
use super::walk::{Damage, Piece};
use crate::error::{Result, StoreError};
use crate::format::pack::HEADER_BYTES;
use crate::index::current::Current;

/// Packs and catalogue that agree, and how far they go.
pub(crate) struct Recovered {
    pub(crate) catalogue: Catalogue,
    pub(crate) packs: Packs,
    pub(crate) applied: Applied,
    /// Why the catalogue was rebuilt, if it was.
    pub(crate) rebuilt: Option<String>,
}

/// Opens both and finishes what an earlier process did not.
pub(crate) fn recover(layout: &Layout) -> Result<Recovered> {
    let published = published(layout)?;
    let seal = Seal::new(&layout.store_id);
    let packs = Packs::open(layout.packs(), layout.store_id)?;
    packs.expect_ours()?;
    let floor = published.unwrap_or_default();
    let (catalogue, applied, rebuilt) = match open_catalogue(layout, &seal, &packs)? {
        Opened::Usable(catalogue, applied) => {
            let floor = floor.max(applied.map_or_else(Position::default, |applied| applied.end));
            check_extent(&packs, floor)?;
            let from = applied.unwrap_or_else(|| start(&packs));
            let known = Known { from, floor, is_certain: published.is_some() };
            let applied = replay(&packs, &seal, &catalogue, &known)?;
            (catalogue, applied, None)
        }
        Opened::Unusable(problem) => {
            check_extent(&packs, floor)?;
            let known = Known { from: start(&packs), floor, is_certain: published.is_some() };
            let (catalogue, applied) = rebuild(layout, &seal, &packs, &known)?;
            (catalogue, applied, Some(problem))
        }
    };
    packs.cut(applied.end, &Aside::of(&layout.root))?;
    Ok(Recovered { catalogue, packs, applied, rebuilt })
}

/// Returns the position up to which an index was published; none if that is not known.
pub(crate) fn published(layout: &Layout) -> Result<Option<Position>> {
    match Current::read(&layout.root, &layout.store_id) {
        Err(error) if error.is_index_damage() => Ok(None),
        current => Ok(current?.map(|current| current.through)),
    }
}

/// What opening the catalogue came to.
enum Opened {
    /// And what it has of the packs; none if the store is new.
    Usable(Catalogue, Option<Applied>),
    Unusable(String),
}

/// Opens the catalogue. One that cannot be opened, or does not know how far it goes, is of no use; what the operating
/// system refuses is an error.
fn open_catalogue(layout: &Layout, seal: &Seal, packs: &Packs) -> Result<Opened> {
    finish_exchange(layout)?;
    let catalogue = match Catalogue::open(layout.catalogue()) {
        Ok(catalogue) => catalogue,
        Err(error @ (StoreError::Catalogue { .. } | StoreError::OpenTimeout { .. })) => {
            return Ok(Opened::Unusable(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    match applied_of(&catalogue, seal) {
        Ok(Some(applied)) => Ok(Opened::Usable(catalogue, Some(applied))),
        // A new store: both are empty.
        Ok(None) if packs.end() <= packs.start() => Ok(Opened::Usable(catalogue, None)),
        Ok(None) => Ok(Opened::Unusable("the catalogue is missing".to_owned())),
        Err(error @ (StoreError::Io { .. } | StoreError::Locked { .. })) => Err(error),
        Err(error) => Ok(Opened::Unusable(error.to_string())),
    }
}

fn start(packs: &Packs) -> Applied {
    Applied { end: packs.start(), commit_bytes: 0 }
}

/// Fails if packs below a position are missing, cut or not ours.
fn check_extent(packs: &Packs, floor: Position) -> Result<()> {
    for number in packs.numbers_on_disk()?.into_iter().filter(|number| *number <= floor.pack) {
        // A pack that was begun and never committed to may lack its header.
        let is_known = Position { pack: number, offset_bytes: 0 } < floor;
        if let Some(problem) = packs.header_problem(number)?.filter(|_| is_known) {
            return Err(problem);
        }
    }
    packs.expect(floor)
}

/// What is known of the packs before they are replayed.
struct Known {
    /// The commits before this are applied.
    from: Applied,
    /// Everything before this was acknowledged.
    floor: Position,
    /// True if nothing after the floor can have been acknowledged.
    is_certain: bool,
}

/// Applies all commits from a position on, up to an unfinished tail.
fn replay(packs: &Packs, seal: &Seal, catalogue: &Catalogue, known: &Known) -> Result<Applied> {
    let mut applied = known.from;
    for piece in packs.walk(known.from.end) {
        match whole_pack_only(packs, piece?, known)? {
            Piece::Frame(frame) if frame.kind == FrameKind::Commit as u8 => {
                let commit_bytes = applied.commit_bytes + frame.place.frame_bytes();
                applied = Applied { end: frame.place.end(), commit_bytes };
                apply(catalogue, seal, &read_commit(packs, &frame)?, applied)?;
            }
            Piece::Frame(_) => {}
            Piece::Damage(damage) => {
                let is_acknowledged = damage.from < known.floor
                    || (!known.is_certain && packs.has_frame_after(damage.end())?);
                if is_acknowledged {
                    return Err(packs.corrupt(damage.from, &format!("damaged frame: {}", damage.problem)));
                }
                break;
            }
        }
    }
    if applied.end != known.from.end {
        catalogue.flush()?;
    }
    Ok(applied)
}

/// Takes the first frame of a pack for damage where the header of the pack is not whole. The disk may have lost one of the
/// two that a writer did not sync.
fn whole_pack_only(packs: &Packs, piece: Piece, known: &Known) -> Result<Piece> {
    let Piece::Frame(frame) = &piece else { return Ok(piece) };
    let start = frame.place.start;
    let is_first = start.offset_bytes == HEADER_BYTES as u64 && start > known.floor;
    if !is_first || packs.header_problem(start.pack)?.is_none() {
        return Ok(piece);
    }
    let to_bytes = frame.place.end().offset_bytes;
    Ok(Piece::Damage(Damage { from: start, to_bytes, problem: "the pack has no whole header" }))
}

fn read_commit(packs: &Packs, frame: &Frame) -> Result<changes::Changes> {
    let corrupt = || packs.corrupt(frame.place.start, "commit does not decode");
    changes::decode(&frame.payload).ok_or_else(corrupt)
}

/// Makes the catalogue from all commits of the packs, beside the old one, and puts it in its place when it is whole.
fn rebuild(layout: &Layout, seal: &Seal, packs: &Packs, known: &Known) -> Result<(Catalogue, Applied)> {
    let new = layout.root.join(NEW);
    remove_folder(&new)?;
    let catalogue = Catalogue::open(new.clone())?;
    let applied = replay(packs, seal, &catalogue, known)?;
    if applied.end == known.from.end {
        // Nothing was ever committed; `applied` says so, or the next opening would rebuild again.
        apply(&catalogue, seal, &changes::Changes::default(), applied)?;
        catalogue.flush()?;
    }
    drop(catalogue);
    exchange(layout)?;
    Ok((Catalogue::open(layout.catalogue())?, applied))
}

/// Makes a catalogue of what the commits in the packs say, leaving out what was lost, beside the one in use.
pub(crate) fn replayed(layout: &Layout, packs: &Packs) -> Result<Catalogue> {
    let new = layout.root.join(NEW);
    remove_folder(&new)?;
    let catalogue = Catalogue::open(new)?;
    let known = Known { from: start(packs), floor: packs.end(), is_certain: true };
    replay(packs, &Seal::new(&layout.store_id), &catalogue, &known)?;
    Ok(catalogue)
}

/// Puts a catalogue away that is of no use, so that the next opening rebuilds it.
pub(crate) fn discard_catalogue(layout: &Layout) -> Result<()> {
    let (current, old) = (layout.catalogue(), layout.root.join(OLD));
    remove_folder(&old)?;
    fs::rename(&current, &old).map_err(StoreError::io(&current, "put away"))?;
    sync_directory(&layout.root)
}

/// Removes what [`replayed`] made, which must be closed.
pub(crate) fn remove_replayed(layout: &Layout) -> Result<()> {
    remove_folder(&layout.root.join(NEW))
}

const NEW: &str = "db.new";
const OLD: &str = "db.old";

/// Puts the new catalogue in the place of the old one.
pub(super) fn exchange(layout: &Layout) -> Result<()> {
    let (current, new, old) = (layout.catalogue(), layout.root.join(NEW), layout.root.join(OLD));
    sync_files(&new)?;
    remove_folder(&old)?;
    if current.exists() {
        fs::rename(&current, &old).map_err(StoreError::io(&current, "set aside"))?;
    }
    fs::rename(&new, &current).map_err(StoreError::io(&new, "rename"))?;
    sync_directory(&layout.root)?;
    remove_folder(&old)
}

/// Removes what an exchange left that was stopped half way. Nothing in it is needed: the packs have it all.
fn finish_exchange(layout: &Layout) -> Result<()> {
    remove_folder(&layout.root.join(NEW))?;
    remove_folder(&layout.root.join(OLD))
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

/// Makes a closed database durable: it syncs only a part of its files itself.
fn sync_files(folder: &Path) -> Result<()> {
    for item in fs::read_dir(folder).map_err(StoreError::io(folder, "list"))? {
        let path = item.map_err(StoreError::io(folder, "list"))?.path();
        let synced = fs::File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(StoreError::io(&path, "sync"))?;
    }
    sync_directory(folder)
}
