//! One flipped bit anywhere in a store: no answer is silently wrong, `check` names the damage, `repair` and the next ingest undo it.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::{Ran, Random, World, copy, files, tries};
use super::{Found, Settings};

const TRIES: usize = 5000;
const SAMPLE: usize = 16;
/// One try in so many flips a bit of the large files; the others choose the file first, so that small ones have their share.
const BY_SIZE_EACH: usize = 3;

/// Questions, and what an undamaged store answers.
struct Questions {
    asked: Vec<(Vec<String>, Ran)>,
}

impl Questions {
    fn of(world: &World) -> Self {
        let source = world.sources.join("a0.tar").to_string_lossy().into_owned();
        let file = world.path("asked");
        fs::write(&file, "own 3 1".repeat(3)).expect("a file");
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let questions = [
            texts(&["find", "--json", &source]),
            texts(&["list", "--json"]),
            texts(&["who-has", "--json", &file.to_string_lossy()]),
            texts(&["report", "--json", "--as-of", "2026-01-01"]),
        ];
        let ask = |question: Vec<String>| {
            let answer = ask(world, &world.store, &question);
            assert!(matches!(answer.status, Some(0 | 1)), "{question:?}: {}", answer.stderr);
            (question, answer)
        };
        Self { asked: questions.into_iter().map(ask).collect() }
    }

    /// Says which answer is wrong although nothing says so.
    fn silently_wrong(&self, world: &World, store: &Path) -> Option<String> {
        self.asked.iter().find_map(|(question, expected)| {
            let answer = ask(world, store, question);
            let is_right = (&answer.stdout, answer.status) == (&expected.stdout, expected.status);
            let is_said = answer.status == Some(2) && !answer.stderr.is_empty();
            let wrong = (!is_right && !is_said).then(|| "answers otherwise without a word".to_owned());
            answer.offence().or(wrong).map(|problem| format!("{} {problem}", question[0]))
        })
    }
}

fn ask(world: &World, store: &Path, question: &[String]) -> Ran {
    let words: Vec<&str> = question.iter().map(String::as_str).collect();
    world.run(store, &words, &[])
}

/// Flips bits.
pub fn flips(settings: &Settings) -> Found {
    let world = World::new(settings, 10, 20);
    let questions = Questions::of(&world);
    let count = settings.tries.unwrap_or(if settings.whole { TRIES } else { SAMPLE });
    let numbers: Vec<usize> = (0..count).collect();
    let unseen = std::sync::Mutex::new(Vec::new());
    let mut found = tries(settings, &world, "flips", &numbers, |number, folder| {
        let store = folder.join("store");
        copy(&world.store, &store);
        let mut random = Random::of(settings, "flips", number);
        let (file, bit) = flip(&store, &mut random);
        let name = file.strip_prefix(&store).expect("a file of the store").to_owned();
        let problem = questions.silently_wrong(&world, &store).or_else(|| {
            let is_seen = match checked(&world, &store) {
                Ok(is_seen) => is_seen,
                Err(problem) => return Some(problem),
            };
            if !is_seen {
                unseen.lock().expect("no try panics").push(name.clone());
            }
            // Of the database only some bits carry information; it is rebuilt from the packs.
            let may_be_unseen = name.starts_with("db");
            (!is_seen && !may_be_unseen).then(|| "check does not see it".to_owned())
        });
        let problem = problem.or_else(|| repaired(&world, &store));
        problem.map(|problem| format!("bit {bit} of {}: {problem}", name.display()))
    });
    let unseen = unseen.into_inner().expect("no try panics");
    found.remarks.push(format!("{} in bytes of the database that say nothing", unseen.len()));
    found
}

fn flip(store: &Path, random: &mut Random) -> (PathBuf, usize) {
    let mut found: Vec<(PathBuf, usize)> = files(store)
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).expect("a file of ours").len()))
        .filter(|(_, length)| *length > 0)
        .collect();
    let (file, length) = match random.below(BY_SIZE_EACH) {
        0 => {
            found.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
            found.swap_remove(random.below(found.len().min(4)))
        }
        _ => found.swap_remove(random.below(found.len())),
    };
    let mut bytes = fs::read(&file).expect("a file of ours");
    let bit = random.below(length * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(&file, bytes).expect("a file of ours");
    (file, bit)
}

/// Returns whether `check` sees damage.
fn checked(world: &World, store: &Path) -> Result<bool, String> {
    let ran = world.run(store, &["check", "--json"], &[]);
    let damages = ran.lines().iter().filter(|line| line["event"] == "damage").count();
    match ran.status {
        Some(0) if damages == 0 => Ok(false),
        Some(1) if damages > 0 => Ok(true),
        status => Err(format!("check ended with {status:?} and {damages} damages: {}", ran.first_line())),
    }
}

/// Says what is not as before after a repair and one more ingest.
fn repaired(world: &World, store: &Path) -> Option<String> {
    let ran = world.run(store, &["repair", "--json"], &[]);
    if !matches!(ran.status, Some(0 | 1)) {
        return Some(format!("repair ended with {:?}: {}", ran.status, ran.first_line()));
    }
    let all = world.images.keys().cloned().collect();
    world
        .contradiction(store, &all)
        .map(|problem| format!("after repair: {problem}"))
        .or_else(|| world.unfinished(store))
        .or_else(|| match checked(world, store) {
            Ok(false) => None,
            Ok(true) => Some("damage is left after repair and ingest".to_owned()),
            Err(problem) => Some(problem),
        })
}
