//! The generator: which edits make which row of the table.
//!
//! Every question has a seed of its own, made of the run's seed, the corpus and its number, so that the same command
//! makes the same questions whatever the number of threads.

use std::sync::Arc;

use anyhow::{Result, ensure};
use layerprint_query::Subject;
use layerprint_store::{Content, Fingerprint, MergedView, Platform};

use crate::bases::{Bases, Stored, built_on, record, shared};
use crate::corpus::{Corpus, Image};
use crate::edits;
use crate::random::Random;
use crate::work::{Form, Question, Truth, Work, share};

/// Starts that are tried before a transform is given up for lack of anything to work on.
const ATTEMPTS_MAX: usize = 200;
/// Of no stored image may one without a base hold so much.
const STRANGER_SHARE_MAX: f64 = 0.10;

/// An edit; false if there was nothing to do.
type Edit = fn(&mut Work) -> bool;

/// What is done to an image, and in what layers it ends.
struct Transform {
    label: &'static str,
    edits: &'static [Edit],
    form: Form,
}

const fn squashed(label: &'static str, edits: &'static [Edit]) -> Transform {
    Transform { label, edits, form: Form::Squashed }
}

const fn above(label: &'static str, edits: &'static [Edit]) -> Transform {
    Transform { label, edits, form: Form::AboveBase }
}

/// The table's rows, each as often as the others.
const TRANSFORMS: [Transform; 24] = [
    squashed("squashed", &[]),
    squashed("flattened", &[edits::flatten]),
    squashed("drop 5-25 %", &[|work| edits::drop_share(work, 0.05, 0.25)]),
    squashed("drop 25-50 %", &[|work| edits::drop_share(work, 0.25, 0.50)]),
    squashed("drop 50-80 %", &[|work| edits::drop_share(work, 0.50, 0.80)]),
    squashed("drop docs, tests", &[edits::drop_dispensable]),
    squashed("drop packages", &[edits::drop_packages]),
    squashed("docs recompressed", &[edits::recompress_documents]),
    squashed("binaries stripped", &[edits::strip]),
    squashed("etc edited", &[edits::configure]),
    squashed("upgraded in part", &[|work| edits::upgrade(work, false)]),
    squashed("upgraded whole", &[|work| edits::upgrade(work, true)]),
    squashed("moved below a folder", &[edits::reroot]),
    squashed("distroless", &[edits::distroless]),
    squashed("two bases, own path", &[|work| edits::second_base(work, true)]),
    squashed("two bases, /opt", &[|work| edits::second_base(work, false)]),
    squashed("large application", &[|work| edits::add_private(work, 2_000, 20_000)]),
    squashed("vendored files", &[edits::add_vendored]),
    squashed("odd names, links lost", &[edits::odd_names]),
    squashed("combined", &[combine]),
    squashed("combined", &[combine]),
    above("layers kept, edited", &[edits::configure, edits::drop_dispensable]),
    above("layers kept, dropped", &[|work| edits::drop_share(work, 0.05, 0.80)]),
    above("layers kept, two bases", &[|work| edits::second_base(work, false)]),
];

/// Rows that need another way of making or another store.
const REBUILT: &str = "rebuilt";
pub const STRANGERS: &str = "no base: private, few common";

/// Two to four edits, each of a kind that leaves enough to be told; moving comes last.
fn combine(work: &mut Work) -> bool {
    let mut edits: Vec<Edit> = vec![
        |work| edits::drop_share(work, 0.02, 0.30),
        edits::drop_dispensable,
        edits::drop_packages,
        edits::recompress_documents,
        edits::configure,
        edits::flatten,
        edits::add_vendored,
        edits::odd_names,
        |work| edits::add_private(work, 500, 8_000),
        edits::strip,
    ];
    let count = 2 + work.random.below(3);
    let all = edits.len();
    work.random.sample(&mut edits, all);
    let done = edits.into_iter().filter(|edit| edit(work)).take(count).count();
    if work.random.chance(0.15) {
        edits::reroot(work);
    }
    done >= 2
}

/// Makes the question of a number. None if no image of the corpus can be transformed so.
pub fn transformed(corpus: &Corpus, bases: &Bases, seed: &str, number: usize) -> Result<Option<Question>> {
    let mut random = Random::of(&[seed, &corpus.name, "transform", &number.to_string()]);
    // One row more than there are transforms: images whose layers are all written anew.
    let transform = TRANSFORMS.get(number % (TRANSFORMS.len() + 1));
    let starts: Vec<&Image> = corpus.images.iter().filter(|image| is_start(image)).collect();
    for attempt in 0..ATTEMPTS_MAX {
        let Some(start) = random.pick(&starts) else { break };
        let words = [seed, &corpus.name, "edit", &number.to_string(), &attempt.to_string()];
        let Some(mut work) = Work::begin(corpus, bases, start, Random::of(&words))? else { continue };
        let question = match transform {
            None => Some(work.rebuilt(REBUILT, rebuilt)?),
            Some(transform) => {
                if start.is_base() || work.random.chance(0.3) {
                    edits::add_private(&mut work, 50, 2_000);
                }
                let is_done = transform.edits.iter().all(|edit| edit(&mut work));
                let is_done = is_done && work.kept_share() > 0.0;
                is_done.then(|| work.finish(transform.label, transform.form)).transpose()?
            }
        };
        if question.is_some() {
            return Ok(question);
        }
    }
    Ok(None)
}

fn is_start(image: &Image) -> bool {
    image.is_base() || (image.row.kind == "derived" && image.row.mixed_with.is_none())
}

fn rebuilt(random: &mut Random, path: &[u8], content: Content) -> Option<Content> {
    (content.size_bytes > 0 && edits::is_generated(path)).then(|| random.content(content.size_bytes))
}

/// A base that is not stored, and questions about images that are built on it.
pub struct HeldOut {
    pub bases: Bases,
    pub questions: Vec<Question>,
}

/// Takes a base, and all that is built on it, out of the store, and asks about images that are.
pub fn held_out(corpus: &Corpus, all: &Bases, held: &Image, seed: &str, count: usize) -> Result<HeldOut> {
    let gone = built_on(corpus, held);
    let bases = Bases::of(corpus, |base| !gone(base))?;
    let starts: Vec<&Image> = corpus
        .images
        .iter()
        .filter(|image| is_start(image) && image.base() == Some(&held.row.name))
        .collect();
    let mut questions = Vec::new();
    for number in 0..count {
        let words = [seed, &corpus.name, "held out", &held.row.name, &number.to_string()];
        let mut random = Random::of(&words);
        let Some(start) = random.pick(&starts) else { break };
        let Some(mut work) = Work::begin(corpus, all, start, random)? else { break };
        if start.is_base() {
            edits::add_private(&mut work, 50, 2_000);
        }
        let mild: [Edit; 4] =
            [|_| true, edits::configure, edits::drop_dispensable, |work| edits::drop_share(work, 0.02, 0.20)];
        mild[number % mild.len()](&mut work);
        work.truth = truth_without(&bases, all, held, &work.truth);
        let has_sibling = work.truth.acceptable.iter().any(|name| bases.named(name).is_some());
        let label =
            if has_sibling { "no base: held out, siblings stay" } else { "no base: held out, no sibling" };
        questions.push(work.finish(label, Form::Squashed)?);
    }
    Ok(HeldOut { bases, questions })
}

/// With the base gone no answer is expected but its family. What the base is itself built on may be claimed, and so may
/// what is wholly contained in it and clearly smaller: the slim image of the same day.
fn truth_without(bases: &Bases, all: &Bases, held: &Image, truth: &Truth) -> Truth {
    let base = all.named(&held.row.name).expect("all bases of the corpus are stored");
    let may_be_claimed =
        |other: &&Stored| truth.below.contains(&other.name) || is_contained(&other.contents, &base.contents);
    let below = bases.stored.iter().filter(may_be_claimed).map(|other| other.name.clone()).collect();
    Truth { below, acceptable: truth.acceptable.clone(), ..Truth::default() }
}

/// Returns true if nearly all of these is in those, which have at least a tenth more.
pub fn is_contained(these: &[Content], those: &[Content]) -> bool {
    let count = shared(these, those).count() as u64;
    share(count, these.len()) >= 0.98 && those.len() * 10 >= these.len() * 11
}

/// Makes an image that is built on nothing stored: private files, and in two of three a few files of several bases, under a
/// tenth of each.
pub fn stranger(corpus: &Corpus, bases: &Bases, seed: &str, number: usize) -> Result<Question> {
    let mut random = Random::of(&[seed, &corpus.name, "stranger", &number.to_string()]);
    let mut files: Vec<(Box<[u8]>, Content)> = Vec::new();
    let donors = if number.is_multiple_of(3) { 0 } else { 2 + random.below(4) };
    for _ in 0..donors {
        let Some(donor) = random.pick(&bases.stored) else { break };
        files.extend(some_files(corpus, &donor.name, &mut random)?);
    }
    while let Some(share) = too_much(bases, &files) {
        let keep = files.len() * 9 / 10;
        ensure!(keep < files.len(), "a share of {share} cannot be thinned");
        random.sample(&mut files, keep);
    }
    let common = files.len();
    for number in 0..random.spread(50, 5_000) {
        let path = format!("srv/app/{}/file{number}", number % 53);
        files.push((path.into_bytes().into(), random.private()));
    }
    let made = format!("{} private files, {common} of {donors} bases", files.len() - common);
    let layer = Arc::new(layer_of(files));
    let view = MergedView::of([&*layer]);
    let described = record(&view, &mut random, 1);
    let platform = corpus.bases().next().map_or_else(Platform::default, |base| base.record.platform.clone());
    let created = Some("2027-03-01T00:00:00Z".to_owned());
    let record = layerprint_store::ImageRecord { platform, created, ..described };
    let contents = view.contents();
    drop(view);
    let subject = Subject::new(record, vec![made.clone()], vec![layer]);
    Ok(Question { label: STRANGERS.into(), made, subject, contents, truth: Truth::default() })
}

/// Up to a twelfth of a base's files.
fn some_files(corpus: &Corpus, base: &str, random: &mut Random) -> Result<Vec<(Box<[u8]>, Content)>> {
    let Some(base) = corpus.base(base) else { return Ok(Vec::new()) };
    let layers = corpus.layers(&base.record)?;
    let view = MergedView::of(layers.iter().map(|layer| &**layer));
    let mut files: Vec<(Box<[u8]>, Content)> =
        view.files().map(|(path, content)| (path.into(), *content)).collect();
    let most = files.len() / 12;
    if most > 0 {
        let count = 1 + random.below(most);
        random.sample(&mut files, count);
    } else {
        files.clear();
    }
    Ok(files)
}

/// Returns the largest share of a base that is in these files, if that is too much.
fn too_much(bases: &Bases, files: &[(Box<[u8]>, Content)]) -> Option<f64> {
    let mut contents: Vec<Content> = files.iter().map(|(_, content)| *content).collect();
    contents.sort_unstable();
    contents.dedup();
    let shares = bases.stored.iter().map(|base| share(base.shared(&contents), base.contents.len()));
    let most = shares.fold(0.0, f64::max);
    (most >= STRANGER_SHARE_MAX).then_some(most)
}

fn layer_of(files: Vec<(Box<[u8]>, Content)>) -> Fingerprint {
    use layerprint_store::{Entry, EntryKind};
    let entry = |(path, content): (Box<[u8]>, Content)| {
        let kind = EntryKind::File { content, linked: false };
        Entry { path: path.into(), mode: 0o644, uid: 0, gid: 0, kind }
    };
    Fingerprint::from_entries(files.into_iter().map(entry).collect())
}
