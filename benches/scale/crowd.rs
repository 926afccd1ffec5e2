//! Eight processes that ask in a loop while another ingests.
//!
//! The writer puts groups of images into a store and commits each. The readers open the index, check that what they see
//! is one published state (of each group all images or none, groups in order, never fewer than before), ask for one
//! image of a few groups, and check that the answer holds it, whole, exactly if its group is there. The writer is timed
//! alone, beside as many processes that only burn their CPU, and beside the readers.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use layerprint_store::id::ImageId;
use layerprint_store::{ImageRecord, MergedView, Overlap, Store};
use serde::{Deserialize, Serialize};

use super::application::Application;
use super::fill::{self, Filler, Parents};
use super::fleet::{DATES_MIN, Layer, Parent};
use super::queries::{self, Query, Questions};
use super::random::Random;
use super::task::{Task, finish};
use super::{index, matrix};

/// Processes beside the writer.
pub const BESIDE: usize = 8;
const GROUPS: u64 = 24;
const GROUP_IMAGES: u64 = 25;
/// How often each company is measured; the median counts.
pub const ROUNDS: usize = 3;
/// Applications of no fleet and of no question.
const FIRST_APPLICATION: u64 = 1 << 50;
/// Questions between two openings of the index.
const QUESTIONS_PER_OPENING: u64 = 3;

/// What one process of the crowd does.
#[derive(Clone, Serialize, Deserialize)]
pub enum Role {
    /// Writes down the groups for the readers.
    Prepare(PathBuf),
    Writer {
        store: PathBuf,
        matrix: PathBuf,
    },
    Reader {
        store: PathBuf,
        groups: PathBuf,
        number: u64,
    },
    Burner,
}

/// What a process of the crowd has to say.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// The writer's time in puts and commits, from the clock on the wall.
    pub seconds: f64,
    /// CPU of the process, all of it.
    pub cpu_seconds: f64,
    pub openings: u64,
    pub questions: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Answers that were not those of one published state.
    pub torn: u64,
    /// States of which the reader saw the first.
    pub states: u64,
    /// The first error or torn answer.
    pub problem: Option<String>,
}

impl Role {
    pub fn perform(&self) -> Result<Report> {
        let report = match self {
            Self::Prepare(groups) => prepare(groups)?,
            Self::Writer { store, matrix } => write(store, matrix)?,
            Self::Reader { store, groups, number } => {
                Reader::new(store, groups, *number)?.run(&until_stopped())
            }
            Self::Burner => burn(&until_stopped()),
        };
        Ok(Report { cpu_seconds: cpu_seconds()?, ..report })
    }
}

/// Returns a flag that rises when the process that started this one closes our standard input.
fn until_stopped() -> Arc<AtomicBool> {
    let flag = Arc::<AtomicBool>::default();
    let raised = Arc::clone(&flag);
    thread::spawn(move || {
        // Nothing is ever written to it; an error is an end, too.
        let _ = io::stdin().read(&mut [0]);
        raised.store(true, Ordering::Relaxed);
    });
    flag
}

fn burn(stop: &AtomicBool) -> Report {
    let mut random = Random::new(&[80]);
    while !stop.load(Ordering::Relaxed) {
        std::hint::black_box((0..10_000).fold(0, |sum: u64, _| sum ^ random.next()));
    }
    Report::default()
}

/// CPU that this process took, all threads: fields 14 and 15 of its `stat`, in hundredths of a second.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat: no name")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>().context("/proc/self/stat: no ticks")? / 100.0)
}

fn member(parents: &Parents, group: u64, place: u64) -> (Application, Parent, Vec<Layer>) {
    let application = Application::new(FIRST_APPLICATION + group * GROUP_IMAGES + place, DATES_MIN);
    let parent = application.parent(0);
    let layers = application.layers(0, parent, &parents.layers(parent));
    (application, parent, layers)
}

fn record(parents: &Parents, group: u64, place: u64) -> (ImageRecord, Query) {
    let (_, parent, layers) = member(parents, group, place);
    let view = MergedView::of(layers.iter().map(|layer| &*layer.fingerprint));
    let contents = view.contents();
    (fill::record(&layers, &view, &contents, parent.release.date), contents)
}

fn prepare(folder: &Path) -> Result<Report> {
    fs::create_dir_all(folder)?;
    let parents = Parents::default();
    let mut ids = Vec::new();
    let mut asked = Vec::new();
    for group in 0..GROUPS {
        for place in 0..GROUP_IMAGES {
            let (record, contents) = record(&parents, group, place);
            ids.extend(record.id.as_bytes());
            // The last one put is the one that a torn state would lack.
            if place + 1 == GROUP_IMAGES {
                asked.push(contents);
            }
        }
    }
    fs::write(folder.join("ids"), ids)?;
    queries::write(folder, &asked)?;
    Ok(Report::default())
}

fn write(store: &Path, matrix: &Path) -> Result<Report> {
    let store = Store::open(store)?;
    let filler = Filler::new(&store, matrix::Writer::create(matrix)?);
    let parents = Parents::default();
    let mut report = Report::default();
    for group in 0..GROUPS {
        // Making the images is not the writer's work.
        let members: Vec<_> = (0..GROUP_IMAGES).map(|place| member(&parents, group, place)).collect();
        let started = Instant::now();
        for (application, parent, layers) in &members {
            filler.put_image(layers, application.name(0), parent.release.date)?;
        }
        store.commit()?;
        report.seconds += started.elapsed().as_secs_f64();
    }
    Ok(report)
}

/// One process that asks.
struct Reader {
    store: PathBuf,
    groups: Vec<Vec<ImageId>>,
    asked: Questions,
    random: Random,
    /// Groups that were seen.
    seen: usize,
    report: Report,
}

impl Reader {
    fn new(store: &Path, groups: &Path, number: u64) -> Result<Self> {
        let ids = fs::read(groups.join("ids"))?;
        let ids: Vec<_> =
            ids.chunks_exact(32).map(|id| ImageId::from_bytes(id.try_into().expect("32 bytes"))).collect();
        let size = usize::try_from(GROUP_IMAGES).expect("a few");
        Ok(Self {
            store: store.to_owned(),
            groups: ids.chunks_exact(size).map(<[_]>::to_vec).collect(),
            asked: Questions::open(groups)?,
            random: Random::new(&[81, number]),
            seen: 0,
            report: Report::default(),
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Report {
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.look() {
                self.report.errors += 1;
                self.report.problem.get_or_insert(format!("{error:#}"));
            }
        }
        self.report
    }

    /// Opens the index once and checks what it shows.
    fn look(&mut self) -> Result<()> {
        let index = index::Reader::open(&self.store)?;
        self.report.openings += 1;
        let groups = self.visible(&index)?;
        self.report.states += u64::from(groups != self.seen || self.report.openings == 1);
        self.seen = groups;
        for _ in 0..QUESTIONS_PER_OPENING {
            let group = usize::try_from(self.random.below(self.groups.len() as u64)).expect("a few");
            let asked = self.asked.get(group)?;
            let overlaps = index.overlaps(&asked)?;
            self.report.questions += 1;
            let image = self.groups[group].last().expect("no group is empty");
            let whole = asked.len() as u64;
            let present = present(&index, &overlaps, image, whole)?;
            let right = present == (group < groups).then_some(whole);
            self.expect(right, || format!("group {group} of {groups}: {present:?} of {whole} contents"));
        }
        Ok(())
    }

    /// Returns how many groups are there, and checks that each is there whole and after those before it.
    fn visible(&mut self, index: &index::Reader) -> Result<usize> {
        let mut counts = Vec::new();
        for group in &self.groups {
            let held = group.iter().map(|image| index.holds(image)).collect::<Result<Vec<_>>>()?;
            counts.push(held.iter().filter(|held| **held).count());
        }
        let visible = counts.iter().take_while(|count| **count > 0).count();
        let size = self.groups[0].len();
        let whole = counts[..visible].iter().all(|count| *count == size);
        let ordered = counts[visible..].iter().all(|count| *count == 0);
        let seen = self.seen;
        self.expect(whole && ordered, || format!("images of each group: {counts:?}"));
        self.expect(visible >= seen, || format!("{visible} groups after {seen}"));
        Ok(visible)
    }

    fn expect(&mut self, right: bool, problem: impl FnOnce() -> String) {
        if !right {
            self.report.torn += 1;
            self.report.problem.get_or_insert_with(problem);
        }
    }
}

/// The writer's reports, alone and in company, and what the readers saw.
#[derive(Default)]
pub struct Measured {
    /// Images that one writer puts.
    pub images: u64,
    pub alone: Vec<Report>,
    pub beside_burners: Vec<Report>,
    pub beside_readers: Vec<Report>,
    pub readers: Vec<Report>,
}

/// Measures on copies of a store.
pub fn measure(store: &Path, scratch: &Path) -> Result<Measured> {
    let groups = scratch.join("groups");
    let _: Report = Task::Crowd(Role::Prepare(groups.clone())).run()?;
    let round = |name: &str, role: Option<&dyn Fn(PathBuf, u64) -> Role>| {
        let copy = scratch.join(name);
        copy_folder(store, &copy)?;
        let result = run_round(&copy, &scratch.join("matrix"), role);
        fs::remove_dir_all(&copy)?;
        result
    };
    let reader = |store, number| Role::Reader { store, groups: groups.clone(), number };
    let mut measured = Measured { images: GROUPS * GROUP_IMAGES, ..Measured::default() };
    // In turns, so that whatever else the machine does meets all three alike.
    for _ in 0..ROUNDS {
        measured.alone.push(round("alone", None)?.0);
        measured.beside_burners.push(round("burners", Some(&|_, _| Role::Burner))?.0);
        let (writer, readers) = round("readers", Some(&reader))?;
        ensure!(readers.iter().all(|reader| reader.questions > 0), "a reader never asked");
        measured.beside_readers.push(writer);
        measured.readers.extend(readers);
    }
    Ok(measured)
}

/// Lets the writer work with company, and then sends the company home.
fn run_round(
    store: &Path,
    matrix: &Path,
    role: Option<&dyn Fn(PathBuf, u64) -> Role>,
) -> Result<(Report, Vec<Report>)> {
    let numbers = 0..BESIDE as u64;
    let roles = numbers.filter_map(|number| role.map(|role| role(store.to_owned(), number)));
    let company = roles.map(|role| Task::Crowd(role).start()).collect::<Result<Vec<Child>>>()?;
    let writer = Task::Crowd(Role::Writer { store: store.to_owned(), matrix: matrix.to_owned() }).run();
    let reports = company.into_iter().map(finish).collect::<Result<Vec<Report>>>()?;
    Ok((writer?, reports))
}

/// What an image has of a question that is its own contents, if it is among the answers.
fn present(
    index: &index::Reader,
    overlaps: &[Overlap],
    image: &ImageId,
    contents: u64,
) -> Result<Option<u64>> {
    for overlap in overlaps.iter().filter(|overlap| overlap.content_count == contents) {
        if index.id(overlap)? == *image {
            return Ok(Some(overlap.present));
        }
    }
    Ok(None)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for item in fs::read_dir(from)? {
        let (item, target) = (item?.path(), to.to_owned());
        let target = target.join(item.file_name().context("a listed file has a name")?);
        if item.is_dir() {
            copy_folder(&item, &target)?;
        } else {
            fs::copy(&item, &target)?;
        }
    }
    Ok(())
}
