//! How often the base that is named is the true one, beside what other methods name for the same images.
//!
//! ```text
//! cargo bench --bench accuracy -- --corpus DIR [--corpus DIR ...] [--transforms N] [--seed S]
//!                                 [--rows FILE] [--markdown FILE] [--cache DIR]
//! ```
//!
//! # What is done
//!
//! A corpus is a folder of images with `truth.jsonl`, a row per image: what it is, what it was made from and how. All of
//! it is read into fingerprints once (kept in `--cache`). Its bases alone go into a store; every other image is asked
//! about. Then come N images that are made here from the corpus's bases and applications by one or several edits with
//! random parameters (`edits`; the rows that begin with `+`), in the same number from each transform: `generate` lists
//! them. A tenth as many each are
//!
//! - images whose true base, with all that has its contents or is built on it, is *held out* of the store while its
//!   siblings stay;
//! - images of private files, most with under a tenth of the files of several bases;
//! - images asked about in a store in which an enemy has *planted* 60 images of 1 to 30 files that many images have
//!   (licences, time zones, certificates, copyright notes), older than all others; half of them have a base.
//!
//! Everything is drawn from `--seed`; the same command gives the same images and the same table.
//!
//! # What is counted
//!
//! - **top-1**: the verdict is `base` and the truth is among the names. After an upgrade in place the old and the newer base
//!   both are the truth; after a whole one, in images made here, only the newer.
//! - **or same**: or a name is that of a stored image for which there is as much to say: all contents of the true base that
//!   are left in the image are its contents as well, and hardly more of it (a tenth) is missing. Without documents, an image
//!   is built on the slim base as much as on the full one. **ambiguous** counts the images for which there is one: no
//!   method that goes by contents can be right on all of them.
//! - **by chance**: top-1 divided by the number of names, if not all of them are true.
//! - **named**: the truth is among the names, whatever the verdict. **tie**: names in the first group.
//! - **MRR**: mean of one over the place of the first true name, in mean over all orders of a tie. layerprint counts with
//!   the groups that its answer names (base, runner-up, and `ranked` if there); what is not named counts 0.
//! - **family**: some name is of the family of the truth or of an acceptable sibling, as `truth.jsonl` says. Of images
//!   whose base is held out, this is what should be named, or what the base is itself built on.
//! - **cover**: of images with files of a second base, those of which both are named, as base or in `cover`. Whatever holds
//!   all contents that the second base brought is as good. After `by` stands how many names the answers had in the mean: to
//!   name everything is no art. For overlap, the first two of a greedy gather.
//! - **lineage**: where top-1 is right, ancestors of the base that are in its lineage, of all. **extra**: named there
//!   without being true, and not wholly contained in the base.
//! - **false claims**: verdict `base` with only wrong names: of images with a base, claims of a wrong one; of those without,
//!   any claim but that of what the held out base is itself built on or wholly contains. **of siblings**: of these, claims
//!   of a sibling of the true base.
//! - **days off**: where the truth is not named, days between the dates of the true base and the named one of its family.
//! - **Confidence**, where the answer has it: how often the truth was named, beside what was stated.
//!
//! # The other methods
//!
//! They see the same stored bases. *chain ID*: the stored image with the longest chain of layers that begins the image
//! (deps.dev); *layer prefix*: all stored images that share the most lowest layers (StackRox); *Jaccard*, *overlap* (most
//! shared contents, as `sourmash gather`) and *containment* (equal ones by size) over the distinct contents of the merged
//! view. The last three have no verdict of their own: they claim whatever shares 50,000 bytes.

mod bases;
mod corpus;
mod draft;
mod edits;
mod generate;
mod judge;
mod measure;
mod methods;
mod random;
mod report;
mod table;
mod work;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;

use report::Report;

/// Measure how often the base that is named is the true one
#[derive(Parser)]
pub struct Options {
    /// Folder of images with truth.jsonl (can be repeated)
    #[arg(long)]
    corpus: Vec<PathBuf>,
    /// Images to make from each corpus, besides those without a base
    #[arg(long, default_value_t = 300)]
    transforms: usize,
    /// Seed of all that is random
    #[arg(long, default_value = "1")]
    seed: String,
    /// Write a JSON object for each image
    #[arg(long)]
    rows: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Keep fingerprints of the corpora for the next run
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Cargo says this to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.corpus.is_empty() {
        options.corpus.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/small"));
    }
    let temporary = tempfile::tempdir()?;
    let cache = options.cache.as_deref().unwrap_or(temporary.path());
    let report = Report::default();
    for folder in &options.corpus {
        if !folder.join("truth.jsonl").exists() {
            eprintln!("{}: skipped, there is no truth.jsonl", folder.display());
            continue;
        }
        measure::measure(folder, cache, &options, &report)?;
    }
    report.finish(&options)
}

impl Options {
    /// Says with which command figures were made.
    fn describe(&self, asked: usize) -> String {
        let mut command = "cargo bench --bench accuracy --".to_owned();
        for corpus in &self.corpus {
            let name = corpus.file_name().unwrap_or_default().to_string_lossy();
            command.push_str(&format!(" --corpus {name}"));
        }
        let (transforms, seed) = (self.transforms, &self.seed);
        format!("`{command} --transforms {transforms} --seed {seed}`: {asked} images asked about.")
    }
}
