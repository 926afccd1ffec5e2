//! Kills at random times.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::world::{Random, World, tries};
use super::{Found, Settings};

const TRIES: usize = 5000;
const SAMPLE: usize = 60;
/// Kills of one store, one after the other: what one leaves is what the next begins with.
const KILLS_A_STORE: usize = 10;

/// Kills an ingest again and again, asks after each kill, and lets the last one finish.
pub fn ingest(settings: &Settings) -> Found {
    let world = World::new(settings, 6, 10);
    let usual = usual(&world);
    let kills = settings.tries.unwrap_or(if settings.whole { TRIES } else { SAMPLE });
    let stores: Vec<usize> = (0..kills.div_ceil(KILLS_A_STORE)).collect();
    let mut found = tries(settings, &world, "kills", &stores, |number, folder| {
        let store = folder.join("store");
        let mut random = Random::of(settings, "kills", number);
        let mut acknowledged = std::collections::BTreeSet::new();
        for _ in 0..KILLS_A_STORE {
            // A little longer than usual, so that some end by themselves.
            let after = usual.mul_f64(random.below(1200) as f64 / 1000.0);
            let ran = killed_after(&world, &store, after);
            if let Some(offence) = ran.offence().filter(|_| ran.signal != Some(9)) {
                return Some(format!("ingest {offence}"));
            }
            acknowledged.extend(ran.acknowledged());
            let is_made = store.join("FORMAT").exists();
            if let Some(problem) = is_made.then(|| world.contradiction(&store, &acknowledged)).flatten() {
                return Some(format!("killed after {after:?}: {problem}"));
            }
            // Another store begins when this one is full.
            if acknowledged.len() == world.images.len() && random.below(2) == 0 {
                fs::remove_dir_all(&store).expect("a store of ours");
                acknowledged.clear();
            }
        }
        world.unfinished(&store)
    });
    found.remarks.push(format!("{} kills", stores.len() * KILLS_A_STORE));
    found
}

fn killed_after(world: &World, store: &Path, after: Duration) -> super::world::Ran {
    let sources = world.sources.to_string_lossy();
    world.run_with(store, &["ingest", "--json", "--jobs", "2", &sources], |child| {
        thread::sleep(after);
        // It may have ended before.
        let _ = child.kill();
    })
}

/// How long an undisturbed ingest takes here and now.
fn usual(world: &World) -> Duration {
    let started = Instant::now();
    let store = world.path("usual");
    assert_eq!(world.ingest(&store, &[]).status, Some(0));
    started.elapsed()
}
