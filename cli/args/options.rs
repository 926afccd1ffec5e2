//! The options of each command.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser as NonEmpty;
use layerprint_ingest::Shard;
use layerprint_store::Platform;

use super::Tabular;
use super::values::{Label, StateName, platform, share, size_bytes};
use crate::day::{Day, Since};
use crate::pattern::Pattern;
use crate::report::Format;

/// Where images are read from.
#[derive(Debug, ClapArgs)]
pub struct Sources {
    /// Images: archives, layouts, folders, or - (see --help; can be repeated)
    #[arg(value_name = "SOURCE", required_unless_present = "from_list")]
    pub sources: Vec<String>,
    /// Read further sources from a file, one a line; - is standard input (can be repeated)
    #[arg(long, value_name = "FILE")]
    pub from_list: Vec<PathBuf>,
    /// Take only images for this platform: os/architecture[/variant]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
    /// Read so many layers at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Name images that have no name of their own
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    pub name: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Ingest {
    #[command(flatten)]
    pub sources: Sources,
    /// Read archives and layouts again that are unchanged
    ///
    /// An archive is unchanged if its size and times are; a layout if those of its index.json are (of a dir: folder,
    /// its manifest.json), and nothing was added to its blobs.
    #[arg(long)]
    pub rescan: bool,
    /// Take about this much memory, and 768M more while one large image is read: 512M, 1G [default: 256M and 32M a job]
    ///
    /// Fewer layers are read at a time where they have many files, and fewer are remembered for the images to come. Some
    /// 200M are taken however little is given, and one layer is read however many files it has.
    #[arg(long, value_name = "SIZE", value_parser = size_bytes)]
    pub memory: Option<u64>,
    /// Read only the Ith of N parts of what is named; other machines read the others
    ///
    /// Each image falls to exactly one part, by the digest of its configuration, whatever form, name or place it has. Archives
    /// that are compressed, folders as root file systems and what has no configuration fall to one as a whole, by how they are
    /// written here (below a folder: by their path in it), so that all machines must write them alike. `export` and `import`
    /// join the parts.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

#[derive(Debug, ClapArgs)]
pub struct Export {
    /// Where to write; - is standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct Import {
    /// What `layerprint export` wrote; - is standard input (can be repeated)
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Find {
    #[command(flatten)]
    pub sources: Sources,
    /// Also add the images to the store
    #[arg(long)]
    pub save: bool,
    /// Answer many sources at once, in JSON, each as soon as it is done
    ///
    /// Answers come in no particular order; each names its source. A source that cannot be read is answered by a line with
    /// `error` and `hint`, and does not stop the others. Lists are read as far as there is work, so that one from standard
    /// input may go on for ever. A folder is taken image by image. --jobs says how many sources are worked on at once.
    #[arg(long, conflicts_with = "save")]
    pub batch: bool,
    /// End with 1 unless each image is built on such a base (can be repeated)
    ///
    /// A pattern is a name (`debian:12*`), a repository (`debian`) or an ID, of the base or of anything that it is built on; of
    /// several one suffices. Only the verdict `base` counts. Who does not meet it is listed on standard error, and every answer in
    /// JSON says `met`.
    #[arg(long, value_name = "PATTERN")]
    pub require: Vec<Pattern>,
    /// Ask of images what this file asks, and end with 1 if one does not meet it (see docs/policy.md)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Count ages and exemptions to this day [default: today]
    ///
    /// SOURCE_DATE_EPOCH says it as well.
    #[arg(long, value_name = "DAY", requires = "policy")]
    pub as_of: Option<Day>,
}

#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// The image: a source (see --help), or the name or ID of a stored one
    #[arg(value_name = "IMAGE", value_parser = NonEmpty::new())]
    pub image: String,
    /// The stored image to compare with [default: the base that is found]
    #[arg(value_name = "BASE", value_parser = NonEmpty::new())]
    pub base: Option<String>,
    /// List only files in this state (can be repeated)
    #[arg(long = "state", value_name = "STATE", value_enum)]
    pub states: Vec<StateName>,
    /// List only this path and what lies below it (can be repeated)
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// List no files
    #[arg(long, conflicts_with_all = ["states", "paths"])]
    pub summary: bool,
    /// Take only images for this platform: os/architecture[/variant]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
}

#[derive(Debug, ClapArgs)]
pub struct Children {
    /// The name or ID of a stored image
    #[arg(value_name = "BASE", value_parser = NonEmpty::new())]
    pub base: String,
    /// Also list what is built on these, and so on
    #[arg(long)]
    pub transitive: bool,
    #[command(flatten)]
    pub tabular: Tabular,
}

#[derive(Debug, ClapArgs)]
pub struct Siblings {
    /// The image: a source (see --help), or the name or ID of a stored one
    #[arg(value_name = "IMAGE", value_parser = NonEmpty::new())]
    pub image: String,
    /// Take only images for this platform: os/architecture[/variant]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
    #[command(flatten)]
    pub tabular: Tabular,
}

#[derive(Debug, ClapArgs)]
pub struct WhoHas {
    /// A file, - for standard input, or the BLAKE3 hash of its bytes in hexadecimal (can be repeated)
    #[arg(value_name = "FILE|HASH", required = true, value_parser = NonEmpty::new())]
    pub contents: Vec<String>,
    #[command(flatten)]
    pub tabular: Tabular,
}

/// Which stored images are meant.
#[derive(Debug, ClapArgs)]
pub struct Selection {
    /// Only images with such a name (`app/*`), repository (`app`) or ID [default: all] (can be repeated)
    #[arg(value_name = "PATTERN")]
    pub images: Vec<Pattern>,
    /// Not images with such a name, repository or ID (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<Pattern>,
    /// Only images for this platform: os/architecture[/variant]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
    /// Only images with this label, and value if one is given (can be repeated: all are meant)
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<Label>,
    /// Only images that a name stands for now, not those that it stood for before
    ///
    /// The store keeps images whose tags have moved on. Of those that had one name, on one platform, the last seen has it.
    #[arg(long)]
    pub current: bool,
    /// Only images made since then: 2026-01-31, a time with its offset, or 30d (before --as-of, or today)
    #[arg(long, value_name = "DAY")]
    pub since: Option<Since>,
}

#[derive(Debug, ClapArgs)]
pub struct Report {
    #[command(flatten)]
    pub selection: Selection,
    /// Write to a file, in the format that its name ends with (can be repeated)
    ///
    /// Of several files all are written from one computation.
    #[arg(long, short, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// The format, whatever names end with
    #[arg(long, value_name = "FORMAT", value_enum, conflicts_with = "json")]
    pub format: Option<Format>,
    /// Ask so many images at a time [default: one for each core, up to 16]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Count ages to this day [default: when something was last stored; with --policy today]
    ///
    /// SOURCE_DATE_EPOCH says it as well.
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<Day>,
    /// Ask of images what this file asks, and end with 1 if one does not meet it (see docs/policy.md)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Say what changed since an earlier report, which was written as .jsonl
    ///
    /// Each image is told to be new, moved (another base), fell-behind, lost-base or came-back, or nothing of these; what is not
    /// stored any more is told to be gone.
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
    /// Tell the rows of an earlier report again, without a store: its file of JSON lines
    ///
    /// What they remark is told as it was, unless they are judged again with --policy; what changed, unless --diff.
    #[arg(long, value_name = "FILE", requires = "as_of", conflicts_with_all = ["resume", "jobs", "images", "exclude", "labels", "platform", "since", "current"])]
    pub from: Option<PathBuf>,
    /// Go on where a report of the same images to the same first FILE was stopped
    #[arg(long)]
    pub resume: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Duplicates {
    /// List only images
    #[arg(long)]
    pub images: bool,
    /// List only layers
    #[arg(long)]
    pub layers: bool,
    /// Least share of bytes that layers have in common, from 0.5 to 1
    ///
    /// Below 0.7 a pair is overlooked now and then: which layers are compared is told by samples of them.
    #[arg(long, value_name = "SHARE", default_value = "0.9", value_parser = share)]
    pub min_share: f64,
    /// Leave out layers with less than so much in files
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = size_bytes)]
    pub min_size: u64,
    #[command(flatten)]
    pub tabular: Tabular,
}

#[derive(Debug, ClapArgs)]
pub struct Savings {
    /// Ask so many images at a time [default: one for each core, up to 16]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub tabular: Tabular,
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// Keep the images and the store in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// A name, an image ID, a diff ID or a digest; four digits of an ID suffice
    #[arg(value_name = "IMAGE|LAYER", value_parser = NonEmpty::new())]
    pub subject: String,
    /// List the files: of an image as a container sees them, of a layer with its whiteouts
    #[arg(long)]
    pub files: bool,
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Only images one of whose names contains this
    #[arg(value_name = "TEXT", value_parser = NonEmpty::new())]
    pub filter: Option<String>,
    #[command(flatten)]
    pub tabular: Tabular,
}

#[derive(Debug, ClapArgs)]
pub struct Check {
    /// Look only at headers, at how far the packs go, and at whether catalogue and index open
    ///
    /// Takes well under a second, and finds what was cut off, removed or overwritten; not a flipped bit in a pack.
    #[arg(long)]
    pub quick: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Forget {
    /// A name, or an image ID (can be repeated)
    #[arg(value_name = "IMAGE", required = true, value_parser = NonEmpty::new())]
    pub images: Vec<String>,
}
