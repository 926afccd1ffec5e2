//! Every frame of the packs that nothing else has read, pack by pack on all cores.

use rayon::prelude::*;

use super::{DamagedPart, Findings, Opened, place_name};
use crate::error::Result;
use crate::log::changes;
use crate::log::frame::{FrameKind, Place, Position};
use crate::log::walk::{Damage, Piece};

/// What a commit does to one key: heads of the hashes of key and value; no value where it is removed.
pub(super) type Operation = ([u8; 16], Option<[u8; 8]>);

/// Operations of all commits in their order, each with the end of its commit. None if a commit may be missing.
pub(super) type Commits = Option<Vec<(Position, Vec<Operation>)>>;

/// What one pack holds.
#[derive(Default)]
struct Pack {
    frames: u64,
    read_bytes: u64,
    damages: Vec<Damage>,
    undecoded: Vec<Place>,
    commits: Vec<(Position, Vec<Operation>)>,
}

/// Checks all frames but those in `whole`, which are sorted. Damage after `floor` that nothing follows is an unfinished tail.
pub(super) fn frames(
    store: &Opened,
    whole: &[Place],
    floor: Position,
    found: &mut Findings,
) -> Result<Commits> {
    let numbers = store.packs.numbers_on_disk()?;
    let packs: Vec<Pack> =
        numbers.into_par_iter().map(|number| pack(store, number, whole)).collect::<Result<_>>()?;
    found.checked.frames += whole.len() as u64;
    let mut is_complete = true;
    let mut commits = Vec::new();
    for pack in packs {
        found.checked.frames += pack.frames;
        found.read(pack.read_bytes);
        for damage in pack.damages {
            let is_tail = damage.from >= floor && !store.packs.has_frame_after(damage.end())?;
            if !is_tail {
                is_complete = false;
                report(store, &damage, found);
            }
        }
        for place in pack.undecoded {
            is_complete = false;
            found.add(DamagedPart::Frame, place_name(&store.packs, place), "commit does not decode");
        }
        commits.extend(pack.commits);
    }
    Ok(is_complete.then_some(commits))
}

/// A frame that something refers to was reported when that was read.
fn report(store: &Opened, damage: &Damage, found: &mut Findings) {
    if !found.damaged_starts.contains(&damage.from) {
        let place = Place { start: damage.from, payload_bytes: 0 };
        let problem = format!("{} (to {})", damage.problem, damage.to_bytes);
        found.add(DamagedPart::Frame, place_name(&store.packs, place), problem);
    }
}

fn pack(store: &Opened, number: u32, whole: &[Place]) -> Result<Pack> {
    let mut pack = Pack::default();
    for piece in store.packs.walk_pack(number, whole) {
        match piece? {
            Piece::Frame(frame) => {
                pack.frames += 1;
                pack.read_bytes += frame.place.frame_bytes();
                if frame.kind == FrameKind::Commit as u8 {
                    match operations(&frame.payload) {
                        Some(operations) => pack.commits.push((frame.place.end(), operations)),
                        None => pack.undecoded.push(frame.place),
                    }
                }
            }
            Piece::Damage(damage) => {
                pack.read_bytes += damage.to_bytes - damage.from.offset_bytes;
                pack.damages.push(damage);
            }
        }
    }
    Ok(pack)
}

fn operations(payload: &[u8]) -> Option<Vec<Operation>> {
    let changes = changes::decode(payload)?;
    let trees = (0_u8..).zip(&changes);
    let operations = trees.flat_map(|(tree, changes)| {
        changes.iter().map(move |(key, value)| (key_head(tree, key), value.as_deref().map(value_head)))
    });
    Some(operations.collect())
}

pub(super) fn key_head(tree: u8, key: &[u8]) -> [u8; 16] {
    let hash = *blake3::Hasher::new().update(&[tree]).update(key).finalize().as_bytes();
    hash[..16].try_into().expect("a hash is longer")
}

pub(super) fn value_head(value: &[u8]) -> [u8; 8] {
    blake3::hash(value).as_bytes()[..8].try_into().expect("a hash is longer")
}
