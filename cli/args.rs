//! What can be typed: the commands, with what is said of them. Their options are in `options`, how values are read in `values`.

mod options;
pub mod values;

use std::path::PathBuf;

use clap::builder::{Styles, styling::AnsiColor};
use clap::{Args as ClapArgs, Parser, Subcommand};

pub use options::*;
pub use values::Label;

const SOURCES: &str = "\
Sources:
  PATH                          a file or folder, told by its content; a folder is searched for images
  -                             an archive from standard input
  docker-archive:FILE[:REF]     what `docker save` writes
  oci-archive:FILE[:REF]        an OCI layout in a tar
  oci:DIR[:REF]                 an OCI layout
  dir:PATH                      what `skopeo copy ... dir:PATH` writes
  rootfs:PATH                   a root file system: a folder, or the tar of `docker export`";

// Paragraphs are single lines, which are wrapped where they are shown.
const INGEST: &str = "\
A run may be stopped at any time. The first Ctrl-C or SIGTERM begins no further layer, finishes those that are being \
read and the images that have all their layers, stores everything and says what is left; a second one ends the \
process at once. Either way, and after a crash or on a full disk, what was told is stored, and the same command goes \
on: it opens no archive or layout that is done and unchanged, and reads no layer that is known by its digest.

Progress is shown by bars, or, where standard error is no terminal, by a line after 10 seconds and every 30 to 60 \
seconds from then on. With --json each image is told as soon as it is stored, each failure as it happens \
(`{\"event\":\"failed\",...}`), and at the end the sum.";

const INGEST_STATUS: &str = "\
Exit status:
  0    done
  2    something failed; what did not fail was done
  130  stopped by Ctrl-C (SIGINT) before all was done
  143  stopped by SIGTERM before all was done";

const FIND_STATUS: &str = "\
Exit status:
  0  found
  1  nothing found, or an image does not meet what --require or --policy asks, or none was asked
  2  something failed; what did not fail was done";

const REPORT: &str = "\
Examples:
  layerprint report
  layerprint report -o fleet.csv -o fleet.jsonl
  layerprint report 'registry.example/apps/*' --since 30d --exclude '*:dev'
  layerprint report --json | jq -r 'select(.verdict == \"none\") | .source'
  layerprint report --policy policy.toml -o layerprint.sarif -o summary.md
  layerprint report --diff last-week.jsonl -o this-week.jsonl -o changes.md

Environment:
  SOURCE_DATE_EPOCH  the time that ages and exemptions are counted to, in seconds since 1970

Exit status:
  0  done
  1  no stored image is meant, or one does not meet the policy, or a PATTERN beside --policy means none
  2  something failed; what could be said was said";

/// Find what a container image is built on, by the contents of its files
#[derive(Debug, Parser)]
#[command(name = "layerprint", version, max_term_width = 100, styles = STYLES)]
#[command(after_help = "Start with: layerprint ingest FOLDER-OF-BASES, then: layerprint find IMAGE.tar")]
#[command(after_long_help = concat!(
    "Start with `layerprint ingest FOLDER-OF-BASES`, then ask `layerprint find IMAGE.tar`.\n",
    "`layerprint demo` shows both on images that it makes itself.\n\n",
    "Exit status: 0 done or found, 1 nothing found, 2 something failed."
))]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub struct Global {
    /// Where fingerprints are kept [default: layerprint in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR", env = "LAYERPRINT_STORE")]
    pub store: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How a command that answers in rows prints them, where it is not as JSON.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Tabular {
    /// Print CSV with a header
    ///
    /// Lists are one cell, joined by `; `. A cell that a spreadsheet would take for a formula begins with an apostrophe.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read images into the store
    ///
    /// Layers that the store has are not read again, nor are archives and layouts that are unchanged. An image that
    /// cannot be read is reported and does not stop the others.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint ingest bases/\n  \
         docker save debian:12 | layerprint ingest -\n  \
         layerprint ingest oci:layout:alpine:3.20\n  \
         layerprint ingest --memory 512M --from-list images.txt 2>> ingest.log\n\n\
         Many machines, each with a store of its own, and one that joins them:\n  \
         layerprint ingest --shard 1/3 /srv/images && layerprint export part1.lpx\n  \
         layerprint import part1.lpx part2.lpx part3.lpx\n\n\
         Environment:\n  \
         SOURCE_DATE_EPOCH  the time at which names are stored as seen, in seconds since 1970\n\n\
         {INGEST}\n\n{INGEST_STATUS}"
    ))]
    Ingest(Ingest),
    /// Say what images are built on
    ///
    /// Reads what the store lacks without adding it. A stored image may be named by its name or ID.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint find app.tar\n  \
         docker save my/app:1 | layerprint find -\n  \
         docker export my-container | layerprint find rootfs:-\n  \
         layerprint find --json images/ | jq -r '[.source, .verdict, .base.names[0]] | @tsv'\n  \
         find /srv -name '*.tar' | layerprint find --batch --from-list - > answers.jsonl\n  \
         layerprint find --require 'debian:12*' --require alpine app.tar\n\n{FIND_STATUS}"
    ))]
    Find(Find),
    /// Say file by file what became of the base, and where the rest is from
    ///
    /// Compares an image with the base that is found for it, or with a stored image that is named. Prints sums first,
    /// then a line for each file, in the order of paths: a file of the base is same, moved, modified, upgraded, downgraded
    /// or deleted; any other is copied (the base has its content) or new.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint explain app.tar --summary\n  \
         layerprint explain app.tar --state modified --state upgraded --path etc\n  \
         layerprint explain my/app:1 debian:12\n  \
         layerprint explain --json app.tar | jq -r 'select(.state == \"new\") | .path'\n\n\
         Exit status:\n  \
         0  a base or family was found, or something of the named base is there\n  \
         1  no base is known, or nothing of the named one is there\n  \
         2  something failed"
    ))]
    Explain(Explain),
    /// List the stored images that are built on one
    ///
    /// Asks every stored image that may be, by its layers or its contents, what it is built on: squashed and rebuilt ones are
    /// listed, too. Images with the very same contents are the same, not children.
    #[command(after_long_help = "\
Examples:
  layerprint children debian:12
  layerprint children --transitive --json debian:12 | jq -r '.names[0]'

Exit status:
  0  there are some
  1  no stored image is built on it
  2  something failed")]
    Children(Children),
    /// Report on all stored images: what each is built on, and how fresh that is
    ///
    /// Asks the same as `find` of every stored image, or of those that are meant, and tells it in any of several forms at once.
    /// The same store gives the same bytes, whatever the number of threads. Ages are counted to the day on which something was last
    /// stored, unless --as-of says otherwise.
    #[command(after_long_help = REPORT)]
    Report(Report),
    /// List the stored images that are built on the same base as one
    ///
    /// Finds the base of an image, stored or not, and lists the other stored images that are built on it. Those with the very
    /// same contents as the image are marked.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint siblings my/app:1\n  \
         layerprint siblings --json app.tar | jq -r 'select(.same) | .names[0]'\n\n\
         Exit status:\n  \
         0  there are some\n  \
         1  no base of it is known, or nothing else is built on that\n  \
         2  something failed"
    ))]
    Siblings(Siblings),
    /// List the stored images that have a file, wherever it stands in them
    ///
    /// Tells in which layers and at which paths the very same bytes stand, under whatever name. An image is `visible` if a
    /// container sees the file, `hidden` if it is only in a layer below: deleted or replaced, but still shipped. Asks the
    /// index, and reads only layers of images that have it, each once.
    #[command(after_long_help = "\
Examples:
  layerprint who-has log4j-core-2.14.1.jar
  layerprint who-has --json blake3:09925f0f... | jq -r 'select(.state == \"visible\") | .names[0]'
  layerprint who-has --csv bad/*.jar > affected.csv

Exit status:
  0  somebody has it, or one of them
  1  no stored image has it
  2  something failed")]
    WhoHas(WhoHas),
    /// List stored images that are equal, and layers that nearly are
    ///
    /// Images are equal if a container sees the same contents in them, under whatever ID. Layers are nearly equal if, by bytes, what
    /// both hold is at least --min-share of what either holds: the same files with other times, or a few more. The first of a
    /// group could stand for all; SAVED is what each other one would not need to store again.
    #[command(after_long_help = "\
Examples:
  layerprint duplicates
  layerprint duplicates --layers --min-share 1 --min-size 10M
  layerprint duplicates --json --images | jq -r 'select(.saved_bytes > 1e9) | .images[0].names[0]'

Exit status:
  0  there are some
  1  there are none
  2  something failed")]
    Duplicates(Duplicates),
    /// Add up what images would save that could be built on shared layers
    ///
    /// Asks every stored image what it is built on. Where the base is found by content, its files are in layers of the
    /// image's own (squashed, exported, or built on a rebuild): what of them the base's layers hold would not have to be stored
    /// again. Then says what all images take: each by itself, with layers shared, as registries do, and with contents shared. Sizes
    /// are those of files, uncompressed; each distinct layer counts once.
    #[command(after_long_help = "\
Examples:
  layerprint savings
  layerprint savings --csv > savings.csv

Exit status:
  0  something would be saved by building on shared layers
  1  no stored image has a base that it shares no layers with
  2  something failed; what could be said was said")]
    Savings(Savings),
    /// Show how it works, on images made from files of this machine
    ///
    /// Needs no network, no Docker and no rights: copies files that everybody may read, makes bases and applications
    /// of them, changes the applications as people do (squashed, exported, rebuilt), ingests the bases and finds them
    /// again. Takes some 300 MB in the folder for temporary files (TMPDIR) and removes them at the end. Uses a store
    /// of its own, whatever --store says.
    #[command(after_long_help = "\
Exit status:
  0  every answer is right
  1  an answer is wrong
  2  something failed")]
    Demo(Demo),
    /// Show what is known of a stored image or layer
    Show(Show),
    /// List stored images
    List(List),
    /// Count what the store holds
    Stats,
    /// Build the index again from the stored fingerprints
    ///
    /// Rarely needed: every commit maintains the index, and a command that writes rebuilds it where it is missing or damaged.
    /// The result is the same, byte for byte, whenever and by however many threads it is built. Ends with 2 if a layer is damaged:
    /// what the index says of the images that have it may lack contents.
    Reindex,
    /// Check that all that is stored is whole
    ///
    /// Reads every byte of packs, catalogue and index on all cores, compares it with its checksums, and compares the three with
    /// each other. For each damage it says what it is, which images and answers it touches, and what repairs it. Changes nothing.
    #[command(after_long_help = "\
Examples:
  layerprint check
  layerprint check --quick || mail -s 'layerprint store' admin < /dev/null
  layerprint check --json | jq -r 'select(.event == \"damage\") | .images[]'

Exit status:
  0  all is whole
  1  something is damaged
  2  the check failed")]
    Check(Check),
    /// Repair all that can be repaired, and say what to ingest again
    ///
    /// Rebuilds catalogue and index from the packs, sets damaged parts of packs aside, and marks the images that lost a layer; the
    /// next `ingest` of their sources fills the holes. Copies of the bytes that it writes over go to the folder `aside` of the
    /// store. It can be stopped and run again at any time, and leaves a store that is whole as it is.
    #[command(after_long_help = "\
Exit status:
  0  all is whole now
  1  something was lost: the images that are named must be ingested again
  2  the repair failed")]
    Repair,
    /// Remove images from the store
    Forget(Forget),
    /// Write all that is stored into one file
    ///
    /// Two stores with the same images export the same bytes, whatever machine, order or number of threads they were ingested
    /// with. The file holds no secrets of the store, nor what it remembers of files that it has read. It is written beside
    /// FILE and renamed when it is whole.
    #[command(after_long_help = "\
Examples:
  layerprint export bases.lpx
  layerprint export - | zstd | ssh host 'zstd -d | layerprint import -'

Exit status:
  0  done
  2  something failed, and there is no new FILE; or a part of the store is damaged, and FILE has all but the images that it touches")]
    Export(Export),
    /// Add what other stores exported
    ///
    /// The result is that of having ingested the same images here, in whatever order files come and however much they have in
    /// common: exports of both are the same bytes. Times at which names were seen are those of the exporting stores.
    ///
    /// All that can be checked is checked before it is stored. Believed is which files are in a layer of a given diff ID, which
    /// layer a compressed one unpacks to, and which image a manifest names: import only from who may ingest.
    #[command(after_long_help = "\
Examples:
  layerprint import part1.lpx part2.lpx part3.lpx
  ssh host layerprint export - | layerprint import -

Exit status:
  0  done
  2  a file is broken, or the store has other files or layers under the same ID and kept those; all else was done")]
    Import(Import),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
